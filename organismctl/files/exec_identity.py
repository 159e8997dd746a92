"""The identity scheme ``exec``: the organism's own binary is asked what it is.

Bounded in time and output, without a shell: a binary that hangs, floods or leaves a child behind costs its
time limit at most, no disk, and no process. Its answer is one JSON object on standard output; what it says on
standard error is its own affair, and is quoted when it fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.errors import InputError
from organismctl.identity.fingerprint import Identity, identity_of

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig

TIMEOUT_S = 30.0
"""After this the binary and all it started are killed; it has one hash to compute."""
MOST_ANSWER = 64 << 10
"""Bytes of standard output; an answer has a few hundred."""
MOST_QUOTED = 400
"""Bytes of standard error that are quoted, from its end."""
_ADVICE = "run identity.command by hand: it prints one JSON object with `fingerprint`, and ends with 0"
_POLL_S = 0.02
_PART = 16 << 10


def identity_here(config: OrganismConfig, folder: Path, *, timeout_s: float = TIMEOUT_S) -> Identity:
    """The organism's identity; for the scheme ``exec`` by asking its own binary.

    Args:
        config: The config.
        folder: Where organism.toml stands; the binary runs there.
        timeout_s: How long the binary may take.

    Raises:
        InputError: The identity cannot be computed.
    """
    answer = None
    if config.identity.scheme == "exec":
        answer = ask_binary(config.identity.command, folder, timeout_s=timeout_s)
    try:
        return identity_of(config, exec_result=answer)
    except ValueError as exc:
        raise InputError(
            f"the identity cannot be computed: {exc}", advice="see [identity] in organism.toml"
        ) from exc


def ask_binary(command: Sequence[str], folder: Path, *, timeout_s: float = TIMEOUT_S) -> dict[str, object]:
    """Run the organism's own binary and read its answer.

    Args:
        command: Its argv, as the config has it.
        folder: Where it runs.
        timeout_s: After this it is killed, with all that it started.

    Raises:
        InputError: It cannot be run, takes too long, says too much, fails, or answers no JSON object.
    """
    try:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        said = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise _fault(command, f"cannot be run: {said}") from exc
    with process:
        try:
            answer, quoted, trouble = _listen(process, timeout_s)
        finally:
            # Not reaped yet, so the group is still ours: whatever it left behind ends with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if trouble is None and process.returncode != 0:
        trouble = f"ended with exit code {process.returncode}"
    if trouble is not None:
        raise _fault(command, trouble, quoted)
    return _object(command, answer)


def _listen(process: subprocess.Popen[bytes], timeout_s: float) -> tuple[bytes, bytes, str | None]:
    """Its standard output, the end of its standard error, and why it must be ended, if it must."""
    answer, quoted = bytearray(), bytearray()
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, answer), (process.stderr, quoted)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, kept)
        while True:
            # Looked at before reading: what it wrote before its end is then still read.
            over = _ended(process.pid)
            _read(selector, 0.0 if over else _POLL_S)
            del quoted[:-MOST_QUOTED]
            if len(answer) > MOST_ANSWER:
                return b"", bytes(quoted), f"printed more than {MOST_ANSWER >> 10} KiB, and was killed"
            if over:
                return bytes(answer), bytes(quoted), None
            if time.monotonic() > deadline:
                return b"", bytes(quoted), f"took over {timeout_s:g} s, and was killed"


def _read(selector: selectors.BaseSelector, patience_s: float) -> None:
    """What is there now; streams that ended are let go."""
    if not selector.get_map():
        time.sleep(patience_s)
        return
    for key, _ in selector.select(patience_s):
        # All that fits a pipe, so that the last look takes the whole rest; but a flood gets no more than that.
        for _part in range(MOST_ANSWER // _PART + 1):
            try:
                data = os.read(key.fd, _PART)
            except BlockingIOError:
                break
            if not data:
                selector.unregister(key.fileobj)
                break
            key.data.extend(data)


def _ended(pid: int) -> bool:
    """Whether it has ended; it is left unreaped, so that its group's number cannot become another's."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _object(command: Sequence[str], answer: bytes) -> dict[str, object]:
    try:
        value = json.loads(answer.decode(), object_pairs_hook=_unique)
    except RecursionError as exc:
        raise _fault(command, "answered JSON that is nested too deeply") from exc
    except ValueError as exc:
        raise _fault(command, f"answered no JSON object ({exc})") from exc
    if not isinstance(value, dict):
        raise _fault(command, "answered JSON that is no object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _fault(command: Sequence[str], what: str, quoted: bytes = b"") -> InputError:
    said = " ".join(quoted.decode(errors="replace").split())
    return InputError(
        f"identity.command {command[0] if command else ''}: {what}{': ' + said if said else ''}",
        advice=_ADVICE,
    )
