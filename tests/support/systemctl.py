"""A stand-in for systemctl where no systemd is process 1: it really starts and ends a unit's ExecStart, and says so.

``python -m tests.support.systemctl FOLDER --no-ask-password VERB [--property=… --value] -- UNIT``: FOLDER has the
units and keeps what runs. ``start`` returns when the process says READY, as with Type=notify; ``stop`` when it has
ended; ``show`` prints what the executor asks for. It has no restarts, no watchdog and no sandbox.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.manager import listening
from tests.support.sandbox import command, environment, give, service

SAID = "stand-in for systemctl, no systemd runs here"


def script(at: Path, folder: Path) -> None:
    """Write it as ``systemctl`` into a folder of a PATH."""
    root = Path(__file__).resolve().parents[2]
    at.mkdir(exist_ok=True)
    words = f'exec {sys.executable} -m tests.support.systemctl {folder} "$@"'
    (at / "systemctl").write_text(f"#!/bin/sh\ncd {root} && {words}\n")
    (at / "systemctl").chmod(0o755)


def end_all(folder: Path) -> None:
    """End whatever it started; for the end of a test."""
    for file in folder.glob("*.pid"):
        _end(file)


def _unit(folder: Path, name: str) -> tuple[Path, str]:
    stem, _, rest = name.partition("@")
    instance = rest.removesuffix(".service")
    return folder / (f"{stem}@.service" if rest else name), instance


def _runs(file: Path) -> int | None:
    """The process of a unit while it lives; one that ended, and that nobody has asked for its end, does not."""
    try:
        pid = int(file.read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None
    return None if state in "ZX" else pid


def _start(folder: Path, name: str) -> int:
    file = folder / f"{name}.pid"
    unit, instance = _unit(folder, name)
    if not unit.exists():
        return _say(f"Failed to start {name}: Unit {name} not found.", 5)
    if _runs(file) is not None:
        return _say(f"{name} runs", 0)
    lines = service(unit, instance)
    own = folder / f"{name}.{time.monotonic_ns()}"
    own.mkdir()
    give(lines, own / "credentials")
    with listening(own, abstract=True) as heard, (folder / f"{name}.log").open("ab") as log:
        given = environment(lines, {**heard.environ, "CREDENTIALS_DIRECTORY": str(own / "credentials")})
        process = subprocess.Popen(
            command(lines), env=given, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        file.write_text(str(process.pid))
        try:
            heard.wait("READY=1", 60)
        except AssertionError:
            process.kill()
            return _say(f"Job for {name} failed because the service did not say READY.", 1)
    return _say(f"started {name}", 0)


def _end(file: Path) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if (pid := _runs(file)) is None:
            break
        os.kill(pid, sign)
        end = time.monotonic() + 20
        while _runs(file) is not None and time.monotonic() < end:
            time.sleep(0.03)
    file.unlink(missing_ok=True)


def _say(text: str, code: int) -> int:
    print(f"{text} ({SAID})", file=sys.stderr)
    return code


def main(folder: Path, words: list[str]) -> int:
    """Do what systemctl would; gives the exit code."""
    verb = next(word for word in words if not word.startswith("-"))
    name = words[words.index("--") + 1]
    file = folder / f"{name}.pid"
    if verb == "start":
        return _start(folder, name)
    if verb == "stop":
        _end(file)
        return _say(f"stopped {name}", 0)
    assert verb == "show", words
    # In the order in which systemd has its properties, whatever the order that was asked for.
    print("loaded" if _unit(folder, name)[0].exists() else "not-found")
    print("inactive" if _runs(file) is None else "active")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
