"""The table of a run: a row a scenario, carried to the end of the run as a property of its test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

PROPERTY = "across-hosts"


@dataclass(frozen=True)
class Row:
    """How one scenario ended.

    Attributes:
        scenario: What was done.
        nodes: How many nodes there were.
        carrier: What bore the writes: the certified ledger (``organismctl``) or a bare Group (``mosaik``).
        acknowledged: Writes that clients hold an acknowledgement of.
        lost: How many of them are missing on a node.
        diverged: Heights (or states) at which nodes differ.
        gap_s: The longest time without an acknowledgement to any client.
        refused: Answers that were no acknowledgement, all kinds.
        note: What else was measured.
    """

    scenario: str
    nodes: int
    carrier: str
    acknowledged: int
    lost: int
    diverged: int
    gap_s: float
    refused: int
    note: str = ""

    def text(self) -> str:
        """As a test's property."""
        return json.dumps(asdict(self))

    @property
    def good(self) -> bool:
        """Nothing acknowledged is lost, and nobody differs."""
        return not self.lost and not self.diverged and self.acknowledged > 0


def rows(properties: Iterable[tuple[str, object]]) -> list[Row]:
    """The rows among a test's properties."""
    return [Row(**json.loads(str(value))) for name, value in properties if name == PROPERTY]


def render(table: Sequence[Row]) -> str:
    """The rows as text, in columns."""
    heads = [field.name.removesuffix("_s") for field in fields(Row)]
    lines = [heads, *([_cell(value) for value in asdict(row).values()] for row in table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    return f"{value:.1f} s" if isinstance(value, float) else str(value)
