"""Check ``surfaces``: which nodes serve each of our surfaces, and what a subscriber hears of them.

The wire decides where it was looked at, since it is what an integrator sees; else the nodes' own word stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, SourceRef, Status
from organismctl.check.heard import heard_row
from organismctl.check.surface_fresh import fresh_row
from organismctl.check.values import hex_id, items, listed, short, source, table, text, whole
from organismctl.identity.map_group import map_group_id

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.check.wire_view import WirePeer, WireView
    from organismctl.files.deployment import Node
    from organismctl.identity.config import Json, Surface
    from organismctl.observe.snapshot import Fact

MAP_KEY, MAP_VALUE = "u64", "organismctl_engine::SurfaceItem"
"""rustc's paths of the types of a map surface; they are in its group id."""


@dataclass(frozen=True, slots=True)
class _Served:
    """One node at one surface: whether it serves it (``None`` is not known), why, and the next seq it told."""

    node: str
    served: bool | None
    why: str
    next_seq: int | None
    refs: tuple[SourceRef, ...]


def check_surfaces(scope: Scope) -> list[Finding]:
    """A row per surface, and a row per subscription that was listened to."""
    if scope.deployment is None:
        return [
            finding("CHECK-INCOMPLETE", None, "surfaces", "no deployment.toml is here: it names the nodes")
        ]
    roster = [node for node in scope.deployment.nodes if node.roster]
    if not roster:
        return [
            finding(
                "CHECK-INCOMPLETE", None, "surfaces", f"{scope.deployment.file} has no node on the roster"
            )
        ]
    if scope.identity is None:
        why = scope.identity_unknown or "the fingerprint is not known here"
        return [
            finding("SURFACE-UNSERVED", Status.UNKNOWN, one.name, why)
            for one in scope.organism.config.surfaces
        ]
    wire = scope.wire
    rows: list[Finding] = []
    for surface in scope.organism.config.surfaces:
        seen = [_node(scope, wire, surface, node) for node in roster]
        rows.append(_surface(scope, surface, seen))
        rows.append(fresh_row(scope, surface))
        rows += _heard(scope, wire, surface, roster)
    return rows


def _id(scope: Scope, surface: Surface) -> bytes | None:
    return scope.identity.surface_ids.get(surface.name) if scope.identity is not None else None


def _node(scope: Scope, wire: WireView, surface: Surface, node: Node) -> _Served:
    """One node: by the wire where somebody looked, else by its own word."""
    fact = scope.snapshot.get("node.status", node.name)
    told = _by_word(scope, surface, node.name, fact)
    if not wire.asked or surface.type == "vec":
        return told
    peer = wire.peers.get(node.peer_id.hex())
    if peer is None:
        why = wire.blind or "the wire does not show it"
        return _Served(node.name, None if wire.blind else False, why, told.next_seq, told.refs)
    return _Served(node.name, *_on_wire(scope, surface, peer), told.next_seq, peer.refs)


def _on_wire(scope: Scope, surface: Surface, peer: WirePeer) -> tuple[bool | None, str]:
    """A stream is served by its id; a map is a group, whose id depends on its types' paths."""
    found = _id(scope, surface)
    if found is None:
        return None, "the scheme tells no id for it"
    if surface.type == "stream":
        return found.hex() in peer.streams, "on the wire"
    acl = [one.signature() for one in scope.organism.config.acl]
    ids = {map_group_id(found, MAP_KEY, MAP_VALUE, some).hex() for some in (acl, ())}
    if ids & set(peer.groups):
        return True, "on the wire"
    if scope.organism.config.identity.scheme == "organismctl/1":
        return False, "on the wire"
    return None, "the group id of a foreign map depends on its types' paths"


def _by_word(scope: Scope, surface: Surface, name: str, fact: Fact | None) -> _Served:
    """What the node says of itself, when it runs this fingerprint."""
    refs = source(fact)
    if fact is None or not fact.seen:
        return _Served(name, None, (fact.reason if fact else None) or "nobody looked", None, refs)
    value = table(fact.value)
    told = next((one for raw in items(value.get("surfaces")) if text((one := table(raw)).get("name")) == surface.name),
                None)  # fmt: skip
    pin = hex_id(value.get("fingerprint"))
    wanted = scope.identity.fingerprint.hex() if scope.identity is not None else None
    if pin != wanted:
        return _Served(name, False, f"it runs fingerprint {short(pin)}", None, refs)
    if not isinstance(value.get("surfaces"), list):
        return _Served(name, None, "it does not say what it serves", None, refs)
    seq = whole(told.get("next_seq")) if told is not None else None
    return _Served(name, told is not None, "by its own word", seq, refs)


def _surface(scope: Scope, surface: Surface, seen: list[_Served]) -> Finding:
    found = _id(scope, surface)
    serving = [one.node for one in seen if one.served]
    without = [one for one in seen if one.served is False]
    unknown = [one for one in seen if one.served is None]
    values: dict[str, Json] = {
        "surface_id": found.hex() if found is not None else None,
        "served": [*serving],
        "unserved": [one.node for one in without],
        "unknown": {one.node: one.why for one in unknown},
        "next_seq": {one.node: one.next_seq for one in seen},
    }
    shown = f"{short(found)} served by {len(serving)} of {len(seen)} nodes"
    if without:
        shown += f"; not by {listed([one.node for one in without])} ({without[0].why})"
    if unknown:
        shown += f"; unknown of {listed([one.node for one in unknown])} ({unknown[0].why})"
    status = Status.UNKNOWN if unknown else Status.OK
    if without and not unknown:
        status = Status.WARN if serving else Status.BAD
    if status is Status.BAD and scope.identity is not None:
        shown += (
            f"; an integrator pinned to {short(scope.identity.fingerprint)} gets ConnectTimeout, nothing else"
        )
    refs = tuple(ref for one in seen for ref in one.refs)
    return finding("SURFACE-UNSERVED", status, surface.name, shown, values=values,
                   limits={"nodes": len(seen)}, sources=refs)  # fmt: skip


def _heard(scope: Scope, wire: WireView, surface: Surface, roster: list[Node]) -> Iterator[Finding]:
    """Each subscription that the observer made to this surface."""
    found = _id(scope, surface)
    if found is None:
        return
    names = {node.peer_id.hex(): node.name for node in roster}
    for fact in wire.streams:
        stream, _, peer = fact.subject.partition("@")
        if stream == found.hex():
            name = names.get(peer, short(peer))
            subject, seq = f"{surface.name} @ {name}", _next_seq(scope, surface, names.get(peer))
            yield heard_row("SURFACE-HEARD", fact, subject, seq)


def _next_seq(scope: Scope, surface: Surface, node: str | None) -> int | None:
    """What our own ledger says is next, by the node's own word."""
    fact = scope.snapshot.get("node.status", node) if node is not None else None
    return _by_word(scope, surface, node or "", fact).next_seq
