"""The runbooks that ship: complete, proven, and the proof finds what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from organismctl.check.codes import CODES
from organismctl.cli.app import run
from organismctl.cli.proving import prove
from organismctl.report.schema import schemas
from organismctl.runbook.check import check_library
from organismctl.runbook.library import Library, draft
from tests.cli.conftest import Json, acme, edit, here, js

__all__ = ["acme", "here", "js"]  # fixtures

BASE = (
    "first-install", "node-down", "committee-short", "leader", "group-forked", "ledger-diverged", "span-dark",
    "evidence", "tickets", "issuance-root", "identity-drift", "rotate-member", "retirement", "lost-laptop",
    "key-compromise", "upgrade", "backup-restore",
)  # fmt: skip


def test_all_are_proven_and_the_base_set_is_there() -> None:
    books, problems = check_library(Library(), prove)
    assert problems == []
    assert set(BASE) <= {book.name for book in books}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_runbook_that_answers_it(code: str) -> None:
    book = Library().load(code)
    assert book.name == CODES[code].runbook
    assert code in book.front.codes
    assert any(section.when and code in section.when.codes() for section in book.sections)


def test_a_draft_is_proven_and_what_is_wrong_is_found(tmp_path: Path) -> None:
    path = draft(tmp_path, "disk-full", "")
    assert check_library(Library(tmp_path), prove)[1] == []
    text = path.read_text().replace("codes: []", "codes: [NO-SUCH-CODE, SPAN-LAG]")
    text = text.replace(
        "organismctl status",
        "organismctl status --no-such\nrm -rf /\norganismctl lock init\norganismctl watch",
    )
    text += "\nSee [x](nowhere.md), [y](node-down.md#nowhere), `organismctl chek all`, `TICKET-QUORUN`.\n"
    text += "\n```run\norganismctl status {what}\n```\n"
    path.write_text(text.replace("## When to escalate", "## Else"))
    found = [
        (one.key, one.found) for one in check_library(Library(tmp_path), prove)[1] if one.file == str(path)
    ]
    assert sorted(key for key, _ in found) == sorted(
        ["code", "code", "codes", "command", "command", "command", "command", "probe", "probe", "placeholder", "run",
         "link", "anchor", "section"]
    ), found  # fmt: skip


def test_the_commands(here: Path, js: Json, capsys: pytest.CaptureFixture[str]) -> None:
    assert {one["name"] for one in js("runbook-list", "runbook", "list")["runbooks"]} >= set(BASE)
    assert [
        one["name"] for one in js("runbook-list", "runbook", "list", "--code", "member-dark")["runbooks"]
    ] == ["span-dark"]
    assert js("runbook-check", "runbook", "check")["problems"] == []
    assert run(["runbook", "new", "node-down", "--copy", "--runbooks", "ours"]) == 0
    assert run(["runbook", "new", "node-down", "--runbooks", "ours"]) == 4
    own = js("runbook-list", "runbook", "list", "--runbooks", "ours")["runbooks"]
    assert [one["name"] for one in own if one["own"]] == ["node-down"]
    (here / "ours" / "node-down.md").write_text("nonsense")
    assert js("runbook-check", "runbook", "check", "--runbooks", "ours", expect=1)["problems"]
    capsys.readouterr()
    assert run(["runbook", "show", "TICKET-QUORUM"]) == 0
    assert capsys.readouterr().out.startswith("# Ticket horizon near")
    assert run(["runbook", "show", "node-dwn"]) == 64
    assert "did you mean node-down?" in capsys.readouterr().err


def test_without_a_terminal_nothing_is_asked_and_a_dry_run_keeps_nothing(
    acme: Path, js: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["runbook", "run", "first-install"]) == 64
    assert "--yes" in capsys.readouterr().err
    assert (
        run(["runbook", "run", "identity-drift", "--set", "reason=eyJhbGciOiJub25lIn0.eyJhIjoxfQ.x", "--yes"])
        == 64
    )
    assert "looks like a secret" in capsys.readouterr().err
    assert run(["runbook", "run", "identity-drift", "--dry-run", "--no-wire"]) in (0, 2, 5)
    assert "## When to escalate" in capsys.readouterr().out
    assert not (acme / ".organism").exists()


def test_a_drift_is_accepted_only_with_a_reason_and_the_run_is_kept(
    acme: Path, js: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(acme, 'fold = "join"', 'fold = "fan-in"')
    assert run(["runbook", "run", "identity-drift", "--yes", "--no-wire"]) != 0
    assert "give --set reason=VALUE" in capsys.readouterr().out
    told = json.loads(_report(acme, capsys, "--set", "reason=fan-in is meant"))
    jsonschema.validate(told, schemas()["runbook-report.schema.json"])
    drift = next(one for one in told["sections"] if one["title"] == "Our own config has moved")
    assert [(one["kind"], one["exit"]) for one in drift["steps"]] == [("run", 0)], drift
    assert "FINGERPRINT-DRIFT" not in [one["code"] for one in told["remaining"]]
    runs = js("runbook-runs", "runbook", "list", "--runs")["runs"]
    assert [one["state"] for one in runs] == ["done", "done"]
    assert run(["runbook", "report", runs[-1]["id"]]) == 0
    assert "# Identity drift: run" in capsys.readouterr().out


def _report(acme: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    run(["runbook", "run", "identity-drift", "--yes", "--no-wire", "--format", "json", *args])
    return capsys.readouterr().out
