"""The demo, whole, as `make demo` runs it; and interrupted, when nothing may stay behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mosaik import both_carriers

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo" / "demo.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that still work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode() if entry.name.isdigit() else ""
            )
        except OSError:
            continue
        if str(folder) in line and int(entry.name) != os.getpid():
            found.append(line)
    return found


@both_carriers
def test_the_demo_shows_everything(tmp_path: Path, carrier: str) -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO), "--carrier", carrier],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    summary = done.stdout[done.stdout.index("== Summary ==") :]
    for line in (
        "the edit was stopped with exit 2",
        "below the limit: exit 3; renewed: exit 0",
        "node-a → node-d",
        "runner killed, resumed, nothing done twice",
        "every seq once, in order; 0 handle failures",
        "the last one",
    ):
        assert line in summary
    (folder,) = tmp_path.iterdir()
    assert str(folder) in summary
    assert left_behind(tmp_path) == []


def test_an_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(DEMO)], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("== 5."):
                break
        assert left_behind(tmp_path) != []
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 130
    assert "every process of the demo is stopped" in rest
    assert left_behind(tmp_path) == []
