"""What the operator sees of a real committee on mosaik: the checks, ``inspect``, ``--via`` and a draft."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from organismctl.check.surfaces import MAP_KEY, MAP_VALUE
from organismctl.cli.app import run
from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.files.deployment import load_deployment
from organismctl.identity.digest import h, uid
from organismctl.identity.map_group import map_group_id
from tests.support.committee import Committee, running_committee, wait_for
from tests.support.mosaik import require_engine


def judged(
    capsys: pytest.CaptureFixture[str], committee: Committee, *words: str
) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    capsys.readouterr()
    code = run(["check", *words, "--organism", str(committee.deployment), "--format", "json"])
    rows = json.loads(capsys.readouterr().out)["findings"]
    return code, {(row["code"], row["subject"]): row for row in rows}


def whole(
    capsys: pytest.CaptureFixture[str], committee: Committee, name: str
) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of a check once it is well."""

    def look() -> dict[tuple[str, str], dict[str, Any]] | None:
        code, rows = judged(capsys, committee, name)
        return rows if code == 0 else None

    return wait_for(f"check {name} is well", look, 90)


def test_a_committee_on_mosaik_as_its_operator_sees_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with running_committee(tmp_path / "acme", carrier="mosaik") as committee:
        committee.bonded()
        committee.agree(at_least=2)
        rows = whole(capsys, committee, "committee")
        for name in committee.names:
            assert rows["GROUP-FORKED", name]["status"] == "ok"
            assert rows["PEER-ABSENT", name]["status"] == "ok"
        assert rows["VERSION-SKEW", "mosaik"]["summary"].startswith("mosaik 0.3.18")
        assert rows["GROUP-STRANGER", "mosaik"]["status"] == "ok"
        rows = whole(capsys, committee, "surfaces")
        assert rows["SURFACE-UNSERVED", "facts"]["values"]["served"] == committee.names
        rows = whole(capsys, committee, "tickets")
        for name in committee.names:
            assert rows["TICKET-ADMISSION", name]["values"]["state"] == "valid"
            assert rows["TICKET-WIRE", f"{name} × committee"]["values"]["where"] == "both"
        _, rows = judged(capsys, committee, "surfaces", "--listen", "2s")
        assert any(code == "SURFACE-HEARD" and row["values"]["items"] for (code, _), row in rows.items())
        _, rows = judged(capsys, committee, "committee", "--via", "node-a")
        assert rows["GROUP-FORKED", "node-b"]["status"] == "ok"
        _inspected(committee, capsys)
        _drafted(committee, tmp_path / "draft")
        _misconfigured(committee, capsys)
        committee.kill("node-c")
        _, rows = judged(capsys, committee, "committee")
        assert rows["WIRE-UNREACHABLE", "node-c"]["status"] == "unknown"
        assert rows["WIRE-UNREACHABLE", "node-a"]["status"] == "ok"


def _points(committee: Committee) -> list[str]:
    nodes = load_deployment(committee.deployment).nodes
    return [f"{node.peer_id.hex()}@{node.address}" for node in nodes]


def _inspected(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["inspect", *_points(committee), "--network", "mosaik.universe", "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert len([one for one in value["peers"] if not one["observer"]]) == 3
    assert [len(one["peers"]) for one in value["groups"]] == [3]
    assert {one["issuer"] for peer in value["peers"] for one in peer["tickets"]} == {"acme-admission"}


def _drafted(committee: Committee, folder: Path) -> None:
    """The draft names the nodes, and the one stream that is no link between them."""
    words = ["--name", "acme.test", "--network", "mosaik.universe", "--from-peer", _points(committee)[0]]
    assert run(["init", str(folder), *words]) == 0
    text = (folder / "organism.toml").read_text()
    assert text.count("[[surface]]") == 1
    assert 'issuers = ["acme-admission"]' in text
    assert len(load_deployment(folder / "deployment.toml").nodes) == 3


def _misconfigured(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    """The file says another heartbeat than the one that runs."""
    file = committee.deployment.parent / "organism.toml"
    before = file.read_text()
    file.write_text(before + '[group]\nheartbeat = "250ms"\n')
    code, rows = judged(capsys, committee, "committee")
    file.write_text(before)
    assert code == 6
    row = rows["GROUP-FORKED", "node-a"]
    assert row["values"]["key"] == "group.heartbeat"
    assert "heartbeat is 500ms" in row["summary"]


def test_a_map_surface_is_seen_by_its_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with running_committee(tmp_path / "acme", carrier="mosaik", surface="map") as committee:
        committee.agree(at_least=2)
        rows = whole(capsys, committee, "surfaces")
        assert rows["SURFACE-UNSERVED", "facts"]["values"]["served"] == committee.names


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
