"""A spanned member as the wire shows it: which peers serve the surfaces that organism.toml reads.

Only an entry point that answered can show that nobody serves one; the observer's own trouble is never theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.committee_wire import door_rows
from organismctl.check.finding import Finding, Status
from organismctl.check.heard import heard_row
from organismctl.check.values import listed, plural, short

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.check.wire_view import Door, WireView
    from organismctl.identity.config import Json, ReadSurface, SpannedMember


def span_wire_rows(scope: Scope, wire: WireView, member: SpannedMember) -> Iterator[Finding]:
    """Nothing when deployment.toml names no entry point of it, or nobody looked."""
    side = scope.deployment.span(member.name) if scope.deployment is not None else None
    if side is None or not side.peers or not wire.asked:
        return
    named = {one.partition("@")[0].lower() for one in side.peers}
    doors = [door for door in wire.doors if door.subject in side.peers or door.peer_id in named]
    yield from door_rows(doors)
    for surface in member.surfaces:
        yield _surface(wire, doors, member, surface)
        for fact in wire.streams:
            stream, _, peer = fact.subject.partition("@")
            if stream == surface.id.hex() and peer in named:
                subject = f"{member.name} / {surface.name} @ {short(peer)}"
                yield heard_row("SPAN-HEARD", fact, subject, ours=False)


def _surface(wire: WireView, doors: list[Door], member: SpannedMember, surface: ReadSurface) -> Finding:
    subject = f"{member.name} / {surface.name}"
    refs = tuple(ref for door in doors for ref in door.refs)
    if surface.type != "stream":
        return finding("SPAN-UNSERVED", Status.UNKNOWN, subject,
                       f"a {surface.type} is a group whose id depends on its types' paths: the wire cannot tell",
                       sources=refs)  # fmt: skip
    peers = wire.serving(surface.id.hex())
    values: dict[str, Json] = {"stream_id": surface.id.hex(), "served": [peer.peer_id for peer in peers]}
    if peers:
        names = listed([short(peer.peer_id) for peer in peers], 3)
        return finding("SPAN-UNSERVED", Status.OK, subject, f"served by {plural(len(peers), 'peer')}: {names}",
                       values=values, sources=peers[0].refs)  # fmt: skip
    if not any(door.answered for door in doors):
        why = doors[0].reason if doors else "its entry points were not asked"
        return finding("SPAN-UNSERVED", Status.UNKNOWN, subject, why or "no entry point answered",
                       values=values, sources=refs)  # fmt: skip
    return finding("SPAN-UNSERVED", Status.BAD, subject,
                   f"no peer in the catalog of its entry points serves {short(surface.id)}",
                   values=values, sources=refs)  # fmt: skip
