"""The alerts of one organism: over exactly the exporter's series, each with the runbook and the command to run next.

Numbers (thresholds, deadlines) are those of deployment.toml at the time of the export: export anew when they change.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.codes import CODES

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment

PAGE, TICKET = "page", "ticket"
"""Somebody has to act now; somebody has to act on a working day."""
SEVERITIES = (PAGE, TICKET)
_HOW = {"": "=", "re": "=~", "not": "!="}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        name: Its name.
        expr: PromQL; what it returns fires.
        severity: ``page`` or ``ticket``.
        codes: The findings that it stands for, the first one's runbook is turned to.
        command: What to run next.
        summary: One line, with Prometheus' templates.
        holds: How many times ``--hold`` the condition must last; 0: fires at once.
        lasts_ms: Instead of ``holds``, a length of time of its own.
        whole: Whether it fires whenever one of its codes is bad; else the alert of all others takes those in, too.
    """

    name: str
    expr: str
    severity: str
    codes: tuple[str, ...]
    command: str
    summary: str
    holds: float = 1
    lasts_ms: int | None = None
    whole: bool = True

    @property
    def runbook(self) -> str:
        """The runbook to turn to."""
        return CODES[self.codes[0]].runbook

    @property
    def description(self) -> str:
        """What its first code means, and what to do."""
        code = CODES[self.codes[0]]
        return f"{code.meaning} {code.action}"

    @property
    def concerns(self) -> str:
        """``integrators`` when they see it too, else ``committee``."""
        seen = any("integrators" in CODES[code].concerns for code in self.codes)
        return "integrators" if seen else "committee"

    def for_ms(self, hold_ms: int) -> int:
        """How long the condition must last."""
        return self.lasts_ms if self.lasts_ms is not None else round(self.holds * hold_ms)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose alerts.

    Attributes:
        organism: The organism's name.
        deployment: Thresholds and carrier.
        context: The name by which commands ask for it; ``None``: the organism's own, which a context may carry.
    """

    organism: str
    deployment: Deployment
    context: str | None = None

    def series(self, name: str, **matchers: str) -> str:
        """A selector of one of the exporter's series of this organism.

        Args:
            name: Its name without the prefix.
            matchers: Label to value; ``label__re`` matches a pattern, ``label__not`` everything else.
        """
        listed = [f"organism={quoted(self.organism)}"]
        for key, value in matchers.items():
            label, _, how = key.partition("__")
            listed.append(f"{label}{_HOW[how]}{quoted(value)}")
        return f"organism_{name}{{{','.join(listed)}}}"

    def command(self, text: str) -> str:
        """A command line for this organism."""
        return f"organismctl {text} --organism {shlex.quote(self.context or self.organism)}"


def quoted(text: str) -> str:
    """A text as a PromQL string."""
    return json.dumps(text, ensure_ascii=False)


def alerts(subject: Subject) -> list[Alert]:
    """Every alert, and for each runbook one that takes in what no other stands for."""
    made = [
        *_watching(subject),
        *_spans(subject),
        *_facts(subject),
        *_tickets(subject),
        *_identity(subject),
        *_committee(subject),
        *_nodes(subject),
        *_evidence(subject),
    ]
    return [*made, *_rest(subject, made)]


def _watching(on: Subject) -> Iterator[Alert]:
    exporter = on.series("up", source="exporter")
    yield Alert(
        "OrganismExporterDown", f"absent({exporter}) or {exporter} == 0", PAGE, ("CHECK-INCOMPLETE",),
        on.command("doctor"), "nobody watches: the exporter is down, or its last sweep is too old", 2, whole=False,
    )  # fmt: skip
    yield Alert(
        "OrganismSourceDown", f"{on.series('up', source__not='exporter')} == 0", TICKET, ("CHECK-INCOMPLETE",),
        on.command("observe"), "{{ $labels.source }} does not answer the exporter; what it feeds is not known", 5,
        whole=False,
    )  # fmt: skip


def _spans(on: Subject) -> Iterator[Alert]:
    limits = on.deployment.thresholds
    after = f"on (organism, span) group_left () {on.series('span_dark_after_periods')}"
    yield Alert(
        "OrganismMemberDark", f"{on.series('span_dark_periods')} >= {after}", PAGE, ("MEMBER-DARK",),
        on.command("check subscriptions"),
        "{{ $labels.span }} / {{ $labels.surface }}: no event for {{ $value | humanize }} periods of its clock",
    )  # fmt: skip
    lag, events = on.series("span_lag_seconds"), on.series("span_lag_events")
    yield Alert(
        "OrganismSpanLag",
        f"{lag} > {limits.span_lag_ms / 1000:g} or ({events} > {limits.span_lag_events} unless {lag})",
        TICKET, ("SPAN-LAG",), on.command("check subscriptions"),
        "{{ $labels.node }} is behind {{ $labels.span }} / {{ $labels.surface }}", 2,
    )  # fmt: skip
    yield Alert(
        "OrganismSpanRefused", f"{on.series('span_side', side='ticket')} == 1", PAGE, ("SPAN-REFUSED",),
        on.command("check tickets"), "{{ $labels.span }} refuses {{ $labels.node }}: its ticket does not admit",
        whole=False,
    )  # fmt: skip
    yield Alert(
        "OrganismSpanOurSide", f"{on.series('span_side', side__re='node|ours')} == 1", PAGE,
        ("SPAN-SUBSCRIPTION",), on.command("check subscriptions"),
        "{{ $labels.node }} does not hear {{ $labels.span }}, and others do: side {{ $labels.side }}", 2,
    )  # fmt: skip
    yield Alert(
        "OrganismSpanRetiring", f"{on.series('identity_drift', what='retired')} == 1", TICKET,
        ("SPAN-RETIRING", "SPAN-RETIRED"), on.command("check identity"),
        "{{ $labels.span }} retires or has retired", 0,
    )  # fmt: skip


def _facts(on: Subject) -> Iterator[Alert]:
    """What was lost on the way, and what our own facts lack of it."""
    yield Alert(
        "OrganismEventsLost", f"increase({on.series('span_lost_events_total')}[15m]) > 0", TICKET,
        ("SPAN-SLOW-CONSUMER",), on.command("check subscriptions"),
        "{{ $labels.node }} lost events of {{ $labels.span }} / {{ $labels.surface }}", 0, whole=False,
    )  # fmt: skip
    yield Alert(
        "OrganismStallWaiting", f"time() - {on.series('stall_waiting_since_timestamp_seconds')} > 0", PAGE,
        ("STALL-WAITING",), on.command("check subscriptions"),
        "the next fact waits for {{ $labels.span }} / {{ $labels.surface }} for {{ $value | humanizeDuration }}",
    )  # fmt: skip
    yield Alert(
        "OrganismFactsDegraded", f"{on.series('facts_degraded_ratio')} > 0", TICKET, ("FACT-DEGRADED",),
        on.command("check subscriptions"),
        "{{ $value | humanizePercentage }} of the newest facts of {{ $labels.surface }} lack an input",
    )  # fmt: skip


def _tickets(on: Subject) -> Iterator[Alert]:
    limits = on.deployment.thresholds
    bad, warn = limits.ticket_bad_ms / 1000, limits.ticket_warn_ms / 1000
    left = f"{on.series('ticket_horizon_timestamp_seconds')} - time()"
    quorum = f"{on.series('ticket_quorum_lost_timestamp_seconds')} - time()"
    yield Alert(
        "OrganismTicketNearEnd", f"{left} < {bad:g}", PAGE, ("TICKET-HORIZON", "TICKET-INVALID", "TICKET-MISSING"),
        on.command("check tickets"),
        "{{ $labels.node }} at {{ $labels.span }}: admission ends in {{ $value | humanizeDuration }}",
    )  # fmt: skip
    yield Alert(
        "OrganismTicketEndsSoon", f"{left} < {warn:g} and {left} >= {bad:g}", TICKET, ("TICKET-HORIZON",),
        on.command("check tickets"),
        "{{ $labels.node }} at {{ $labels.span }}: admission ends in {{ $value | humanizeDuration }}",
    )  # fmt: skip
    yield Alert(
        "OrganismTicketQuorumNearEnd", f"{quorum} < {bad:g}", PAGE, ("TICKET-QUORUM", "TICKET-QUORUM-LOST"),
        on.command("check tickets"),
        "{{ $labels.span }}: fewer than a majority of us is admitted in {{ $value | humanizeDuration }}",
    )  # fmt: skip


def _identity(on: Subject) -> Iterator[Alert]:
    yield Alert(
        "OrganismIdentityDrift", f"{on.series('identity_drift', what__re='stable_id|content|measurements')} == 1",
        PAGE, ("SPAN-MOVED", "SPAN-CONTENT", "SPAN-MEASUREMENTS"), on.command("check identity"),
        "{{ $labels.span }} publishes another {{ $labels.what }} than organism.toml has: who is stale, it says",
    )  # fmt: skip
    yield Alert(
        "OrganismIdentityFlaps", f"changes({on.series('identity_drift')}[15m]) > 2", TICKET,
        ("SPAN-CARD-CONTRADICTS",), on.command("check identity"),
        "{{ $labels.span }} publishes now this {{ $labels.what }}, now that", 0, whole=False,
    )  # fmt: skip
    yield Alert(
        "OrganismIssuerMoved", f"{on.series('identity_drift', what='issuer')} == 1", PAGE, ("SPAN-ISSUER",),
        on.command("check tickets"), "{{ $labels.span }} admits by another issuer than organism.toml has",
    )  # fmt: skip
    yield Alert(
        "OrganismFingerprintDrift", f"{on.series('findings', code='FINGERPRINT-DRIFT', status='bad')} > 0", PAGE,
        ("FINGERPRINT-DRIFT",), on.command("fingerprint check"),
        "organism.toml is not what organism.lock accepts",
    )  # fmt: skip
    yield Alert(
        "OrganismGroupForked", f"{on.series('group_forked')} == 1", PAGE, ("GROUP-FORKED",),
        on.command("check committee"), "{{ $labels.node }} runs another identity than the rest: it bonds with nobody",
    )  # fmt: skip


def _committee(on: Subject) -> Iterator[Alert]:
    quorum, up = on.series("quorum"), on.series("up", source="exporter")
    yield Alert(
        "OrganismQuorumLost", f"{quorum} == 0", PAGE, ("COMMITTEE-QUORUM",), on.command("check committee"),
        "less than a majority of the committee is there: writes are refused, surfaces stand still",
    )  # fmt: skip
    yield Alert(
        "OrganismQuorumUnknown", f"absent({quorum}) and on (organism) {up} == 1", PAGE, ("COMMITTEE-QUORUM",),
        on.command("check committee"), "whether a majority is there is not known: too few nodes answer", 2,
    )  # fmt: skip
    leader, members = on.series("leader"), on.series("members")
    told = f"on (organism) count by (organism) ({leader}) == on (organism) {members}"
    yield Alert(
        # Only where every member told: one that was not seen may be the one that proposes.
        "OrganismLeaderNotUnique",
        f"sum by (organism) ({leader}) != 1 and on (organism) {on.series('sealed')} == 0 and {told}",
        PAGE, ("LEADER-UNIQUE",), on.command("check committee"), "{{ $value }} nodes propose in the highest epoch", 2,
        whole=False,
    )  # fmt: skip
    yield Alert(
        "OrganismLedgerDiverged", f"{on.series('ledger_diverged')} == 1", PAGE, ("LEDGER-DIVERGED",),
        on.command("check committee"), "nodes hold different ledgers at one height", 0,
    )  # fmt: skip


def _nodes(on: Subject) -> Iterator[Alert]:
    """Single committee members, how many more may fail, and changes under way."""
    yield Alert(
        "OrganismNodeDown", f"{on.series('node_up')} == 0", TICKET, ("MEMBER-UNREACHABLE", "NODE-STOPPED"),
        on.command("check committee"), "{{ $labels.node }} does not answer, or has stopped", 2,
    )  # fmt: skip
    height, behind = on.series("ledger_height"), on.deployment.thresholds.commit_lag
    yield Alert(
        "OrganismLedgerBehind",
        f"max by (organism) ({height}) - on (organism) group_right () {height} > {behind}",
        TICKET, ("COMMIT-LAG",), on.command("check committee"),
        "{{ $labels.node }} is {{ $value }} entries behind", 2,
    )  # fmt: skip
    if on.deployment.carrier != "loopback":  # on one host it is always 0, and ONE-HOST says so
        yield Alert(
            "OrganismToleranceGone", f"{on.series('tolerance')} < 1", TICKET, ("COMMITTEE-TOLERANCE",),
            on.command("check committee"), "no further committee member may fail", 2,
        )  # fmt: skip
    yield Alert(
        "OrganismChangeStuck", f"{on.series('change_in_progress')} == 1", TICKET, ("ROSTER-DRIFT",),
        on.command("change list"), "a change ({{ $labels.kind }}) holds the lease longer than its deadline",
        lasts_ms=on.deployment.thresholds.change_deadline_ms, whole=False,
    )  # fmt: skip


def _evidence(on: Subject) -> Iterator[Alert]:
    limit = on.deployment.thresholds.evidence_bad_ms / 1000
    yield Alert(
        "OrganismEvidenceRetentionShort", f"{on.series('evidence_retention_seconds')} < {limit:g}", TICKET,
        ("EVIDENCE-RETENTION",), on.command("check evidence"),
        "{{ $labels.span }} loses our oldest evidence in {{ $value | humanizeDuration }}", 2,
    )  # fmt: skip


def _rest(on: Subject, made: Sequence[Alert]) -> Iterator[Alert]:
    """For each runbook, bad findings of the codes that no alert stands for."""
    covered = {code for alert in made if alert.whole for code in alert.codes}
    books: dict[str, list[str]] = {}
    for code in CODES.values():
        if code.code not in covered:
            books.setdefault(code.runbook, []).append(code.code)
    for codes in books.values():
        found = on.series("findings", status="bad", code__re="|".join(codes))
        yield Alert(
            "OrganismFinding", f"{found} > 0", TICKET, tuple(codes),
            on.command("check all"),
            "{{ $value }} bad {{ $labels.code }}: see `organismctl explain {{ $labels.code }}`", 5,
        )  # fmt: skip
