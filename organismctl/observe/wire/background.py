"""One asyncio loop in a thread of its own, for all looks over the wire.

The loop is never closed, because iroh's own threads may still call into it; at exit every look is cancelled and
the loop stands still *before* the interpreter takes itself down, which a foreign thread that waits for it would
not survive.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from organismctl.observe.wire.faults import WireError

T = TypeVar("T")
GRACE_S = 2.0
"""How long the end of the process waits for looks to let go of their connections."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    """Run to the end in the background loop, from whatever thread.

    Args:
        work: What bounds itself to less than ``timeout_s``.
        timeout_s: The last resort.

    Raises:
        WireError: It took longer, or the process is about to end.
    """
    future = asyncio.run_coroutine_threadsafe(work, _started())
    try:
        return future.result(timeout_s)
    except concurrent.futures.TimeoutError as exc:
        future.cancel()
        raise WireError(f"no answer within {timeout_s:g} s") from exc
    except concurrent.futures.CancelledError as exc:
        raise WireError("the look was broken off") from exc


def _started() -> asyncio.AbstractEventLoop:
    global _loop  # noqa: PLW0603 # one loop for the process, made at the first look
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="wire", daemon=True).start()
            atexit.register(_stop, _loop)
        return _loop


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel every look, wait for their ends, stop the loop."""
    stopped = threading.Event()

    async def end() -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.wait(rest, timeout=GRACE_S) if rest else None
        loop.call_soon(loop.stop)
        loop.call_soon(stopped.set)

    asyncio.run_coroutine_threadsafe(end(), loop)
    stopped.wait(GRACE_S + 1)
