"""``python -m tests.committee.ledger.simulation --seeds 2000 --start 0 [--bug NAME] [--jobs N]``."""

from __future__ import annotations

import argparse
import os
import sys
import time

from .bugs import BUGS
from .sweep import sweep


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--bug", choices=["all", *BUGS], help="plant a bug; exit 0 when it is found")
    arguments = parser.parse_args()
    if arguments.bug:
        names = list(BUGS) if arguments.bug == "all" else [arguments.bug]
        missed = 0
        for name in names:
            summary = sweep(arguments.start, arguments.seeds, bug=name, jobs=arguments.jobs, first_only=True)
            if summary.failures:
                seed, why = summary.failures[0]
                print(f"{name}: found after {seed - arguments.start + 1} seeds (seed {seed}): {why}")
            else:
                missed += 1
                print(f"{name}: NOT found in {arguments.seeds} seeds")
        return 1 if missed else 0
    began = time.monotonic()

    shown = [began]

    def progress(done: int, bad: int) -> None:
        """A line a while: rewritten each second on a terminal, a new one each half minute in a log."""
        now, terminal = time.monotonic(), sys.stderr.isatty()
        if now - shown[0] >= (1.0 if terminal else 30.0):
            shown[0] = now
            rate = done / (now - began)
            text = (
                f"{done} of {arguments.seeds} seeds, {bad} bad, {(arguments.seeds - done) / rate:.0f} s left"
            )
            print(
                f"\r{text}   " if terminal else text,
                end="" if terminal else "\n",
                file=sys.stderr,
                flush=True,
            )

    summary = sweep(arguments.start, arguments.seeds, jobs=arguments.jobs, progress=progress)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    for seed, why in summary.failures[:20]:
        print(f"seed {seed}: {why}")
    took = time.monotonic() - began
    print(
        f"ledger simulation: {summary.seeds} seeds, {len(summary.failures)} bad, {summary.entries} entries certified, "
        f"{summary.acknowledged} appends acknowledged, {summary.changes} roster changes, {summary.epochs} epochs, "
        f"slowest healing {summary.slowest:.2f} simulated s; {took:.0f} s, {summary.seeds / took:.0f} seeds/s"
    )
    return 1 if summary.failures else 0


if __name__ == "__main__":
    sys.exit(main())
