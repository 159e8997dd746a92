"""The runbooks that ship: complete, proven, and the proof finds what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from organismctl.check.codes import CODES
from organismctl.cli.proving import prove
from organismctl.runbook.check import check_library
from organismctl.runbook.library import Library, draft

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
