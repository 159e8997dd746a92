"""A surface's end as an integrator sees it: nothing is believed but ``[genesis]`` and signatures.

Reads a surface of one node over its open endpoints, without any token of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import clean
from organismctl.change.site import Ending
from organismctl.errors import OrganismError, UnreachableError

if TYPE_CHECKING:
    from organismctl.committee.client import NodeClient
    from organismctl.identity.roster import Roster, RosterLink
    from organismctl.identity.surface_item import SurfaceItem

TAIL = 200
"""How many items before the end are read and proven; the whole is for ``surface verify``."""


class UnprovenError(OrganismError):
    """What a node serves does not prove."""


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
    try:
        rosters = _rosters(client.roster(), fingerprint, genesis)
        known = _served(client, fingerprint)
    except UnprovenError as exc:
        return [Ending(node, name, ok=False, detail=exc.message) for name in surface_ids]
    except OrganismError as exc:
        why = clean(exc.message, 300)
        return [Ending(node, name, ok=False, detail=why, seen=False) for name in surface_ids]
    found = []
    for name, surface in surface_ids.items():
        if name in known:
            tail = partial(_tail, client, name, known[name])
            found.append(_ending(node, name, tail, (fingerprint, surface), rosters))
        else:
            found.append(Ending(node, name, ok=False, detail="it does not serve this surface"))
    return found


def _served(client: NodeClient, fingerprint: bytes) -> dict[str, int]:
    served = client.surfaces()
    if served.fingerprint != fingerprint:
        raise UnprovenError(f"it serves fingerprint {served.fingerprint.hex()[:10]}")
    return {surface.name: surface.next_seq for surface in served.surfaces}


def _ending(
    node: str,
    name: str,
    tail: Callable[[], list[SurfaceItem]],
    identity: tuple[bytes, bytes],
    rosters: Mapping[int, Roster],
) -> Ending:
    try:
        items = tail()
    except UnreachableError as exc:
        return Ending(node, name, ok=False, detail=clean(exc.message, 300), seen=False)
    except OrganismError as exc:
        return Ending(node, name, ok=False, detail=clean(exc.message, 300))
    if not items:
        return Ending(node, name, ok=False, detail="it serves no item")
    fault = _fault(items, identity, rosters)
    last = items[-1]
    if fault is None and last.retirement is None:
        fault = f"its last item, seq {last.seq}, is no marker"
    detail = fault or f"the marker is item {last.seq}, the last one, certified by the roster"
    return Ending(node, name, ok=fault is None, detail=detail, items=len(items), last_seq=last.seq)


def _tail(client: NodeClient, name: str, next_seq: int) -> list[SurfaceItem]:
    from organismctl.identity.postcard import PostcardError
    from organismctl.identity.surface_item import decode_item

    items: list[SurfaceItem] = []
    start = max(0, next_seq - TAIL)
    while True:
        page = client.items(name, start, 1000)
        try:
            items += [decode_item(data) for data in page.items]
        except PostcardError as exc:
            raise UnprovenError(f"an item is malformed: {exc}") from exc
        if not page.items or page.next <= start:
            return items
        start = page.next


def _fault(
    items: Sequence[SurfaceItem], identity: tuple[bytes, bytes], rosters: Mapping[int, Roster]
) -> str | None:
    """The first thing that does not prove, or ``None``."""
    from organismctl.identity.surface_item import verify_item

    for before, item in zip([None, *items[:-1]], items, strict=True):
        if before is not None and item.seq != before.seq + 1:
            return f"seq {item.seq} follows seq {before.seq}"
        if before is not None and before.retirement is not None:
            return f"item {item.seq} comes after the marker"
        roster = rosters.get(item.certificate.roster_version)
        if roster is None:
            return (
                f"item {item.seq} names roster version {item.certificate.roster_version}, which is not proven"
            )
        verdict = verify_item(item, *identity, roster)
        if not verdict.verified:
            return f"item {item.seq} has {len(verdict.valid)} of {verdict.threshold} needed signatures"
    return None


def _rosters(answer: Mapping[str, Any], fingerprint: bytes, genesis: bytes | None) -> dict[int, Roster]:
    """Every roster that proves from ``[genesis]``, by version."""
    from organismctl.identity.roster import ChainError, Roster, verify_chain

    if genesis is None:
        raise UnprovenError("organism.toml has no [genesis]: a stranger cannot prove the roster")
    try:
        members = tuple(_peer(member) for member in answer["genesis"]["members"])
        links = [_link(link) for link in answer["links"]]
        proven = verify_chain(fingerprint, genesis, Roster(1, members), links)
    except ChainError as exc:
        raise UnprovenError(f"its roster does not prove from [genesis]: {exc}") from exc
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UnprovenError("its roster chain is malformed") from exc
    return {roster.version: roster for roster in proven}


def _peer(member: Any) -> bytes:
    return bytes.fromhex(member["peer_id"] if isinstance(member, dict) else member)


def _link(link: Any) -> RosterLink:
    import base64

    from organismctl.identity.roster import RosterChange, RosterLink, decode_link

    if isinstance(link, str):
        return decode_link(base64.urlsafe_b64decode(link + "=" * (-len(link) % 4)))
    change = link["change"]
    signatures = tuple(
        (bytes.fromhex(pair["peer_id"]), _bytes(pair["signature"])) for pair in link["signatures"]
    )
    return RosterLink(
        int(link["height"]),
        RosterChange(change["add"] is True, bytes.fromhex(change["peer_id"]), int(change["version"])),
        signatures,
    )


def _bytes(text: str) -> bytes:
    import base64

    if len(text) == 128:
        return bytes.fromhex(text)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
