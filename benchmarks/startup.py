"""Start-up: whole processes of the installed console script, as ratios to ``python -c pass`` in the same run.

``fingerprint check`` runs over the published example (docs/formats) with a lock that accepts it: what a CI job does.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row, median, organismctl

FORMATS = Path(__file__).resolve().parents[1] / "docs" / "formats"
LIMITS = {"--version": 2.0, "--help": 16.0, "fingerprint check": 20.0}
RUNS = 21


def rows() -> list[Row]:
    """A row per command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(FORMATS / "organism.toml", folder)
        # Its `next` stanza is another config's; `deployed` alone is the one of the example.
        deployed, _, _ = (FORMATS / "organism.lock").read_text().partition("\n[next]")
        (folder / "organism.lock").write_text(deployed + "\n")
        return [_row(command, limit, folder) for command, limit in LIMITS.items()]


def _row(command: str, limit: float, folder: Path) -> Row:
    """Command and yardstick take turns, so that a busy moment of the machine hits both."""
    taken: list[float] = []
    bare: list[float] = []
    for _ in range(RUNS):
        bare.append(median([sys.executable, "-c", "pass"], runs=1))
        taken.append(median([organismctl(), *command.split()], runs=1, cwd=folder))
    ours, yardstick = sorted(taken)[RUNS // 2], sorted(bare)[RUNS // 2]
    return Row(
        f"start-up: {command}",
        ours / yardstick,
        limit,
        f"{ours * 1000:.0f} ms against {yardstick * 1000:.0f} ms of python -c pass",
    )
