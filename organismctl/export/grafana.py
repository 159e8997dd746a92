"""Grafana: one dashboard of one organism, over exactly the exporter's series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from organismctl.report.text import json_text

if TYPE_CHECKING:
    from organismctl.export.alerts import Subject

WIDTH = 24
SCHEMA_VERSION = 39
"""Grafana 10 and later read it."""
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: What it answers.
        kind: Grafana's type: ``stat``, ``timeseries``, ``table`` or ``state-timeline``.
        queries: (PromQL, legend) each.
        unit: Grafana's unit.
        width: Columns of 24.
        height: Rows.
        note: What the panel's description says.
        steps: (from which value, colour) of the thresholds, the first one's value is ignored.
        words: Value to word.
    """

    title: str
    kind: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "none"
    width: int = 12
    height: int = 8
    note: str = ""
    steps: tuple[tuple[float, str], ...] = ((0, "green"),)
    words: tuple[tuple[str, str], ...] = ()


def panels(on: Subject) -> list[Panel]:
    """Every panel, in order."""
    return [*_top(on), *_spans(on), *_tickets(on), *_committee(on), *_watching(on)]


def dashboard(on: Subject, uid: str) -> str:
    """The dashboard, as Grafana imports it.

    Args:
        on: Whose.
        uid: Lasting id of the dashboard, at most 40 characters.
    """
    listed, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(panels(on), 1):
        if x + panel.width > WIDTH:
            x, y, row = 0, y + row, 0
        listed.append(_panel(panel, number, x, y))
        x, row = x + panel.width, max(row, panel.height)
    value = {
        "uid": uid,
        "title": f"Organism {on.organism}",
        "tags": ["organismctl", "organism"],
        "description": "Made by `organismctl export grafana`; over the series of `organismctl exporter`.",
        "timezone": "utc",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "hide": 0,
                }
            ]
        },
        "annotations": {"list": []},
        "panels": listed,
    }
    return json_text(value)


_GOOD, _BAD, _WARN = "green", "red", "orange"
_YES_NO = (("0", "no"), ("1", "yes"))
_UP = ((0, _BAD), (1, _GOOD))
_WRONG = ((0, _GOOD), (1, _BAD))


def _top(on: Subject) -> Iterator[Panel]:
    def stat(title: str, name: str, legend: str = "", **more: Any) -> Panel:
        return replace(Panel(title, "stat", ((on.series(name), legend),), width=4, height=4), **more)

    yield stat("Quorum", "quorum", steps=_UP, words=(("0", "lost"), ("1", "there")))
    yield stat("Tolerance", "tolerance", note="How many more may fail.", steps=((0, _WARN), (1, _GOOD)))
    yield stat("Ledgers diverged", "ledger_diverged", steps=_WRONG, words=_YES_NO)
    yield stat("Check exits with", "check_exit", note="Exit code of `organismctl check all`.", steps=_WRONG)
    yield stat("Sealed", "sealed", steps=((0, _GOOD), (1, _WARN)), words=_YES_NO)
    yield stat("Members", "members")
    yield Panel(
        "Identity", "table", ((on.series("identity_info"), ""),), width=24, height=4,
        note="Fingerprint: the integrators' pin. Group id: the committee's.",
    )  # fmt: skip


def _spans(on: Subject) -> Iterator[Panel]:
    pair, surface = "{{node}} × {{span}} / {{surface}}", "{{span}} / {{surface}}"
    yield Panel(
        "Dark: periods without an event", "timeseries",
        ((on.series("span_dark_periods"), surface), (on.series("span_dark_after_periods"), "{{span}}: dark from")),
        note="Per spanned member, never aggregated. A gap: nobody told anything then.",
    )  # fmt: skip
    yield Panel(
        "Time since the last event", "timeseries",
        ((f"time() - {on.series('span_last_event_timestamp_seconds')}", surface),), "s",
    )  # fmt: skip
    yield Panel("Lag in events", "timeseries", ((on.series("span_lag_events"), pair),))
    yield Panel("Lag in seconds", "timeseries", ((on.series("span_lag_seconds"), pair),), "s")
    yield Panel(
        "Events per second", "timeseries", ((f"rate({on.series('span_events_total')}[5m])", surface),), "eps"
    )
    yield Panel(
        "Subscriptions", "state-timeline", ((on.series("span_live"), pair),), steps=_UP,
        words=(("0", "not live"), ("1", "live")),
    )  # fmt: skip
    yield Panel(
        "Events lost on the way", "timeseries",
        ((f"increase({on.series('span_lost_events_total')}[15m])", pair),),
    )  # fmt: skip
    yield Panel(
        "Whose side", "table", ((on.series("span_side"), ""),), width=24,
        note="theirs, ours, node (one node of ours), ticket, observer, none (all is well) or unknown.",
    )  # fmt: skip


def _tickets(on: Subject) -> Iterator[Panel]:
    def left(name: str) -> str:
        # Never (+Inf) is no number for a graph.
        return f"({on.series(name)} < +Inf) - time()"

    limit = on.deployment.thresholds.ticket_bad_ms / 1000
    steps = ((0, _BAD), (limit, _WARN), (on.deployment.thresholds.ticket_warn_ms / 1000, _GOOD))
    yield Panel(
        "Ticket horizons: time left", "timeseries",
        ((left("ticket_horizon_timestamp_seconds"), "{{node}} × {{span}}"),), "s", steps=steps,
        note="Per committee member × spanned member.",
    )  # fmt: skip
    yield Panel(
        "Until a majority is shut out", "timeseries",
        ((left("ticket_quorum_lost_timestamp_seconds"), "{{span}}"),), "s", steps=steps,
    )  # fmt: skip
    yield Panel(
        "Identity of spanned members", "state-timeline", ((on.series("identity_drift"), "{{span}}: {{what}}"),),
        steps=_WRONG, words=(("0", "as pinned"), ("1", "drifted")),
    )  # fmt: skip
    yield Panel(
        "Evidence: retention left", "timeseries",
        ((on.series("evidence_retention_seconds"), "{{span}}"),), "s",
        note="Until upstream is projected to lose our oldest evidence; no data: no end in sight.",
    )  # fmt: skip


def _committee(on: Subject) -> Iterator[Panel]:
    yield Panel(
        "Nodes", "state-timeline", ((on.series("node_up"), "{{node}}"),), steps=_UP,
        words=(("0", "down"), ("1", "up")),
    )  # fmt: skip
    yield Panel(
        "Proposer",
        "state-timeline",
        ((on.series("leader"), "{{node}}"),),
        words=(("0", "-"), ("1", "proposes")),
    )
    yield Panel("Ledger height", "timeseries", ((on.series("ledger_height"), "{{node}}"),))
    yield Panel("Epoch", "timeseries", ((on.series("ledger_epoch"), "{{node}}"),))
    yield Panel(
        "Forked", "state-timeline", ((on.series("group_forked"), "{{node}}"),), steps=_WRONG,
        words=(("0", "as the rest"), ("1", "forked")),
    )  # fmt: skip
    yield Panel(
        "Change in progress", "state-timeline", ((on.series("change_in_progress"), "{{kind}}"),),
        steps=((0, _GOOD), (1, _WARN)), words=_YES_NO,
    )  # fmt: skip


def _watching(on: Subject) -> Iterator[Panel]:
    yield Panel(
        "Findings that are not ok",
        "table",
        ((f"{on.series('findings', status__not='ok')} > 0", ""),),
        width=24,
    )
    yield Panel("Sources", "state-timeline", ((on.series("up"), "{{source}}"),), steps=_UP,
                words=(("0", "down"), ("1", "up")))  # fmt: skip
    yield Panel("Sweep", "timeseries", ((on.series("sweep_seconds"), "took"),), "s")


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    table = panel.kind == "table"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.note,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": expr,
                "legendFormat": legend or "__auto",
                "instant": table,
                "range": not table,
                "format": "table" if table else "time_series",
            }
            for index, (expr, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.kind == "stat" else {},
        "transformations": [_columns()] if table else [],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [
        {"color": colour, "value": None if index == 0 else value}
        for index, (value, colour) in enumerate(panel.steps)
    ]
    words = [
        {"type": "value", "options": {value: {"text": word, "index": index}}}
        for index, (value, word) in enumerate(panel.words)
    ]
    return {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}, "mappings": words}


def _columns() -> dict[str, Any]:
    """Labels as columns, without those that are the same in every row."""
    dropped = ("Time", "__name__", "organism", "job", "instance", "Value")
    return {
        "id": "organize",
        "options": {"excludeByName": dict.fromkeys(dropped, True), "indexByName": {}, "renameByName": {}},
    }
