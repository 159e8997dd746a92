"""The ``command`` executor: argv templates of the operator's, run without a shell.

Each argument is filled in by itself, so no value can become two arguments, and nothing is ever interpreted
by a shell. Output is captured, bounded and redacted; it goes to the journal.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from organismctl.change.canonical import clean
from organismctl.change.executor import Host, Outcome
from organismctl.errors import InputError, OrganismError

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}", re.ASCII)
KEPT_OUTPUT = 4096
"""Bytes of output that are kept, from its end."""


class ExecutorError(OrganismError):
    """A command did not do what it was run for."""


def fill(template: Sequence[str], host: Host) -> list[str]:
    """Fill an argv template in: ``{node}``, ``{deployment}``, ``{data}``, ``{url}``, ``{peer_id}``.

    Raises:
        InputError: An unknown placeholder, or an empty template.
    """
    values = {
        "node": host.node,
        "deployment": str(host.deployment),
        "data": str(host.data),
        "url": host.url,
        "peer_id": host.peer_id,
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise InputError(
                f"node {host.node}: unknown placeholder {match[0]}; allowed: "
                + ", ".join(f"{{{name}}}" for name in values)
            )
        return values[match[1]]

    if not template:
        raise InputError(f"node {host.node}: no command is given for this in deployment.toml")
    return [PLACEHOLDER.sub(value, argument) for argument in template]


def redact(text: str, secrets: Sequence[str]) -> str:
    """Text without the given values, fit for a journal and a terminal."""
    for secret in secrets:
        if len(secret) >= 8:
            text = text.replace(secret, "[secret]")
    return clean(text, KEPT_OUTPUT).strip()


def run(argv: Sequence[str], *, cwd: Path, timeout_s: float, secrets: Sequence[str]) -> tuple[int, str]:
    """Run a command to its end.

    Its output goes through a file, not a pipe: a daemon that it leaves behind may keep the file open for as
    long as it likes without holding us up.

    Args:
        argv: The command; ``organismctl`` means this very installation when it is not on the PATH.
        cwd: Where to run it.
        timeout_s: After this its whole process group is killed.
        secrets: Values that must not appear.

    Returns:
        Exit code and the end of its output.

    Raises:
        ExecutorError: It could not be started, or took too long.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                _resolved(argv),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            raise ExecutorError(
                f"{argv[0]}: cannot be run: {exc}", advice="see executor in deployment.toml"
            ) from exc
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as exc:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            said = redact(_tail(output), secrets)
            raise ExecutorError(f"{argv[0]}: took over {timeout_s:.0f} s and was killed: {said}") from exc
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return code, redact(_tail(output), secrets)


def _resolved(argv: Sequence[str]) -> list[str]:
    import shutil

    if argv[0] == "organismctl" and shutil.which("organismctl") is None:
        return [sys.executable, "-m", "organismctl", *argv[1:]]
    return list(argv)


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - KEPT_OUTPUT))
    return output.read().decode(errors="replace")


class Command:
    """Runs ``start``, ``stop`` and ``fenced`` of deployment.toml.

    Args:
        host: The node.
        secrets: Values that must not appear in any output.
        timeout_s: How long one command may take.
    """

    def __init__(self, host: Host, *, secrets: Sequence[str], timeout_s: float) -> None:
        self.host = host
        self._secrets = tuple(secrets)
        self._timeout_s = timeout_s

    def start(self) -> Outcome:
        """See :meth:`Executor.start`."""
        return self._must(self.host.start, "start")

    def stop(self) -> Outcome:
        """See :meth:`Executor.stop`."""
        return self._must(self.host.stop, "stop")

    def fenced(self) -> bool | None:
        """See :meth:`Executor.fenced`."""
        if not self.host.fenced:
            return None
        try:
            code, _ = self._run(self.host.fenced)
        except ExecutorError:
            return None
        # The contract promises something for 0 alone; any other code may be the command's own failure.
        return True if code == 0 else None

    def _must(self, template: Sequence[str], what: str) -> Outcome:
        code, output = self._run(template)
        if code != 0:
            raise ExecutorError(
                f"node {self.host.node}: its {what} command ended with exit code {code}: "
                f"{output or 'no output'}",
                advice=f"see [[node]] {self.host.node} {what} in deployment.toml",
            )
        return Outcome(f"{what} command of {self.host.node} ended with exit code 0", output)

    def _run(self, template: Sequence[str]) -> tuple[int, str]:
        argv = fill(template, self.host)
        folder = self.host.deployment.parent
        return run(argv, cwd=folder, timeout_s=self._timeout_s, secrets=self._secrets)
