"""Format ``prometheus``: the text format, for the node exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Iterable

from organismctl.check.finding import Finding, Status
from organismctl.report.interface import Style
from organismctl.report.model import Report
from organismctl.report.text import clean

_VALUE = {Status.OK: 0, Status.WARN: 1, Status.UNKNOWN: 2, Status.BAD: 3}


class PrometheusFormat:
    """See :class:`organismctl.report.interface.Formatter`."""

    def format(self, report: Report, style: Style) -> str:
        """See :meth:`Formatter.format`."""
        del style
        own = {"organism": report.organism.name}
        asked = {**own, "command": report.command}
        info = {
            **own,
            "fingerprint": report.organism.fingerprint or "",
            "group_id": report.organism.group_id or "",
        }
        parts = [
            _metric("organism_info", "The identities that were checked.", [(info, "1")]),
            _metric("check_exit", "Exit code of the check.", [(asked, str(int(report.exit)))]),
            _metric("check_timestamp_seconds", "Moment of judgement.", [(asked, _seconds(report.judged_ms))]),
            _metric(
                "finding_status",
                "0 ok, 1 warn, 2 unknown, 3 bad.",
                [(_labels(own, row), str(_VALUE[row.status])) for row in report.findings],
            ),
            _metric(
                "finding_accepted",
                "1 when a person accepted the finding.",
                [(_labels(own, row), "1") for row in report.findings if row.accepted],
            ),
            _metric(
                "ticket_horizon_timestamp_seconds",
                "When a node's ticket stops admitting it; +Inf: never.",
                [
                    ({**own, "node": str(row.values["node"]), "span": str(row.values["span"])}, _horizon(row))
                    for row in report.findings
                    if row.code == "TICKET-HORIZON" and row.values.get("state") in ("valid", "invalid")
                ],
            ),
        ]
        return "".join(parts)


def _labels(own: dict[str, str], row: Finding) -> dict[str, str]:
    return {**own, "code": row.code, "subject": row.subject}


def _horizon(row: Finding) -> str:
    horizon = row.values.get("horizon_ms")
    return _seconds(horizon) if isinstance(horizon, int) else "+Inf"


def _seconds(ms: int) -> str:
    whole, rest = divmod(ms, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)


def _metric(name: str, text: str, samples: Iterable[tuple[dict[str, str], str]]) -> str:
    full = f"organismctl_{name}"
    lines = [f"{full}{{{_pairs(labels)}}} {value}\n" for labels, value in samples]
    if not lines:
        return ""
    return f"# HELP {full} {text}\n# TYPE {full} gauge\n{''.join(lines)}"


def _pairs(labels: dict[str, str]) -> str:
    return ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())


def _escape(text: str) -> str:
    return clean(text).replace("\\", "\\\\").replace('"', '\\"')


FORMATTER = PrometheusFormat()
