"""A run, with a world that a test moves: sections, questions, failure, resumption after a kill, redaction, reports."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from organismctl.change.errors import BusyError, TamperedError
from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.cli.runbook_showing import Shown
from organismctl.exits import Exit
from organismctl.runbook.execute import Done, Executor
from organismctl.runbook.model import Runbook
from organismctl.runbook.parse import parse_runbook
from organismctl.runbook.record import Records
from organismctl.runbook.redact import Redactor
from organismctl.runbook.report import report_json, report_markdown
from organismctl.runbook.run import LeftError, Outcome, Runner
from organismctl.runbook.world import World

WORLD = World("acme", "d.toml", ("node-a", "node-b"), (), {"beta": "noc@beta"}, operator="alice")
TEXT = """---
title: A test
codes: [MEMBER-UNREACHABLE, MEMBER-DARK]
severity: page
roles: [on-call]
takes: 1 minute
---

# A test

Words for {escalate}.

```probe
organismctl status
```

## Start it

When: MEMBER-UNREACHABLE unknown

```run
organismctl committee start --node {node}
organismctl lock accept --reason {reason}
```

## Dark

When: MEMBER-DARK bad

Call {contact}.

## Nothing

When: otherwise

Nothing is wrong.
"""
BOOK = parse_runbook(TEXT, "a-test", "a-test.md")


class Scene:
    """Findings that commands change, an executor that notes them, and a person who answers."""

    def __init__(self, folder: Path) -> None:
        self.records = Records(folder, lambda: 1_800_000_000_000)
        self.rows: list[Finding] = [finding("MEMBER-UNREACHABLE", None, "node-a", "away")]
        self.ran: list[str] = []
        self.exits: dict[str, int] = {}
        self.answers: list[str] = []
        self.stream = io.StringIO()

    def run(self, argv: Sequence[str], timeout_s: float, waiting: Any = None) -> Done:
        line = " ".join(argv[1:])
        self.ran.append(line)
        if line.startswith("committee start"):
            self.rows = []
        return Done(self.exits.get(argv[1], 0), "token: canary-operate-token `x`", 5)

    def go(self, record: Any = None, *, yes: bool = True, book: Runbook = BOOK, **values: str) -> Outcome:
        record = record or self.records.begin(book, organism="acme", operator="alice", values=values)
        self.id = record.id
        shown = Shown(
            "acme", yes=yes, stream=self.stream, tty=False, ask=lambda _question: self.answers.pop(0)
        )
        executor: Any = self
        with self.records.lock(record):
            return Runner(
                record=record,
                world=WORLD,
                look=lambda: self.rows,
                executor=executor,
                presenter=shown,
                sleep=lambda _: None,
            ).run()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "runs")


def test_what_applies_is_run_and_the_end_is_judged_by_a_look(scene: Scene) -> None:
    assert scene.go(reason="a b; rm").exit is Exit.OK
    assert scene.ran == ["status", "committee start --node node-a", "lock accept --reason a b; rm"]
    text = scene.stream.getvalue()
    assert "“Dark” does not apply" in text
    assert "\x1b" not in text
    kept = scene.records.read(scene.id)
    assert kept.state == "done"
    told = report_json(kept)
    assert [one["title"] for one in told["sections"] if one["applies"]] == ["", "Start it"]
    page = report_markdown(kept, WORLD)
    assert "$ organismctl lock accept --reason 'a b; rm'" in page
    assert "Sections that did not apply: Dark; Nothing." in page


def test_without_a_value_nothing_is_run_and_a_failure_ends_its_section(scene: Scene) -> None:
    scene.go()
    assert scene.ran == ["status", "committee start --node node-a"]
    scene.rows = [
        finding("MEMBER-UNREACHABLE", None, "node-a", "away"),
        finding("MEMBER-DARK", Status.BAD, "beta / e", "x"),
    ]
    scene.exits["committee"] = 5
    scene.ran.clear()
    scene.go(reason="r")
    assert scene.ran == ["status", "committee start --node node-a"]
    assert "the rest of this section is left out" in scene.stream.getvalue()


AFTER = parse_runbook(
    TEXT.replace("organismctl lock accept --reason {reason}\n", "").replace(
        "## Dark",
        '## Away\n\nWhen: MEMBER-UNREACHABLE unknown\n\nStill.\n\n## Replace it\n\nWhen: after "Start it"\n\n'
        "```run MEMBER-UNREACHABLE\norganismctl lock accept --reason {node}\n```\n\n## Dark",
    ),
    "a-test",
    "a-test.md",
)


def test_a_section_after_another_has_the_findings_of_then(scene: Scene) -> None:
    assert scene.go(book=AFTER).exit is Exit.OK
    assert scene.ran == ["status", "committee start --node node-a", "lock accept --reason node-a"]
    told = [one["title"] for one in report_json(scene.records.read(scene.id))["sections"] if one["applies"]]
    assert told == ["", "Start it", "Replace it"], "what is judged by findings of now applies no more"


@pytest.mark.parametrize("how", ["it failed", "it was skipped", "it did not apply"])
def test_a_section_after_another_needs_that_one_done(scene: Scene, how: str) -> None:
    scene.exits["committee"] = 5 if how == "it failed" else 0
    scene.answers = ["skip"]
    if how == "it did not apply":
        scene.rows = []
    scene.go(book=AFTER, yes=how != "it was skipped")
    assert not [line for line in scene.ran if line.startswith("lock")]
    assert "“Replace it” does not apply" in scene.stream.getvalue()


def test_a_person_says_yes_skip_and_leave_and_comes_back(scene: Scene) -> None:
    scene.answers = ["skip"]
    assert scene.go(yes=False, reason="r").exit is Exit.UNKNOWN
    assert scene.ran == ["status"]
    scene.ran.clear()
    scene.answers = ["yes", "leave"]
    with pytest.raises(LeftError):
        scene.go(yes=False, reason="r")
    assert scene.ran == ["status", "committee start --node node-a"]
    assert scene.records.read(scene.id).state == "left"
    scene.answers = ["yes"]
    assert scene.go(scene.records.resume(scene.id), yes=False).exit is Exit.OK
    assert scene.ran == ["status", "committee start --node node-a", "lock accept --reason r"], (
        "nothing is done twice"
    )
    assert "done before, at" in scene.stream.getvalue()


def test_two_runners_and_an_edited_journal(scene: Scene) -> None:
    record = scene.records.begin(BOOK, organism="acme", operator="alice", values={})
    with scene.records.lock(record), pytest.raises(BusyError):
        scene.go(record)
    scene.go(record)
    journal = scene.records.folder / record.id / "journal.jsonl"
    journal.write_text(journal.read_text().replace("away", "here", 1))
    with pytest.raises(TamperedError):
        scene.records.read(record.id)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.runbook.test_run import Scene
scene = Scene(Path(sys.argv[1]))
before = scene.run
def run(argv, timeout_s, waiting=None):
    if argv[1] == "committee":
        os.kill(os.getpid(), signal.SIGKILL)
    return before(argv, timeout_s)
scene.run = run
scene.go(reason="r")
"""


def test_a_kill_in_the_middle_of_an_action(scene: Scene) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(scene.records.folder)], check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == -signal.SIGKILL
    (kept,) = scene.records.all()
    assert kept.state == "left"
    assert [one["state"] for one in kept.memory.steps.values()] == ["probed", "intent"]
    assert "begun; how it ended is not known" in report_markdown(kept, WORLD)
    assert scene.go(scene.records.resume(kept.id)).exit is Exit.OK
    assert scene.ran == ["committee start --node node-a", "lock accept --reason r"]
    assert "was begun before" in scene.stream.getvalue()


CANARY = "canary-operate-token-1"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize("secret", [
    CANARY, JWT, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYD\n-----END PRIVATE KEY-----", "Bearer abcdefgh12345678",
    "http://alice:hunter22@host/", "password=hunter2222", "read_token: abcdefgh12",
])  # fmt: skip
def test_secrets_are_hidden(secret: str) -> None:
    text = Redactor([CANARY + "\n"]).text(f"before {secret} after\x1b[2J")
    assert "[secret]" in text
    for part in (CANARY, JWT, "MC4CAQAwBQYD", "abcdefgh", "hunter"):
        assert part not in text
    assert text.startswith("before")
    assert "\x1b" not in text
    assert CANARY not in repr(Redactor([CANARY]))


def test_output_of_a_real_command_is_redacted_and_no_shell_reads_it(tmp_path: Path) -> None:
    (tmp_path / "organism.toml").write_text(f"nonsense = '{CANARY} $(touch {tmp_path}/made)'\n")
    line = ["organismctl", "check", "fingerprint", "--organism", f"{tmp_path}/{CANARY};touch made"]
    done = Executor(Redactor([CANARY]), {"COLUMNS": "80"}).run(line, 60)
    assert done.exit == 64
    assert CANARY not in done.output
    assert "[secret]" in done.output
    assert not (tmp_path / "made").exists()


def test_a_terminal_at_80_columns() -> None:
    stream = io.StringIO()
    os.environ["COLUMNS"] = "200"
    shown = Shown("acme", yes=True, stream=stream, tty=True)
    shown.heading("A title", 1)
    shown.prose("word " * 60 + "\x1b[2J\n\n- one\n- **two**\n")
    shown.findings([finding("MEMBER-DARK", Status.BAD, "beta / events", "long " * 40)])
    import re

    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).split("\n")
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "\x1b[2J" not in stream.getvalue()
    assert json.dumps("A title")[1:-1] in stream.getvalue()


def test_who_waits_is_told_how_long_all_of_it_takes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(Shown, "waiting", lambda _self, seconds: told.append(seconds))
    exits = iter([5, 5, 0])

    def attempt(argv: Sequence[str], timeout_s: float, waiting: Any = None) -> Done:
        waiting(0.5)
        return Done(next(exits, 0), "", 1000)

    monkeypatch.setattr(scene, "run", attempt)
    text = TEXT.replace("```probe\n", "```probe 60s\n", 1)
    book = parse_runbook(text, "a-test", "a-test.md")
    scene.go(scene.records.begin(book, organism="acme", operator="alice", values={"reason": "x"}))
    first = told[: told.index(0.5, 1)]
    assert first == sorted(first), "each attempt adds to those before it"
    assert first[-1] > 2


PLANNED = """---
title: Planned
codes: []
severity: planned
roles: [operator]
takes: 1 minute
---

# Planned

## Do it

```run
organismctl rotate member --out {out} --in node-b --yes
```

## How to know that it worked

```probe
organismctl status
```
"""


@pytest.mark.parametrize(
    ("values", "exits", "expected"),
    [
        ({"out": "node-a"}, {}, Exit.OK),
        ({"out": "node-a"}, {"rotate": 4}, Exit.REFUSED),
        ({"out": "node-a"}, {"status": 6}, Exit.UNHEALTHY),
        ({}, {}, Exit.UNKNOWN),
    ],
)
def test_what_no_finding_judges_counts_by_itself(
    scene: Scene, values: dict[str, str], exits: dict[str, int], expected: Exit
) -> None:
    book = parse_runbook(PLANNED, "planned", "planned.md")
    scene.exits = exits
    record = scene.records.begin(book, organism="acme", operator="alice", values=values)
    assert scene.go(record).exit is expected


BY_CODE = TEXT.replace("```run\n", "```run MEMBER-DARK\n").replace(
    "unknown\n\n", "unknown or MEMBER-DARK bad\n\n", 1
)


def test_an_action_may_be_for_the_findings_of_one_code(scene: Scene) -> None:
    book = parse_runbook(BY_CODE, "by-code", "by-code.md")
    scene.rows.append(finding("MEMBER-DARK", Status.BAD, "node-b", "dark"))
    scene.go(scene.records.begin(book, organism="acme", operator="alice", values={"reason": "r"}))
    assert scene.ran[1] == "committee start --node node-b", "node-a is away, and not meant"
    scene.rows, scene.ran = [finding("MEMBER-UNREACHABLE", None, "node-a", "away")], []
    scene.go(scene.records.begin(book, organism="acme", operator="alice", values={"reason": "r"}))
    assert scene.ran == ["status"]


def test_a_repeated_probe_ends_when_its_section_is_over(scene: Scene) -> None:
    text = TEXT.replace("```run\n", "```probe 60s\norganismctl check committee\n```\n\n```run\n")
    book = parse_runbook(text, "repeats", "repeats.md")
    scene.exits["check"] = 5
    before = scene.run

    def run(argv: Sequence[str], timeout_s: float, waiting: Any = None) -> Done:
        if argv[1] == "check" and scene.ran.count("check committee") == 2:
            scene.rows = []
        return before(argv, timeout_s)

    scene.run = run  # type: ignore[method-assign]
    scene.go(scene.records.begin(book, organism="acme", operator="alice", values={}))
    assert scene.ran.count("check committee") == 4, "twice in a row it is over: one look may be a flicker"
