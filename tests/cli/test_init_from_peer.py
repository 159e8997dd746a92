"""``init --from-peer`` against real peers on loopback: what the wire tells is written, what it cannot is marked."""

from __future__ import annotations

import base64
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from organismctl.cli.app import run
from organismctl.cli.from_peer import LINK
from organismctl.errors import InputError
from organismctl.files.deployment import load_deployment
from organismctl.files.organism import load_organism
from organismctl.identity.digest import derive, h
from organismctl.identity.jwt import issue_jwt
from organismctl.identity.peer_entry import PeerTicket, encode_catalog
from organismctl.identity.validator import JWT_CLASS
from tests.identity.entries import NETWORK, peer, signed
from tests.observe.servers import serving
from tests.observe.wire.peers import SYNC, Peer, running, telling

GROUP, MAP, SURFACE, OTHER = h(b"a committee"), h(b"a map"), h(b"facts"), h(b"somebody's offers")
NAMES = ("a", "b", "c")
KEY = "9caa30f9a28f9790a4b06ce57c3ba1213a644524425aefad72414465dd3b169f"
FLAGS = ["--name", "acme.settlement", "--network", NETWORK.hex()]
NOW_S = int(time.time())


def admission(name: str, issuer: str) -> PeerTicket:
    data = issue_jwt("EdDSA", h(b"an issuer, a test key"), peer(name), issued_at_s=NOW_S, expires_at_s=NOW_S + 999,
                     issuer=issuer)  # fmt: skip
    return PeerTicket(JWT_CLASS, data)


def entries(issuer: str = "acme-admission", **changes: Any) -> list[bytes]:
    made = []
    now = NOW_S * 1000
    for index, name in enumerate(NAMES):
        links = tuple(derive(GROUP, LINK, peer(name), peer(other)) for other in NAMES if other != name)
        fields: dict[str, Any] = {
            "groups": (GROUP, MAP) if name == "a" else (GROUP,),
            "streams": (SURFACE, *links),
            "tickets": (admission(name, issuer), admission(name, f"only-{name}")),
            "addresses": (f"10.0.0.{index + 1}:7301", f"[fe80::{index + 1}]:7301"),
            "relays": ("http://10.0.0.9:3340/",),
        }
        made.append(signed(name, started_ms=now, updated_ms=now, **(fields | changes.get(name, {}))))
    made.append(signed("upstream", started_ms=now, updated_ms=now, streams=(OTHER,)))
    return made


@pytest.fixture
def known() -> Iterator[Peer]:
    """One peer that knows all."""
    with running("a", {SYNC: telling(*entries())}) as one:
        yield one


def test_both_files_say_what_the_wire_tells(
    known: Peer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", *FLAGS, "--from-peer", str(known.point)]) == 0
    said = capsys.readouterr().err
    assert "to fill in: organism.toml" in said
    assert "acl[0].keys: missing" in said
    deployment = load_deployment(Path("deployment.toml"))  # whole: it has no problems
    assert [node.peer_id for node in deployment.nodes] == sorted(peer(name) for name in NAMES)
    assert deployment.carrier == "mosaik"
    assert deployment.mosaik.relay == "http://10.0.0.9:3340/"
    own = next(node for node in deployment.nodes if node.peer_id == peer("a"))
    assert own.address == known.point.address  # where it answered, before what it says
    text = (here / "organism.toml").read_text()
    value = tomllib.loads(text)
    assert value["surface"] == [{"name": "surface-1", "type": "stream", "id": SURFACE.hex()}]
    assert value["acl"] == [{"type": "jwt", "issuers": ["acme-admission"]}]
    assert GROUP.hex() in text
    assert OTHER.hex() in text
    assert text.count("# ?") > 8
    assert "only-a" not in text
    assert derive(GROUP, LINK, peer("a"), peer("b")).hex() not in text
    with pytest.raises(InputError) as problems:
        load_organism(Path("organism.toml"))
    assert [one.key for one in problems.value.problems] == ["acl[0].keys"]


def test_with_the_issuers_key_the_drafts_are_whole(
    known: Peer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del here
    acl = ["--acl", f"acme-admission={KEY}"]
    assert run(["init", "made", *FLAGS, *acl, "--from-peer", str(known.point)]) == 0
    assert "to fill in" not in capsys.readouterr().err
    assert load_organism(Path("made/organism.toml")).config.network == NETWORK
    assert run(["init", "made", *FLAGS, "--from-peer", str(known.point)]) == 4


def test_a_hostile_issuers_name_stays_text(here: Path) -> None:
    name = 'x"]\nname = "evil" \x7f\u202e\U0001f600'
    with running("a", {SYNC: telling(*entries(name))}) as one:
        assert run(["init", *FLAGS, "--from-peer", str(one.point)]) == 0
    text = (here / "organism.toml").read_text()
    assert tomllib.loads(text)["acl"][0]["issuers"] == [name]
    assert "\u202e" not in text


def test_which_group_is_the_committee_is_never_guessed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice: dict[str, Any] = {name: {"groups": (GROUP, MAP)} for name in NAMES}
    with ExitStack() as stack:
        one = stack.enter_context(running("a", {SYNC: telling(*entries(**twice))}))
        assert run(["init", *FLAGS, "--from-peer", str(one.point)]) == 1
        assert "--group ID" in capsys.readouterr().err
        assert not list(here.glob("*.toml"))
        assert run(["init", *FLAGS, "--from-peer", str(one.point), "--group", "0" * 64]) == 1
        assert run(["init", *FLAGS, "--from-peer", str(one.point), "--group", GROUP.hex()]) == 0
    with running("a", {SYNC: telling(*entries(a={"groups": ()}))}) as none:
        assert run(["init", "x", *FLAGS, "--from-peer", str(none.point)]) == 1
    assert "has joined no group" in capsys.readouterr().err


def test_peers_without_an_address_or_a_stream_are_marked(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare: dict[str, Any] = {
        name: {"streams": (), "addresses": (), "relays": (), "tickets": ()} for name in NAMES
    }
    with running("a", {SYNC: telling(*entries(**bare))}) as one:
        assert run(["init", *FLAGS, "--from-peer", str(one.point)]) == 0
    said = capsys.readouterr().err
    assert "node[1].address: missing" in said or "node[0].address: missing" in said
    assert "its members serve no stream in common" in (here / "organism.toml").read_text()
    tomllib.loads((here / "deployment.toml").read_text())


def test_through_a_node_and_what_goes_wrong(
    here: Path, known: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"catalog": base64.urlsafe_b64encode(encode_catalog(entries())).decode().rstrip("=")}
    point = f"{peer('a').hex()}@10.0.0.1:7301"
    with serving(lambda _path, _auth: (200, body)) as url:
        assert run(["init", "via", *FLAGS, "--from-peer", point, "--via", url]) == 0
    assert len(load_deployment(here / "via/deployment.toml").nodes) == 3
    gone = f"{peer('z').hex()}@127.0.0.1:9"
    assert run(["init", "x", *FLAGS, "--from-peer", gone]) == 5
    assert run(["init", "x", "--name", "n", "--network", "elsewhere", "--from-peer", str(known.point)]) == 5
    for words in (
        ["--name", "n", "--from-peer", gone],
        [*FLAGS, "--from-peer", "nobody"],
        [*FLAGS, "--from-peer", gone, "--node", "a=http://b"],
        [*FLAGS, "--from-peer", gone, "--group", "short"],
        [*FLAGS, "--group", "0" * 64],
        ["--name", "no name", "--network", "n", "--from-peer", gone],
    ):
        assert run(["init", "x", *words]) == 64, words
    assert not (here / "x").exists()
    capsys.readouterr()
