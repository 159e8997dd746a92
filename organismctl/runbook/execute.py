"""Runs a command line of this tool in a process of its own: without a shell, its output kept and redacted.

The output goes through a file, not a pipe: when this process is killed, the command goes on undisturbed to its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from organismctl.errors import OrganismError
from organismctl.runbook.redact import KEPT, Redactor

NAME = "organismctl"
TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its exit code, its redacted output, and how long it took."""

    exit: int
    output: str
    took_ms: int


class CommandError(OrganismError):
    """A command could not be run, or took too long."""


class Executor:
    """Runs command lines of this very installation.

    Args:
        redactor: Hides secrets in what they print.
        environment: What is added to this process's environment.
        now_s: A clock that only goes on.
    """

    def __init__(
        self, redactor: Redactor, environment: Mapping[str, str], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._redactor = redactor
        self._environment = {**os.environ, **environment, "NO_COLOR": "1"}
        self._now_s = now_s

    def run(
        self, argv: Sequence[str], timeout_s: float, waiting: Callable[[float], None] | None = None
    ) -> Done:
        """Run a command to its end.

        Args:
            argv: ``organismctl`` and its arguments.
            timeout_s: After this it is told to end.
            waiting: Told every second how long it has been going on.

        Raises:
            CommandError: It could not be started, or took too long.
        """
        begun = self._now_s()
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", NAME, *argv[1:]],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=self._environment,
                )  # fmt: skip
            except (OSError, ValueError) as exc:
                raise CommandError(f"{argv[0]}: cannot be run: {exc}") from exc
            try:
                code = self._wait(process, begun, timeout_s, waiting)
            except BaseException:
                # Ctrl-C reached the command, too: it may put things in order before it ends.
                _end(process)
                raise
            text = self._redactor.text(_tail(output))
        return Done(code, text.rstrip(), round((self._now_s() - begun) * 1000))

    def _wait(
        self,
        process: subprocess.Popen[bytes],
        begun: float,
        timeout_s: float,
        waiting: Callable[[float], None] | None,
    ) -> int:
        while True:
            try:
                return process.wait(TICK_S)
            except subprocess.TimeoutExpired:
                took = self._now_s() - begun
                if waiting is not None:
                    waiting(took)
                if took > timeout_s:
                    _end(process)
                    raise CommandError(f"it took over {timeout_s:.0f} s and was told to end") from None


def _end(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """End a command in order, else by force."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    # Redaction must see a secret whole: a little more is read than is kept.
    output.seek(max(0, size - 2 * KEPT))
    return output.read().decode(errors="replace")
