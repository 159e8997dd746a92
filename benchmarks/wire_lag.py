"""How far the head that the wire observer tells is from the truth, while a producer sends 10,000 events a second.

A process of its own runs a real mosaik node that produces surface items at an even pace and writes down, every few
milliseconds, how many it has sent. The observer is the one of `check --listen`: pure Python, over QUIC. A lag is the
difference between what a node has and the head, so an error of the head is an error of every lag; it is given in
periods of the quickest clock that the examples have.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Row, stop

RATE = 10_000
PERIOD_S = 1.0
LOOKS = 5
LISTEN_S = 3.0
MARK_EVERY = 50
"""Sent items from one written mark to the next: 5 ms."""
SEED, STREAM, UNIVERSE = b"p" * 32, b"e" * 32, b"u" * 32


def rows() -> list[Row]:
    """Looks of some seconds each, one after the other, while the events pass."""
    import organismctl_engine

    relay = organismctl_engine.Relay.start("127.0.0.1", 0)
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder) / "marks"
        itself = [sys.executable, "-m", "benchmarks.wire_lag", "--relay", relay.url, "--marks", str(marks)]
        producer = subprocess.Popen(itself, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
        try:
            assert producer.stdout is not None
            point = producer.stdout.readline().decode().strip()
            looks = [asyncio.run(_look(point)) for _ in range(LOOKS)]
        finally:
            stop([producer])
            relay.close()
        truth = [json.loads(line) for line in marks.read_text().splitlines()]
    return [_row(looks, truth)]


async def _look(point: str) -> tuple[float, int, int]:
    """When a look ended, Unix seconds; the last seq that it heard; how many items came."""
    from organismctl.identity.peer_entry import EntryPoint
    from organismctl.observe.wire.observer import Observer
    from organismctl.observe.wire.subscription import listen

    heard = await listen(
        EntryPoint.parse(point), UNIVERSE, STREAM, Observer(None, ()), listen_s=LISTEN_S, timeout_s=10.0
    )
    if heard.last is None or heard.ended is not None:
        raise RuntimeError(f"the look heard {heard.items} items and was ended: {heard.ended}")
    return time.time(), heard.last, heard.items


def _row(looks: Sequence[tuple[float, int, int]], truth: Sequence[tuple[float, int]]) -> Row:
    times = [at for at, _ in truth]
    behind: list[float] = []
    for at, last, _ in looks:
        sent = truth[bisect.bisect_right(times, at) - 1][1]
        behind.append(abs(sent - last) / RATE)
    span = truth[-1][0] - truth[0][0]
    rate = (truth[-1][1] - truth[0][1]) / span
    came = sum(items for _, _, items in looks) / (LOOKS * LISTEN_S)
    return Row(
        f"lag on the wire at {RATE:,} events/s, periods of {PERIOD_S:g} s",
        max(behind) / PERIOD_S,
        1.0,
        f"the head of {LOOKS} looks was off by {min(behind) * 1000:.0f} to {max(behind) * 1000:.0f} ms; "
        f"{rate:,.0f} /s sent, {came:,.0f} /s heard",
    )


def _produce(relay: str, marks: Path) -> None:
    """Send items at an even pace until the process is ended; the first line printed is where it listens."""
    import organismctl_engine

    from organismctl.identity.surface_item import Certificate, Fact, SurfaceItem, encode_item

    network = organismctl_engine.Network.start(UNIVERSE, SEED, relay=relay, bind=["127.0.0.1:0"])
    producer = network.producer(STREAM, buffer=100_000)
    address = next(one for one in network.addresses if one.startswith("127.0.0.1:"))
    print(f"{network.peer_id.hex()}@{address}", flush=True)
    begun, seq = time.perf_counter(), 0
    with marks.open("w", buffering=1) as out:
        while True:
            due = int((time.perf_counter() - begun) * RATE)
            while seq < due:
                item = SurfaceItem(seq, seq, Fact(b"an event of 32 bytes, or nearly"), Certificate(1, ()))
                producer.send(encode_item(item))
                if seq % MARK_EVERY == 0:
                    out.write(f"[{time.time()}, {seq}]\n")
                seq += 1
            time.sleep(0.002)


def main(argv: Sequence[str] | None = None) -> None:
    """The producer: ``python -m benchmarks.wire_lag --relay URL --marks FILE``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relay", required=True)
    parser.add_argument("--marks", type=Path, required=True)
    given = parser.parse_args(argv)
    _produce(given.relay, given.marks)


if __name__ == "__main__":
    main()
