"""The scheme ``exec``: what an organism's own binary may do to us, and what it may not."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from organismctl.errors import InputError
from organismctl.files.exec_identity import MOST_ANSWER, MOST_QUOTED, ask_binary

ANSWER = {"fingerprint": "ab" * 32}
GOOD = f"print({json.dumps(json.dumps(ANSWER))})"


def binary(folder: Path, code: str) -> list[str]:
    """argv of a binary that does what ``code`` says."""
    (folder / "own.py").write_text(f"import os, subprocess, sys, time\n{code}\n")
    return [sys.executable, "own.py"]


def test_its_answer_is_read_whatever_it_logs(tmp_path: Path) -> None:
    noisy = f"print('warning: ' + 'x' * 300_000, file=sys.stderr)\n{GOOD}"
    assert ask_binary(binary(tmp_path, noisy), tmp_path) == ANSWER


def test_an_answer_as_long_as_a_full_pipe_is_read_whole(tmp_path: Path) -> None:
    text = json.dumps({"fingerprint": "ab" * 32, "pad": "x" * (MOST_ANSWER - 200)})
    got = ask_binary(binary(tmp_path, f"sys.stdout.write({text!r})"), tmp_path)
    assert got == json.loads(text)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "answered no JSON object"),
        ("print('[1]')", "is no object"),
        ("print('[' * 60_000)", "nested too deeply"),
        ("sys.stdout.buffer.write(b'\\xff\\x00{}')", "answered no JSON object"),
        ('print(\'{"fingerprint": "a", "fingerprint": "b"}\')', "a key stands twice"),
        (f"{GOOD}\nprint('no config', file=sys.stderr)\nsys.exit(3)", "ended with exit code 3: no config"),
        ("os.kill(os.getpid(), 9)", "ended with exit code -9"),
    ],
)
def test_a_bad_answer_is_told(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        ask_binary(binary(tmp_path, code), tmp_path)
    assert said in caught.value.message
    assert caught.value.advice


def test_a_binary_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be run: No such file"):
        ask_binary(["./own"], tmp_path)


def test_one_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    code = (
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('pid', 'w').write(str(child.pid))\ntime.sleep(600)"
    )
    begin = time.monotonic()
    with pytest.raises(InputError, match="took over 1 s"):
        ask_binary(binary(tmp_path, code), tmp_path, timeout_s=1.0)
    assert time.monotonic() - begin < 10
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_child_that_it_leaves_behind_holds_nothing_up(tmp_path: Path) -> None:
    code = (
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open('pid', 'w').write(str(child.pid))\n{GOOD}"
    )
    begin = time.monotonic()
    assert ask_binary(binary(tmp_path, code), tmp_path) == ANSWER
    assert time.monotonic() - begin < 10
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_flood_is_cut_off(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(InputError, match="printed more than 64 KiB"):
        ask_binary(binary(tmp_path, "while True: print('a' * 65536)"), tmp_path)
    assert time.monotonic() - begin < 10


def test_a_flood_of_complaints_is_quoted_in_short(tmp_path: Path) -> None:
    code = "for _ in range(100): print('b' * 65536, file=sys.stderr)\nsys.exit(1)"
    with pytest.raises(InputError) as caught:
        ask_binary(binary(tmp_path, code), tmp_path)
    assert len(caught.value.message) < MOST_QUOTED + 400


def gone(pid: int) -> bool:
    """Whether a process has ended, within a moment; a zombie has."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if stat == "Z":
            return True
        time.sleep(0.02)
    return False
