"""The demo's integrator: what it saw of the surface, read from the lines that ``surface read`` wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass
class Seen:
    """What an integrator saw, in its own order.

    Attributes:
        seqs: Every seq, in the order of arrival.
        longest_gap_ms: The longest time between two items.
        retired: Whether the last item was the marker.
        failures: How many times no endpoint at all could be read.
    """

    seqs: list[int]
    longest_gap_ms: int
    retired: bool
    failures: int

    @property
    def once_in_order(self) -> bool:
        """Every seq exactly once, in order, without a hole."""
        return bool(self.seqs) and self.seqs == list(range(self.seqs[0], self.seqs[0] + len(self.seqs)))


def seen(path: Path) -> Seen:
    """Read the lines of ``organismctl surface read --follow --format jsonl``."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    items = [row for row in rows if "seq" in row]
    times = [row["seen_ms"] for row in items]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return Seen(
        seqs=[row["seq"] for row in items],
        longest_gap_ms=max(gaps, default=0),
        retired=bool(items) and items[-1]["item"] == "retirement",
        failures=sum(1 for row in rows if row.get("event") == "handle-failure"),
    )
