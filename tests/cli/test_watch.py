"""``watch`` and ``report`` as an operator runs them: on a terminal, in a pipe, until Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from organismctl.cli.app import run
from organismctl.report.schema import schemas
from tests.check.worlds import DAY_S, NAMES, NOW_S, ORGANISM, ticket
from tests.cli import test_check
from tests.cli.conftest import SCRIPT
from tests.cli.test_check import place

__all__ = ["place"]  # the folder whose nodes answer

ENTER, LEAVE, HOME = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[H"
WAIT_S = 60.0


@pytest.fixture(autouse=True)
def tickets_of_today(monkeypatch: pytest.MonkeyPatch) -> int:
    """Tickets that end 30 days from now, whenever that is: warnings of theirs would need the screen's lines.

    Requested before the folder is made; gives the moment, Unix s.
    """
    now_s = int(time.time())
    days = (now_s - NOW_S) / DAY_S + 30
    fresh = {name: ticket(name, days=days, issued_at_s=now_s - DAY_S) for name in NAMES}
    monkeypatch.setattr(test_check, "TICKETS", fresh)
    return now_s


class Screen:
    """A command on a pseudo-terminal of 80 × 24."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process, self.terminal = process, terminal
        self.seen = b""

    def until(self, wanted: Callable[[bytes], object]) -> None:
        end = time.monotonic() + WAIT_S
        while not wanted(self.seen):
            assert time.monotonic() < end, self.seen[-2000:]
            ready, _, _ = select.select([self.terminal], [], [], 0.5)
            if not ready:
                continue
            try:
                data = os.read(self.terminal, 65536)
            except OSError:  # its end of the terminal is closed
                data = b""
            if not data:
                return
            self.seen += data

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.until(lambda _seen: False)  # to the end of what it says
        return self.process.wait(WAIT_S)


@contextmanager
def on_terminal(folder: Path, *argv: str, **env: str) -> Iterator[Screen]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [str(SCRIPT), *argv], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**kept, "TERM": "xterm-256color", **env},
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Screen(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        os.close(ours)


_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Z0-9])")


def rows(seen: bytes) -> list[str]:
    """What stands on the screen, a line each, without what moves and colours it."""
    # Each picture begins with the cursor's way home.
    return _ESCAPE.sub("", seen.decode().replace("\x1b[H", "\n")).replace("\r", "").split("\n")


def test_a_live_screen_that_ctrl_c_ends_in_order(place: Path) -> None:
    with on_terminal(place, "watch", "--every", "300ms") as screen:
        screen.until(lambda seen: seen.count(b"committee") >= 3)
        assert ENTER in screen.seen
        # The live part: no line is wider than the terminal, no screen higher.
        # What is read last may end within a picture: those before it are whole.
        live = screen.seen.partition(ENTER)[2].rpartition(HOME)[0]
        assert b"committee" in live
        assert not [line for line in rows(live) if len(line) > 80]
        assert screen.end(signal.SIGINT) == 0
        assert LEAVE in screen.seen, "the terminal is as it was"
        last = rows(screen.seen.rpartition(LEAVE)[2])
    assert any(line.startswith("acme.settlement") for line in last), "what was seen last stays"
    assert any("beta/facts" in line for line in last)
    assert b"\x1b[33m~ ONE-HOST" in screen.seen, "a warning is yellow, and says so"


def test_whoever_ends_it_leaves_the_terminal_as_it_was(place: Path) -> None:
    with on_terminal(place, "watch", "--every", "300ms") as screen:
        screen.until(lambda seen: b"committee" in seen)
        assert screen.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert LEAVE in screen.seen
        assert b"\x1b[?25h" in screen.seen, "the cursor is back"


def test_a_dumb_terminal_gets_plain_lines(place: Path) -> None:
    with on_terminal(place, "watch", "-n", "1", TERM="dumb") as screen:
        screen.until(lambda _seen: False)
        screen.process.wait(WAIT_S)
    assert b"\x1b" not in screen.seen
    assert b" span beta/facts node-a " in screen.seen


def test_no_color_holds_on_a_live_screen(place: Path) -> None:
    with on_terminal(place, "watch", "--every", "300ms", NO_COLOR="1") as screen:
        screen.until(lambda seen: seen.count(b"committee") >= 2)
        assert screen.end(signal.SIGINT) == 0
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", screen.seen), "moves, but no colour"


def test_files_that_change_are_read_again_and_broken_ones_are_said(place: Path) -> None:
    with on_terminal(place, "watch", "--every", "300ms") as screen:
        screen.until(lambda seen: b"committee" in seen)
        (place / "organism.toml").write_text("this is no toml")
        screen.until(lambda seen: b"the files changed and are not read" in seen)
        (place / "organism.toml").write_text(ORGANISM.replace("quorum_of_offers = 2", "quorum_of_offers = 3"))
        screen.until(lambda seen: b"FINGERPRINT-DRIFT" in seen)
        assert screen.end(signal.SIGINT) == 0


def test_plain_lines_where_there_is_no_terminal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["watch", "-n", "2", "--every", "10ms"])
    seen = capsys.readouterr()
    assert "\x1b" not in seen.out + seen.err
    lines = seen.out.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ acme\.settlement \w", line) for line in lines)
    assert sum(" committee " in line for line in lines) == 2
    assert sum(" span beta/facts node-a " in line for line in lines) == 2
    assert f"exit {code}" in lines[-1]


def test_lines_of_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["watch", "--once", "--format", "json"])
    (line,) = capsys.readouterr().out.splitlines()
    value = json.loads(line)
    jsonschema.validate(value, schemas()["watch.schema.json"])
    assert value["exit"] == code
    assert [row["node"] for row in value["health"]] == ["node-a", "node-b", "node-c"]


def test_a_pipe_that_is_interrupted_ends_with_0(place: Path) -> None:
    argv = [str(SCRIPT), "watch", "--every", "200ms"]
    with subprocess.Popen(argv, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b" committee " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(WAIT_S) == 0


@pytest.mark.parametrize(
    "argv", [["--once", "-n", "2"], ["--format", "html"], ["--every", "soon"], ["-n", "0"], ["--every", "0s"]]
)
def test_what_watch_does_not_take(place: Path, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", *argv]) == 64
    assert capsys.readouterr().out == ""


def test_report_in_each_format(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["report", "-o", "acme.html"])
    assert capsys.readouterr().out == ""
    page = (place / "acme.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "acme.settlement" in page
    assert run(["report", "--format", "json"]) == code
    value = json.loads(capsys.readouterr().out)
    jsonschema.validate(value, schemas()["report.schema.json"])
    assert value["exit"] == code
    assert run(["report", "--format", "table"]) == code
    assert "WHO LOSES QUORUM WHEN" in capsys.readouterr().out
    assert run(["report", "--format", "pdf"]) == 64


def test_report_of_a_kept_look_at_another_time(
    tickets_of_today: int, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["observe", "-o", "seen.json"]) == 0
    capsys.readouterr()
    later = datetime.fromtimestamp(tickets_of_today + 180 * DAY_S, UTC).date().isoformat()
    run(["report", "--from", "seen.json", "--at", later, "--format", "json"])
    value = json.loads(capsys.readouterr().out)
    assert value["timeline"]["spans"][0]["admitted"] == 0
    assert run(["report", "--from", "seen.json", "--no-wire"]) == 64
