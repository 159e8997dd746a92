"""One asyncio loop in a thread of its own, for all looks over the wire.

At exit every look is cancelled and the loop stands still *before* the interpreter takes itself down, because a
thread of iroh's that calls into it during that would take the process with it.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from organismctl.observe.wire.faults import WireError

T = TypeVar("T")
GRACE_S = 2.0
"""How long the end of the process waits for looks to let go of their connections."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(
    work: Coroutine[Any, Any, T], timeout_s: float, *, meanwhile: Callable[[], object] | None = None
) -> T:
    """Run to the end in the background loop, from whatever thread.

    Args:
        work: What bounds itself to less than ``timeout_s``.
        timeout_s: The last resort.
        meanwhile: Done in this thread first, while the network is waited for.

    Raises:
        WireError: It took longer, or the process is about to end.
    """
    future = asyncio.run_coroutine_threadsafe(work, _started())
    if meanwhile is not None:
        meanwhile()
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
            thread = threading.Thread(target=_loop.run_forever, name="wire", daemon=True)
            thread.start()
            atexit.register(_stop, _loop, thread)
        return _loop


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Cancel every look, wait for their ends, stop the loop."""

    async def end() -> set[asyncio.Task[Any]]:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        return (await asyncio.wait(rest, timeout=GRACE_S))[1] if rest else set()

    with contextlib.suppress(concurrent.futures.TimeoutError):
        left = asyncio.run_coroutine_threadsafe(end(), loop).result(GRACE_S + 1)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(GRACE_S)
        if not left and not thread.is_alive():
            loop.close()  # with a look that did not end, iroh may still call into it
