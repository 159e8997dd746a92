"""Replay of a ledger: peak memory of a whole process over 100,000 and over 1,000,000 entries."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row

SMALL, LARGE = 100_000, 1_000_000
LIMIT = 1.10
FINGERPRINT, PEER = b"f" * 32, b"a" * 32
BATCH = 1000
BEGIN_MS = 1_700_000_000_000


def rows() -> list[Row]:
    """The one row."""
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for count in (SMALL, LARGE):
            ledger = Path(folder) / str(count)
            fill(ledger, count)
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.replay", str(ledger)],
                capture_output=True,
                text=True,
                check=True,
            )
            height, peak, seconds = done.stdout.split()
            if int(height) != count:
                raise RuntimeError(f"{height} entries were applied, not {count}")
            peaks[count] = (int(peak), float(seconds))
    (small, _), (large, seconds) = peaks[SMALL], peaks[LARGE]
    detail = f"{large / 2**20:.1f} MiB against {small / 2**20:.1f} MiB; {LARGE / seconds:,.0f} entries/s"
    return [Row(f"replay, peak memory of {LARGE:,} to {SMALL:,} entries", large / small, LIMIT, detail)]


def fill(folder: Path, count: int) -> None:
    """A ledger as a ticker organism has: Tick and Apply in turn, so that every other entry makes a fact."""
    from organismctl.committee.command import Apply, Tick, encode_command
    from organismctl.committee.ledger.effects import Write
    from organismctl.committee.ledger.entry import Epoch, link
    from organismctl.committee.ledger.roster import GenesisRecord
    from organismctl.committee.ledger.store import create_founder, open_store

    create_founder(folder, GenesisRecord(FINGERPRINT, (PEER,)))
    epoch = Epoch(1, PEER)
    with open_store(folder) as store:
        last = store.load().entries[-1]
        for start in range(1, count + 1, BATCH):
            commands = tuple(
                encode_command(
                    Tick(unix_ms=BEGIN_MS + 500 * height)
                    if height % 2
                    else Apply(through=BEGIN_MS // 1000 + height // 2 - 1)
                )
                for height in range(start, min(start + BATCH, count + 1))
            )
            entries = tuple(link(last.digest, start, commands, epoch))
            store.write([Write(1, entries=entries, certified=entries[-1].height)])
            last = entries[-1]


def replay(folder: Path) -> None:
    """Open, verify and fold a whole ledger; print height, peak bytes and seconds."""
    import time

    from benchmarks.measure import peak_of_self
    from organismctl.committee.fold import Fold
    from organismctl.committee.ledger.store import open_store
    from organismctl.committee.machine import MachineConfig

    config = MachineConfig(FINGERPRINT, (), (), "ticker", "wait", 1000, 1000, ("facts",))
    fold = Fold(config)
    began = time.perf_counter()
    with open_store(folder) as store:
        entries = ((entry.height, entry.command) for entry in store.read(0))
        for _ in fold.replay(entries):
            pass
    if fold.state.next_seq < fold.height // 2 - 1:
        raise SystemExit(f"only {fold.state.next_seq} facts: this was no replay")
    print(fold.height, peak_of_self(), time.perf_counter() - began)


if __name__ == "__main__":
    replay(Path(sys.argv[1]))
