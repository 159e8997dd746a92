"""Each alert fires and resolves in a staged incident: a real committee, the real exporter, a real Prometheus."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from organismctl.cli.app import run
from organismctl.export.alerts import Subject
from organismctl.export.grafana import panels
from organismctl.files.deployment import load_deployment
from organismctl.identity.digest import h
from tests.support.committee import wait_for
from tests.support.prometheus import Prometheus, prometheus
from tests.support.waiting import wait_until_holds
from tests.support.watched import Samples, World, values_in, watched_world

pytestmark = pytest.mark.timeout(900)
NAME = "acme.test"
PATIENCE_S = 90.0


class Stage(NamedTuple):
    """Everything that runs."""

    world: World
    server: Prometheus


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("incidents")
    with watched_world(folder / "acme") as world:
        rules = folder / "rules.yml"
        assert run(
            ["export", "prometheus", "--organism", str(world.committee.deployment), "--hold", "500ms", "-o", str(rules)]
        ) == 0  # fmt: skip
        world.start_exporter()
        with prometheus(folder / "prometheus", f"127.0.0.1:{world.port}", rules) as server:
            wait_for("the exporter is scraped", lambda: server.query("organism_quorum == 1"))
            yield Stage(world, server)


def fires(stage: Stage, alert: str, **labels: str) -> dict[str, str]:
    """Wait until an alert with these labels fires; it says what to do next."""

    def look() -> dict[str, str] | None:
        found = [one for one in stage.server.firing() if one["alertname"] == alert]
        return next((one for one in found if labels.items() <= one.items()), None)

    found = wait_for(f"{alert} {labels} fires", look, PATIENCE_S)
    assert found["runbook"]
    assert found["command"].endswith(f" --organism {NAME}")
    assert found["next"] == f"organismctl runbook run {found['runbook']} --organism {NAME}"
    return found


def resolves(stage: Stage, *alerts: str) -> None:
    """Wait until alerts fire no more."""
    wait_for(
        f"{alerts} resolve",
        lambda: not {one["alertname"] for one in stage.server.firing()} & set(alerts),
        PATIENCE_S,
    )


def quiet(stage: Stage) -> None:
    """Wait until nothing that is staged here fires."""
    resolves(stage, "OrganismMemberDark", "OrganismTicketNearEnd", "OrganismIdentityDrift", "OrganismGroupForked",
             "OrganismQuorumLost", "OrganismNodeDown", "OrganismSpanRefused")  # fmt: skip


def test_dark_ticket_and_drift_each_name_their_own(
    stage: Stage, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    world = stage.world
    quiet(stage)
    begun = time.monotonic()
    world.muted.add("beta")
    world.admit("node-b", days=1)
    world.publish(content_hash=h(b"other content").hex())
    ticket = fires(stage, "OrganismTicketNearEnd", node="node-b", span="alpha")
    assert ticket["runbook"] == "tickets"
    record_property("ticket near its end", time.monotonic() - begun)
    drift = fires(stage, "OrganismIdentityDrift", span="alpha", what="content")
    assert (drift["runbook"], drift["concerns"]) == ("identity-drift", "integrators")
    record_property("identity drift", time.monotonic() - begun)
    dark = fires(stage, "OrganismMemberDark", span="beta", surface="events")
    shown = dark["command"].removesuffix(f" --organism {NAME}")
    assert shown == "organismctl check subscriptions"
    record_property("member dark", time.monotonic() - begun)
    wait_until_holds("only what is staged fires", stage.server.firing, only_what_is_staged)
    wait_until_holds("beta alone is dark", world.samples, beta_alone_is_dark)

    # The same by the command that the alert names; it asks the exporter since when.
    def asked() -> tuple[int, list[dict[str, Any]]]:
        capsys.readouterr()
        code = run([*shown.split()[1:], "--organism", str(world.committee.deployment), "--format", "json"])
        return code, json.loads(capsys.readouterr().out)["findings"]

    def the_same(answer: tuple[int, list[dict[str, Any]]]) -> None:
        code, rows = answer
        told = {row["subject"]: row for row in rows if row["code"] == "MEMBER-DARK"}
        assert code == 6
        assert {subject: row["status"] for subject, row in told.items()} == {
            "alpha / events": "ok",
            "beta / events": "bad",
        }
        assert f"exporter {world.url}" in [one["source"] for one in told["beta / events"]["sources"]]

    wait_until_holds("the command tells the same", asked, the_same)
    world.muted.clear()
    world.admit("node-b")
    world.publish()
    quiet(stage)


def only_what_is_staged(firing: list[dict[str, str]]) -> None:
    found = [one for one in firing if one["alertname"] in ("OrganismMemberDark", "OrganismTicketNearEnd")]
    assert {(one["span"], one.get("node")) for one in found} == {("beta", None), ("alpha", "node-b")}


def beta_alone_is_dark(page: Samples) -> None:
    assert values_in(page, "span_dark_since_timestamp_seconds", span="beta")
    assert not values_in(page, "span_dark_since_timestamp_seconds", span="alpha")


def test_a_forked_node_is_named(stage: Stage, record_property: Callable[[str, object], None]) -> None:
    committee = stage.world.committee
    quiet(stage)
    committee.stop("node-c")
    secret = committee.folder / "secrets" / "group.secret"
    kept = secret.read_text()
    begun = time.monotonic()
    try:
        # The node is started where its host's copy of the secret is another one.
        secret.write_text("another group's secret, for a test\n")
        committee.start("node-c")
    finally:
        secret.write_text(kept)
    found = fires(stage, "OrganismGroupForked", node="node-c")
    assert found["runbook"] == "group-forked"
    record_property("forked group", time.monotonic() - begun)

    def node_c_alone(firing: list[dict[str, str]]) -> None:
        assert [one["node"] for one in firing if one["alertname"] == "OrganismGroupForked"] == ["node-c"]

    wait_until_holds("node-c alone is forked", stage.server.firing, node_c_alone)
    committee.stop("node-c")
    committee.start("node-c")
    quiet(stage)


def test_a_lost_quorum_and_its_return(stage: Stage, record_property: Callable[[str, object], None]) -> None:
    committee = stage.world.committee
    quiet(stage)
    begun = time.monotonic()
    committee.kill("node-b", "node-c")
    found = fires(stage, "OrganismQuorumLost")
    assert found["runbook"] == "committee-short"
    record_property("lost quorum", time.monotonic() - begun)
    for name in ("node-b", "node-c"):
        fires(stage, "OrganismNodeDown", node=name)

    # What fed from the lost nodes has disappeared, and says so; nothing stands still.
    def node_b_tells_nothing(page: Samples) -> None:
        assert values_in(page, "up", source="node/node-b") == [0.0]
        assert not values_in(page, "ledger_height", node="node-b")
        assert not values_in(page, "span_lag_events", node="node-b")

    wait_until_holds("node-b tells nothing", stage.world.samples, node_b_tells_nothing)
    committee.start("node-b", "node-c")
    quiet(stage)


def test_every_query_of_the_dashboard_returns_data(stage: Stage) -> None:
    on = Subject("acme.test", load_deployment(stage.world.committee.deployment))
    asked = [(panel.title, expr) for panel in panels(on) for expr, _ in panel.queries]
    assert len(asked) > 25

    def empty() -> list[tuple[str, str]]:
        return [one for one in asked if not stage.server.query(one[1])]

    wait_for("every query has data", lambda: not empty(), PATIENCE_S)


def test_prometheus_knows_the_types_and_has_no_complaint(stage: Stage) -> None:
    ask = stage.server.ask

    def up(told: dict[str, Any]) -> None:
        (target,) = told["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")

    def typed(told: dict[str, Any]) -> None:
        assert told["organism_span_events"][0]["type"] == "counter"
        assert told["organism_identity"][0]["type"] == "info"

    def ruled(told: dict[str, Any]) -> None:
        rules = [one for group in told["groups"] for one in group["rules"]]
        assert {one["type"] for one in rules} == {"alerting"}
        assert [one for one in rules if one["health"] != "ok"] == []

    wait_until_holds("the exporter is scraped without a complaint", lambda: ask("targets"), up)
    wait_until_holds("the types are known", lambda: ask("metadata"), typed)
    wait_until_holds("the rules are evaluated", lambda: ask("rules"), ruled)


def test_the_exporter_is_missed_when_it_is_gone(stage: Stage) -> None:
    """Last: it ends the exporter, and begins it again with what it remembered."""
    before = stage.world.memory("alpha/events")
    assert stage.world.stop_exporter() == 0
    fires(stage, "OrganismExporterDown")
    stage.world.start_exporter()
    resolves(stage, "OrganismExporterDown")
    after = stage.world.memory("alpha/events")
    assert after["watched_since_ms"] == before["watched_since_ms"]
    assert after["events"] >= before["events"]
    assert not re.search("Traceback", stage.world.log())
    json.dumps(after)
