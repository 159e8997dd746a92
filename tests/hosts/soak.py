"""Rounds of scenarios 1 to 3 with random timings on five nodes: ``python -m tests.hosts.soak`` (root, an hour).

Each round is a committee of its own on which all three scenarios run in a random order, the lost disk last. The
seed of a round gives its order and its timings; the kernel's and mosaik's own timing is nobody's.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.hosts.fleet import Fleet, fleet
from tests.hosts.scenarios import all_restarted, disk_lost, follower_cut, leader_cut, some_restarted
from tests.hosts.shell import missing
from tests.hosts.table import Row, render

CUT_S = (3.0, 30.0)
DOWN_S = (0.0, 8.0)
SEED = 20_261_124


def round_of(running: Fleet, chance: random.Random) -> list[Callable[[], Row]]:
    """One round's scenarios, in their order."""
    leader, follower = chance.uniform(*CUT_S), chance.uniform(*CUT_S)
    some, everybody = chance.uniform(*DOWN_S), chance.uniform(*DOWN_S)
    scenarios: list[Callable[[], Row]] = [
        lambda: leader_cut(running, leader),
        lambda: follower_cut(running, follower),
        lambda: some_restarted(running, some),
        lambda: all_restarted(running, everybody),
    ]
    chance.shuffle(scenarios)
    return [*scenarios, lambda: disk_lost(running)]


def main() -> int:
    """The command line; 0 when every round kept every acknowledged write and no node differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    if (why := missing()) is not None:
        print(f"cannot soak across hosts: {why}", file=sys.stderr)
        return 1
    table: list[Row] = []
    broken = 0
    for number in range(given.rounds):
        seed = given.seed + number
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="organismctl-soak-") as folder:
                _round(Path(folder), given.nodes, seed, table)
        except Exception:  # noqa: BLE001 - a round that breaks is told and counted; the next ones still run
            broken += 1
            traceback.print_exc()
        print(
            f"round {number + 1} of {given.rounds}, seed {seed}: {time.monotonic() - began:.0f} s", flush=True
        )
    print(render(table))
    bad = sum(not row.good for row in table)
    print(
        f"{given.rounds} rounds, {len(table)} scenarios, {sum(row.acknowledged for row in table)} acknowledged, "
        f"{sum(row.lost for row in table)} lost, {sum(row.diverged for row in table)} diverged, {broken} broken"
    )
    return int(bool(bad or broken))


def _round(folder: Path, nodes: int, seed: int, table: list[Row]) -> None:
    with fleet(folder, nodes, spares=1) as running:
        for scenario in round_of(running, random.Random(seed)):
            row = scenario()
            table.append(replace(row, note=f"seed {seed}; {row.note}".rstrip("; ")))
            print(render([table[-1]]).splitlines()[1], flush=True)


if __name__ == "__main__":
    sys.exit(main())
