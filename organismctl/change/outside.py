"""A surface's end as an integrator sees it: nothing is believed but ``[genesis]`` and signatures.

Reads a surface of one node over its open endpoints; the proofs are those of ``surface verify``
(:mod:`organismctl.observe.surface`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from organismctl.change.canonical import clean
from organismctl.change.site import Ending
from organismctl.errors import OrganismError

if TYPE_CHECKING:
    from organismctl.committee.client import NodeClient
    from organismctl.identity.surface_item import SurfaceItem
    from organismctl.observe.surface import Pin

TAIL = 200
"""How many items before the end are read and proven; the whole is for ``surface verify``."""


def endings_of(
    node: str,
    client: NodeClient,
    *,
    fingerprint: bytes,
    surface_ids: Mapping[str, bytes],
    genesis: bytes | None,
) -> list[Ending]:
    """The end of every surface on one node.

    Args:
        node: Its name.
        client: Its API; only open endpoints are used.
        fingerprint: 32 bytes, as an integrator has it pinned.
        surface_ids: Surface name to id, 32 bytes each.
        genesis: Digest of the first roster, from ``[genesis]``; without one nothing can be proven.
    """
    from organismctl.observe.surface import Pin

    if genesis is None:
        why = "organism.toml has no [genesis]: a stranger cannot prove the roster"
        return [Ending(node, name, ok=False, detail=why) for name in surface_ids]
    return [
        _ending(node, client, Pin(fingerprint, genesis, surface_id, name))
        for name, surface_id in surface_ids.items()
    ]


def _ending(node: str, client: NodeClient, pin: Pin) -> Ending:
    from organismctl.observe.surface import UnprovenError

    try:
        items = _tail(client, pin)
    except UnprovenError as exc:
        return Ending(node, pin.surface, ok=False, detail=clean(exc.message, 300))
    except OrganismError as exc:
        return Ending(node, pin.surface, ok=False, detail=clean(exc.message, 300), seen=False)
    if not items:
        return Ending(node, pin.surface, ok=False, detail="it serves no item")
    last = items[-1]
    fault = _fault(items)
    if fault is None and last.retirement is None:
        fault = f"its last item, seq {last.seq}, is no marker"
    detail = fault or f"the marker is item {last.seq}, the last one, certified by the roster"
    return Ending(node, pin.surface, ok=fault is None, detail=detail, items=len(items), last_seq=last.seq)


def _tail(client: NodeClient, pin: Pin) -> list[SurfaceItem]:
    """The last items, each proven."""
    from organismctl.observe.surface import Prover, UnprovenError

    prover = Prover(pin)
    prover.learn(client)
    ends = [surface.next_seq for surface in client.surfaces().surfaces if surface.name == pin.surface]
    if not ends:
        raise UnprovenError("it does not serve this surface")
    items: list[SurfaceItem] = []
    start = max(0, ends[0] - TAIL)
    while True:
        page = client.items(pin.surface, start, 1000)
        items += [prover.item(data, client) for data in page.items]
        if not page.items or page.next <= start:
            return items
        start = page.next


def _fault(items: list[SurfaceItem]) -> str | None:
    """A hole, or something after the marker; ``None`` when there is neither."""
    for before, item in pairwise(items):
        if item.seq != before.seq + 1:
            return f"seq {item.seq} follows seq {before.seq}"
        if before.retirement is not None:
            return f"item {item.seq} comes after the marker"
    return None
