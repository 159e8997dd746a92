"""The root: exit codes of real processes, the one handler of errors, global flags, and what start-up loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import organismctl
from organismctl.cli import app
from organismctl.errors import InputError, OrganismError, Problem, RefusedError, UnreachableError
from organismctl.exits import Exit
from tests.cli.conftest import SCRIPT, edit, process
from tests.support.committee import wait_for

HEAVY = ("rich", "pydantic", "httpx2", "tomlkit", "cryptography", "fastapi", "asyncio", "ssl")


def loaded_by(code: str, cwd: Path) -> tuple[int, set[str]]:
    """Top-level modules that a fresh Python has loaded after ``code``, which sets ``exit_code``."""
    tail = "\nprint(exit_code, *sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{tail}"],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")},
        capture_output=True,
        text=True,
        check=True,
    )
    number, *names = done.stderr.splitlines()[-1].split()
    return int(number), set(names)


def test_the_ci_gate_loads_nothing_heavy(acme: Path) -> None:
    code, names = loaded_by(
        "from organismctl.cli.app import run\nexit_code = run(['fingerprint', 'check'])", acme
    )
    assert code == 0
    assert "typer" in names, "the probe looks at the wrong process"
    assert names.isdisjoint(HEAVY), f"loaded: {sorted(names & set(HEAVY))}"


def test_importing_the_command_line_loads_nothing_heavy(here: Path) -> None:
    _, names = loaded_by("import organismctl.cli.app\nexit_code = 0", here)
    assert names.isdisjoint(HEAVY), f"loaded: {sorted(names & set(HEAVY))}"


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version_is_answered_before_typer_loads(here: Path, flag: str) -> None:
    code, names = loaded_by(
        f"from organismctl.__main__ import main\nsys.argv = ['organismctl', '{flag}']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    exit_code = end.code",
        here,
    )
    assert code == 0
    assert "typer" not in names
    done = process(flag)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"organismctl {organismctl.__version__}\n", "")


def test_version_among_other_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--no-color", "--version"]) == 0
    assert capsys.readouterr().out == f"organismctl {organismctl.__version__}\n"


def test_python_dash_m_is_the_same(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "organismctl", "explain", "nothing-of-that-name"],
        capture_output=True, text=True, check=False, cwd=here,
    )  # fmt: skip
    assert done.returncode == 64
    assert done.stderr.startswith("error: there is no code")


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["nonsense"], 64, "No such command 'nonsense'"),
        (["fingerprint", "check", "--nonsense"], 64, "No such option"),
        (["fingerprint", "check", "--format", "xml"], 64, "allowed: table, json, junit, github"),
        (["fingerprint", "diff", "one.toml"], 64, "Missing argument"),
        (["fingerprint", "show"], 64, "no organism is named"),
        (["fingerprint", "show", "--organism", "nowhere"], 64, "nowhere"),
        (["rotate", "member"], 64, "--out NODE"),
        (["lock", "accept"], 64, "Missing option '--reason'"),
    ],
)
def test_a_wrong_command_line_exits_64(here: Path, argv: list[str], code: int, said: str) -> None:
    done = process(*argv, cwd=here)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_exit_codes_of_the_gate_as_processes(acme: Path) -> None:
    assert process("fingerprint", "check", cwd=acme).returncode == 0
    edit(acme, 'stall = "wait"', 'stall = "partial"')
    assert process("fingerprint", "check", cwd=acme).returncode == 2
    (acme / "organism.toml").write_text("schema = 1\nname = 3\n")
    broken = process("fingerprint", "check", cwd=acme)
    assert broken.returncode == 1
    assert "organism.toml:2: name: found 3" in broken.stderr
    assert broken.stderr.count("organism.toml") > 3, "all problems at once"


@pytest.mark.parametrize("argv", [[], ["fingerprint"], ["lock"], ["tickets"], ["check"]])
def test_a_group_without_a_command_shows_its_help(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = app.run(argv)
    seen = capsys.readouterr()
    assert "Usage: organismctl" in seen.out + seen.err
    assert code in (0, 64)


ERRORS = [
    (OrganismError("it broke", advice="mend it"), 1, "error: it broke\n  next: mend it\n"),
    (RefusedError("unsafe"), 4, "error: unsafe\n"),
    (UnreachableError("nobody answers"), 5, "error: nobody answers\n"),
    (OrganismError("drift", exit=Exit.DRIFT), 2, "error: drift\n"),
    (
        InputError("two problems", [Problem("a.toml", 3, "x", "1", "2"), Problem("a.toml", None, "y", None, "3")]),
        1,
        "error: two problems\n  a.toml:3: x: found 1; allowed: 2\n  a.toml: y: missing; allowed: 3\n",
    ),
    (KeyboardInterrupt(), 130, "interrupted\n"),
    (OrganismError("\x1b[31mred\x07"), 1, "error: \ufffd[31mred\ufffd\n"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "code", "text"), ERRORS, ids=lambda value: type(value).__name__)
def test_the_one_handler(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    text: str,
) -> None:
    def fail(_arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(app, "_invoke", fail)
    assert app.run(["status"]) == code
    assert capsys.readouterr().err == text


def test_a_defect_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_arguments: list[str]) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(app, "_invoke", fail)
    assert app.run(["status"]) == 1
    said = capsys.readouterr().err
    assert "a defect of organismctl: ZeroDivisionError" in said
    assert "--debug" in said
    assert "Traceback" not in said
    assert app.run(["status", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_the_traceback(here: Path) -> None:
    done = process("fingerprint", "show", "--debug", cwd=here)
    assert done.returncode == 64, "the exit code stays"
    assert done.stderr.startswith("Traceback")
    assert "UsageError" in done.stderr


def test_global_flags_stand_anywhere_but_not_behind_two_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORGANISMCTL_DEBUG", "ORGANISMCTL_QUIET"):
        monkeypatch.setenv(name, "")
    assert app._take_global_flags(["--quiet", "status", "--debug", "--", "--no-color"]) == [
        "status", "--", "--no-color",
    ]  # fmt: skip
    assert os.environ["ORGANISMCTL_DEBUG"] == os.environ["ORGANISMCTL_QUIET"] == "1"


def test_the_organism_may_stand_before_the_command(acme: Path, tmp_path: Path) -> None:
    done = process("--organism", str(acme), "fingerprint", "check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "acme.settlement" in done.stdout


def test_a_reader_who_leaves_is_no_error(acme: Path) -> None:
    code = f"set -o pipefail; '{SCRIPT}' fingerprint explain --format json | head -c 1 > /dev/null"
    done = subprocess.run(["bash", "-c", code], cwd=acme, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


@pytest.mark.parametrize("argv", [["fingerprint", "show"], ["--help"], ["--version"], ["explain", "--list"]])
def test_a_reader_who_has_left_before_the_first_word_is_no_error(acme: Path, argv: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run([SCRIPT, *argv], cwd=acme, stdout=theirs, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


def test_control_c_ends_with_130_and_no_traceback(here: Path) -> None:
    folder = here / "ticker"
    assert process("init", str(folder), "--from-example", "upstream").returncode == 0
    assert process("committee", "init", cwd=folder).returncode == 0
    # A surface that nobody serves is waited for: patience is long enough to be interrupted.
    said = here / "said.txt"
    with said.open("wb") as stderr:
        waiting = subprocess.Popen(
            [str(SCRIPT), "surface", "read", "--follow", "--patience", "60s", "--url", "http://127.0.0.1:9"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip
    try:
        wait_for("its first word", said.read_text)
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=30) == 130
    finally:
        waiting.kill()
        waiting.wait()
    rest = said.read_text()
    assert "Traceback" not in rest
    assert rest.rstrip().endswith("interrupted")


@pytest.mark.parametrize("argv", [[], ["committee"]])
def test_without_a_command_the_help_is_the_answer(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(argv) == 64
    told = capsys.readouterr().err
    assert told.startswith("Usage: organismctl")
    assert "error" not in told.split("\n")[0]
