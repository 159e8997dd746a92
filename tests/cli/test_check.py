"""``check``, ``observe``, ``status`` and ``explain`` as an operator runs them, against real nodes' answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from organismctl.check.codes import CODES
from organismctl.cli.app import run
from organismctl.files.lock import write_lock
from organismctl.report.schema import schemas
from tests.check.span_worlds import evidence, surface, told
from tests.check.worlds import (
    NAMES,
    ORGANISM,
    PEERS,
    card,
    held_fact,
    lock,
    organism,
    status,
    ticket,
)
from tests.observe.servers import Answer, fault, serving

CANARY = "canary-read-token"
SECRET = "a test secret"  # the one whose hash tests.check.worlds knows
TICKETS = {name: ticket(name) for name in NAMES}


def answer(path: str, auth: str | None) -> Answer:
    """All three nodes on one server: the first part of the path says which."""
    _, name, rest = path.split("/", 2)
    if auth != f"Bearer {CANARY}":
        return fault(401, "unauthorized")
    questions: dict[
        str, Callable[[], Any]
    ] = {  # each made only when it is asked: a busy machine has no time to waste
        "v1/status": lambda: status(name, one_host=True),
        "v1/tickets": lambda: held_fact(name, TICKETS[name]).value,
        "v1/subscriptions": lambda: told(name).value,
        "v1/evidence?limit=1000": lambda: evidence(name, ()).value,
        "v1/surfaces": lambda: surface().value,
        "v1/config": lambda: {"fingerprint": status(name)["fingerprint"], "group_id": None, "fields": {}},
    }
    return 200, questions[rest]()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an organism, its lock, its deployment and tickets; its nodes answer."""
    for name in ("ORGANISMCTL_ORGANISM", "ORGANISMCTL_QUIET", "ORGANISMCTL_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "acme"
    (folder / "tickets").mkdir(parents=True)
    (folder / "organism.toml").write_text(ORGANISM)
    write_lock(folder / "organism.lock", lock(organism()))
    (folder / "beta.json").write_text(json.dumps(card().value))
    for name, value in (("read.token", CANARY), ("group.secret", SECRET)):
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    monkeypatch.chdir(folder)
    with serving(answer) as url:
        lines = ["schema = 1", "[secrets]", 'group = "group.secret"', 'read_token = "read.token"']
        for name in NAMES:
            lines += ["[[node]]", f'name = "{name}"', f'peer_id = "{PEERS[name]}"', f'url = "{url}/{name}"']
        lines += ["[[span]]", 'name = "beta"', 'card = "beta.json"', 'period = "1s"']
        for name in NAMES:
            (folder / "tickets" / name).write_bytes(TICKETS[name])
            lines += ["[[span.ticket]]", f'node = "{name}"', f'file = "tickets/{name}"']
        lines += ["[thresholds]", 'probe_timeout = "30s"']  # a busy machine is no finding
        (folder / "deployment.toml").write_text("\n".join(lines) + "\n")
        yield folder


WHEN = ["--at", "2026-11-24T06:00Z"]


def js(capsys: pytest.CaptureFixture[str], schema: str = "check") -> Any:
    value = json.loads(capsys.readouterr().out)
    jsonschema.validate(value, schemas()[f"{schema}.schema.json"])
    return value


@pytest.mark.parametrize(
    "name",
    ["fingerprint", "tickets", "identity", "committee", "subscriptions", "surfaces", "evidence", "all"],
)
def test_every_check_on_a_healthy_organism(
    place: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    at = [] if name == "fingerprint" else WHEN
    code = run(["check", name, "--format", "json", *at])
    value = js(capsys)
    assert {row["status"] for row in value["findings"]} <= {"ok", "warn"}, value["findings"]
    assert code == value["exit"] == 0
    assert value["command"] == f"check {name}"
    assert value["organism"]["group_id"] is not None
    assert {"code", "status", "subject", "summary"} <= set(value["findings"][0])


@pytest.mark.parametrize(
    ("at", "code"), [("2026-12-23", 3), ("2027-01-22", 6), ("2026-12-19T00:00+01:00", 0)]
)
def test_tickets_at_a_future_time(
    place: Path, capsys: pytest.CaptureFixture[str], at: str, code: int
) -> None:
    assert run(["check", "tickets", "--at", at]) == code
    assert "acme.settlement  fingerprint" in capsys.readouterr().out


def test_a_drift_stops_the_gate_with_file_and_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "organism.toml").write_text(ORGANISM.replace("quorum_of_offers = 2", "quorum_of_offers = 3"))
    assert run(["check", "fingerprint", "--format", "github"]) == 2
    out = capsys.readouterr().out
    line = ORGANISM.splitlines().index("quorum_of_offers = 2") + 1
    assert f"::error file=organism.toml,line={line},title=FINGERPRINT-DRIFT content.quorum_of_offers::" in out


def test_the_gate_needs_only_config_and_lock(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "deployment.toml").unlink()
    (place / "group.secret").unlink()
    assert run(["check", "fingerprint"]) == 0
    assert "as accepted by alice@acme" in capsys.readouterr().out


def test_output_goes_to_a_file_and_a_line_to_standard_error(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "committee", "-o", "report.txt"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "report.txt: " in shown.err
    assert "\x1b" not in (place / "report.txt").read_text()


@pytest.mark.parametrize(
    "argv",
    [["check", "all", "--format", "html"], ["check", "all", "--fail-on", "me"], ["check", "all", "--at", "soon"],
     ["check", "all", "--timeout", "x"], ["explain"], ["explain", "NO-CODE"], ["explain", "X", "--list"],
     ["status", "--format", "junit"], ["observe", "--format", "junit"], ["explain", "--list", "--format", "x"]],
)  # fmt: skip
def test_a_wrong_command_line_is_usage(place: Path, argv: list[str]) -> None:
    assert run(argv) == 64


def test_a_look_is_kept_and_judged_elsewhere(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["observe", "-o", "seen.json"]) == 0
    assert "it holds tickets" in capsys.readouterr().err
    assert (place / "seen.json").stat().st_mode & 0o777 == 0o600
    jsonschema.validate(json.loads((place / "seen.json").read_text()), schemas()["snapshot.schema.json"])
    for name in NAMES:
        (place / "tickets" / name).unlink()
    assert run(["check", "all", "--from", "seen.json", "--format", "json", *WHEN]) == 0
    assert js(capsys)["counts"]["unknown"] == 0
    assert run(["status", "--from", "seen.json", "--format", "json"]) in (0, 3, 6)
    js(capsys, "status")
    (place / "organism.toml").write_text(ORGANISM.replace("acme.settlement", "other.organism"))
    assert run(["check", "all", "--from", "seen.json"]) == 1


def test_a_look_that_misses_something_exits_unknown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "beta.json").unlink()
    assert run(["observe"]) == 5
    assert "span.card" in capsys.readouterr().out
    assert run(["observe", "--format", "json"]) == 5
    assert js(capsys, "snapshot")["holds_tickets"] is False


def test_a_wrong_token_is_the_observers_trouble(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "read.token").write_text("another-token")
    assert run(["check", "committee", "--format", "json"]) == 5
    codes = {row["code"] for row in js(capsys)["findings"] if row["subject"].startswith("node-")}
    assert codes == {"OBSERVER-REFUSED"}


def test_status_is_one_screen(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"]) in (0, 3, 6)  # by today's date the tickets are what they are
    out = capsys.readouterr().out
    assert "one host   replicas=1, tolerance=0" in out
    assert len(out.splitlines()) < 40


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(capsys: pytest.CaptureFixture[str], code: str) -> None:
    assert run(["explain", code.lower()]) == 0
    assert CODES[code].runbook in capsys.readouterr().out


def test_all_codes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CODES) + 1
    # The exit class is that of the row's own status: what is unknown exits 5, a warning alone 0.
    for line in lines[1:]:
        code, status, exit_code, *_ = line.split()
        assert exit_code == {"unknown": "5", "warn": "0", "bad": str(int(CODES[code].exit))}[status], line
    assert run(["explain", "--list", "--format", "json"]) == 0
    assert len(js(capsys, "explain")["codes"]) == len(CODES)


@pytest.mark.parametrize("form", ["table", "json", "junit", "github", "prometheus"])
def test_no_secret_and_no_ticket_in_any_output(
    place: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    run(["check", "all", "--format", form])
    run(["status"])
    run(["observe", "--format", "json"])
    shown = "".join(capsys.readouterr())
    for hidden in (CANARY, SECRET, *(one.decode() for one in TICKETS.values())):
        assert hidden not in shown
        assert hidden.rsplit(".", 1)[-1] not in shown


def test_the_gate_loads_nothing_heavy(place: Path) -> None:
    code = (
        "import sys; from organismctl.cli.app import run; run(['check', 'fingerprint']);"
        "print([m for m in ('httpx2', 'rich', 'pydantic', 'cryptography', 'asyncio', 'tomlkit') if m in sys.modules],"
        " file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stderr.strip().endswith("[]")
