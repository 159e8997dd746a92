"""deployment.toml: what it gives, what it refuses, and what it must agree on with organism.toml."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from organismctl.errors import InputError, Problem
from organismctl.files.deployment import (
    Deployment,
    Thresholds,
    cross_check,
    load_deployment,
    parse_deployment,
)
from organismctl.files.organism import load_organism

FORMATS = Path(__file__).parents[2] / "docs" / "formats"
PATH = FORMATS / "deployment.toml"
TEXT = PATH.read_text()
HEX = "0123456789abcdef" * 4


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def problems(text: str) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        parse_deployment(text, PATH)
    return list(caught.value.problems)


def test_example() -> None:
    deployment = load_deployment(PATH)
    assert deployment.operator == "alice@acme"
    assert [node.name for node in deployment.nodes] == ["node-a", "node-b"]
    node = deployment.node("node-a")
    assert node is not None
    assert node.roster
    assert node.start[0] == "organismctl"
    assert deployment.thresholds == Thresholds()
    assert deployment.retire.linger_ms == 30 * 86_400_000
    assert deployment.spans[0].period_ms == 2000
    assert deployment.spans[0].tickets[0].node == "node-a"
    assert deployment.accepts[0].until == date(2026, 12, 31)
    assert deployment.resolve("x/y") == PATH.parent / "x" / "y"
    assert deployment.resolve("/x") == Path("/x")
    assert deployment.line("node[1].unit") == next(
        i for i, line in enumerate(TEXT.splitlines(), 1) if line.startswith("unit =")
    )
    assert deployment.node("nobody") is None
    assert deployment.span("nobody") is None


def test_least_file_has_every_default() -> None:
    least = parse_deployment("schema = 1\n", Path("d.toml"))
    assert "@" in least.operator
    assert least == Deployment(
        path=Path("d.toml").absolute(), file="d.toml", operator=least.operator, locator=least.locator
    )


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("secrets/group.secret", HEX, "secrets.group", "looks like the secret"),
        ("secrets/read.token", "eyJhbGciOiJub25lIn0.e30.", "secrets.read_token", "looks like the secret"),
        ("secrets/node-a.key", HEX, "node[0].key", "looks like the secret"),
        ('executor = "command"', 'executor = "comand"', "node[0].executor", "did you mean 'command'"),
        ('executor = "command"', 'executor = "manual"', "node[0].start", "no such key"),
        ('unit = "organism@node-b.service"', "#", "node[1].unit", "missing"),
        ('unit = "organism@', 'unit = "--now ', "node[1].unit", "systemd unit"),
        ('ssh = "ops@', 'ssh = "-oProxyCommand=x', "node[1].ssh", "host"),
        ("{deployment}", "{depoyment}", "node[0].start[4]", "{deployment}"),
        ('name = "node-b"', 'name = "node-a"', "node[1].name", "node[0]"),
        ("9caa30f9a28f9790a4b06ce57c3ba1213a644524425aefad72414465dd3b169f",
         "cd866a5879bee75294fb9aba313d160f6855263ac60c20d7cf71142aef063a23", "node[1].peer_id", "node[0]"),
        ("https://node-b.acme.example:7101", "http://127.0.0.1:7101", "node[1].url", "node[0]"),
        ("https://node-b", "https://user:pw@node-b", "node[1].url", "without a user"),
        ('name = "node-b"', 'name = "../b"', "node[1].name", "letters"),
        ('node = "node-a"', 'node = "node-x"', "span[0].ticket[0].node", "node-a | node-b"),
        ("tickets/node-a.beta-auctions.ticket", "tickets/node-a.acme-mainnet.ticket",
         "span[1].ticket[0].file", "span[0].ticket[0]"),
        ('ticket_warn = "7d"', 'ticket_warn = "1d"', "thresholds.ticket_warn", "ticket_bad or more"),
        ("commit_lag = 20", "commit_lag = -1", "thresholds.commit_lag", "integer"),
        ("until = 2026-12-31", "until = 2026-12-31T00:00:00Z", "accept[0].until", "a date"),
        ("until = 2026-12-31", 'until = "2026-12-31"', "accept[0].until", "a date"),
        ('reason = "fourth', 'reson = "fourth', "accept[0].reson", "did you mean 'reason'"),
        ('carrier = "loopback"', 'carrier = "pigeon"', "carrier", "loopback"),
    ],
)  # fmt: skip
def test_refusals(old: str, new: str, key: str, says: str) -> None:
    found = [one for one in problems(changed(old, new)) if one.key == key]
    assert len(found) == 1, [str(one) for one in problems(changed(old, new))]
    assert says in str(found[0])
    assert HEX not in str(found[0])
    assert found[0].line is not None


def test_plain_http_with_tokens_warns() -> None:
    text = changed("https://node-b.acme.example:7101", "http://node-b.acme.example:7101")
    (warning,) = parse_deployment(text, PATH).warnings
    assert warning.key == "node[1].url"


def laid_out(tmp_path: Path, text: str = TEXT) -> Deployment:
    """The example in a folder of its own, with its secrets."""
    (tmp_path / "secrets").mkdir()
    for name in ("group.secret", "read.token", "operate.token", "node-a.key"):
        (tmp_path / "secrets" / name).touch(mode=0o600)
    path = tmp_path / "deployment.toml"
    path.write_text(text)
    return load_deployment(path)


def test_examples_agree(tmp_path: Path) -> None:
    result = cross_check(load_organism(FORMATS / "organism.toml"), laid_out(tmp_path))
    assert result.problems == ()
    assert result.warnings == ()


def test_spans_must_be_the_same(tmp_path: Path) -> None:
    deployment = laid_out(tmp_path, changed('name = "acme-mainnet"', 'name = "acme-mainet"'))
    result = cross_check(load_organism(FORMATS / "organism.toml"), deployment)
    (problem,) = result.problems
    assert problem.key == "span[0].name"
    assert problem.line == deployment.line("span[0].name")
    (warning,) = result.warnings
    assert warning.file.endswith("organism.toml")
    assert warning.key == "span[0].name"


def test_modes_of_secrets(tmp_path: Path) -> None:
    deployment = laid_out(tmp_path)
    (tmp_path / "secrets" / "group.secret").chmod(0o644)
    (tmp_path / "secrets" / "node-a.key").chmod(0o640)
    (tmp_path / "secrets" / "read.token").unlink()
    result = cross_check(load_organism(FORMATS / "organism.toml"), deployment)
    assert [one.key for one in result.problems] == ["secrets.group", "node[0].key"]
    assert "0644" in str(result.problems[0])
    assert [one.key for one in result.warnings] == ["secrets.read_token"]


def test_nobody_on_the_roster_warns(tmp_path: Path) -> None:
    text = TEXT.replace("# roster = true ", "roster = false").replace(
        'ssh = "ops', 'roster = false\nssh = "ops'
    )
    result = cross_check(load_organism(FORMATS / "organism.toml"), laid_out(tmp_path, text))
    assert [one.key for one in result.warnings] == ["node"]


@pytest.mark.parametrize(
    "url", ["http://[x]", "http://[::1", "http://h:99999", "http://h:port", "http://h:0", "http://:7"]
)
def test_a_url_that_no_socket_takes_is_a_problem_of_its_line(url: str) -> None:
    text = f'schema = 1\n[[node]]\nname = "a"\nurl = "{url}"\n[secrets]\nread_token = "secrets/read.token"\n'
    (problem,) = [one for one in problems(text) if one.key == "node[0].url"]
    assert problem.line == 4
    assert "port" in problem.allowed


@pytest.mark.parametrize("url", ["http://[::1]:7101", "https://acme.example", "http://127.0.0.1:65535/base"])
def test_urls_that_are_fine(url: str) -> None:
    node = parse_deployment(changed("http://127.0.0.1:7101", url), PATH).node("node-a")
    assert node is not None
    assert node.url == url


def test_a_mosaik_committee_needs_every_address() -> None:
    (problem,) = problems(changed('carrier = "loopback"', 'carrier = "mosaik"'))
    assert problem.key == "node[1].address"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "::1:7000", "a b:1", ":1"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    (problem,) = problems(changed("127.0.0.1:7111", address))
    assert problem.key == "node[0].address"
    assert "HOST:PORT" in problem.allowed


def test_the_wire_side() -> None:
    peer = "ab" * 32 + "@[2001:db8::1]:7400"
    text = TEXT.replace('# peers = ["PEERID@203.0.113.7:7400"]', f'peers = ["{peer}"]')
    for line in ("[observer]", 'key = "secrets/obs', "[mosaik]", "relay ="):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    found = parse_deployment(text, PATH)
    assert found.spans[0].peers == (peer,)
    assert found.mosaik.relay == "http://10.20.0.1:3340"
    assert found.observer.key == "secrets/observer.key"
    assert found.nodes[0].address == "127.0.0.1:7111"
    assert found.nodes[0].tickets == ("tickets/node-a.admission.ticket",)
