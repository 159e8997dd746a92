"""``decode = "exec"``: the operator's own command tells the clock event of an upstream item.

The item's bytes go to its standard input; it prints ``{"clock_event": N}``. It must be deterministic: every node runs
its own, and they have to agree.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from organismctl.committee.strict import MalformedAnswerError, number, read_json

DECODE_S = 5.0
MAX_OUTPUT = 4096


class DecodeError(Exception):
    """The decoder did not do its work; the text says why."""


async def decode_exec(command: Sequence[str], data: bytes) -> int:
    """The clock event that a decoder tells.

    Raises:
        DecodeError: It cannot be run, fails, takes too long or prints something else.
    """
    if not command:
        raise DecodeError("organism.toml names no command for it")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as exc:
        raise DecodeError(f"{command[0]} cannot be run: {exc.strerror}") from exc
    try:
        async with asyncio.timeout(DECODE_S):
            output, _ = await process.communicate(data)
    except TimeoutError as exc:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise DecodeError(f"{command[0]} took longer than {DECODE_S:.0f} s") from exc
    if process.returncode != 0:
        raise DecodeError(f"{command[0]} ended with status {process.returncode}")
    try:
        return number(read_json(output[:MAX_OUTPUT]).get("clock_event"), "clock_event")
    except MalformedAnswerError as exc:
        raise DecodeError(f"{command[0]} printed no clock event: {exc}") from exc
