"""The alerts: promtool takes the rules, each fires as written, and names a runbook, a command and codes that exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from organismctl.check.codes import CODES
from organismctl.cli.app import command, run
from organismctl.export.alerts import SEVERITIES, Alert, Subject, alerts
from organismctl.export.prometheus import duration, rules
from organismctl.exporter.series import BY_NAME
from organismctl.files.deployment import Deployment, parse_deployment
from tests.support.prometheus import tool

NAME = 'acme "x" \\ settlement'
AT_S = 1800
PAIR = {"node": "node-a", "span": "beta", "surface": "facts"}
SURFACE = {"span": "beta", "surface": "facts"}


def side(carrier: str = "mosaik") -> Deployment:
    return parse_deployment(f'schema = 1\ncarrier = "{carrier}"\n', Path("/nowhere/deployment.toml"))


def subject(**more: Any) -> Subject:
    return Subject(NAME, side(), **more)


SCRAPED = {"job": "organismctl", "instance": "127.0.0.1:9560"}
"""Labels that Prometheus adds."""
ALONE = ("OrganismQuorumUnknown", "OrganismLeaderNotUnique")
"""What is left of several series, or of none, has only the organism's label."""


def s(name: str, value: float, **labels: str) -> dict[str, Any]:
    """A series that has one value for an hour."""
    pairs = ",".join(
        f"{key}={json.dumps(text)}" for key, text in {"organism": NAME, **SCRAPED, **labels}.items()
    )
    return {"series": f"organism_{name}{{{pairs}}}", "values": f"{value:g}x60"}


def rising(name: str, **labels: str) -> dict[str, Any]:
    """A series that counts one a minute."""
    return {**s(name, 0, **labels), "values": "0+1x60"}


UP = s("up", 1, source="exporter")
DAY = 86_400
NEVER = 1e18
"""promtool's series have no infinity."""
CASES: list[tuple[str, list[dict[str, Any]], dict[str, str], str]] = [
    ("OrganismExporterDown", [], {"source": "exporter"},
     "nobody watches: the exporter is down, or its last sweep is too old"),
    ("OrganismExporterDown", [s("up", 0, source="exporter")], {"source": "exporter"},
     "nobody watches: the exporter is down, or its last sweep is too old"),
    ("OrganismSourceDown", [s("up", 0, source="card/beta")], {"source": "card/beta"},
     "card/beta does not answer the exporter; what it feeds is not known"),
    ("OrganismMemberDark", [s("span_dark_periods", 5, **SURFACE), s("span_dark_after_periods", 5, span="beta")],
     SURFACE,
     "beta / facts: no event for 5 periods of its clock"),
    ("OrganismSpanLag", [s("span_lag_seconds", 31, **PAIR), s("span_lag_events", 1, **PAIR)], PAIR,
     "node-a is behind beta / facts"),
    ("OrganismSpanLag", [s("span_lag_events", 1001, **PAIR)], PAIR, "node-a is behind beta / facts"),
    ("OrganismSpanRefused", [s("span_side", 1, **PAIR, side="ticket")], {**PAIR, "side": "ticket"},
     "beta refuses node-a: its ticket does not admit"),
    ("OrganismSpanOurSide", [s("span_side", 1, **PAIR, side="node")], {**PAIR, "side": "node"},
     "node-a does not hear beta, and others do: side node"),
    ("OrganismEventsLost", [rising("span_lost_events_total", **PAIR)], PAIR, "node-a lost events of beta / facts"),
    ("OrganismStallWaiting", [s("stall_waiting_since_timestamp_seconds", AT_S - 90, **SURFACE)], SURFACE,
     "the next fact waits for beta / facts for 1m 30s"),
    ("OrganismFactsDegraded", [s("facts_degraded_ratio", 0.25, surface="facts")], {"surface": "facts"},
     "25% of the newest facts of facts lack an input"),
    ("OrganismSpanRetiring", [s("identity_drift", 1, span="beta", what="retired")], {"span": "beta", "what": "retired"},
     "beta retires or has retired"),
    ("OrganismTicketNearEnd", [s("ticket_horizon_timestamp_seconds", AT_S + DAY, node="node-a", span="beta")],
     {"node": "node-a", "span": "beta"}, "node-a at beta: admission ends in 1d 0h 0m 0s"),
    ("OrganismTicketEndsSoon", [s("ticket_horizon_timestamp_seconds", AT_S + 3 * DAY, node="node-a", span="beta")],
     {"node": "node-a", "span": "beta"}, "node-a at beta: admission ends in 3d 0h 0m 0s"),
    ("OrganismTicketQuorumNearEnd", [s("ticket_quorum_lost_timestamp_seconds", AT_S + DAY, span="beta")],
     {"span": "beta"}, "beta: fewer than a majority of us is admitted in 1d 0h 0m 0s"),
    ("OrganismIdentityDrift", [s("identity_drift", 1, span="beta", what="stable_id")],
     {"span": "beta", "what": "stable_id"},
     "beta publishes another stable_id than organism.toml has: who is stale, it says"),
    ("OrganismIdentityFlaps", [{**s("identity_drift", 0, span="beta", what="content"), "values": "0 1 " * 30}],
     {"span": "beta", "what": "content"}, "beta publishes now this content, now that"),
    ("OrganismIssuerMoved", [s("identity_drift", 1, span="beta", what="issuer")], {"span": "beta", "what": "issuer"},
     "beta admits by another issuer than organism.toml has"),
    ("OrganismFingerprintDrift", [s("findings", 1, code="FINGERPRINT-DRIFT", status="bad")],
     {"code": "FINGERPRINT-DRIFT", "status": "bad"}, "organism.toml is not what organism.lock accepts"),
    ("OrganismGroupForked", [s("group_forked", 1, node="node-a"), s("group_forked", 0, node="node-b")],
     {"node": "node-a"}, "node-a runs another identity than the rest: it bonds with nobody"),
    ("OrganismQuorumLost", [s("quorum", 0)], {},
     "less than a majority of the committee is there: writes are refused, surfaces stand still"),
    ("OrganismQuorumUnknown", [UP], {}, "whether a majority is there is not known: too few nodes answer"),
    ("OrganismLeaderNotUnique",
     [s("leader", 0, node="node-a"), s("leader", 0, node="node-b"), s("sealed", 0), s("members", 2)], {},
     "0 nodes propose in the highest epoch"),
    ("OrganismLedgerDiverged", [s("ledger_diverged", 1)], {}, "nodes hold different ledgers at one height"),
    ("OrganismNodeDown", [s("node_up", 0, node="node-a")], {"node": "node-a"},
     "node-a does not answer, or has stopped"),
    ("OrganismLedgerBehind", [s("ledger_height", 100, node="node-a"), s("ledger_height", 200, node="node-b")],
     {"node": "node-a"}, "node-a is 100 entries behind"),
    ("OrganismToleranceGone", [s("tolerance", 0)], {}, "no further committee member may fail"),
    ("OrganismChangeStuck", [s("change_in_progress", 1, kind="retire"), s("change_in_progress", 0, kind="other")],
     {"kind": "retire"}, "a change (retire) holds the lease longer than its deadline"),
    ("OrganismEvidenceRetentionShort", [s("evidence_retention_seconds", 3600, span="beta")], {"span": "beta"},
     "beta loses our oldest evidence in 1h 0m 0s"),
]  # fmt: skip


def others() -> list[tuple[str, list[dict[str, Any]], dict[str, str], str]]:
    """A case for each rule that takes in what no other stands for."""
    return [
        (
            "OrganismFinding",
            [s("findings", 2, code=alert.codes[-1], status="bad"), s("findings", 9, code=alert.codes[-1], status="ok")],
            {"code": alert.codes[-1], "status": "bad"},
            f"2 bad {alert.codes[-1]}: see `organismctl explain {alert.codes[-1]}`",
        )
        for alert in alerts(subject())
        if alert.name == "OrganismFinding"
    ]  # fmt: skip


def expected(alert: str, labels: dict[str, str], summary: str, *, scraped: bool) -> dict[str, Any]:
    """What promtool shall see fire."""
    found = [
        one
        for one in alerts(subject())
        if one.name == alert and labels.get("code", one.codes[0]) in one.codes
    ]
    assert len(found) == 1, (alert, labels)
    one = found[0]
    return {
        "exp_labels": {
            "organism": NAME, "severity": one.severity, "concerns": one.concerns, "runbook": one.runbook, **labels,
            **(SCRAPED if scraped and alert not in ALONE else {}),
        },
        "exp_annotations": {
            "summary": f"{NAME}: {summary}", "description": one.description, "codes": " ".join(one.codes),
            "runbook": one.runbook, "command": one.command,
            "next": f"organismctl runbook run {one.runbook} --organism {shlex.quote(NAME)}",
        },
    }  # fmt: skip


def promtool(folder: Path, *argv: str) -> str:
    done = subprocess.run(
        [tool("promtool"), *argv], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_checks_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules(subject(), 60_000))
    told = promtool(tmp_path, "check", "rules", "--lint-fatal", "rules.yml")
    assert f"SUCCESS: {len(alerts(subject()))} rules found" in told


def test_promtool_sees_each_alert_fire_and_only_by_its_series(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules(subject(), 60_000))
    cases = [*CASES, *others()]
    tests: list[dict[str, Any]] = [
        {
            "name": alert,
            "interval": "1m",
            "input_series": series,
            "alert_rule_test": [
                {
                    "eval_time": f"{AT_S}s",
                    "alertname": alert,
                    "exp_alerts": [expected(alert, labels, summary, scraped=bool(series))],
                }
            ],
        }
        for alert, series, labels, summary in cases
    ]
    well = [
        UP, s("quorum", 1), s("leader", 1, node="node-a"), s("leader", 0, node="node-b"), s("sealed", 0),
        s("tolerance", 1), s("group_forked", 0, node="node-a"), s("node_up", 1, node="node-a"),
        s("ledger_diverged", 0), s("ledger_height", 200, node="node-a"), s("ledger_height", 190, node="node-b"),
        s("span_dark_periods", 4.9, **SURFACE), s("span_dark_after_periods", 5, span="beta"),
        s("span_lag_seconds", 30, **PAIR), s("span_lag_events", 5000, **PAIR), s("span_side", 1, **PAIR, side="none"),
        s("ticket_horizon_timestamp_seconds", NEVER, node="node-a", span="beta"),
        s("ticket_horizon_timestamp_seconds", AT_S + 8 * DAY, node="node-b", span="beta"),
        s("ticket_quorum_lost_timestamp_seconds", NEVER, span="beta"),
        s("identity_drift", 0, span="beta", what="content"), s("change_in_progress", 0, kind="retire"),
        s("evidence_retention_seconds", 3 * DAY, span="beta"), s("findings", 3, code="LOCK-MISSING", status="ok"),
        s("findings", 3, code="TICKET-WIRE", status="unknown"), s("span_lost_events_total", 7, **PAIR),
        s("facts_degraded_ratio", 0, surface="facts"),
    ]  # fmt: skip
    names = sorted({alert.name for alert in alerts(subject())})
    unseen = [s("leader", 0, node="node-a"), s("sealed", 0), s("members", 3)]
    silent = {"eval_time": f"{AT_S}s", "alertname": "OrganismLeaderNotUnique", "exp_alerts": []}
    tests.append(
        {
            "name": "who proposes is not seen",
            "interval": "1m",
            "input_series": unseen,
            "alert_rule_test": [silent],
        }
    )
    quiet = [{"eval_time": f"{AT_S}s", "alertname": name, "exp_alerts": []} for name in names]
    tests.append({"name": "all is well", "interval": "1m", "input_series": well, "alert_rule_test": quiet})
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(json.dumps(document))
    promtool(tmp_path, "test", "rules", "tests.yml")


def test_every_alert_has_a_case() -> None:
    assert {alert.name for alert in alerts(subject())} == {case[0] for case in CASES} | {"OrganismFinding"}


@pytest.mark.parametrize("alert", alerts(subject()), ids=lambda one: f"{one.name}-{one.runbook}")
def test_an_alert_names_what_there_is(alert: Alert) -> None:
    assert alert.severity in SEVERITIES
    assert all(code in CODES for code in alert.codes)
    assert alert.runbook == CODES[alert.codes[0]].runbook
    used = set(re.findall(r"(organism_\w+)\{([^}]*)", alert.expr))
    assert used
    for name, matchers in used:
        assert name in BY_NAME, name
        labels = set(re.findall(r'(\w+)(?:=~|!=|=)"', matchers))
        assert labels <= {"organism", *BY_NAME[name].labels}, (name, labels)
    parse(alert.command)
    parse(subject().command(f"runbook run {alert.runbook}"))


def parse(line: str) -> None:
    """Read a command line as our own CLI does."""
    program, *words = shlex.split(line)
    assert program == "organismctl"
    node: Any = command()
    context = node.context_class(node, info_name="organismctl")
    while words and hasattr(node, "list_commands") and words[0] in node.list_commands(context):
        node = node.get_command(context, words[0])
        context = node.context_class(node, info_name=words.pop(0), parent=context)
    node.make_context(node.name, words, parent=context.parent)


def test_every_code_that_is_bad_fires_something() -> None:
    assert {code for alert in alerts(subject()) if alert.whole for code in alert.codes} == set(CODES)


def test_the_organism_is_named_in_the_commands_and_one_host_has_no_tolerance_to_lose() -> None:
    for context, named in (("staging", "staging"), (None, NAME)):
        found = {shlex.split(alert.command)[-1] for alert in alerts(subject(context=context))}
        assert found == {named}
    assert "OrganismToleranceGone" not in {alert.name for alert in alerts(Subject(NAME, side("loopback")))}


@pytest.mark.parametrize(
    ("ms", "text"), [(500, "500ms"), (60_000, "1m"), (90_000, "90s"), (86_400_000, "1d")]
)
def test_durations_are_prometheus_own(ms: int, text: str) -> None:
    assert duration(ms) == text


def test_the_command_writes_rules_and_scraping_for_the_published_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats = Path(__file__).parents[2] / "docs" / "formats"
    for name in ("organism.toml", "deployment.toml"):
        (tmp_path / name).write_text((formats / name).read_text())
    monkeypatch.chdir(tmp_path)
    assert run(["export", "prometheus", "-o", "rules.yml"]) == 0
    assert (
        run(
            ["export", "prometheus", "--scrape", "--target", "10.0.0.5:9560", "--every", "30s", "-o", "p.yml"]
        )
        == 0
    )
    assert promtool(tmp_path, "check", "rules", "rules.yml")
    assert promtool(tmp_path, "check", "config", "p.yml")
    told = yaml.safe_load((tmp_path / "p.yml").read_text())["scrape_configs"][0]
    assert (told["scrape_interval"], told["static_configs"]) == ("30s", [{"targets": ["10.0.0.5:9560"]}])
    assert run(["export", "prometheus", "--target", "10.0.0.5:9560"]) == 64
