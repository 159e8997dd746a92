"""Certified appends a second on three local nodes, beside raw SQLite appends of the same durability.

Three processes, each a whole node (ledger, fold, API, loopback carrier); the load runs within the proposer's, 32 in
flight. The raw figure is one process that commits one row a transaction, WAL, ``synchronous = FULL``, on the same disk
right before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row

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


async def _load(node: object, seconds: float) -> float:
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
    await asyncio.gather(*[worker() for _ in range(IN_FLIGHT)])
    return done / (time.perf_counter() - began)


def node(deployment: Path, name: str, seconds: float) -> None:
    """One node's process; the proposer's runs the load and prints the figure."""
    import organismctl.committee.node.node as module
    from organismctl.committee.ledger.core import Role
    from organismctl.committee.node.serve import Listen, serve

    start = module.CommitteeNode.start

    async def started(self: module.CommitteeNode) -> None:
        await start(self)

        async def when_leading() -> None:
            await asyncio.sleep(3.0)
            if self.runner.status().role is Role.PROPOSER:
                await _load(self, 1.0)
                print(json.dumps({"appends": await _load(self, seconds)}), flush=True)

        self.load = asyncio.get_running_loop().create_task(when_leading())

    module.CommitteeNode.start = started
    serve(deployment, name, Listen())


def measure(seconds: float, folder: Path) -> dict[str, float]:
    """Both figures."""
    from tests.support.committee import make_committee

    committee = make_committee(folder / "acme", period="1s")
    sqlite = raw(folder, seconds)
    itself = [
        sys.executable,
        "-m",
        "benchmarks.appends",
        "--deployment",
        str(committee.deployment),
        "--seconds",
        str(seconds),
    ]
    processes = [
        subprocess.Popen(
            [*itself, "--deployment", str(committee.deployment), "--node", name],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        for name in committee.names
    ]
    out = b""
    try:
        end = time.monotonic() + seconds + 60.0
        for process in processes:
            os.set_blocking(process.stdout.fileno(), False)
        while not out and time.monotonic() < end:
            time.sleep(0.1)
            out = b"".join(process.stdout.read() or b"" for process in processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
            process.stdout.close()
    return {"certified_per_s": json.loads(out)["appends"], "raw_sqlite_per_s": sqlite}


def rows(seconds: float = 5.0) -> list[Row]:
    """The benchmark's line."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(seconds, Path(folder))
    certified, sqlite = found["certified_per_s"], found["raw_sqlite_per_s"]
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
    parser.add_argument("--node", required=True)
    parser.add_argument("--deployment", type=Path, required=True)
    given = parser.parse_args()
    node(given.deployment, given.node, given.seconds)


if __name__ == "__main__":
    main()
