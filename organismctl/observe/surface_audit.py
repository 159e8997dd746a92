"""A whole surface read from every node: each proven on its own, then all compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from organismctl.errors import OrganismError
from organismctl.exits import Exit
from organismctl.identity.digest import h
from organismctl.identity.surface_item import encode_body
from organismctl.observe.surface import Prover, Reader

if TYPE_CHECKING:
    from organismctl.committee.client import NodeClient
    from organismctl.identity.config import Json
    from organismctl.identity.surface_item import RetirementMarker
    from organismctl.observe.surface import Pin

OK, BAD, UNKNOWN = "ok", "bad", "unknown"


@dataclass
class EndpointAudit:
    """One node's surface.

    Attributes:
        endpoint: Its URL.
        status: ``ok``, ``bad`` or ``unknown`` (it could not be read).
        detail: One line.
        items: How many items were proven.
        last_seq: The last one's seq.
        marker: The marker, when it is the last item.
        digests: A running digest of all items, by seq.
    """

    endpoint: str
    status: str = OK
    detail: str = ""
    items: int = 0
    last_seq: int | None = None
    marker: RetirementMarker | None = None
    digests: dict[int, bytes] = field(default_factory=dict, repr=False)


@dataclass
class SurfaceAudit:
    """All nodes together.

    Attributes:
        pin: What was known beforehand.
        endpoints: A row for each node, also for those that could not be read.
        summary: One line.
        rooted: Whether the first roster was known beforehand; else it is the nodes' own word.
    """

    pin: Pin
    endpoints: list[EndpointAudit]
    summary: str = ""
    rooted: bool = True

    @property
    def exit(self) -> Exit:
        """6 when something does not prove, 5 when a node could not be read or the root is not known, else 0."""
        if any(one.status == BAD for one in self.endpoints):
            return Exit.UNHEALTHY
        unseen = any(one.status == UNKNOWN for one in self.endpoints)
        return Exit.UNKNOWN if unseen or not self.rooted else Exit.OK

    def as_json(self) -> dict[str, Json]:
        """The published form (``docs/schemas/surface-verify.schema.json``)."""
        rows: list[Json] = [
            {
                "endpoint": one.endpoint,
                "status": one.status,
                "detail": one.detail,
                "items": one.items,
                "last_seq": one.last_seq,
                "retired": one.marker is not None,
                "effective_at": one.marker.effective_at if one.marker else None,
                "replacement": one.marker.replacement if one.marker else None,
            }
            for one in self.endpoints
        ]
        return {
            "schema": 1,
            "surface": self.pin.surface,
            "surface_id": self.pin.surface_id.hex(),
            "fingerprint": self.pin.fingerprint.hex(),
            "exit": int(self.exit),
            "summary": self.summary,
            "rooted": self.rooted,
            "endpoints": rows,
        }


def audit(
    clients: Sequence[NodeClient],
    pin: Pin,
    start: int = 0,
    *,
    retired: bool = False,
    rooted: bool = True,
    on_items: Callable[[int], None] = lambda _count: None,
) -> SurfaceAudit:
    """Read and prove a surface from every node, and compare them.

    Args:
        clients: The nodes.
        pin: What an integrator knows beforehand.
        start: The first seq to read.
        retired: Whether the marker must be the last item everywhere.
        rooted: Whether the pin's first roster was known beforehand.
        on_items: Told of the number of items read so far.
    """
    found = [_one(client, pin, start, retired, on_items) for client in clients]
    _compare(found)
    made = SurfaceAudit(pin, found, rooted=rooted)
    proven = [one for one in found if one.status == OK]
    marked = sum(one.marker is not None for one in proven)
    made.summary = f"{len(proven)} of {len(found)} nodes prove the surface" + (
        f"; {marked} end with the marker"
        if marked
        else "; it is not retired"
        if proven
        else "; whether it is retired is unknown"
    )
    if not rooted:
        made.summary += "; the first roster is their own word"
    return made


def _one(
    client: NodeClient, pin: Pin, start: int, retired: bool, on_items: Callable[[int], None]
) -> EndpointAudit:
    row = EndpointAudit(client.url)
    chain = b""
    try:
        for item in Reader([client], Prover(pin), start=start).read():
            chain = h(chain + item.height.to_bytes(8, "little") + encode_body(item.item))
            row.digests[item.seq] = chain
            row.items, row.last_seq, row.marker = row.items + 1, item.seq, item.retirement
            on_items(row.items)
    except OrganismError as error:
        # Busy, refusing or no node of ours: not seen, which is never the same as seen to be bad.
        row.status = BAD if error.exit is Exit.UNHEALTHY else UNKNOWN
        row.detail = error.message
        return row
    if row.marker is not None:
        row.detail = f"the marker is the last item, effective {row.marker.effective_at}"
    elif retired:
        row.status, row.detail = BAD, "its last item is no marker" if row.items else "it serves no item"
    else:
        row.detail = "every item is proven" if row.items else "it serves no item yet"
    return row


def _compare(rows: Sequence[EndpointAudit]) -> None:
    """Two nodes that both prove must agree on every item that both serve."""
    whole = max((row for row in rows if row.status == OK), key=lambda row: row.items, default=None)
    for row in rows:
        if whole is None or row is whole or row.status != OK:
            continue
        if row.last_seq is not None and whole.digests.get(row.last_seq) != row.digests[row.last_seq]:
            row.status, row.detail = BAD, f"up to seq {row.last_seq} it differs from {whole.endpoint}"
        elif row.marker is None and whole.marker is not None:
            row.status, row.detail = BAD, f"it lacks the marker that {whole.endpoint} serves"
