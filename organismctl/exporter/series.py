"""The one table of series that the exporter tells: documentation, rules and dashboards are made from it.

Every label's values come from organism.toml, deployment.toml or a list here; none from a remote. So the number of
series is bounded by the files (:attr:`Series.bound`), whatever anybody publishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "organism_"
SIDES = ("theirs", "ours", "node", "ticket", "observer", "none", "unknown")
"""Values of ``side``: see :class:`organismctl.check.span_health.SpanHealth`."""
DRIFTS = ("stable_id", "content", "issuer", "measurements", "retired")
"""Values of ``what``: what a spanned member publishes otherwise than organism.toml has it."""
STATUSES = ("ok", "warn", "bad", "unknown")
CHANGES = ("retire", "rotate-member", "rotate-policy", "rotate-span", "rotate-tickets", "other")
"""Values of ``kind`` of a change."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series.

    Attributes:
        name: As Prometheus shows it.
        type: ``gauge``, ``counter`` or ``info``.
        labels: Its labels beside ``organism``, in order.
        help: What it tells, and when it is absent.
        bound: How many there can be at most, in words of the files.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    bound: str

    @property
    def family(self) -> str:
        """Its name without the suffix that its type brings."""
        suffix = {"counter": "_total", "info": "_info"}.get(self.type, "")
        return self.name.removesuffix(suffix)


def _gauge(name: str, labels: str, text: str, bound: str) -> Series:
    return Series(PREFIX + name, "gauge", tuple(labels.split()), text, bound)


_PAIR, _SURFACE, _SPANS, _NODES = "nodes × surfaces read", "surfaces read", "spanned members", "nodes"

SERIES: tuple[Series, ...] = (
    _gauge(
        "up",
        "source",
        "1 when the source answered at the last sweep, 0 when it did not; the series that it feeds are then absent. "
        "`exporter` is 0 when the last sweep is too old, and then everything else is absent.",
        "5 × nodes + 3 × spanned members + entry points + 4",
    ),
    _gauge("up_since_timestamp_seconds", "source", "Since when the source is up, or down.", "as organism_up"),
    Series(
        PREFIX + "identity_info",
        "info",
        ("fingerprint", "group_id"),
        "What organism.toml is: 64 hex each, empty where it is not known here.",
        "1",
    ),
    _gauge("findings", "code status", "Findings of all checks at the last sweep, accepted ones left out.", "codes × 4"),
    _gauge("findings_accepted", "", "Findings that a person has accepted.", "1"),
    _gauge("check_exit", "", "What `organismctl check all` would exit with.", "1"),
    _gauge("span_lag_events", "node span surface", "Events behind; absent when not known.", _PAIR),
    _gauge("span_lag_seconds", "node span surface", "Seconds behind; absent when not known.", _PAIR),
    _gauge("span_live", "node span surface", "1 while the node's subscription is live.", _PAIR),
    _gauge("span_side", "node span surface side", "1 for whose side it is; never more than one a pair.", _PAIR),
    _gauge(
        "span_last_event_timestamp_seconds",
        "span surface",
        "When anybody last heard an event; absent when nobody ever did, or nobody tells now.",
        _SURFACE,
    ),
    _gauge(
        "span_dark_periods",
        "span surface",
        "Periods of its clock without an event on any node; absent without a period, or when nobody tells now.",
        _SURFACE,
    ),
    _gauge("span_dark_after_periods", "span", "After how many periods it counts as dark.", _SPANS),
    _gauge(
        "span_dark_since_timestamp_seconds",
        "span surface",
        "Since when nothing comes; there only while it is dark. Survives a restart.",
        _SURFACE,
    ),
    _gauge("span_watched_since_timestamp_seconds", "span surface", "When watching it began.", _SURFACE),
    Series(
        PREFIX + "span_events_total",
        "counter",
        ("span", "surface"),
        "Events that came while it was watched; survives a restart.",
        _SURFACE,
    ),
    Series(
        PREFIX + "span_lost_events_total",
        "counter",
        ("node", "span", "surface"),
        "Events that did not come, or gave way before they were read, by the node's count since it started.",
        _PAIR,
    ),
    _gauge(
        "stall_waiting_since_timestamp_seconds",
        "span surface",
        "Since when the next fact waits for this input; there only while it does.",
        _SURFACE,
    ),
    _gauge(
        "facts_degraded_ratio",
        "surface",
        "Share of the newest facts of our own surface that lack an input; absent with stall = wait.",
        "our surfaces",
    ),
    _gauge(
        "ticket_horizon_timestamp_seconds",
        "node span",
        "When the node's admission at the spanned member ends; +Inf never, 0 not admitted now.",
        "nodes × spanned members",
    ),
    _gauge(
        "ticket_quorum_lost_timestamp_seconds",
        "span",
        "When fewer than a majority will surely be admitted there; +Inf never.",
        _SPANS,
    ),
    _gauge(
        "evidence_retention_seconds",
        "span",
        "Until the oldest evidence in our ledger is projected to be lost upstream; absent: no end in sight.",
        _SPANS,
    ),
    _gauge(
        "identity_drift",
        "span what",
        "1 when what the spanned member publishes is not what organism.toml has; absent when it cannot be seen.",
        f"{_SPANS} × {len(DRIFTS)}",
    ),
    _gauge("identity_drift_since_timestamp_seconds", "span what", "Since when it drifted.",
           "as organism_identity_drift"),
    _gauge("node_up", "node", "1 when the committee member answers and has not stopped; 0 when it does not.", _NODES),
    _gauge("node_since_timestamp_seconds", "node", "Since when it is up, or down.", _NODES),
    _gauge("leader", "node", "1 for the node that proposes in the highest epoch.", _NODES),
    _gauge("ledger_height", "node", "Certified height.", _NODES),
    _gauge("ledger_epoch", "node", "The epoch that the node knows.", _NODES),
    _gauge("ledger_diverged", "", "1 when two nodes hold different ledgers at one height.", "1"),
    _gauge("group_forked", "node", "1 for a node that runs another identity than most, else 0.", _NODES),
    _gauge("members", "", "Members of the certified roster.", "1"),
    _gauge("quorum", "", "1 when a majority of the roster is there, 0 when it is lost; absent when not known.", "1"),
    _gauge("tolerance", "", "How many more may fail before writes are refused; absent when not known.", "1"),
    _gauge("sealed", "", "1 when the organism is retired.", "1"),
    _gauge("change_in_progress", "kind", "1 while a change of this kind holds the lease.", str(len(CHANGES))),
    _gauge("sweep_seconds", "", "How long the last sweep took.", "1"),
    _gauge("sweep_timestamp_seconds", "", "When the last sweep ended.", "1"),
    Series(PREFIX + "sweeps_total", "counter", (), "Sweeps of this process.", "1"),
    _gauge("memory_begun_timestamp_seconds", "", "When the memory's file was begun: since when it remembers.", "1"),
)  # fmt: skip
"""Every series; each also has the label ``organism``."""

BY_NAME: Mapping[str, Series] = {one.name: one for one in SERIES}


def page() -> str:
    """The reference page, in Markdown."""
    lines = [
        "# Series of `organismctl exporter`",
        "",
        "Generated from the code; `make docs` renews it.",
        "",
        "Each series has the label `organism`, the organism's name. Label values come from the files alone, so the",
        "number of series is bounded by them, whatever a remote publishes. What could not be seen is absent: a source",
        "that fails makes its series disappear and `organism_up` fall; nothing is repeated from an older sweep.",
        "",
        "| series | type | labels | at most | what it tells |",
        "|---|---|---|---|---|",
    ]
    for one in SERIES:
        labels = ", ".join(f"`{label}`" for label in one.labels) or "-"
        lines.append(f"| `{one.name}` | {one.type} | {labels} | {one.bound} | {one.help} |")
    lines += [
        "",
        "`side` is one of " + ", ".join(f"`{one}`" for one in SIDES) + ".",
        "`what` is one of " + ", ".join(f"`{one}`" for one in DRIFTS) + ".",
        "`kind` is one of " + ", ".join(f"`{one}`" for one in CHANGES) + ".",
        "",
        "`source` is `exporter`, `files` (organism.toml and what belongs to it), `memory` (the exporter's own file) or",
        "`tickets` (ticket files); of a node `node/NAME`, `subscriptions/NAME`, `evidence/NAME`, `facts/NAME` or",
        "`metrics/NAME`; of a spanned member `card/SPAN`, `endpoint/SPAN` (any of its node APIs) or `pointers/SPAN`",
        "(our evidence, looked up there); or `wire/HOST:PORT`, an entry point of mosaik's network.",
    ]
    return "\n".join(lines) + "\n"
