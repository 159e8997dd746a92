"""`inspect` of one live node, beside ``python -c pass``: a whole process, from start-up to the last row.

The node is a real mosaik node of the engine on loopback, with tickets and streams in its entry.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row, median, organismctl

LIMIT = 25.0
RUNS = 11


def rows() -> list[Row]:
    """The one row."""
    import organismctl_engine

    from organismctl.identity.digest import h, uid

    network = uid("bench.universe")
    relay = organismctl_engine.Relay.start("127.0.0.1", 0)
    node = organismctl_engine.Network.start(
        network, h(b"a node of a benchmark"), relay=relay.url, bind=["127.0.0.1:0"]
    )
    producer = node.producer(h(b"a stream"))
    try:
        address = next(one for one in node.addresses if one.startswith("127.0.0.1:"))
        argv = [organismctl(), "inspect", f"{node.peer_id.hex()}@{address}", "--network", "bench.universe"]
        with tempfile.TemporaryDirectory() as folder:
            ours, bare = _in_turns(argv, Path(folder))
    finally:
        producer.close()
        node.close()
        relay.close()
    detail = f"{ours * 1000:.0f} ms against {bare * 1000:.0f} ms of python -c pass"
    return [Row("inspect of one live node", ours / bare, LIMIT, detail)]


def _in_turns(argv: list[str], folder: Path) -> tuple[float, float]:
    """Medians of both; they take turns, so that a busy moment of the machine hits both."""
    ours, bare = [], []
    for _ in range(RUNS):
        bare.append(median([sys.executable, "-c", "pass"], runs=1))
        ours.append(median(argv, runs=1, cwd=folder))
    return sorted(ours)[RUNS // 2], sorted(bare)[RUNS // 2]
