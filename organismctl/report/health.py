"""The rows of how each node hears each spanned member: JSON, order, and the words for people.

Every page and screen takes its words from here, so that ``watch`` and ``report`` say the same of one row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from organismctl.check.values import duration

if TYPE_CHECKING:
    from organismctl.check.span_health import SpanHealth

Row = dict[str, Any]
"""A :class:`SpanHealth`, JSON-ready."""

SIDES = {
    "none": "well",
    "theirs": "their side",
    "ours": "our side",
    "node": "this node",
    "ticket": "ticket",
    "observer": "observer only",
    "unknown": "not known",
}
"""Whose side it is, as people read it."""
_WORST = ("ticket", "theirs", "ours", "node", "unknown", "observer", "none")


def health_json(rows: Sequence[SpanHealth]) -> list[Row]:
    """The rows, JSON-ready, in their order."""
    return [asdict(row) for row in rows]


def well(row: Row) -> bool:
    """Whether nothing is wrong with a row, and that is known."""
    return bool(row["side"] == "none")


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """The same rows; those of a spanned member's surface stay together, the worst surface first."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["span"], row["surface"]), []).append(row)
    ranked = sorted(groups.values(), key=lambda group: min(map(_rank, group)))
    return [row for group in ranked for row in sorted(group, key=_rank)]


def _rank(row: Row) -> int:
    return _WORST.index(row["side"]) if row["side"] in _WORST else 0


def side_text(row: Row) -> str:
    """Whose side it is, and for how many periods it has been silent, where that is worth a word."""
    dark = row["dark_periods"]
    silent = f", silent {dark:.0f} periods" if dark is not None and dark >= 2 and not well(row) else ""
    return f"{SIDES.get(row['side'], str(row['side']))}{silent}"


def short_side(row: Row) -> str:
    """The same for a narrow column: ``their side 32 p``."""
    return side_text(row).replace(", silent", "").replace(" periods", " p")


def lag_text(row: Row, change: int | None = None) -> str:
    """``3 events, 1.2 s``; ``change`` is what came since the last look."""
    events, seconds = row["lag_events"], row["lag_s"]
    if events is None and seconds is None:
        return "unknown"
    parts = [] if events is None else [f"{events} event{'' if events == 1 else 's'}{_signed(change)}"]
    if seconds is not None and events != 0:
        parts.append(duration(round(seconds * 1000)))
    return ", ".join(parts)


def short_lag(row: Row, change: int | None = None) -> str:
    """The same for a narrow column: ``3 (+2), 1.2 s``."""
    return lag_text(row, change).replace(" events", "").replace(" event", "")


def _signed(change: int | None) -> str:
    return f" ({change:+d})" if change else ""


def ago(moment_ms: int | None, now_ms: int, none: str = "never seen") -> str:
    """How long ago something was."""
    if moment_ms is None:
        return none
    past = now_ms - moment_ms
    return "now" if past < 1000 else f"{duration(past)} ago"


_SECOND_UNIT = re.compile(r"(\d+ (?:d|h|min)) \d+ (?:h|min|s)\b")


def brief(text: str) -> str:
    """A text with lengths of time in their largest unit alone: ``1 d 4 h ago`` becomes ``1 d ago``."""
    return _SECOND_UNIT.sub(r"\1", text)


def until(row: Row, now_ms: int) -> str:
    """When a node's admission ends."""
    if not row["horizon_known"]:
        return "unknown"
    if row["horizon_ms"] is None:
        return "no end"
    left = row["horizon_ms"] - now_ms
    if left > 0:
        return f"in {duration(left)}"
    return "not admitted" if row["horizon_ms"] == 0 else f"ended {duration(left)} ago"


def key(row: Row) -> tuple[str, str, str]:
    """What a row is about."""
    return row["node"], row["span"], row["surface"]
