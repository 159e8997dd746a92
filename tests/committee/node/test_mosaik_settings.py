"""What a node on mosaik is told, and what its deployment file must hold for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.committee.node.founding import init
from organismctl.committee.node.serve import Listen, serve
from organismctl.committee.node.settings import load_settings
from organismctl.errors import InputError, OrganismError, RefusedError
from organismctl.files.deployment import load_deployment
from tests.support.committee import Span, make_committee

PEER = "cd866a5879bee75294fb9aba313d160f6855263ac60c20d7cf71142aef063a23"


def test_a_node_is_told_where_the_others_are(tmp_path: Path) -> None:
    committee = make_committee(tmp_path / "acme", carrier="mosaik")
    settings = load_settings(committee.deployment, "node-a")
    deployment = load_deployment(committee.deployment)
    assert settings.mosaik is not None
    assert settings.mosaik.group.expected == settings.group_id
    assert settings.mosaik.network.bind == deployment.nodes[0].address
    assert settings.mosaik.network.relay == deployment.mosaik.relay
    assert settings.mosaik.network.bootstrap == tuple(
        (node.peer_id, (node.address,)) for node in deployment.nodes[1:]
    )
    assert settings.peers == tuple(node.peer_id for node in deployment.nodes[1:])
    (ticket,) = settings.mosaik.tickets
    assert ticket.is_file()
    secret = settings.mosaik.group.secret
    assert secret.hex() not in repr(settings) + repr(settings.mosaik) + repr(settings.mosaik.group)


def test_the_command_line_overrides_the_carrier(tmp_path: Path) -> None:
    committee = make_committee(tmp_path / "acme", carrier="mosaik")
    assert load_settings(committee.deployment, "node-a", "loopback").mosaik is None
    plain = make_committee(tmp_path / "plain")
    with pytest.raises(InputError, match="node-a, node-b, node-c has no address"):
        load_settings(plain.deployment, "node-a", "mosaik")


def test_init_drafts_what_mosaik_needs(tmp_path: Path) -> None:
    committee = make_committee(tmp_path / "acme")
    text = committee.deployment.read_text()
    told = init(committee.deployment, carrier="mosaik").lines
    deployment = load_deployment(committee.deployment)
    assert deployment.carrier == "mosaik"
    addresses = [node.address for node in deployment.nodes]
    assert len({*addresses, None}) == 4
    assert all(address is not None and address.startswith("127.0.0.1:") for address in addresses)
    for needed in ("committee relay", "tickets request --committee", "tickets issue", "tickets import"):
        assert any(needed in line for line in told), needed
    assert load_settings(committee.deployment, "node-b").mosaik is not None
    assert set(text.splitlines()) - {'carrier = "loopback"'} <= set(
        committee.deployment.read_text().splitlines()
    )
    init(committee.deployment, carrier="mosaik")
    assert [node.address for node in load_deployment(committee.deployment).nodes] == addresses


def test_nodes_need_not_be_on_one_host(tmp_path: Path) -> None:
    committee = make_committee(tmp_path / "acme", carrier="mosaik")
    text = committee.deployment.read_text()
    committee.deployment.write_text(text.replace(committee.url("node-a"), "https://node-a.example:7101"))
    settings = load_settings(committee.deployment, "node-a")
    assert (settings.host, settings.port) == ("node-a.example", 7101)
    with pytest.raises(RefusedError, match="only this host"):
        load_settings(committee.deployment, "node-a", "loopback")


def test_peers_of_a_spanned_member_are_asked_too(tmp_path: Path) -> None:
    span = Span("alpha", "01" * 32, "02" * 32, ())
    committee = make_committee(tmp_path / "acme", spans=[span], fold="fan-in", carrier="mosaik")
    text = committee.deployment.read_text()
    committee.deployment.write_text(text.replace("endpoints = []", f'peers = ["{PEER}@127.0.0.1:7999"]'))
    settings = load_settings(committee.deployment, "node-a")
    assert settings.upstreams[0].peers == (bytes.fromhex(PEER),)
    assert settings.mosaik is not None
    assert (bytes.fromhex(PEER), ("127.0.0.1:7999",)) in settings.mosaik.network.bootstrap


def test_without_the_extension_it_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("organismctl.committee.carrier.mosaik_engine.MODULE", "organismctl_engine_of_nowhere")
    with pytest.raises(OrganismError) as missing:
        load_engine()
    assert "make engine" in (missing.value.advice or "")
    committee = make_committee(tmp_path / "acme", carrier="mosaik")
    with pytest.raises(OrganismError, match="organismctl-engine, which is not installed"):
        serve(committee.deployment, "node-a", Listen())
