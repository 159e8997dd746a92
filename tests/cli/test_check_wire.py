"""The checks against real peers on loopback: iroh endpoints that stand for the committee's mosaik nodes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from organismctl.cli.app import run
from organismctl.identity.digest import h
from organismctl.identity.jwt import issue_jwt
from organismctl.identity.peer_entry import PeerEntry, PeerTicket, encode_catalog, sign_entry
from organismctl.identity.validator import JWT_CLASS
from organismctl.report.schema import schemas
from tests.check.wire_worlds import BETA_STREAM, CONFIG, GROUP, OTHER, SURFACE
from tests.check.worlds import ISSUER, NAMES, ORGANISM, PEERS, SEEDS
from tests.observe.servers import Answer, fault, serving
from tests.observe.wire.peers import STREAMS, SYNC, Peer, running, streaming, telling
from tests.support.waiting import wait_until_holds

BETA_SEED = h(b"a peer of beta")
NOW_S = int(time.time())
FORKED = h(b"another committee")
Rows = dict[tuple[str, str], dict[str, Any]]


def admission(name: str) -> bytes:
    return issue_jwt("EdDSA", ISSUER, bytes.fromhex(PEERS[name]), issued_at_s=NOW_S, expires_at_s=NOW_S + 30 * 86_400,
                     issuer="acme-admission")  # fmt: skip


def entries(forked: str = "") -> list[bytes]:
    """The committee's signed entries, and beta's; ``forked`` has joined another group."""
    made = []
    for name in NAMES:
        group = FORKED if name == forked else bytes.fromhex(GROUP)
        entry = PeerEntry(
            "0.3.18", CONFIG.network, NOW_S * 1000, NOW_S * 1000, bytes.fromhex(PEERS[name]),
            streams=(bytes.fromhex(SURFACE),), groups=(group, bytes.fromhex(OTHER)),
            tickets=(PeerTicket(JWT_CLASS, admission(name)),),
        )  # fmt: skip
        made.append(sign_entry(entry, SEEDS[name]))
    beta = PeerEntry("0.3.18", CONFIG.network, NOW_S * 1000, NOW_S * 1000, _peer(BETA_SEED),
                     streams=(bytes.fromhex(BETA_STREAM),))  # fmt: skip
    return [*made, sign_entry(beta, BETA_SEED)]


def _peer(seed: bytes) -> bytes:
    from organismctl.identity.peer import peer_id_from_seed

    return peer_id_from_seed(seed)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with organism.toml and the group secret; the deployment follows."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "organism.toml").write_text(ORGANISM)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/group.secret").write_text("a test secret\n")
    (tmp_path / "secrets/group.secret").chmod(0o600)
    return tmp_path


def deploy(place: Path, addresses: dict[str, str], peers: str = "", url: str | None = None) -> None:
    lines = ["schema = 1", "[secrets]", 'group = "secrets/group.secret"']
    for name in NAMES:
        lines += ["[[node]]", f'name = "{name}"', f'peer_id = "{PEERS[name]}"']
        lines += [f'address = "{addresses[name]}"'] if name in addresses else []
        lines += [f'url = "{url}"'] if url is not None and name == "node-a" else []
    lines += ["[[span]]", 'name = "beta"', *([f'peers = ["{peers}"]'] if peers else [])]
    lines += ["[thresholds]", 'probe_timeout = "20s"']  # a look at the wire takes its time on a busy machine
    (place / "deployment.toml").write_text("\n".join(lines) + "\n")


@pytest.fixture
def network(place: Path) -> Iterator[dict[str, Peer]]:
    """Three nodes and beta, node-c forked."""
    catalog = entries("node-c")
    with ExitStack() as stack:
        behaviours = {SYNC: telling(*catalog), STREAMS: streaming([])}
        peers = {name: stack.enter_context(running(name, behaviours, SEEDS[name])) for name in NAMES}
        peers["beta"] = stack.enter_context(running("beta", behaviours, BETA_SEED))
        deploy(place, {name: peers[name].point.address for name in NAMES}, str(peers["beta"].point))
        yield peers


def judged(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Rows]:
    code = run(["check", *words, "--format", "json"])
    value = json.loads(capsys.readouterr().out)
    jsonschema.validate(value, schemas()["check.schema.json"])
    return code, {(row["code"], row["subject"]): row for row in value["findings"]}


def seen(
    capsys: pytest.CaptureFixture[str], *words: str, judge: Callable[[int, Rows], object]
) -> tuple[int, Rows]:
    """Check until one look shows all that ``judge`` asserts: a busy machine may not answer in a look's time."""
    return wait_until_holds(f"check {words}", lambda: judged(capsys, *words), lambda look: judge(*look))


def test_the_checks_see_a_fork_admissions_surfaces_and_spans(
    network: dict[str, Peer], capsys: pytest.CaptureFixture[str]
) -> None:
    del network

    def whole(code: int, rows: Rows) -> None:
        assert code == 6
        assert rows["GROUP-FORKED", "node-a"]["status"] == "ok"
        assert rows["GROUP-FORKED", "node-c"]["status"] == "bad"
        assert rows["TICKET-ADMISSION", "node-b"]["status"] == "ok"
        assert rows["SURFACE-UNSERVED", "facts"]["values"]["served"] == [*NAMES]
        assert rows["SPAN-UNSERVED", "beta / facts"]["status"] == "ok"
        assert rows["WIRE-UNREACHABLE", "node-a"]["status"] == "ok"

    seen(capsys, "all", judge=whole)
    _, without = judged(capsys, "all", "--no-wire")
    assert not [key for key in without if key[0] in ("WIRE-UNREACHABLE", "TICKET-ADMISSION")]


def test_a_look_that_was_kept_carries_the_wire(
    network: dict[str, Peer], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def kept_look() -> tuple[int, Rows]:
        assert run(["observe", "-o", "seen.json"]) == 5  # the nodes have no url
        capsys.readouterr()
        return judged(capsys, "all", "--from", "seen.json")

    def whole(look: tuple[int, Rows]) -> None:
        code, rows = look
        assert code == 6
        assert rows["GROUP-FORKED", "node-c"]["status"] == "bad"
        assert rows["TICKET-ADMISSION", "node-a"]["status"] == "ok"
        assert rows["SPAN-UNSERVED", "beta / facts"]["status"] == "ok"

    wait_until_holds("a whole look is kept", kept_look, whole)
    kept = json.loads((place / "seen.json").read_text())
    jsonschema.validate(kept, schemas()["snapshot.schema.json"])
    assert kept["holds_tickets"]
    capsys.readouterr()
    for peer in network.values():
        peer.behaviours.clear()  # nobody answers any more
    whole(judged(capsys, "all", "--from", "seen.json"))
    assert run(["check", "all", "--from", "seen.json", "--no-wire"]) == 64


def test_what_is_shown_of_a_look_holds_no_ticket(
    network: dict[str, Peer], capsys: pytest.CaptureFixture[str]
) -> None:
    del network
    run(["observe", "--format", "json"])
    said = capsys.readouterr().out
    value = json.loads(said)
    assert value["holds_tickets"] is False
    assert any(fact["kind"] == "wire.peer" for fact in value["facts"])
    for name in NAMES:
        assert base64.urlsafe_b64encode(admission(name)).decode().rstrip("=") not in said
        assert admission(name).decode() not in said


def test_a_subscriber_hears_each_node(network: dict[str, Peer], capsys: pytest.CaptureFixture[str]) -> None:
    del network

    def each_of_ours(_: int, rows: Rows) -> None:
        heard = {subject: row for (code, subject), row in rows.items() if code == "SURFACE-HEARD"}
        assert set(heard) == {f"facts @ {name}" for name in NAMES}
        assert {row["status"] for row in heard.values()} == {"warn"}

    def beta(_: int, rows: Rows) -> None:
        found = [row["subject"] for (code, _), row in rows.items() if code == "SPAN-HEARD"]
        assert len(found) == 1
        assert found[0].startswith("beta / facts @ ")
        assert not [code for code, _ in rows if code == "SURFACE-HEARD"]

    seen(capsys, "surfaces", "--listen", "1s", judge=each_of_ours)
    seen(capsys, "identity", "--listen", "1s", judge=beta)


def test_through_a_node_where_udp_is_blocked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = encode_catalog(entries("node-c"))

    def answer(path: str, _auth: str | None) -> Answer:
        body = {"catalog": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
        return (200, body) if path == "/v1/wire/catalog" else fault(404, "not_found")

    with serving(answer) as url:
        deploy(place, {"node-a": "127.0.0.1:9"}, url=url)
        _, rows = judged(capsys, "committee", "--via", "node-a")
        assert rows["GROUP-FORKED", "node-c"]["status"] == "bad"
        assert rows["GROUP-FORKED", "node-a"]["status"] == "ok"
        assert "via node-a" in rows["WIRE-UNREACHABLE", "node-a"]["sources"][0]["source"]
        assert run(["observe", "--via", "node-a"]) == 5
        assert "wire.catalog" in capsys.readouterr().out
    assert run(["check", "committee", "--via", "nobody"]) == 1
    assert run(["check", "committee", "--via", "node-b"]) == 1
    assert run(["check", "committee", "--via", "node-a", "--no-wire"]) == 64
    assert run(["check", "surfaces", "--via", "node-a", "--listen", "1s"]) == 64


def test_the_observers_own_trouble_is_not_the_committees(
    network: dict[str, Peer], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del network
    text = (place / "deployment.toml").read_text()
    key = '[observer]\nkey = "secrets/observer.key"\n[secrets]'
    (place / "deployment.toml").write_text(text.replace("[secrets]", key))

    def its_own(_: int, rows: Rows) -> None:
        row = rows["OBSERVER-REFUSED", "facts @ node-a"]
        assert row["status"] == "unknown"
        assert "observer.key" in row["summary"]
        assert (
            rows["SURFACE-UNSERVED", "facts"]["status"] == "ok"
        )  # a catalog needs nothing of the observer's

    seen(capsys, "surfaces", "--listen", "100ms", judge=its_own)


def test_the_table_of_a_look_shows_ids_short(
    network: dict[str, Peer], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("organismctl.cli.observe.SHOWN_PEERS", 2)
    run(["observe"])
    page = capsys.readouterr().out
    assert PEERS["node-a"] not in page
    assert PEERS["node-a"][:10] in page
    assert "and 2 more peers" in page
    assert network["beta"].point.address in page
