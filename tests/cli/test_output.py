"""The seam to the terminal: what may reach it, and how a person is asked, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.cli import output
from organismctl.errors import OrganismError, RefusedError, UsageError
from tests.cli.conftest import ROOT, SCRIPT, process


@given(st.text())
def test_cleaned_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    made = output.clean(text)
    assert len(made) == len(text)
    assert all(char in "\t\n" or not 0 <= ord(char) < 32 for char in made)
    assert not set(made) & {"\x7f", "\x9b", "\u202e", "\u2066"}
    made.encode()


def test_plain_text_stays_as_it_is() -> None:
    text = "node-a × north → ok\n\tü 火"
    assert output.clean(text) == text


@given(st.lists(st.lists(st.text(max_size=12), min_size=3, max_size=3), min_size=1, max_size=5))
def test_tables_are_aligned_and_clean(rows: list[list[str]]) -> None:
    text = output.table([[cell.replace("\n", " ") for cell in row] for row in rows], ["a", "b", "c"])
    assert "\x1b" not in text
    assert all(line == line.rstrip(" ") for line in text.split("\n") if line.isascii())


def test_table_golden() -> None:
    rows = [["node-a", "ok", ""], ["node-bc", "\x1b[31m", "late"]]
    assert output.table(rows, ["NODE", "STATE", "WHY"]) == (
        "NODE     STATE  WHY\nnode-a   ok\nnode-bc  \ufffd[31m  late"
    )
    assert output.table([]) == ""


def test_json_escapes_what_a_terminal_obeys_and_means_the_same() -> None:
    import json

    value = {"a": "\x1b[2J\x9b\u202e", "b": "ü"}
    text = output.json_text(value)
    assert "\x9b" not in text and "\u202e" not in text and "\x1b" not in text
    assert json.loads(text) == value
    assert json.loads(output.json_text({"a": "\ud800"})) == {"a": "\ud800"}


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.txt"
    output.emit("data", target)
    assert target.read_text() == "data\n"
    assert capsys.readouterr().out == ""
    with pytest.raises(OrganismError) as caught:
        output.emit("data", tmp_path / "no" / "such" / "folder" / "out.txt")
    assert caught.value.advice
    assert list(tmp_path.iterdir()) == [target]


def test_narration_goes_to_standard_error_and_can_be_silenced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output.say("one\x07")
    monkeypatch.setenv("ORGANISMCTL_QUIET", "1")
    output.say("two")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "one\ufffd\n")


def test_progress_tells_nothing_of_short_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress("looking") as told:
        now[0] = 0.9
        told.step(1, 3)
    assert capsys.readouterr().err == ""
    with output.progress("looking") as told:
        for at, done in ((2.0, 1), (2.5, 2), (4.0, 3)):
            now[0] = 0.9 + at
            told.step(done, 3)
    assert capsys.readouterr().err == "looking: 1 of 3, 2 s\nlooking: 3 of 3, 4 s\nlooking: done in 4.0 s\n"


def test_without_a_terminal_nobody_is_asked() -> None:
    with pytest.raises(UsageError, match=r"acme: rotate .* needs a confirmation") as caught:
        output.confirm("acme", "rotate node-a out", yes=False)
    assert "--yes" in (caught.value.advice or "")
    output.confirm("acme", "rotate node-a out", yes=True)
    with pytest.raises(UsageError, match="nobody can be asked") as caught:
        output.ask("its name", option="--name")
    assert "--name" in (caught.value.advice or "")


def on_a_terminal(code: str, typed: str, **env: str) -> tuple[int, str]:
    """Run Python code whose standard streams are a real pseudo-terminal; exit code and what was shown."""
    leader, follower = pty.openpty()
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdin=follower, stdout=follower, stderr=follower,
            env={**os.environ, "TERM": "xterm", **env},
        )  # fmt: skip
        os.close(follower)
        os.write(leader, typed.encode())
        shown = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # Linux says EIO when the last follower is closed
                break
            if not part:
                break
            shown += part
        return child.wait(timeout=30), shown.decode().replace("\r\n", "\n")
    finally:
        os.close(leader)


CONFIRM = (
    "from organismctl.cli.output import confirm\n"
    "from organismctl.errors import RefusedError\n"
    "try:\n    confirm('acme.settlement', 'retire it', yes=False, destructive={})\n"
    "except RefusedError as error:\n    print('REFUSED', error.message)\nelse:\n    print('GOES ON')\n"
)


@pytest.mark.parametrize(
    ("destructive", "typed", "goes_on"),
    [
        (True, "acme.settlement\n", True),
        (True, "yes\n", False),
        (True, "acme\n", False),
        (False, "yes\n", True),
        (False, "y\n", False),
        (False, "\n", False),
        (False, "\x04", False),
    ],
)
def test_a_prompt_names_its_target_even_when_quiet(destructive: bool, typed: str, goes_on: bool) -> None:
    code, shown = on_a_terminal(CONFIRM.format(destructive), typed, ORGANISMCTL_QUIET="1")
    assert code == 0, shown
    assert "acme.settlement: retire it" in shown
    assert ("GOES ON" in shown) is goes_on
    assert ("REFUSED not confirmed: the answer has to be" in shown) is not goes_on
    if typed == "\x04":
        assert "to go on: \nREFUSED" in shown
    if destructive:
        assert "type its name, acme.settlement, to go on" in shown


def test_refused_error_is_exit_4() -> None:
    assert RefusedError("x").exit == 4


COLOUR = "from organismctl.cli.output import colour\nprint('COLOUR', colour())\n"


@pytest.mark.parametrize(
    ("env", "wanted"),
    [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": "", "TERM": "dumb"}, False)],
)
def test_colour_only_where_a_terminal_takes_it(env: dict[str, str], wanted: bool) -> None:
    assert on_a_terminal(COLOUR, "", **env)[1].endswith(f"COLOUR {wanted}\n")
    piped = subprocess.run(
        [sys.executable, "-c", COLOUR], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert piped.stdout == "COLOUR False\n"


def test_a_report_in_a_file_has_no_control_codes_although_a_terminal_asks(acme: Path) -> None:
    code = (
        "import sys\nfrom organismctl.cli.app import run\n"
        f"import os; os.chdir({str(acme)!r})\n"
        "sys.exit(run(['fingerprint', 'check', '-o', 'report.txt']) or run(['fingerprint', 'check']))"
    )
    ended, shown = on_a_terminal(code, "", NO_COLOR="")
    assert ended == 0, shown
    assert "\x1b[" in shown, "a terminal that takes colour gets it"
    assert "\x1b" not in (acme / "report.txt").read_text()
    assert stat.S_IMODE((acme / "report.txt").stat().st_mode) & 0o400


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this host has no /dev/full")
def test_a_full_standard_output_is_told_and_no_defect(acme: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(SCRIPT), "fingerprint", "show"],
            cwd=acme, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write to standard output: the disk is full\n")
    assert "defect" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_output_may_be_standard_output_by_its_path(acme: Path) -> None:
    plain = process("fingerprint", "show")
    named = process("fingerprint", "show", "-o", "/dev/stdout")
    assert (named.returncode, named.stdout, named.stderr) == (0, plain.stdout, "")
