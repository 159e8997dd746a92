"""Certified appends a second on three local nodes, beside raw SQLite appends of the same durability.

Three processes, each a whole node (ledger, fold, API, loopback carrier); the load runs within the proposer's, 32 in
flight. The raw figure is one process that commits one row a transaction, WAL, ``synchronous = FULL``, on the same disk
right before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Row, gather, stop

if TYPE_CHECKING:
    from tests.support.committee import Committee

IN_FLIGHT = 32
LIMIT = 0.3


def raw(folder: Path, seconds: float) -> float:
    """Rows a second."""
    db = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE entries (height INTEGER PRIMARY KEY, command BLOB, digest BLOB)")
    command, digest = b"x" * 48, b"d" * 32
    count, end, began = 0, time.perf_counter() + seconds, time.perf_counter()
    while time.perf_counter() < end:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO entries (command, digest) VALUES (?, ?)", (command, digest))
        db.execute("COMMIT")
        count += 1
    took = time.perf_counter() - began
    db.close()
    return count / took


async def _load(node: object, seconds: float, in_flight: int) -> float:
    from organismctl.committee.command import Drain
    from organismctl.committee.node.door import Done
    from organismctl.committee.node.node import CommitteeNode

    assert isinstance(node, CommitteeNode)
    me = node.settings.peer_id
    done = 0
    end = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            outcome = await node.append(Drain(peer_id=me, drained=False))
            assert isinstance(outcome, Done), outcome
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*[worker() for _ in range(in_flight)])
    return done / (time.perf_counter() - began)


def node(deployment: Path, name: str, seconds: float, in_flight: Sequence[int]) -> None:
    """One node's process; the proposer's runs the load and prints a line for each number in flight."""
    import organismctl.committee.node.node as module
    from organismctl.committee.ledger.core import Role
    from organismctl.committee.node.serve import Listen, serve

    start = module.CommitteeNode.start

    async def started(self: module.CommitteeNode) -> None:
        await start(self)

        async def when_leading() -> None:
            while self.runner.status().proposer is None:
                await asyncio.sleep(0.1)
            await asyncio.sleep(3.0)
            if self.runner.status().role is not Role.PROPOSER:
                return
            disk = _Disk()
            await _load(self, 1.0, max(in_flight))
            for number in in_flight:
                disk.seconds = 0.0
                rate = await _load(self, seconds, number)
                told = {"in_flight": number, "appends": rate, "disk": disk.seconds / seconds}
                print(json.dumps(told), flush=True)

        self.load = asyncio.get_running_loop().create_task(when_leading())

    module.CommitteeNode.start = started
    serve(deployment, name, Listen())


class _Disk:
    """How long the proposer's store was writing: transactions with their fsync."""

    def __init__(self) -> None:
        from organismctl.committee.ledger.store import Store

        self.seconds = 0.0
        write = Store.write

        def timed(store: Store, writes: object) -> None:
            began = time.perf_counter()
            write(store, writes)
            self.seconds += time.perf_counter() - began

        Store.write = timed


def measure(committee: Committee, seconds: float, in_flight: Sequence[int]) -> list[dict[str, float]]:
    """Start a committee's nodes with the load in the proposer's process; a figure for each number in flight.

    Args:
        committee: Founded, not started.
        seconds: How long each load lasts.
        in_flight: Appends that wait at a time.

    Returns:
        ``in_flight``, ``appends`` a second, ``disk``: the share of time in which the store was writing.
    """
    itself = [
        sys.executable,
        "-m",
        "benchmarks.appends",
        "--seconds",
        str(seconds),
        "--in-flight",
        *map(str, in_flight),
    ]
    processes = [
        subprocess.Popen(
            [*itself, "--deployment", str(committee.deployment), "--node", name],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        for name in committee.names
    ]
    try:
        return gather(processes, len(in_flight), len(in_flight) * seconds + 90.0)
    finally:
        stop(processes)


def rows(seconds: float = 5.0) -> list[Row]:
    """The benchmark's line."""
    from tests.support.committee import make_committee

    with tempfile.TemporaryDirectory() as folder:
        sqlite = raw(Path(folder), seconds)
        committee = make_committee(Path(folder) / "acme", period="1s")
        (found,) = measure(committee, seconds, [IN_FLIGHT])
    certified = found["appends"]
    detail = f"{certified:,.0f} /s certified, {sqlite:,.0f} /s raw"
    return [
        Row(
            f"certified appends, 3 nodes, {IN_FLIGHT} in flight",
            certified / sqlite,
            LIMIT,
            detail,
            at_least=True,
        )
    ]


def main() -> None:
    """One node of the measurement: ``python -m benchmarks.appends --node NAME …``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[IN_FLIGHT])
    parser.add_argument("--node", required=True)
    parser.add_argument("--deployment", type=Path, required=True)
    given = parser.parse_args()
    node(given.deployment, given.node, given.seconds, given.in_flight)


if __name__ == "__main__":
    main()
