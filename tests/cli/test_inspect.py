"""``inspect`` against real peers on loopback: iroh endpoints that tell catalogs and serve streams."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate

from organismctl.cli.app import run
from organismctl.identity.digest import h
from organismctl.identity.jwt import issue_jwt
from organismctl.identity.peer_entry import PeerTicket, encode_catalog
from organismctl.identity.surface_item import Certificate, Fact, SurfaceItem, encode_item
from organismctl.identity.validator import JWT_CLASS
from organismctl.report.schema import schemas
from tests.identity.entries import NETWORK, peer, signed
from tests.observe.servers import fault, serving
from tests.observe.wire.peers import STREAMS, SYNC, Peer, closing, running, streaming, telling

STREAM, GROUP = h(b"a stream"), h(b"a group")
NOW_S = int(time.time())
TICKET = issue_jwt("EdDSA", h(b"an issuer, a test key"), peer("a"), issued_at_s=NOW_S, expires_at_s=NOW_S + 864_000,
                   issuer="acme\x1b[31m")  # fmt: skip
NET = ["--network", NETWORK.hex()]


def items(count: int) -> list[bytes]:
    return [encode_item(SurfaceItem(seq, seq, Fact(b"x"), Certificate(1, ()))) for seq in range(count)]


def catalog(*names: str, **fields: Any) -> list[bytes]:
    """Entries of now: mosaik's clock is the wall's."""
    now = NOW_S * 1000
    return [signed(name, started_ms=now - 90_000, updated_ms=now, **fields.get(name, {})) for name in names]


def peers() -> dict[str, dict[str, Any]]:
    """What each peer says of itself."""
    tickets = (PeerTicket(JWT_CLASS, TICKET), PeerTicket(h(b"another class"), b"?"))
    return {
        "a": {"streams": (STREAM,), "groups": (GROUP,), "tickets": tickets, "addresses": ("127.0.0.1:7301",)},
        "b": {"groups": (GROUP,), "addresses": ("127.0.0.1:7302", "[::1]:7302")},
        "c": {"relays": ("http://10.0.0.1:3340/",)},
    }


@pytest.fixture
def two() -> Iterator[tuple[Peer, Peer]]:
    """Peer a, which serves a stream and knows of c; peer b, which does not know of c."""
    known = peers()
    with ExitStack() as stack:
        a = stack.enter_context(
            running("a", {SYNC: telling(*catalog("a", "b", "c", **known)), STREAMS: streaming(items(5))})
        )
        b = stack.enter_context(running("b", {SYNC: telling(*catalog("a", "b", **known))}))
        yield a, b


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON, which holds to its schema."""
    code = run(["inspect", *words, "--format", "json"])
    value = json.loads(capsys.readouterr().out)
    validate(value, schemas()["inspect.schema.json"])
    assert value["exit"] == code
    return code, value


def test_a_network_that_one_has_never_seen(
    two: tuple[Peer, Peer], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two
    code, value = shown(capsys, str(a.point), str(b.point), *NET)
    assert code == 0
    assert [door["entries"] for door in value["entry_points"]] == [3, 2]
    rows = {one["peer_id"]: one for one in value["peers"]}
    assert set(rows) == {peer(name).hex() for name in "abc"}
    assert rows[peer("c").hex()]["missed_by"] == [str(b.point)]
    assert value["groups"] == [{"group_id": GROUP.hex(), "peers": sorted(peer(name).hex() for name in "ab")}]
    assert value["streams"] == [{"stream_id": STREAM.hex(), "peers": [peer("a").hex()]}]
    (jwt, other) = sorted(rows[peer("a").hex()]["tickets"], key=lambda one: one["kind"])
    assert (jwt["issuer"], jwt["expires_at_s"], jwt["for_this_peer"]) == (
        "acme\x1b[31m",
        NOW_S + 864_000,
        True,
    )
    assert other["problem"] == "a class that this tool does not know"
    assert a.received[0] == encode_catalog(())  # nothing of ours is published by a look


def test_the_page_fits_80_columns_and_holds_no_ticket(
    two: tuple[Peer, Peer], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    a, b = two
    assert run(["inspect", str(a.point), str(b.point), *NET]) == 0
    page = capsys.readouterr().out
    assert max(len(line) for line in page.splitlines()) <= 80
    assert "\x1b" not in page
    assert TICKET.decode() not in page
    for word in ("PEER", "0.3.18", "GROUP", "STREAM", "acme", "known to", "2 of 2", "1 of 2"):
        assert word in page, page


def test_without_a_network_its_peers_say_which(
    two: tuple[Peer, Peer], capsys: pytest.CaptureFixture[str]
) -> None:
    code, value = shown(capsys, str(two[0].point))
    assert code == 0
    assert value["network"] == {"text": None, "id": None, "seen": [NETWORK.hex()]}


def test_a_stream_is_listened_to(two: tuple[Peer, Peer], capsys: pytest.CaptureFixture[str]) -> None:
    a, _ = two
    words = (str(a.point), *NET, "--stream", STREAM.hex(), "--listen", "3s")
    code, value = shown(capsys, *words)
    assert code == 0
    (heard,) = value["heard"]
    assert (heard["items"], heard["last_seq"], heard["peer_id"]) == (5, 4, peer("a").hex())
    assert run(["inspect", *words]) == 0
    assert "5 items" in capsys.readouterr().out


def test_a_stream_that_nobody_serves_and_one_that_refuses_us(capsys: pytest.CaptureFixture[str]) -> None:
    with running("a", {SYNC: telling(*catalog("a", a={"streams": (STREAM,)})), STREAMS: closing(10403)}) as a:
        code, value = shown(
            capsys, str(a.point), *NET, "--stream", "nobody's", "--stream", STREAM.hex(), "--listen", "1s"
        )
    assert code == 5
    nobody, refused = value["heard"]
    assert "no peer in the catalogs serves it" in nobody["reason"]
    assert (refused["cause"], refused["items"]) == ("observer", None)


def test_an_entry_point_that_is_not_there_is_5_with_the_reason(
    two: tuple[Peer, Peer], capsys: pytest.CaptureFixture[str]
) -> None:
    gone = f"{peer('z').hex()}@127.0.0.1:9"
    code, value = shown(capsys, gone, *NET, "--timeout", "500ms")
    assert code == 5
    (door,) = value["entry_points"]
    assert not door["answered"]
    assert door["reason"]
    assert value["peers"] == []
    code, value = shown(capsys, str(two[0].point), gone, *NET, "--timeout", "10s")
    assert code == 5
    assert len(value["peers"]) == 3


def test_what_does_not_prove_is_told_with_its_sender(capsys: pytest.CaptureFixture[str]) -> None:
    (lie,) = catalog("victim")
    with running("a", {SYNC: telling(*catalog("a"), lie[:-1] + bytes([lie[-1] ^ 1]))}) as a:
        code, value = shown(capsys, str(a.point), *NET)
        assert run(["inspect", str(a.point), *NET]) == 5
    assert code == 5
    assert [one["peer_id"] for one in value["peers"]] == [peer("a").hex()]
    (problem,) = value["entry_points"][0]["problems"]
    assert problem["peer_id"] == peer("victim").hex()
    assert f"told by {peer('a').hex()[:10]}@" in capsys.readouterr().out.replace("\n", " ").replace("  ", "")


def test_another_network_is_not_this_one(two: tuple[Peer, Peer], capsys: pytest.CaptureFixture[str]) -> None:
    code, value = shown(capsys, str(two[0].point), "--network", "elsewhere")
    assert code == 5
    assert value["peers"] == []
    assert any("of another network" in one["what"] for one in value["entry_points"][0]["problems"])


def test_through_a_node_where_udp_is_blocked(capsys: pytest.CaptureFixture[str]) -> None:
    import base64

    raw = encode_catalog(catalog("a", "b", **peers()))
    body = {"catalog": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    point = f"{peer('a').hex()}@127.0.0.1:7301"
    with serving(
        lambda path, _auth: (200, body) if path == "/v1/wire/catalog" else fault(404, "not_found")
    ) as url:
        code, value = shown(capsys, point, *NET, "--via", url)
        assert code == 0
        assert len(value["peers"]) == 2
    with serving(lambda _path, _auth: fault(404, "not_found")) as url:
        assert shown(capsys, point, *NET, "--via", url)[0] == 5
    with serving(lambda _path, _auth: (200, {"catalog": "!"})) as url:
        code, value = shown(capsys, point, *NET, "--via", url)
        assert (code, value["entry_points"][0]["cause"]) == (5, "malformed")


def test_a_mistyped_network_is_warned_of(two: tuple[Peer, Peer], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(two[0].point), "--network", f"0x{NETWORK.hex()}"]) == 5
    assert "looks like an id" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["nobody"],
        ["ab@127.0.0.1:1"],
        [f"{'0' * 64}@127.0.0.1:1", "--stream", "x"],
        [f"{'0' * 64}@127.0.0.1:1", "--via", "ftp://x"],
        [f"{'0' * 64}@127.0.0.1:1", "--via", "http://a", "--via", "http://b"],
        [f"{'0' * 64}@127.0.0.1:1", "--network", "n", "--stream", "x", "--via", "http://a"],
        [f"{'0' * 64}@127.0.0.1:1", "--format", "xml"],
        [f"{'0' * 64}@127.0.0.1:1", "--timeout", "soon"],
    ],
)
def test_what_is_wrong_with_the_command_line_is_64(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", *words]) == 64
    assert capsys.readouterr().out == ""


def test_a_key_is_read_and_never_shown(
    two: tuple[Peer, Peer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, seed = tmp_path / "observer.key", h(b"an observer, a test key").hex()
    key.write_text(seed)
    key.chmod(0o600)
    ticket = tmp_path / "observer.ticket"
    ticket.write_bytes(TICKET)
    words = ["inspect", str(two[0].point), *NET, "--key", str(key), "--ticket", str(ticket)]
    assert run([*words, "--stream", STREAM.hex(), "--listen", "200ms"]) == 0
    said = "".join(capsys.readouterr())
    assert seed not in said
    assert TICKET.decode() not in said
    key.write_text("no seed")
    assert run(words) == 1
    assert "holds no seed" in capsys.readouterr().err
