"""Ask every source at once, bounded in time and in number; the world's faults are facts, never exceptions.

Invariants:
    1. Every (kind, subject) that a source wants ends in at least one fact: seen, or with the reason why not.
    2. ``observe`` returns by the deadline, whatever a source does: its threads are daemons, and a late answer is
       dropped.
    3. Facts stand in the order of the sources, not in that of the answers.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from organismctl.observe.snapshot import DEFECT, UNREACHABLE, Fact, Snapshot

MAX_PARALLEL = 128
"""Threads at most; each waits for one answer, so they cost memory rather than time."""

IDLE_S = 0.1
"""When nothing has come for this long every question is on its way, and the calling thread has time."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a source will say something about, and where it looks."""

    kind: str
    subject: str
    source: str


class Source(Protocol):
    """One part of the world."""

    def wants(self) -> Sequence[Want]:
        """What it will give a fact for."""
        ...

    def look(self) -> Iterable[Fact]:
        """Look, and give each fact as soon as it is there. Called once, in a thread of its own."""
        ...


def now_ms() -> int:
    """The wall clock, Unix ms."""
    return time.time_ns() // 1_000_000


def observe(
    sources: Sequence[Source],
    deadline_s: float = 10.0,
    max_parallel: int = MAX_PARALLEL,
    *,
    then: Callable[[Snapshot], Sequence[Source]] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Snapshot:
    """Look at the world.

    Args:
        sources: What to ask.
        deadline_s: Seconds for everything together.
        max_parallel: How many sources are asked at a time.
        then: A second round that depends on the first (a common height); within the same deadline.
        on_progress: Called with (sources that ended, sources), from the calling thread.
        meanwhile: Called once, in the calling thread, when nothing has come for :data:`IDLE_S`: what the caller
            has to load for its next step costs no time of its own then.

    Returns:
        All facts.
    """
    begun, end = now_ms(), time.monotonic() + deadline_s
    facts = _round(sources, end, deadline_s, max_parallel, on_progress, meanwhile)
    snapshot = Snapshot(begun, facts)
    more = then(snapshot) if then is not None else ()
    if not more:
        return snapshot
    return Snapshot(begun, facts + _round(more, end, deadline_s, max_parallel, on_progress))


def _round(
    sources: Sequence[Source],
    end: float,
    deadline_s: float,
    max_parallel: int,
    on_progress: Callable[[int, int], None] | None,
    meanwhile: Callable[[], object] | None = None,
) -> tuple[Fact, ...]:
    """Ask all sources; facts in their order."""
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Fact | None]] = queue.SimpleQueue()
    for index in range(len(sources)):
        todo.put(index)
    for _ in range(min(max(max_parallel, 1), len(sources))):
        threading.Thread(target=_work, args=(sources, todo, done, end), daemon=True).start()
    got: list[list[Fact]] = [[] for _ in sources]
    open_ones = len(sources)
    while open_ones:
        left = max(end - time.monotonic(), 0.0)
        try:
            index, fact = done.get(timeout=left if meanwhile is None else min(left, IDLE_S))
        except queue.Empty:
            if meanwhile is None or left <= IDLE_S:
                break
            meanwhile()
            meanwhile = None
            continue
        if fact is not None:
            got[index].append(fact)
            continue
        open_ones -= 1
        if on_progress is not None:
            on_progress(len(sources) - open_ones, len(sources))
    return tuple(
        fact
        for source, some in zip(sources, got, strict=True)
        for fact in _complete(source, some, deadline_s)
    )


def _work(
    sources: Sequence[Source],
    todo: queue.SimpleQueue[int],
    done: queue.SimpleQueue[tuple[int, Fact | None]],
    end: float,
) -> None:
    """One thread: take sources until there are none, or no time."""
    while time.monotonic() < end:
        try:
            index = todo.get_nowait()
        except queue.Empty:
            return
        try:
            for fact in sources[index].look():
                done.put((index, fact))
        except Exception as exc:  # noqa: BLE001 # a source's own defect must not end the look at all others
            for want in sources[index].wants():
                reason = f"the look failed: {type(exc).__name__}"
                done.put((index, Fact.unseen(want.kind, want.subject, want.source, reason, DEFECT)))
        done.put((index, None))


def _complete(source: Source, facts: list[Fact], deadline_s: float) -> list[Fact]:
    """The facts of a source, with a reason for each that did not come."""
    have = {(fact.kind, fact.subject) for fact in facts}
    reason = f"no answer within {deadline_s:g} s"
    missing = [
        Fact.unseen(want.kind, want.subject, want.source, reason, UNREACHABLE)
        for want in source.wants()
        if (want.kind, want.subject) not in have
    ]
    return facts + missing
