"""Runs a document's blocks as a reader would: in order, in one shell, in a folder of their own, on real nodes.

Ports are the only thing that is changed: the documents name fixed ones, and a sandbox has some of its own, so that a
reader's rehearsal, or another test, may run beside it.

A reader who looks too soon after a change looks again, and so does the sandbox: a command that is a single call of the
tool and only looks (``organismctl.runbook.commands.looks``, and ``watch``) is repeated until it exits and prints as
shown, within ``PATIENCE_S``; then it must. Whatever acts is run once.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.docs.markdown import LEFT_OUT, STRICT, Command, Fence, fences

PATIENCE_S = 240.0
PAUSE_S = 0.5
"""Between two looks."""
WIDTH = "100"
_EXPORTER, _RELAY = 9560, 3340
RANGES = 20
"""Of 300 ports each."""
_TCP, _UDP = (0, 1, 2, 3, 100, 200, 260, 270), (10, 11, 12)
"""Offsets of the ports that documents use."""


def _first_port() -> int:
    """The first of 300 ports, of four digits as in the documents, of which those that are used are free.

    Each worker of a test run has ranges of its own, so that no two find the same one free.
    """
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    worker = int(number) if number.isdigit() else 0
    workers = min(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), RANGES)
    own = range(worker % workers, RANGES, workers)
    for turn in range(len(own)):
        first = 3000 + 300 * own[(os.getpid() + turn) % len(own)]
        if all(_free(first + offset) for offset in _TCP) and all(
            _free(first + offset, socket.SOCK_DGRAM) for offset in _UDP
        ):
            return first
    raise AssertionError("no ports are free")


def _free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    with socket.socket(type=kind) as one, suppress(OSError):
        one.bind(("127.0.0.1", port))
        return True
    return False


class Sandbox:
    """One folder that is HOME and the present folder, and one shell that stays.

    Attributes:
        folder: The folder.
        ran: How many command lines of ours were run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran = 0
        self._first = _first_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._io = folder.with_name(folder.name + ".io")
        self._io.mkdir()
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env={
                "HOME": str(folder),
                "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
                "COLUMNS": WIDTH,
                "LANG": "C.UTF-8",
                "TMPDIR": str(self._io),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def document(self, path: Path) -> None:
        """Run every block of a document that is to be run, and hold what is shown against what comes."""
        for fence in fences(path):
            if fence.not_run is None:
                self.block(fence, path.name)

    def block(self, fence: Fence, name: str) -> None:
        """Run one block; what only looks is repeated until it exits and prints as shown."""
        for command in fence.commands():
            end = time.monotonic() + PATIENCE_S
            wrong = self._wrong(command)
            while wrong and command.only_looks and time.monotonic() < end:
                time.sleep(PAUSE_S)
                wrong = self._wrong(command)
            assert wrong is None, f"{name}:{command.line}: {command.text}\n{wrong}"
        self.ran += len(fence.ours())

    def _wrong(self, command: Command) -> str | None:
        """Run a command: what is not as shown, or ``None``."""
        code, out = self.run(command.text)
        if code != command.exit:
            return f"exits with {code}, not {command.exit}:\n{out}"
        missing = self._missing(command, out)
        return missing and f"never prints, or not in that order:\n  {missing}\nbut:\n{out}"

    def run(self, text: str) -> tuple[int, str]:
        """Run a script in the shell that stays; its exit code, and all that it printed."""
        script, out, code = (self._io / one for one in ("script", "out", "code"))
        code.unlink(missing_ok=True)
        # A script's own `set -e` ends it alone, and `cd` is kept.
        body = self._ported(text).removeprefix(STRICT)
        if body != self._ported(text):
            body = f"trap '_failed=$?; trap - ERR; return $_failed' ERR\n{body}\ntrap - ERR\n"
        script.write_text(body + "\n")
        parts = " ".join(shlex.quote(str(one)) for one in (script, out))
        assert self._shell.stdin is not None
        path, into = parts.split(" ")
        done = f"echo $? > {shlex.quote(str(code))}.new; mv {shlex.quote(str(code))}.new {shlex.quote(str(code))}"
        self._shell.stdin.write(f". {path} > {into} 2>&1 < /dev/null; {done}\n")
        self._shell.stdin.flush()
        end = time.monotonic() + PATIENCE_S
        while not code.exists():
            assert self._shell.poll() is None, f"the shell has ended:\n{text}\n{out.read_text()}"
            assert time.monotonic() < end, f"not in {PATIENCE_S:.0f} s: {text}\n{out.read_text()}"
            time.sleep(0.01)
        return int(code.read_text()), out.read_text(errors="replace")

    def close(self) -> None:
        """End the shell and every process that was begun from it."""
        pids = {
            int(path.read_text().split()[0])
            for path in self.folder.rglob("node.pid")
            if path.read_text().strip()
        }
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.kill()
        self._shell.wait(10)
        if self._shell.stdin is not None:
            with suppress(OSError):
                self._shell.stdin.close()
        end = time.monotonic() + 20
        while any(_lives(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _ported(self, text: str) -> str:
        """A script with the sandbox's ports in place of those that documents name."""
        text = text.replace(
            "--from-example composite", f"--from-example composite --first-port {self._first}"
        )
        text = re.sub(
            r"(organismctl exporter)(?! --help)", rf"\1 --listen 127.0.0.1:{self._first + 260}", text
        )
        text = re.sub(
            r"(organismctl committee relay --detach)", rf"\1 --bind 127.0.0.1:{self._first + 270}", text
        )
        text = text.replace(str(_EXPORTER), str(self._first + 260)).replace(
            str(_RELAY), str(self._first + 270)
        )
        text = re.sub(r"\b71(1[1-3])\b", lambda at: str(self._first + int(at[1]) - 1), text)
        return re.sub(
            r"\b7([123])0([1-4])\b",
            lambda at: str(self._first + 100 * (int(at[1]) - 1) + int(at[2]) - 1),
            text,
        )

    def _missing(self, command: Command, out: str) -> str | None:
        """The first line that is shown and does not come, in that order; numbers and ids differ from run to run."""
        came = [self._plain(line) for line in out.split("\n")]
        at = 0
        for line in command.shown:
            if not line.strip() or line.strip() == LEFT_OUT:
                continue
            wanted = self._plain(line)
            found = next((number for number, one in enumerate(came[at:], at) if one == wanted), None)
            if found is None:
                return line
            at = found + 1
        return None

    def _plain(self, line: str) -> str:
        line = line.replace(str(self.folder), "~")
        line = re.sub(r"\b[0-9a-f]{6,}\b", "#", line)
        return " ".join(re.sub(r"\d+", "#", line).split())


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox, whose processes are all ended."""
    made = Sandbox(folder)
    try:
        yield made
    finally:
        made.close()


def main(argv: list[str]) -> int:
    """Print what the blocks of documents print, for whoever writes them: ``python -m tests.docs.sandbox FILE…``."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, sandbox(Path(folder) / "home") as made:
        for name in argv:
            for fence in fences(Path(name)):
                for command in fence.commands() if fence.not_run is None else ():
                    began = time.monotonic()
                    code, out = made.run(command.text)
                    took = f"{time.monotonic() - began:.1f} s"
                    sys.stdout.write(
                        f"$ {command.text}\n{out.replace(str(made.folder), '~')}[exit {code}] {took}\n\n"
                    )
                    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
