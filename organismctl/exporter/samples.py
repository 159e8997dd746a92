"""From a look and the memory to samples: what could not be seen now gives none, and nothing is repeated.

A sample is a series' name, its labels' values in the order of :mod:`organismctl.exporter.series`, and a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.committee_view import View, make_view
from organismctl.check.finding import Finding, Status
from organismctl.check.values import whole
from organismctl.exporter.memory import Remembered
from organismctl.exporter.series import CHANGES, PREFIX, STATUSES

if TYPE_CHECKING:
    from organismctl.exporter.memory_file import Key
    from organismctl.exporter.sweep import Look

INF = float("inf")
_DRIFT = {
    "SPAN-MOVED": "stable_id",
    "SPAN-CONTENT": "content",
    "SPAN-ISSUER": "issuer",
    "SPAN-MEASUREMENTS": "measurements",
    "SPAN-RETIRED": "retired",
    "SPAN-RETIRING": "retired",
}
_CHANGE = re.compile(r"\d{8}T\d{6}Z-(.+)-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of one series; ``labels`` are the values, without the organism's."""

    name: str
    labels: tuple[str, ...]
    value: float


def _of(name: str, value: float, *labels: str) -> Sample:
    return Sample(PREFIX + name, labels, value)


def look_samples(
    look: Look, surfaces: Mapping[Key, Remembered], since: Mapping[Key, tuple[int, int]]
) -> Iterator[Sample]:
    """Everything that a look says of the organism.

    Args:
        look: The sweep's look.
        surfaces: What is remembered after it.
        since: Since when sources, drifts and nodes are as they are.
    """
    yield from _identity(look)
    yield from _findings(look)
    yield from _pairs(look)
    yield from _surfaces(look, surfaces)
    yield from _lost(look)
    yield from _stalled(look)
    yield from _tickets(look)
    yield from _drifted(look, since)
    yield from _committee(look, since)


def drifts(look: Look) -> dict[tuple[str, str], bool]:
    """(spanned member, what) to whether it drifted; what cannot be seen is not among them."""
    spans = {member.name for member in look.scope.organism.config.span}
    out: dict[tuple[str, str], bool] = {}
    for row in look.findings:
        what, span = _DRIFT.get(row.code), re.split(" [/@] ", row.subject)[0]
        if what is None or span not in spans or row.status is Status.UNKNOWN:
            continue
        # An announced retirement is one before it is over, too; of several surfaces or endpoints one is enough.
        found = row.status is Status.BAD or (row.code == "SPAN-RETIRING" and row.status is Status.WARN)
        out[span, what] = found or out.get((span, what), False)
    return out


def lives(look: Look) -> dict[str, bool]:
    """Committee member to whether it answers; one that refuses only the observer is none, nor a spare that is off."""
    view = make_view(look.scope)
    out: dict[str, bool] = {}
    for one in (*view.members, *view.others):
        ours = look.scope.deployment.node(one.name) if look.scope.deployment is not None else None
        if ours is None:
            continue
        wired = any(door.answered for door in look.scope.wire.doors_of([one.peer_id]))
        if one.told is not None:
            out[one.name] = one.stopped is None
        elif wired:
            out[one.name] = True
        elif (
            one.fact is not None and one.fact.cause == "unreachable" and (ours.roster or one in view.members)
        ):
            out[one.name] = False
    return out


def _identity(look: Look) -> Iterator[Sample]:
    identity, group = look.scope.identity, look.scope.group_id
    pin = identity.fingerprint.hex() if identity is not None else ""
    yield _of("identity_info", 1, pin, group.hex() if group is not None else "")


def _findings(look: Look) -> Iterator[Sample]:
    counts = Counter((row.code, row.status.value) for row in look.findings if row.accepted is None)
    for code in dict.fromkeys(row.code for row in look.findings):
        for status in STATUSES:
            yield _of("findings", counts[code, status], code, status)
    yield _of("findings_accepted", sum(row.accepted is not None for row in look.findings))
    yield _of("check_exit", look.exit)


def _pairs(look: Look) -> Iterator[Sample]:
    for row in look.health:
        labels = (row.node, row.span, row.surface)
        if row.lag_events is not None:
            yield _of("span_lag_events", row.lag_events, *labels)
        if row.lag_s is not None:
            yield _of("span_lag_seconds", row.lag_s, *labels)
        if row.link is not None:
            yield _of("span_live", row.link == "live", *labels)
        yield _of("span_side", 1, *labels, row.side)


def _lost(look: Look) -> Iterator[Sample]:
    for view in look.views:
        for sees in view.nodes:
            if sees.why is None:
                lost = max(sees.missed, sees.dropped)
                yield _of("span_lost_events_total", lost, sees.node, view.member.name, view.surface.name)


def _stalled(look: Look) -> Iterator[Sample]:
    """What the stall policy does now: which input the next fact waits for, or how many facts lack one."""
    reads = {(view.member.name, view.surface.name) for view in look.views}
    own = {surface.name for surface in look.scope.organism.config.surfaces}
    for row in look.findings:
        if row.code == "STALL-WAITING" and row.status is Status.BAD:
            span, _, surface = row.subject.partition(" / ")
            if (span, surface) in reads and (since := whole(row.values.get("since_ms"))) is not None:
                yield _of("stall_waiting_since_timestamp_seconds", since / 1000, span, surface)
        elif row.code == "FACT-DEGRADED" and row.subject in own:
            many, lacking = whole(row.values.get("facts")), whole(row.values.get("degraded"))
            if many and lacking is not None:
                yield _of("facts_degraded_ratio", lacking / many, row.subject)


def _surfaces(look: Look, surfaces: Mapping[Key, Remembered]) -> Iterator[Sample]:
    deployment = look.scope.deployment
    for member in look.scope.organism.config.span:
        side = deployment.span(member.name) if deployment is not None else None
        if side is not None:
            yield _of("span_dark_after_periods", side.dark_after, member.name)
        for surface in member.surfaces:
            known = surfaces.get((member.name, surface.name))
            if known is not None and known.seen_ms == look.at_ms:
                period = side.period_ms if side is not None else None
                yield from _surface(known, (member.name, surface.name), period)


def _surface(known: Remembered, labels: Key, period_ms: int | None) -> Iterator[Sample]:
    """A surface that somebody told something of at this sweep."""
    if known.last_event_ms is not None:
        yield _of("span_last_event_timestamp_seconds", known.last_event_ms / 1000, *labels)
    if period_ms and known.silent_ms is not None:
        yield _of("span_dark_periods", known.silent_ms / period_ms, *labels)
    if known.dark_since_ms is not None:
        yield _of("span_dark_since_timestamp_seconds", known.dark_since_ms / 1000, *labels)
    yield _of("span_watched_since_timestamp_seconds", known.watched_since_ms / 1000, *labels)
    yield _of("span_events_total", known.events, *labels)


def _tickets(look: Look) -> Iterator[Sample]:
    seen: set[tuple[str, str]] = set()
    retention: dict[str, int] = {}
    for row in look.health:
        if row.evidence_oldest_ms is not None:
            retention[row.span] = min(row.evidence_oldest_ms, retention.get(row.span, row.evidence_oldest_ms))
        if row.horizon_known and (row.node, row.span) not in seen:
            seen.add((row.node, row.span))
            horizon = INF if row.horizon_ms is None else row.horizon_ms / 1000
            yield _of("ticket_horizon_timestamp_seconds", horizon, row.node, row.span)
    for finding in look.findings:
        if finding.code in ("TICKET-QUORUM", "TICKET-QUORUM-LOST") and finding.status is not Status.UNKNOWN:
            ends = whole(finding.values.get("horizon_ms"))
            yield _of(
                "ticket_quorum_lost_timestamp_seconds", INF if ends is None else ends / 1000, finding.subject
            )
    for span, lost_ms in retention.items():
        yield _of("evidence_retention_seconds", (lost_ms - look.at_ms) / 1000, span)


def _drifted(look: Look, since: Mapping[Key, tuple[int, int]]) -> Iterator[Sample]:
    for (span, what), drifted in drifts(look).items():
        yield _of("identity_drift", drifted, span, what)
        state = since.get(("drift", f"{span}/{what}"))
        if drifted and state is not None:
            yield _of("identity_drift_since_timestamp_seconds", state[1] / 1000, span, what)


def _committee(look: Look, since: Mapping[Key, tuple[int, int]]) -> Iterator[Sample]:
    for name, up in lives(look).items():
        yield _of("node_up", up, name)
        if (state := since.get(("node", name))) is not None:
            yield _of("node_since_timestamp_seconds", state[1] / 1000, name)
    view = make_view(look.scope)
    epoch = max((told.epoch for _, told in view.answering), default=0)
    for one, told in view.answering:
        if look.scope.deployment is None or look.scope.deployment.node(one.name) is None:
            continue
        yield _of("leader", told.role == "proposer" and told.epoch == epoch, one.name)
        yield _of("ledger_height", told.certified, one.name)
        yield _of("ledger_epoch", told.epoch, one.name)
    yield from _forked(look, view)
    yield from _whole(look, view)
    yield from _changes(view)


def _forked(look: Look, view: View) -> Iterator[Sample]:
    """Nodes that run another identity than most, by their own word or by the groups that they joined on the wire."""
    told = {one.name: (said.fingerprint, said.group_id) for one, said in view.answering}
    counts = Counter(told.values()).most_common()
    wanted = look.scope.identity.fingerprint.hex() if look.scope.identity is not None else None
    ties = [pair for pair, count in counts if count == counts[0][1]]
    usual = next((pair for pair in ties if pair[0] == wanted), ties[0] if ties else None)
    verdicts = {name: pair != usual for name, pair in told.items()}
    names = (
        {node.name for node in look.scope.deployment.nodes} if look.scope.deployment is not None else set()
    )
    for row in look.findings:
        if row.code == "GROUP-FORKED" and row.subject in names and row.status is not Status.UNKNOWN:
            verdicts[row.subject] = verdicts.get(row.subject, False) or row.status is Status.BAD
    for name, forked in verdicts.items():
        if name in names:
            yield _of("group_forked", forked, name)


def _whole(look: Look, view: View) -> Iterator[Sample]:
    """What is one number for the whole committee, from the rows that judge it."""
    if view.roster_version is not None:
        yield _of("members", len(view.members))
        yield _of("sealed", view.sealed)
    yield from _verdict(look.findings, "COMMITTEE-QUORUM", "quorum", {Status.OK: 1, Status.BAD: 0})
    yield from _verdict(look.findings, "LEDGER-DIVERGED", "ledger_diverged", {Status.OK: 0, Status.BAD: 1})
    for row in look.findings:
        if row.code == "COMMITTEE-TOLERANCE" and (left := whole(row.values.get("tolerance"))) is not None:
            yield _of("tolerance", left)


def _verdict(
    findings: Sequence[Finding], code: str, name: str, values: Mapping[Status, int]
) -> Iterator[Sample]:
    for row in findings:
        if row.code == code and row.status in values:
            yield _of(name, values[row.status])


def _changes(view: View) -> Iterator[Sample]:
    """The change that holds the lease, by any node's word; other kinds are 0."""
    if not view.answering:
        return
    held = {kind_of(told.lease) for _, told in view.answering if told.lease is not None}
    for kind in CHANGES:
        yield _of("change_in_progress", kind in held, kind)


def kind_of(change: str) -> str:
    """The kind of a change by its id: ``20261124T085836Z-rotate-member-7f3a1c``."""
    found = _CHANGE.fullmatch(change)
    kind = found[1] if found is not None else ""
    return kind if kind in CHANGES else "other"
