"""The committee as the wire tells it: who is in the catalog, which group each has joined, which mosaik runs.

Invariants:
    1. What no entry point answered is unknown; only an entry point that answered can show that a peer is absent.
    2. Groups beside the computed one are normal: maps are groups too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.values import duration, listed, plural, short, source
from organismctl.check.wire_view import Door, WirePeer, WireView

if TYPE_CHECKING:
    from organismctl.check.committee_view import Seen, View
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json

WIRE = "mosaik"
"""The subject of what is said of all peers together."""


STALE_MS = 150_000
"""A peer signs its entry anew every 45 s, give or take half; three times in a row are not left out by chance."""


def wire_rows(scope: Scope, view: View, wire: WireView) -> Iterator[Finding]:
    """Everything that the network's catalog says about the committee; nothing when nobody looked."""
    if not wire.asked:
        return
    ours = [one.peer_id for one in (*view.members, *view.others)]
    yield from door_rows(wire.doors_of(ours), view)
    for one in view.members:
        yield from _member(scope, wire, one)
    yield from _strangers(scope, wire, view)
    yield from _versions(wire, view)


def door_rows(doors: list[Door], view: View | None = None) -> Iterator[Finding]:
    """Whether each entry point answered, and whether what it sent proves."""
    for door in doors:
        name = _door_name(door, view)
        if not door.answered:
            code = {"observer": "OBSERVER-REFUSED", "malformed": "ANSWER-MALFORMED"}.get(
                door.cause or "", "WIRE-UNREACHABLE"
            )
            subject = name if code == "WIRE-UNREACHABLE" else f"{name} on the wire"
            yield finding(code, Status.UNKNOWN, subject, door.reason or "it was not seen", sources=door.refs)
            continue
        told = "1 entry" if door.entries == 1 else f"{door.entries} entries"
        yield finding("WIRE-UNREACHABLE", Status.OK, name, f"it told {told}", sources=door.refs)
        yield _proven(door, name, ours=view is not None)


def _door_name(door: Door, view: View | None) -> str:
    if view is not None and door.peer_id is not None:
        return view.name(door.peer_id)
    return short_door(door.subject)


def _proven(door: Door, name: str, *, ours: bool) -> Finding:
    """Entries that do not prove, with who sent them; an entry point of ours should send none."""
    if not door.problems:
        return finding("CATALOG-UNPROVEN", Status.OK, name, "every entry proves", sources=door.refs)
    who, what = door.problems[0]
    more = f" (and {len(door.problems) - 1} more)" if len(door.problems) > 1 else ""
    about = f"the entry of {short(who)}" if who is not None else "an entry"
    problems: list[Json] = [{"peer_id": peer, "what": why} for peer, why in door.problems[:100]]
    return finding(
        "CATALOG-UNPROVEN", Status.BAD if ours else Status.WARN, name, f"it sent {about}: {what}{more}",
        values={"problems": problems, "count": len(door.problems)}, sources=door.refs,
    )  # fmt: skip


def _member(scope: Scope, wire: WireView, one: Seen) -> Iterator[Finding]:
    """One member: in the catalog, and in the group."""
    peer = wire.peers.get(one.peer_id)
    if peer is None:
        yield _absent(wire, one)
        yield finding(
            "GROUP-FORKED", Status.UNKNOWN, one.name, "its groups are not known: the wire does not show it"
        )
        return
    missed = wire.missed_by(peer)
    shown = f"mosaik {peer.version}, told by {len(peer.told_by)} of {len(wire.answering)} entry points"
    status = Status.WARN if missed else Status.OK
    if missed:
        shown += f"; not by {listed([short_door(door) for door in missed])}"
    age = _age(peer)
    if age is not None and age > STALE_MS:
        status, shown = Status.WARN, f"{shown}; its entry is {duration(age)} old: it is about to be forgotten"
    yield finding(
        "PEER-ABSENT", status, one.name, shown,
        values={"told_by": [*peer.told_by], "missed_by": [*missed], "age_ms": age}, limits={"age_ms": STALE_MS},
        sources=peer.refs,
    )  # fmt: skip
    yield _group(scope, peer, one.name)


def _age(peer: WirePeer) -> int | None:
    """How old its entry was when it was seen, by both clocks."""
    seen = peer.refs[0].seen_ms if peer.refs else None
    return None if seen is None or peer.updated_ms is None else seen - peer.updated_ms


def short_door(subject: str) -> str:
    """An entry point as people read it: ten characters of the peer, and where it is."""
    peer, at, where = subject.partition("@")
    return f"{peer[:10]}{at}{where}"


def _absent(wire: WireView, one: Seen) -> Finding:
    """Absent is seen only by entry points that answered, and only in their own catalogs."""
    if wire.blind is not None:
        return finding("PEER-ABSENT", Status.UNKNOWN, one.name, wire.blind)
    unseen = wire.unseen.get(one.peer_id)
    if unseen is not None and unseen.cause == "malformed":
        return finding("PEER-ABSENT", Status.UNKNOWN, one.name, unseen.reason or "it is not believed",
                       sources=source(unseen))  # fmt: skip
    told = [door.subject for door in wire.answering]
    return finding(
        "PEER-ABSENT", Status.BAD, one.name, f"it is not in the catalog of {listed([short_door(d) for d in told])}",
        values={"told_by": [], "missed_by": [*told]}, sources=wire.answering[0].refs,
    )  # fmt: skip


def _group(scope: Scope, peer: WirePeer, name: str) -> Finding:
    """Whether the computed group is among those that a member has joined; if not, why it may be."""
    if scope.group_id is None:
        return finding(
            "GROUP-UNKNOWN", None, name, f"it cannot be compared: {scope.group_unknown}", sources=peer.refs
        )
    wanted = scope.group_id.hex()
    values: dict[str, Json] = {"joined": [*peer.groups]}
    limits: dict[str, Json] = {"group_id": wanted}
    if wanted in peer.groups:
        beside = len(peer.groups) - 1
        more = f", and {plural(beside, 'group')} beside it" if beside else ""
        return finding("GROUP-FORKED", Status.OK, name, f"it has joined {short(wanted)} as computed{more}",
                       values=values, limits=limits, sources=peer.refs)  # fmt: skip
    if (old := _pending(scope)) is not None and old in peer.groups:
        summary = f"it has joined {short(old)}, which is deployed; the accepted {short(wanted)} is not yet"
        return finding(
            "GROUP-FORKED", Status.WARN, name, summary, values=values, limits=limits, sources=peer.refs
        )
    if not peer.groups:
        return finding("GROUP-FORKED", Status.BAD, name, f"it has joined no group; computed is {short(wanted)}",
                       values=values, limits=limits, sources=peer.refs)  # fmt: skip
    likely = _likely(scope, peer)
    joined = listed([short(one) for one in peer.groups], 3)
    summary = f"it has joined {joined}, not the computed {short(wanted)}"
    if likely is not None:
        key, what, made = likely
        values |= {"likely": what, "key": key, "forked_group_id": made}
        summary = f"it has joined {short(made)}, not the computed {short(wanted)}: {what}"
    return finding("GROUP-FORKED", Status.BAD, name, summary, values=values, limits=limits, sources=peer.refs)


def _pending(scope: Scope) -> str | None:
    """The deployed group id, while an accepted identity waits for its deployment."""
    lock = scope.lock
    if lock is None or lock.next is None or lock.deployed is None or lock.deployed.group_id is None:
        return None
    return lock.deployed.group_id.hex()


def _likely(scope: Scope, peer: WirePeer) -> tuple[str, str, str] | None:
    """The mistake that makes one of the ids that are there."""
    from organismctl.check.group_variants import Known, explain

    if scope.identity is None or scope.identity.machine_signature is None or scope.secret_hash is None:
        return None
    accepted = {}
    if scope.lock is not None:
        stanzas = {"deployed": scope.lock.deployed, "next": scope.lock.next}
        accepted = {
            f"{scope.lock.file}'s {name} stanza": (one.fingerprint, one.group_id)
            for name, one in stanzas.items()
            if one is not None
        }
    known = Known(scope.organism.config, scope.identity, scope.secret_hash, scope.secret_readings, accepted)
    found = explain(known, [bytes.fromhex(one) for one in peer.groups])
    return None if found is None else (found.key, found.what, found.group_id.hex())


def _strangers(scope: Scope, wire: WireView, view: View) -> Iterator[Finding]:
    """Peers that say they joined our group and are neither on the roster nor in deployment.toml."""
    if scope.group_id is None or wire.blind is not None:
        return
    nodes = scope.deployment.nodes if scope.deployment else ()
    known = {one.peer_id for one in view.members} | {node.peer_id.hex() for node in nodes}
    found = [peer for peer in wire.joined(scope.group_id.hex()) if peer.peer_id not in known]
    status = Status.WARN if found else Status.OK
    names: list[Json] = [peer.peer_id for peer in found]
    summary = f"{listed([short(peer.peer_id) for peer in found])} say that they joined our group"
    yield finding(
        "GROUP-STRANGER", status, WIRE, summary if found else "nobody else says that they joined our group",
        values={"peers": names},
    )  # fmt: skip


def _versions(wire: WireView, view: View) -> Iterator[Finding]:
    """mosaik's version on every member that the wire shows."""
    versions: dict[str, list[str]] = {}
    for one in view.members:
        if (peer := wire.peers.get(one.peer_id)) is not None:
            versions.setdefault(peer.version, []).append(one.name)
    if not versions:
        return
    alike = len(versions) == 1
    shown = "; ".join(f"mosaik {version} on {listed(names)}" for version, names in versions.items())
    yield finding(
        "VERSION-SKEW", Status.OK if alike else Status.WARN, WIRE,
        f"mosaik {next(iter(versions))} on every member that the wire shows" if alike else shown,
        values={"versions": {version: [*names] for version, names in versions.items()}},
    )  # fmt: skip
