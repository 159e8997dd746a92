"""Format ``prometheus``: the text format, for the node exporter's textfile collector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from organismctl.check.finding import Finding, Status
from organismctl.report.interface import Style
from organismctl.report.model import Report
from organismctl.report.text import clean

Sample = tuple[Mapping[str, str], float]
"""Labels, and the value."""
_WORST_IS_MOST = frozenset({"finding_status", "check_exit", "span_lag_events", "span_lag_seconds"})
"""Of moments the earliest is the worst."""
_VALUE = {Status.OK: 0, Status.WARN: 1, Status.UNKNOWN: 2, Status.BAD: 3}


class PrometheusFormat:
    """See :class:`organismctl.report.interface.Formatter`."""

    def format(self, report: Report, style: Style) -> str:
        """See :meth:`Formatter.format`."""
        del style
        return "".join(_metric(name, text, samples) for name, text, samples in _metrics(report))


def _metrics(report: Report) -> Iterator[tuple[str, str, Sequence[Sample]]]:
    """Name, help and samples of each metric, in order."""
    own, rows = {"organism": report.organism.name}, report.findings
    asked = {**own, "command": report.command}
    ids = {"fingerprint": report.organism.fingerprint or "", "group_id": report.organism.group_id or ""}
    yield "organism_info", "The identities that were checked.", [({**own, **ids}, 1)]
    yield "check_exit", "Exit code of the check.", [(asked, int(report.exit))]
    yield "check_timestamp_seconds", "Moment of judgement.", [(asked, report.judged_ms / 1000)]
    counts = [({**asked, "status": name}, count) for name, count in report.counts.items()]
    yield "findings", "Findings by status; accepted ones apart.", counts
    known = [(_labels(own, row), _VALUE[row.status]) for row in rows]
    yield "finding_status", "0 ok, 1 warn, 2 unknown, 3 bad.", known
    accepted = [(_labels(own, row), 1) for row in rows if row.accepted]
    yield "finding_accepted", "1 when a person accepted the finding.", accepted
    yield (
        "ticket_horizon_timestamp_seconds",
        "When a node's ticket stops admitting it; +Inf: never.",
        [
            (_of(own, row, "node", "span"), _moment(row.values.get("horizon_ms")))
            for row in rows
            if row.code == "TICKET-HORIZON" and row.values.get("state") in ("valid", "invalid")
        ],
    )
    yield (
        "ticket_quorum_lost_timestamp_seconds",
        "From when fewer than a majority is surely admitted; +Inf: never.",
        [
            (_of(own, row, "span"), _moment(row.values.get("horizon_ms")))
            for row in rows
            if row.code in ("TICKET-QUORUM", "TICKET-QUORUM-LOST") and "span" in row.values
        ],
    )
    for key, text in (("lag_events", "Events behind."), ("lag_s", "Seconds behind.")):
        name = f"span_{key.replace('lag_s', 'lag_seconds')}"
        yield (
            name,
            f"{text} Absent: not known.",
            [one for row in rows if (one := _lag(own, row, key)) is not None],
        )


def _lag(own: Mapping[str, str], row: Finding, key: str) -> Sample | None:
    value = row.values.get(key)
    if row.code != "SPAN-LAG" or "surface" not in row.values or not isinstance(value, int | float):
        return None
    return _of(own, row, "node", "span", "surface"), value


def _of(own: Mapping[str, str], row: Finding, *keys: str) -> dict[str, str]:
    return {**own, **{key: str(row.values.get(key, "")) for key in keys}}


def _labels(own: Mapping[str, str], row: Finding) -> dict[str, str]:
    return {**own, "code": row.code, "subject": row.subject}


def _moment(ms: object) -> float:
    return ms / 1000 if isinstance(ms, int) else math.inf


def _metric(name: str, text: str, samples: Sequence[Sample]) -> str:
    """One metric. Names that differ only in what is stripped from them share a series: the worst one stays.

    A collector refuses a whole file for one series that stands in it twice.
    """
    worst: dict[str, float] = {}
    for labels, value in samples:
        pairs = _pairs(labels)
        worst[pairs] = (
            max(value, worst.get(pairs, value))
            if name in _WORST_IS_MOST
            else min(value, worst.get(pairs, value))
        )
    if not worst:
        return ""
    full = f"organismctl_{name}"
    lines = [f"{full}{{{pairs}}} {_number(value)}\n" for pairs, value in worst.items()]
    return f"# HELP {full} {text}\n# TYPE {full} gauge\n{''.join(lines)}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf"
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _pairs(labels: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())


def _escape(text: str) -> str:
    return clean(text).replace("\\", "\\\\").replace('"', '\\"')


FORMATTER = PrometheusFormat()
