"""Incidents staged on a real committee: break it, run the runbook with nobody to ask, see that all is well again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from organismctl.cli.app import run
from organismctl.committee.node.process import PID_FILE, look
from organismctl.exits import Exit
from tests.support.committee import SERVE, Committee, wait_for

PROPERTY = "incident"
PATIENCE_S = 90.0
LEAD = "oncall-lead@acme.example"
ESCALATE = f'[runbooks]\nescalate = "{LEAD}"\n'
"""More of deployment.toml: whom runbooks turn to."""


@dataclass(frozen=True)
class Row:
    """How one incident ended.

    Attributes:
        incident: What was broken.
        runbook: Which was run.
        sections: Those that it chose by what was found, over all of its runs; else those that acted.
        exit: Its exit code, at last.
        found_s: From the break until a check found it.
        well_s: From the break until the checks were well.
    """

    incident: str
    runbook: str
    sections: str
    exit: int
    found_s: float
    well_s: float

    def text(self) -> str:
        """As a test's property."""
        return json.dumps(asdict(self))


def rows(properties: list[tuple[str, object]]) -> list[Row]:
    """The rows among a test's properties."""
    return [Row(**json.loads(str(value))) for name, value in properties if name == PROPERTY]


def render(table: list[Row]) -> str:
    """The rows as text, in columns."""
    lines = [[field.name.removesuffix("_s") for field in fields(Row)]]
    lines += [[_cell(value) for value in asdict(row).values()] for row in table]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    return f"{value:.1f} s" if isinstance(value, float) else str(value)


def tool(*args: str) -> tuple[int, str, str]:
    """Run the tool in this process, with nobody at its standard input: exit code, output, narration."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(args))
    return code, out.getvalue(), err.getvalue()


def check(committee: Committee, name: str, *args: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the findings of ``check NAME``."""
    code, out, err = tool("check", name, "--organism", str(committee.folder), "--format", "json", *args)
    assert out, f"exit {code}: {err}"
    return code, json.loads(out)["findings"]


@dataclass
class Incident:
    """One incident from its break on.

    Attributes:
        name: What is broken.
        committee: Whose it is.
        wire: Whether the wire is looked at, too.
        report: The runbook's report, once it was run.
    """

    name: str
    committee: Committee
    wire: bool = False
    report: dict[str, Any] = field(default_factory=dict)
    shown: str = ""
    _begun: float = field(default_factory=time.monotonic)
    _sections: dict[str, None] = field(default_factory=dict)
    _found_s: float = 0.0
    _well_s: float = 0.0

    def begin(self) -> None:
        """Now it breaks."""
        self._begun = time.monotonic()

    @property
    def _looks(self) -> list[str]:
        return [] if self.wire else ["--no-wire"]

    def check(self, name: str) -> tuple[int, list[dict[str, Any]]]:
        """The exit code and the findings of ``check NAME``."""
        # The upstreams of a test give one item a page, and a busy machine needs its time for some hundred pages.
        return check(self.committee, name, "--timeout", "30s", *self._looks)

    def found(
        self,
        code: str,
        subject: str = "",
        status: str = "bad",
        name: str = "all",
        patience: float = PATIENCE_S,
    ) -> dict[str, Any]:
        """Wait until a check finds it; the subject need only be the beginning of the finding's."""

        def look() -> dict[str, Any] | None:
            for row in self.check(name)[1]:
                if (row["code"], row["status"]) == (code, status) and row["subject"].startswith(subject):
                    return row
            return None

        row = wait_for(f"{code} {subject} {status}", look, patience)
        self._found_s = self._found_s or time.monotonic() - self._begun
        return row

    def run(self, name: str, *args: str, code: int = 0) -> None:
        """Run a runbook (or that of a code) with ``--yes`` to its end.

        Args:
            name: A runbook's name, or a finding's code.
            args: Further options.
            code: The exit code that it must end with.
        """
        exit_code, out, self.shown = tool(
            "runbook", "run", name, "--yes", "--format", "json", *self._looks,
            "--organism", str(self.committee.folder), *args,
        )  # fmt: skip
        assert exit_code == code, f"exit {exit_code}, not {code}\n{self.shown}"
        self.report = json.loads(out)
        assert self.report["exit"] == code
        self._sections.update(dict.fromkeys(self.chosen or self._acted))
        assert LEAD in self.shown, "it says to whom to escalate"

    @property
    def chosen(self) -> list[str]:
        """Titles of the sections that live findings chose."""
        return [one["title"] for one in self.report["sections"] if one["when"] and one["applies"]]

    @property
    def _acted(self) -> list[str]:
        """Titles of sections without a condition in which something was run."""
        return [
            one["title"]
            for one in self.report["sections"]
            if any(step["kind"] == "run" for step in one["steps"])
        ]

    @property
    def ran(self) -> list[tuple[str, int]]:
        """Actions that were run, with their exit codes."""
        return [
            (step["line"].removeprefix("organismctl "), step["exit"])
            for part in self.report["sections"]
            for step in part["steps"]
            if step["kind"] == "run"
        ]

    def well(self, name: str = "all", code: Exit = Exit.OK, patience: float = PATIENCE_S) -> None:
        """Wait until a check ends as it should."""
        last: list[dict[str, Any]] = []

        def look() -> bool:
            exit_code, last[:] = self.check(name)
            return exit_code == code

        try:
            wait_for(f"check {name} is well", look, patience)
        except AssertionError as exc:
            open_ = [f"{row['status']} {row['code']} {row['subject']}: {row['summary']}" for row in last
                     if row["status"] != "ok"]  # fmt: skip
            raise AssertionError(f"{exc}\n" + "\n".join(open_)) from exc
        self._well_s = time.monotonic() - self._begun

    def row(self) -> Row:
        """How it ended."""
        book, code = self.report["runbook"], self.report["exit"]
        return Row(self.name, book, "; ".join(self._sections), code, self._found_s, self._well_s)


Stage = Callable[[str], contextlib.AbstractContextManager[Incident]]


def stage_on(committee: Committee, record: Callable[[str, object], None], *, wire: bool = False) -> Stage:
    """How to stage incidents on a committee; each goes into the table of the run.

    Args:
        committee: Well before each of them.
        record: pytest's ``record_property``.
        wire: Whether the checks look at the wire, too.
    """

    @contextlib.contextmanager
    def staged(name: str) -> Iterator[Incident]:
        incident = Incident(name, committee, wire)
        yield incident
        row = incident.row()
        record(PROPERTY, row.text())
        print(render([row]).split("\n")[1])

    return staged


def down(committee: Committee, *names: str, sign: signal.Signals = signal.SIGKILL) -> None:
    """End nodes, whoever started them, and wait until they are surely off."""
    folders = [committee.data(name) for name in names]
    for folder in folders:
        os.kill(int((folder / PID_FILE).read_text()), sign)
    for process in [committee.processes[name] for name in names if name in committee.processes]:
        process.wait(20)
    wait_for(f"{names} are off", lambda: not any(look(folder).running for folder in folders))


def astray(committee: Committee, name: str, deployment: Path, **options: Any) -> None:
    """Start a node under other files than the committee's, or with other options of its process."""
    with (committee.data(name) / "node.log").open("ab") as log:
        committee.processes[name] = subprocess.Popen(
            [*SERVE, "--node", name, "--deployment", str(deployment)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            **options,
        )  # fmt: skip
    committee.wait_up(name)


def killed_at(committee: Committee, at: str, *args: str) -> None:
    """Run a command of the tool that is killed at a moment of its change."""
    env = {**os.environ, "ORGANISMCTL_REHEARSAL": "1", "ORGANISMCTL_CRASH_AT": at}
    done = subprocess.run(
        [sys.executable, "-m", "organismctl", *args, "--organism", str(committee.folder)],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, env=env,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
