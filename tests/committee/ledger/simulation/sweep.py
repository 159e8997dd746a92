"""Many seeds, over several processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from organismctl.committee.ledger.protocol import Node

from .bugs import BUGS
from .schedule import Result, run_seed

CHUNK = 20


@dataclass(slots=True)
class Summary:
    seeds: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)
    entries: int = 0
    acknowledged: int = 0
    changes: int = 0
    epochs: int = 0
    slowest: float = 0.0

    def add(self, outcome: Result | tuple[int, str]) -> None:
        self.seeds += 1
        if isinstance(outcome, tuple):
            self.failures.append(outcome)
            return
        self.entries += outcome.height
        self.acknowledged += outcome.acknowledged
        self.changes += outcome.roster_version - 1
        self.epochs += outcome.epoch
        self.slowest = max(self.slowest, outcome.healed_in)


def run_chunk(start: int, count: int, bug: str | None, first_only: bool) -> list[Result | tuple[int, str]]:
    node_class = BUGS[bug] if bug else Node
    outcomes: list[Result | tuple[int, str]] = []
    for seed in range(start, start + count):
        try:
            outcomes.append(run_seed(seed, node_class))
        except Exception as exc:  # noqa: BLE001 (any exception of the protocol is a failure of its seed)
            outcomes.append((seed, f"{type(exc).__name__}: {exc}"))
            if first_only:
                break
    return outcomes


def sweep(
    start: int,
    seeds: int,
    *,
    bug: str | None = None,
    jobs: int = 1,
    first_only: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Run seeds ``start`` to ``start + seeds - 1``; failures come in the order of their seeds."""
    summary = Summary()
    chunks = [
        (at, min(CHUNK, start + seeds - at), bug, first_only) for at in range(start, start + seeds, CHUNK)
    ]
    if jobs == 1:
        outcomes = (run_chunk(*chunk) for chunk in chunks)
        _gather(summary, outcomes, first_only, progress)
        return summary
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        # A bounded number of chunks is in flight, so that a long sweep keeps little in memory.
        waiting = [pool.submit(run_chunk, *chunk) for chunk in chunks[: 4 * jobs]]
        rest = iter(chunks[4 * jobs :])

        def in_order():
            while waiting:
                yield waiting.pop(0).result()
                following = next(rest, None)
                if following is not None:
                    waiting.append(pool.submit(run_chunk, *following))

        _gather(summary, in_order(), first_only, progress)
        for future in waiting:
            future.cancel()
    return summary


def _gather(summary, outcomes, first_only, progress) -> None:
    for chunk in outcomes:
        for outcome in chunk:
            summary.add(outcome)
        if progress is not None:
            progress(summary.seeds, len(summary.failures))
        if first_only and summary.failures:
            return
