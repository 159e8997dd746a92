"""Check ``committee``: is it there, bonded, led by one, and how many more may fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.committee_identity import identity_rows
from organismctl.check.committee_ledger import ledger_rows, sound_nodes
from organismctl.check.committee_view import Life, Seen, View, make_view
from organismctl.check.committee_wire import wire_rows
from organismctl.check.finding import Finding, Status
from organismctl.check.node_told import Told
from organismctl.check.values import duration, listed, plural, source

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.check.wire_view import WireView
    from organismctl.files.deployment import Thresholds
    from organismctl.identity.config import Json

COMMITTEE = "committee"
CONTRADICTION = "contradiction"
"""How a node begins to say that it met a ledger which contradicts what it has certified."""


def check_committee(scope: Scope) -> list[Finding]:
    """Everything that the nodes' own words, put side by side, say about the committee."""
    if scope.deployment is None:
        return [
            finding("CHECK-INCOMPLETE", None, COMMITTEE, "no deployment.toml is here: it names the nodes")
        ]
    view = make_view(scope)
    if not view.members:
        return [
            finding("CHECK-INCOMPLETE", None, COMMITTEE, f"{scope.deployment.file} has no node on the roster")
        ]
    limits = scope.deployment.thresholds
    rows: list[Finding] = []
    sound = sound_nodes(scope, view)
    for one in (*view.members, *view.others):
        rows += _node(one, view, limits, scope.wire, sound)
    rows += [*_size(view), *_quorum(view), *_leader(view)]
    rows += [_bonds(one, told, view) for one, told in view.answering]
    rows += ledger_rows(scope, view, limits)
    rows += identity_rows(scope, view)
    rows += wire_rows(scope, view, scope.wire)
    rows += _endings(view)
    return rows


def _node(
    one: Seen, view: View, limits: Thresholds, wire: WireView, sound: frozenset[str]
) -> Iterator[Finding]:
    """Whether a node could be seen, and what it says of itself."""
    refs = source(one.fact)
    if one.malformed is not None:
        yield finding("ANSWER-MALFORMED", None, one.name, one.malformed, sources=refs)
        return
    if one.told is None:
        yield _unseen(one, view, wire)
        return
    took = one.fact.took_ms if one.fact is not None else None
    answered = "it answers" if took is None else f"it answered in {duration(took)}"
    yield finding("MEMBER-UNREACHABLE", Status.OK, one.name, answered, values={"took_ms": took}, sources=refs)
    if one.stopped is not None:
        yield _stopped(one, sound)
    yield from _clock(one, one.told, limits)


def _stopped(one: Seen, sound: frozenset[str]) -> Finding:
    """Whether its own ledger is sound: then it met another's that is not, and may be started again without that one."""
    met = (one.stopped or "").startswith(CONTRADICTION) and one.name in sound
    shown = "; its own ledger is that of the majority" if met else ""
    return finding(
        "NODE-STOPPED", None, one.name, f"it stopped: {one.stopped}{shown}",
        values={"ledger": "sound" if met else "doubtful"}, sources=source(one.fact),
    )  # fmt: skip


def _unseen(one: Seen, view: View, wire: WireView) -> Finding:
    refs = source(one.fact)
    reached = [door for door in wire.doors_of([one.peer_id]) if door.answered]
    if reached and (one.fact is None or one.fact.cause == "not-asked"):
        # An organism without our node API: it answers, though what only the API tells stays unknown.
        return finding(
            "MEMBER-UNREACHABLE",
            Status.OK,
            one.name,
            "it answers on the wire; it has no url",
            sources=reached[0].refs,
        )
    if one.fact is None:
        return finding(
            "MEMBER-UNREACHABLE", None, one.name, "nobody asked it: deployment.toml does not have it"
        )
    if one.fact.cause == "observer":
        return finding("OBSERVER-REFUSED", None, one.name, one.fact.reason or "refused", sources=refs)
    if one.fact.cause == "malformed":
        return finding("ANSWER-MALFORMED", None, one.name, one.fact.reason or "malformed", sources=refs)
    life = view.life[one.peer_id]
    said = {Life.VOUCHED: "; a peer has a bond to it", Life.GONE: "; no peer that answers has a bond to it"}
    summary = f"{one.fact.reason}{said.get(life, '')}" + ("; it answers on the wire" if reached else "")
    return finding("MEMBER-UNREACHABLE", None, one.name, summary, values={"life": life.value}, sources=refs)


def _clock(one: Seen, told: Told, limits: Thresholds) -> Iterator[Finding]:
    """The node's clock against the observer's, the time of the answer allowed for."""
    if one.fact is None or one.fact.seen_ms is None:
        return
    off = abs(told.now_ms - one.fact.seen_ms)
    status = Status.WARN if off > limits.clock_skew_ms + (one.fact.took_ms or 0) else Status.OK
    yield finding(
        "CLOCK-SKEW", status, one.name, f"{duration(off)} from the observer's clock",
        values={"skew_ms": off}, limits={"clock_skew_ms": limits.clock_skew_ms}, sources=source(one.fact),
    )  # fmt: skip


def _size(view: View) -> Iterator[Finding]:
    size = len(view.members)
    values: dict[str, Json] = {"size": size, "version": view.roster_version}
    if view.roster_version is None:  # only the file's wish is known; ROSTER-DRIFT says so
        return
    even, large = size % 2 == 0, size > 5
    yield finding(
        "ROSTER-EVEN", Status.WARN if even else Status.OK, COMMITTEE,
        f"{size} members: one fewer would tolerate as much" if even else plural(size, "member"), values=values,
    )  # fmt: skip
    if large:
        yield finding("ROSTER-LARGE", None, COMMITTEE, f"{size} members; five are enough", values=values)


def _quorum(view: View) -> Iterator[Finding]:
    """A majority, how many more may fail, and what one host means for both."""
    size, needed = len(view.members), view.needed
    there = view.count(Life.UP, Life.VOUCHED)
    unknown = view.count(Life.UNKNOWN)
    values: dict[str, Json] = {"size": size, "needed": needed, "there": there, "unknown": unknown}
    shown = f"{there} of {size} there, {needed} needed"
    if there >= needed:
        yield finding("COMMITTEE-QUORUM", Status.OK, COMMITTEE, shown, values=values)
    elif there + unknown >= needed:
        yield finding(
            "COMMITTEE-QUORUM", Status.UNKNOWN, COMMITTEE, f"{shown}; {unknown} unknown", values=values
        )
    else:
        yield finding(
            "COMMITTEE-QUORUM",
            Status.BAD,
            COMMITTEE,
            f"{shown}: writes are refused{_age_of_reads(view, values)}",
            values=values,
        )
    yield _tolerance(view, there, unknown)
    if view.one_host:
        processes = "1 process" if size == 1 else f"{size} processes"
        yield finding(
            "ONE-HOST", None, COMMITTEE,
            f"{processes} of one host: replicas=1, tolerance=0; fault domains cannot apply",
            values={"replicas": 1, "tolerance": 0, "processes": size},
        )  # fmt: skip


def _age_of_reads(view: View, values: dict[str, Json]) -> str:
    """How old what the nodes still serve is: the newest certified tick, against the clock of the node that has it."""
    ages = [(told.tick_s, told.now_ms) for _, told in view.answering if told.tick_s]
    if not ages:
        return ""
    tick_s, now_ms = max(ages)
    age = max(0, now_ms - tick_s * 1000)
    values |= {"reads_as_of_ms": tick_s * 1000, "reads_age_ms": age}
    return f"; what is read is {duration(age)} old"


def _tolerance(view: View, there: int, unknown: int) -> Finding:
    """One number: how many more may fail. On one host the host itself is the replica that counts."""
    size, left = len(view.members), there - view.needed
    replicas, tolerance = (1, 0) if view.one_host else (size, max(left, 0))
    values: dict[str, Json] = {"replicas": replicas, "tolerance": tolerance}
    if view.one_host:
        values |= {"processes": size, "process_tolerance": max(left, 0)}
        summary = f"replicas=1, tolerance=0 (one host; of its {size} processes {max(left, 0)} more may fail)"
    else:
        summary = f"replicas={replicas}, tolerance={tolerance}"
    if left >= 1:
        status = Status.OK
    elif unknown and left + unknown >= 0:
        status, summary = Status.UNKNOWN, f"not known: {there} there, {unknown} unknown"
        values["tolerance"] = 0 if view.one_host else None
    else:
        status = Status.WARN if left == 0 else Status.BAD
    return finding("COMMITTEE-TOLERANCE", status, COMMITTEE, summary, values=values, limits={"tolerance": 1})


def _leader(view: View) -> Iterator[Finding]:
    """Exactly one proposer at the highest epoch."""
    if not view.answering:
        yield finding("LEADER-UNIQUE", Status.UNKNOWN, COMMITTEE, "no node answered")
        return
    epoch = max(told.epoch for _, told in view.answering)
    proposers = [(one.name, told.epoch) for one, told in view.answering if told.role == "proposer"]
    top = [name for name, at in proposers if at == epoch]
    values: dict[str, Json] = {"epoch": epoch, "proposers": [name for name, _ in proposers]}
    if len(top) > 1:
        summary = f"{listed(top)} all propose in epoch {epoch}"
        yield finding("LEADER-UNIQUE", Status.BAD, COMMITTEE, summary, values=values)
    elif len(top) == 1:
        stale = [name for name, at in proposers if at != epoch]
        more = f"; {listed(stale)} still proposes in an older epoch" if stale else ""
        status = Status.WARN if stale else Status.OK
        yield finding("LEADER-UNIQUE", status, COMMITTEE, f"{top[0]}, epoch {epoch}{more}", values=values)
    else:
        yield _no_leader(view, epoch, values)


def _no_leader(view: View, epoch: int, values: dict[str, Json]) -> Finding:
    named = {told.proposer for _, told in view.answering if told.epoch == epoch and told.proposer is not None}
    unseen = {one.peer_id for one in view.members if one.told is None}
    if view.sealed:
        status, summary = Status.OK, "sealed: nothing is proposed any more"
    elif named & unseen:
        names = listed(sorted(view.name(one) for one in named & unseen))
        status, summary = Status.UNKNOWN, f"{names} by its peers' word, not seen itself"
    elif unseen and len(view.answering) < view.needed:
        status, summary = Status.UNKNOWN, "none among those that answer"
    else:
        status, summary = Status.BAD, f"no proposer in epoch {epoch}"
    return finding("LEADER-UNIQUE", status, COMMITTEE, summary, values=values)


def _bonds(one: Seen, told: Told, view: View) -> Finding:
    """A node's bonds to every other member; one missing between two that answer is a partition."""
    missing = [
        peer for peer in view.members if peer.peer_id not in told.connected and peer.peer_id != one.peer_id
    ]
    others = len(view.members) - any(peer.peer_id == one.peer_id for peer in view.members)
    parted = [peer.name for peer in missing if view.life[peer.peer_id] is Life.UP]
    names = [peer.name for peer in missing]
    status = Status.BAD if parted else Status.WARN if missing else Status.OK
    shown = f"{others - len(missing)} of {others}"
    if missing:
        shown += f"; none to {listed(names)}"
        shown += ", which answers" if len(parted) == 1 else ", which answer" if parted else ""
    return finding(
        "BOND-MISSING", status, one.name, shown, values={"bonds": others - len(missing), "missing": [*names]},
        limits={"bonds": others}, sources=source(one.fact),
    )  # fmt: skip


def _endings(view: View) -> Iterator[Finding]:
    """Drained members, a scheduled retirement, the seal."""
    drained = {peer for _, told in view.answering for peer in told.drained}
    for one in view.members:
        if one.peer_id in drained:
            yield finding("NODE-DRAINED", None, one.name, "the committee has certified its drain")
    if view.sealed:
        opened = [one.name for one, told in view.answering if not told.sealed]
        more = f"; not yet on {listed(opened)}" if opened else ""
        summary = f"the marker is the last item on every surface{more}"
        yield finding("ORGANISM-SEALED", None, COMMITTEE, summary)
        return
    dates = sorted({told.effective_at for _, told in view.answering if told.effective_at is not None})
    if dates:
        yield finding(
            "RETIREMENT-SCHEDULED", None, COMMITTEE, f"effective at {listed(dates)}",
            values={"effective_at": [*dates]},
        )  # fmt: skip
