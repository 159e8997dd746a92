"""``tickets`` as an operator and an issuer run it: from the key to the ticket that is seen on its node."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from organismctl.cli.app import run
from organismctl.files.ticket_papers import load_bundle, load_request
from organismctl.identity.digest import derive
from organismctl.identity.validator import JWT_CLASS
from organismctl.observe.surface import unbase64
from organismctl.report.schema import schemas
from tests.check.worlds import ISSUER_KEY, NOW_S, ORGANISM, PEERS, ticket
from tests.observe.servers import LoopbackServer

TOKEN = "canary-operate-token"


class Nodes:
    """The node API's tickets of every node, in memory; what is installed is admitted when ``admits``."""

    def __init__(self) -> None:
        self.held: dict[str, list[dict[str, Any]]] = {}
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.admits = True
        self.step: str | None = None

    def post(self, name: str, body: dict[str, Any]) -> None:
        self.posted.append((name, body))
        made = derive(bytes.fromhex(body["class"]), unbase64(body["data"])).hex()
        self.held.setdefault(name, []).append({
            "span": body["span"], "class": body["class"], "ticket_id": made, "horizon_ms": None,
            "valid": self.admits, "failing_step": self.step,
        })  # fmt: skip


@contextmanager
def node_api(nodes: Nodes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, value: Any, code: int = 200) -> None:
            body = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer({"tickets": nodes.held.get(self.path.split("/")[1], [])})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.headers["authorization"] != f"Bearer {TOKEN}":
                self.answer({"error": {"code": "forbidden", "message": "no", "advice": None}}, 403)
                return
            nodes.post(self.path.split("/")[1], body)
            self.answer({})

        def log_message(self, *_args: Any) -> None:
            """Quiet."""

    server = LoopbackServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: Nodes) -> Iterator[Path]:
    """A folder with an organism of two nodes, whose spanned member takes tickets of ``issuer.key``."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "acme"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "organism.toml").write_text(ORGANISM)
    (folder / "operate.token").write_text(TOKEN)
    (folder / "operate.token").chmod(0o600)
    with node_api(nodes) as url:
        lines = ["# ours", "schema = 1", "[secrets]", 'operate_token = "operate.token"']
        for name in ("node-a", "node-b"):
            lines += ["[[node]]", f'name = "{name}"', f'peer_id = "{PEERS[name]}"', f'url = "{url}/{name}"']
        lines += ["[[span]]", 'name = "beta"', 'contact = "noc@beta.example"']
        (folder / "deployment.toml").write_text("\n".join(lines) + "\n")
        yield folder


def issuer(folder: Path, capsys: pytest.CaptureFixture[str], alg: str = "EdDSA") -> str:
    """Make an issuer's key and let beta accept it; gives the key's secret in hex."""
    assert (
        run(["tickets", "issue", "--new-key", "--key", "issuer.key", "--alg", alg, "--issuer", "beta"]) == 0
    )
    stanza = capsys.readouterr().out
    key = stanza.split('key = "')[1].split('"')[0]
    text = ORGANISM.replace(f'alg = "EdDSA", key = "{ISSUER_KEY}"', f'alg = "{alg}", key = "{key}"', 1)
    (folder / "organism.toml").write_text(text)
    return str(json.loads((folder / "issuer.key").read_text())["secret"])


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "ES384", "ES512"])
def test_a_whole_renewal_and_no_secret_in_any_output(
    place: Path, nodes: Nodes, capsys: pytest.CaptureFixture[str], alg: str
) -> None:
    secret = issuer(place, capsys, alg)
    assert (place / "issuer.key").stat().st_mode & 0o777 == 0o600
    steps = [
        ["request", "--span", "beta", "-o", "request.json"],
        ["issue", "--key", "issuer.key", "--request", "request.json", "--lifetime", "20d"],
        ["show", "bundle.json"],
        ["show", "bundle.json", "--format", "json"],
        ["import", "bundle.json"],
        ["show"],
        ["show", "--format", "json"],
        ["install", "--span", "beta"],
        ["--debug", "import", "bundle.json"],
    ]
    for step in steps:
        assert run(["tickets", *step]) == 0, step
    shown = "".join(capsys.readouterr())
    bundle = load_bundle(place / "bundle.json")
    assert [name for name, _ in nodes.posted] == ["node-a", "node-b"]
    for (_, posted), one in zip(nodes.posted, bundle.tickets, strict=True):
        assert unbase64(posted["data"]) == one.data
        assert posted["replace"] is True
        text = one.data.decode()
        for hidden in (text, *text.split("."), posted["data"], one.data.hex()):
            assert hidden not in shown
    assert secret not in shown
    assert TOKEN not in shown
    assert secret not in (place / "bundle.json").read_text() + (place / "request.json").read_text()
    assert (place / "bundle.json").stat().st_mode & 0o777 == 0o600
    assert (place / "tickets" / "node-a.beta.ticket").stat().st_mode & 0o777 == 0o600
    assert (place / "deployment.toml").read_text().startswith("# ours\n")
    assert "next: send it to noc@beta.example" in shown
    assert "node-a × beta: seen on the node" in shown


def test_a_request_for_our_own_committee(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tickets", "request", "--committee"]) == 0
    assert json.loads(capsys.readouterr().out)["span"] == "committee"
    for args in (["--committee", "--span", "beta"], []):
        assert run(["tickets", "request", *args]) == 64
        assert "give either --span NAME or --committee" in capsys.readouterr().err


def test_a_request_is_printed_or_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tickets", "request", "--span", "beta", "--node", "node-b", "--lifetime", "12h"]) == 0
    printed = capsys.readouterr().out
    assert (
        run(["tickets", "request", "--span", "beta", "--node", "node-b", "--lifetime", "12h", "-o", "r"]) == 0
    )
    assert capsys.readouterr().out == ""
    assert (place / "r").read_text() == printed
    made = load_request(place / "r")
    assert (made.lifetime_s, [one.node for one in made.holders], made.issuers) == (
        43_200,
        ["node-b"],
        ("beta",),
    )


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["request"], 64), (["request", "--span", "gamma"], 1), (["request", "--span", "beta", "--node", "x"], 1),
        (["request", "--span", "beta", "--lifetime", "long"], 64),
        (["request", "--span", "beta", "--lifetime", "5ms"], 64),
        (["show", "--format", "html"], 64), (["show", "nowhere"], 1), (["import", "nowhere.json"], 1), (["import"], 64),
        (["install", "--span", "gamma"], 1), (["install", "--node", "node-z"], 1), (["install", "--wait", "x"], 64),
        (["issue", "--key", "k"], 64), (["issue", "--key", "k", "--new-key", "--request", "r"], 64),
        (["issue", "--key", "k", "--new-key", "--alg", "HS256"], 1),
        (["issue", "--key", "nowhere", "--request", "r"], 1),
    ],
)  # fmt: skip
def test_what_is_wrong_says_the_next_step(
    place: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int
) -> None:
    assert run(["tickets", *argv]) == code
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert "next: " in shown.err
    assert "defect" not in shown.err


def test_a_key_that_is_none_is_refused_without_showing_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tickets", "request", "--span", "beta", "-o", "request.json"]) == 0
    path = place / "bad.key"
    bad: list[Any] = ["canary-key", '{"alg": "EdDSA"}', '{"alg": "EdDSA", "secret": "canary"}', "[]",
                      '{"alg": 5, "secret": ""}',
                      '{"alg": "EdDSA", "secret": "abcd"}', '{"alg": "none", "secret": "abcd"}',
                      '{"alg": "ES256", "secret": "' + "00" * 32 + '"}']  # fmt: skip
    for text in bad:
        path.write_text(text)
        path.chmod(0o600)
        assert run(["tickets", "issue", "--key", "bad.key", "--request", "request.json"]) == 1, text
        shown = "".join(capsys.readouterr())
        assert "canary" not in shown
        assert "defect" not in shown
    path.chmod(0o644)
    assert run(["tickets", "issue", "--key", "bad.key", "--request", "request.json"]) == 4
    assert run(["tickets", "issue", "--new-key", "--key", "bad.key"]) == 1


def test_show_tells_what_tickets_claim(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = ticket("node-a", issuer="be\x1b[31mta\u202e", days=None)
    (place / "good").write_bytes(ticket("node-a") + b"\n")
    (place / "hostile").write_bytes(hostile)
    (place / "junk").write_bytes(b"canary.junk")
    assert run(["tickets", "show", "good", "hostile", "junk"]) == 0
    out = capsys.readouterr().out
    lines = [[cell for cell in line.split("  ") if cell] for line in out.splitlines()]
    assert [[cell.strip() for cell in line if cell.strip() != line[2].strip()] for line in lines] == [
        ["ticket", "kind", "issuer", "holder", "issued", "expires", "problem"],
        ["good", "jwt", "beta", PEERS["node-a"][:10], "2026-11-23 06:00Z", "2026-12-24 06:00Z"],
        ["hostile", "jwt", "be\ufffd[31mta\ufffd", PEERS["node-a"][:10], "2026-11-23 06:00Z", "never"],
        ["junk", "jwt", "-", "-", "-", "-", "parts: 2 dot-separated parts, three are needed"],
    ]
    assert [line[2].strip() for line in lines[1:]] == [
        derive(JWT_CLASS, data).hex()[:10] for data in (ticket("node-a"), hostile, b"canary.junk")
    ]
    assert run(["tickets", "show", "good", "hostile", "junk", "--format", "json"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\u202e" not in text
    value = json.loads(text)
    jsonschema.validate(value, schemas()["tickets-show.schema.json"])
    assert [row["never_expires"] for row in value["tickets"]] == [False, True, False]
    assert value["tickets"][0]["expires_at_s"] == NOW_S + 30 * 86_400
    assert value["tickets"][0]["holder"] == PEERS["node-a"]
    assert value["tickets"][1]["issuer"] == "be\x1b[31mta\u202e"
    assert value["tickets"][2]["problem"]


def test_show_without_files_has_a_row_for_each_of_ours(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tickets", "show"]) == 0
    assert capsys.readouterr().out == "no tickets\n"
    with (place / "deployment.toml").open("a") as file:
        file.write('[[span.ticket]]\nnode = "node-a"\nfile = "absent.ticket"\n')
    assert run(["tickets", "show", "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    jsonschema.validate(value, schemas()["tickets-show.schema.json"])
    assert value["tickets"][0]["ticket_id"] is None
    assert "absent.ticket" in value["tickets"][0]["problem"]
    (place / "deployment.toml").unlink()
    assert run(["tickets", "show"]) == 1


def test_a_bundle_that_is_refused_writes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    issuer(place, capsys)
    assert run(["tickets", "request", "--span", "beta", "-o", "request.json"]) == 0
    assert (
        run(["tickets", "issue", "--key", "issuer.key", "--request", "request.json", "--issuer", "mallory"])
        == 0
    )
    before = (place / "deployment.toml").read_text()
    assert run(["tickets", "import", "bundle.json"]) == 4
    shown = capsys.readouterr()
    assert "node-a × beta: fails at step issuer" in shown.err
    assert "node-b × beta: fails at step issuer" in shown.err
    assert (place / "deployment.toml").read_text() == before
    assert not (place / "tickets").exists()


def test_an_earlier_bundle_needs_a_word(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    issuer(place, capsys)
    assert run(["tickets", "request", "--span", "beta", "-o", "request.json"]) == 0
    issue = ["tickets", "issue", "--key", "issuer.key", "--request", "request.json"]
    assert run(issue) == run(["tickets", "import", "bundle.json"]) == 0
    assert run([*issue, "--lifetime", "1d"]) == 0
    assert run(["tickets", "import", "bundle.json"]) == 4
    assert "earlier than the present one's" in capsys.readouterr().err
    assert run(["tickets", "import", "bundle.json", "--allow-earlier"]) == 0
    assert "old horizon" in capsys.readouterr().out


def test_an_installation_that_fails_is_told_for_its_node(
    place: Path, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer(place, capsys)
    assert run(["tickets", "install"]) == 0
    assert capsys.readouterr().out == "no ticket files to install\n"
    for step in (["request", "--span", "beta", "-o", "r"], ["issue", "--key", "issuer.key", "--request", "r"],
                 ["import", "bundle.json"]):  # fmt: skip
        assert run(["tickets", *step]) == 0
    nodes.admits, nodes.step = False, "audience"
    assert run(["tickets", "install"]) == 4
    out = capsys.readouterr().out
    assert "node-a × beta: not installed: the node refuses the ticket at step audience" in out
    nodes.step, nodes.held = None, {}
    began = time.monotonic()
    assert run(["tickets", "install", "--node", "node-b", "--wait", "1s"]) == 1
    assert time.monotonic() - began < 25, "it waits as long as it is told, not the 30 s of the default"
    assert "does not show the ticket after 1 s" in capsys.readouterr().out
    (place / "operate.token").write_text("another-token")
    assert run(["tickets", "install"]) == 5
    (place / "operate.token").unlink()
    assert run(["tickets", "install"]) == 1
    assert capsys.readouterr().out.count("not installed") == 4
