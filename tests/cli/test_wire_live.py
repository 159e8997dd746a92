"""What the operator sees of a real committee on mosaik: the checks, ``inspect``, ``--via`` and a draft."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from organismctl.check.surfaces import MAP_KEY, MAP_VALUE
from organismctl.cli.app import run
from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.files.deployment import load_deployment
from organismctl.identity.digest import h, uid
from organismctl.identity.map_group import map_group_id
from tests.support.committee import Committee, running_committee
from tests.support.mosaik import require_engine
from tests.support.waiting import wait_until_holds

pytestmark = pytest.mark.timeout(900)
PATIENT = '[thresholds]\nprobe_timeout = "20s"\n'
"""More of deployment.toml: a look at the wire takes its time on a busy machine."""
Rows = dict[tuple[str, str], dict[str, Any]]


def judged(capsys: pytest.CaptureFixture[str], committee: Committee, *words: str) -> tuple[int, Rows]:
    capsys.readouterr()
    code = run(["check", *words, "--organism", str(committee.deployment), "--format", "json"])
    rows = json.loads(capsys.readouterr().out)["findings"]
    return code, {(row["code"], row["subject"]): row for row in rows}


def seen(
    capsys: pytest.CaptureFixture[str],
    committee: Committee,
    *words: str,
    judge: Callable[[Rows], object],
    exit_code: int | None = None,
) -> None:
    """Check until one look shows all that ``judge`` asserts, and ends with the exit code where one is given."""

    def whole(look: tuple[int, Rows]) -> None:
        assert exit_code in (None, look[0]), {key: row["status"] for key, row in look[1].items()}
        judge(look[1])

    wait_until_holds(f"check {words}", lambda: judged(capsys, committee, *words), whole)


def test_a_committee_on_mosaik_as_its_operator_sees_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with running_committee(tmp_path / "acme", carrier="mosaik", extra=PATIENT) as committee:
        committee.bonded()
        committee.agree(at_least=2)
        _checked(committee, capsys)
        _inspected(committee, capsys)
        _drafted(committee, tmp_path / "draft")
        _misconfigured(committee, capsys)
        committee.kill("node-c")

        def one_is_away(rows: Rows) -> None:
            assert rows["WIRE-UNREACHABLE", "node-c"]["status"] == "unknown"
            assert rows["WIRE-UNREACHABLE", "node-a"]["status"] == "ok"

        seen(capsys, committee, "committee", judge=one_is_away)


def _checked(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    def one_group(rows: Rows) -> None:
        for name in committee.names:
            assert rows["GROUP-FORKED", name]["status"] == "ok"
            assert rows["PEER-ABSENT", name]["status"] == "ok"
        assert rows["VERSION-SKEW", "mosaik"]["summary"].startswith("mosaik 0.3.18")
        assert rows["GROUP-STRANGER", "mosaik"]["status"] == "ok"

    def admitted(rows: Rows) -> None:
        for name in committee.names:
            assert rows["TICKET-ADMISSION", name]["values"]["state"] == "valid"
            assert rows["TICKET-WIRE", f"{name} × committee"]["values"]["where"] == "both"

    def heard(rows: Rows) -> None:
        assert any(code == "SURFACE-HEARD" and row["values"]["items"] for (code, _), row in rows.items())

    def alike(rows: Rows) -> None:
        assert rows["GROUP-FORKED", "node-b"]["status"] == "ok"

    seen(capsys, committee, "committee", judge=one_group, exit_code=0)
    seen(capsys, committee, "surfaces", judge=lambda rows: _served(rows, committee), exit_code=0)
    seen(capsys, committee, "tickets", judge=admitted, exit_code=0)
    seen(capsys, committee, "surfaces", "--listen", "2s", judge=heard)
    seen(capsys, committee, "committee", "--via", "node-a", judge=alike)


def _served(rows: Rows, committee: Committee) -> None:
    assert rows["SURFACE-UNSERVED", "facts"]["values"]["served"] == committee.names


def _points(committee: Committee) -> list[str]:
    nodes = load_deployment(committee.deployment).nodes
    return [f"{node.peer_id.hex()}@{node.address}" for node in nodes]


def _inspected(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["inspect", *_points(committee), "--network", "mosaik.universe", "--format", "json"]

    def look() -> tuple[int, Any]:
        capsys.readouterr()
        code = run(words)
        return code, json.loads(capsys.readouterr().out)

    def whole(found: tuple[int, Any]) -> None:
        code, value = found
        assert code == 0
        assert len([one for one in value["peers"] if not one["observer"]]) == 3
        assert [len(one["peers"]) for one in value["groups"]] == [3]
        assert {one["issuer"] for peer in value["peers"] for one in peer["tickets"]} == {"acme-admission"}

    wait_until_holds("all three are seen", look, whole)


def _drafted(committee: Committee, folder: Path) -> None:
    """The draft names the nodes, and the one stream that is no link between them."""
    words = ["--name", "acme.test", "--network", "mosaik.universe", "--from-peer", _points(committee)[0]]
    fresh = itertools.count()

    def draft() -> tuple[int, Path]:
        made = folder / str(next(fresh))
        return run(["init", str(made), *words]), made

    def whole(drafted: tuple[int, Path]) -> None:
        code, made = drafted
        assert code == 0
        text = (made / "organism.toml").read_text()
        assert text.count("[[surface]]") == 1
        assert 'issuers = ["acme-admission"]' in text
        assert len(load_deployment(made / "deployment.toml").nodes) == 3

    wait_until_holds("the draft is whole", draft, whole)


def _misconfigured(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    """The file says another heartbeat than the one that runs."""
    file = committee.deployment.parent / "organism.toml"
    before = file.read_text()
    file.write_text(before + '[group]\nheartbeat = "250ms"\n')

    def another_heartbeat(rows: Rows) -> None:
        row = rows["GROUP-FORKED", "node-a"]
        assert row["values"]["key"] == "group.heartbeat"
        assert "heartbeat is 500ms" in row["summary"]

    seen(capsys, committee, "committee", judge=another_heartbeat, exit_code=6)
    file.write_text(before)


def test_a_map_surface_is_seen_by_its_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with running_committee(tmp_path / "acme", carrier="mosaik", surface="map", extra=PATIENT) as committee:
        committee.agree(at_least=2)
        seen(capsys, committee, "surfaces", judge=lambda rows: _served(rows, committee), exit_code=0)


def test_the_group_id_of_a_map_is_mosaiks_own() -> None:
    require_engine()
    engine = load_engine()
    relay = engine.Relay.start("127.0.0.1", 0)
    network = engine.Network.start(uid("a test"), h(b"a map's writer"), relay=relay.url, bind=["127.0.0.1:0"])
    try:
        made = network.map_writer(h(b"a store"))
        assert made.group_id == map_group_id(h(b"a store"), MAP_KEY, MAP_VALUE)
        made.close()
    finally:
        network.close()
        relay.close()
