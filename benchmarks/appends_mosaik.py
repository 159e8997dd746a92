"""Certified appends a second on three mosaik nodes, beside bare mosaik's `execute` at the same concurrency.

Both run three processes on loopback behind one relay, the load in the leader's process. Bare mosaik writes nothing to
disk and acknowledges what a partition can lose; ours answers when a majority has the entry fsynced. The share of time
in which the proposer's store was writing is shown beside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.appends import measure
from benchmarks.measure import Row, gather, stop

IN_FLIGHT = (1, 32)
LIMIT = 0.3
SECRET, SIGNATURE, UNIVERSE = b"s" * 32, b"m" * 32, b"u" * 32


def rows(seconds: float = 5.0) -> list[Row]:
    """A row for each number in flight."""
    from tests.support.committee import make_committee

    with tempfile.TemporaryDirectory() as folder:
        bare = {one["in_flight"]: one["executes"] for one in _bare(seconds)}
        committee = make_committee(Path(folder) / "acme", period="1s", carrier="mosaik")
        committee.start_relay()
        try:
            found = measure(committee, seconds, IN_FLIGHT)
        finally:
            committee.close()
    return [
        Row(
            f"certified appends on mosaik, {one['in_flight']} in flight",
            one["appends"] / bare[one["in_flight"]],
            LIMIT,
            f"{one['appends']:,.0f} /s certified, {bare[one['in_flight']]:,.0f} /s bare; "
            f"store writing {one['disk']:.0%} of the time",
            at_least=True,
        )
        for one in found
    ]


def _bare(seconds: float) -> list[dict[str, float]]:
    """Bare mosaik: `execute` on the leader of a Group of three processes."""
    import organismctl_engine

    relay = organismctl_engine.Relay.start("127.0.0.1", 0)
    itself = [
        sys.executable,
        "-m",
        "benchmarks.appends_mosaik",
        "--seconds",
        str(seconds),
        "--relay",
        relay.url,
    ]
    first = None
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(3):
            argv = [*itself, "--number", str(number), *(["--first", first] if first else [])]
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
            processes.append(process)
            assert process.stdout is not None
            first = first or process.stdout.readline().decode().strip()
        return gather(processes, len(IN_FLIGHT), len(IN_FLIGHT) * seconds + 90.0)
    finally:
        stop(processes)
        relay.close()


def _bare_node(number: int, relay: str, first: str | None, seconds: float) -> None:
    """One process of bare mosaik; the first line that the first one prints is how to reach it."""
    import organismctl_engine

    from organismctl.identity.digest import h

    bootstrap = []
    if first is not None:
        peer, _, address = first.partition("@")
        bootstrap = [(bytes.fromhex(peer), [address])]
    network = organismctl_engine.Network.start(
        UNIVERSE, h(b"bare %d" % number), relay=relay, bind=["127.0.0.1:0"], bootstrap=bootstrap
    )
    address = next(one for one in network.addresses if one.startswith("127.0.0.1:"))
    print(f"{network.peer_id.hex()}@{address}", flush=True)
    group = network.group(SECRET, SIGNATURE)
    while True:
        status = group.status()
        if status.leader is not None and len(status.bonds) == 2:
            break
        time.sleep(0.1)
    time.sleep(3.0)
    if group.status().leader == network.peer_id:
        _execute(group, 1.0, max(IN_FLIGHT))
        for count in IN_FLIGHT:
            print(json.dumps({"in_flight": count, "executes": _execute(group, seconds, count)}), flush=True)
    threading.Event().wait()


def _execute(group: object, seconds: float, in_flight: int) -> float:
    done = [0] * in_flight
    end = time.perf_counter() + seconds

    def worker(index: int) -> None:
        while time.perf_counter() < end:
            group.execute([b"x" * 48], 10.0)
            done[index] += 1

    began = time.perf_counter()
    threads = [threading.Thread(target=worker, args=(index,)) for index in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def main(argv: Sequence[str] | None = None) -> None:
    """One node of bare mosaik: ``python -m benchmarks.appends_mosaik --number N ...``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--relay", required=True)
    parser.add_argument("--first")
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args(argv)
    _bare_node(given.number, given.relay, given.first, given.seconds)


if __name__ == "__main__":
    main()
