"""Nodes whose every text is hostile: no command lets a control code, or what hides, reach a terminal or a page raw."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from organismctl.report.controls import CONTROLS
from tests.cli import test_check
from tests.cli.conftest import process
from tests.cli.test_check import place
from tests.observe.servers import Answer

__all__ = ["place"]  # the folder whose nodes answer

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u200b\u2028\U000e0041\r\n::error::x</script><img src=x>\"'|`"
FORBIDDEN = {chr(code) for code in CONTROLS if code != 10}
ANSWER = test_check.answer


def hostile(path: str, auth: str | None) -> Answer:
    """What the healthy nodes answer, with hostile text wherever a text is free."""
    _, name, rest = path.split("/", 2)
    if rest == "v1/subscriptions":
        return 200, {
            "subscriptions": [
                {"span": "beta", "surface": "facts", "state": "refused", "reason": EVIL, "last_event_ms": None,
                 "received": 0, "observed": 0, "position": None, "arrived": None, "marker": {"effective_at": EVIL,
                 "replacement": EVIL, "reason": EVIL}},
                {"span": EVIL, "surface": EVIL, "state": EVIL, "reason": EVIL},
            ]
        }  # fmt: skip
    if rest not in ("v1/status", "v1/tickets", "v1/config"):
        return 500, {"error": {"code": EVIL, "message": EVIL, "advice": EVIL}}
    status, value = ANSWER(path, auth)
    value = json.loads(json.dumps(value))
    if rest == "v1/status" and status == 200:
        value.update(version=EVIL, node=EVIL, organism=EVIL, carrier=EVIL)
        value["lease"] = {"change": EVIL, "holder": EVIL}
        value["retirement"] = {"effective_at": EVIL, "replacement": EVIL}
        for member in (*value["roster"]["members"], *value["bonds"]):
            member["name"] = EVIL
        if name == "node-c":
            value["stopped"] = EVIL
    if rest == "v1/tickets" and status == 200:
        for one in value["tickets"]:
            one.update(failing_step=EVIL, valid=False)
    return status, value


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes of the folder, before it is made."""
    monkeypatch.setattr(test_check, "answer", hostile)


def clean_output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode in (0, 2, 3, 5, 6), done.stderr
    for text in (done.stdout, done.stderr):
        found = FORBIDDEN & set(text)
        assert not found, (found, done.args)
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "argv",
    [
        ["status"],
        ["watch", "--once"],
        ["watch", "--once", "--format", "json"],
        ["report"],
        ["report", "--format", "table"],
        ["report", "--format", "json"],
        *(["check", "all", "--format", form] for form in ("table", "json", "junit", "github", "prometheus")),
        ["observe"],
    ],
)
def test_nothing_hostile_reaches_the_reader_raw(evil: None, place: Path, argv: list[str]) -> None:
    out = clean_output(process(*argv, cwd=place))
    if "prometheus" not in argv:  # which holds codes and subjects alone
        assert "evil" in out, "it is shown, or this test would show nothing"
    if "json" in argv:
        json.loads(out)
    if "junit" in argv:
        ET.fromstring(out)
    if "github" in argv:
        assert all(line.startswith("::") for line in out.splitlines()), "no annotation of the remote's own"
        assert "\n::error::x" not in out
    if argv == ["report"]:
        assert "<img" not in out and "</script>" not in out


def test_a_kept_look_gives_it_back_harmless(evil: None, place: Path) -> None:
    clean_output(process("observe", "-o", "seen.json", cwd=place))
    kept: Any = json.loads((place / "seen.json").read_text())
    told = next(
        fact["value"]
        for fact in kept["facts"]
        if (fact["kind"], fact["subject"]) == ("node.status", "node-c")
    )
    assert told["stopped"] == EVIL, "kept as it was told, escaped"
    for argv in (["check", "all"], ["report"], ["status"]):
        assert "evil" in clean_output(process(*argv, "--from", "seen.json", cwd=place))
