"""The dashboard: over exactly the exporter's series, laid out without overlap. test_incidents runs its queries."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

from organismctl.export.grafana import WIDTH, dashboard, panels
from organismctl.exporter.series import BY_NAME
from tests.export.test_rules import subject

MADE: dict[str, Any] = json.loads(dashboard(subject(), "organism-0123456789"))


def test_panels_lie_beside_each_other() -> None:
    boxes = [one["gridPos"] for one in MADE["panels"]]
    assert len({one["id"] for one in MADE["panels"]}) == len(boxes)
    for box in boxes:
        assert 0 <= box["x"] <= WIDTH - box["w"]
    for a, b in combinations(boxes, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above


def test_every_series_is_on_it_or_told_by_one_that_is() -> None:
    shown = {
        name
        for panel in panels(subject())
        for expr, _ in panel.queries
        for name in re.findall(r"organism_\w+", expr)
    }
    assert shown <= set(BY_NAME)
    for name in ("up", "span_lag_events", "span_dark_periods", "ticket_horizon_timestamp_seconds", "quorum", "leader",
                 "identity_drift", "group_forked", "evidence_retention_seconds", "change_in_progress"):  # fmt: skip
        assert f"organism_{name}" in shown


def test_queries_are_for_one_organism_and_name_their_datasource() -> None:
    for panel in MADE["panels"]:
        assert len({one["refId"] for one in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert 'organism="acme \\"x\\" \\\\ settlement"' in target["expr"]
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["instant"] is not target["range"]
    assert [one["name"] for one in MADE["templating"]["list"]] == ["datasource"]
    legends = {
        label
        for panel in panels(subject())
        for _, legend in panel.queries
        for label in re.findall(r"\{\{(\w+)\}\}", legend)
    }
    assert legends <= {label for series in BY_NAME.values() for label in series.labels}
