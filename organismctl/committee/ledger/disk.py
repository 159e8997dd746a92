"""The thread that writes: one transaction after the other, each reported to the loop when it is on disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from organismctl.committee.ledger.effects import Write
from organismctl.committee.ledger.store import Store
from organismctl.errors import OrganismError


class Disk:
    """Writes in a thread of its own; all methods are called on the loop.

    Leaner than an executor, for every certified entry passes here twice: no future, one wake-up a transaction.

    Args:
        store: Where to.
        written: Called on the loop with the writes that are on disk.
        failed: Called on the loop with the error; nothing of those writes was done.
    """

    def __init__(
        self,
        store: Store,
        written: Callable[[Sequence[Write]], None],
        failed: Callable[[OrganismError], None],
    ) -> None:
        self._store = store
        self._written = written
        self._failed = failed
        self._queue: SimpleQueue[Sequence[Write] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def write(self, writes: Sequence[Write]) -> None:
        """Write them in one transaction."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name="ledger-write")
            self._thread.start()
        self._queue.put(writes)

    def close(self) -> None:
        """Finish what was asked for, and end the thread; blocks for it."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while (writes := self._queue.get()) is not None:
            try:
                self._store.write(writes)
            except OrganismError as exc:
                _tell(loop, self._failed, exc)
            else:
                _tell(loop, self._written, writes)


def _tell(loop: asyncio.AbstractEventLoop, who: Callable[..., None], what: object) -> None:
    try:
        loop.call_soon_threadsafe(who, what)
    except RuntimeError:
        # The loop is closed: the process ends, and nobody waits for the answer.
        return
