"""Durations as text with units: ``500ms``, ``2s``, ``1h30m``, ``7d``."""

from __future__ import annotations

import re

UNITS_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
ALLOWED = 'text with units, largest first, such as "500ms", "2s", "1h30m" or "7d"'
_PART = re.compile(r"([0-9]{1,15})(ms|[wdhms])")
MAX_MS = (1 << 53) - 1


def parse_duration(text: str) -> int:
    """Text to whole milliseconds.

    Raises:
        ValueError: It is no duration; the message says what is allowed.
    """
    total, position, previous = 0, 0, MAX_MS + 1
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or UNITS_MS[part[2]] >= previous:
            raise ValueError(ALLOWED)
        previous = UNITS_MS[part[2]]
        total += int(part[1]) * previous
        position = part.end()
    if not text or total > MAX_MS:
        raise ValueError(ALLOWED)
    return total


def format_duration(ms: int) -> str:
    """Milliseconds to the shortest exact text; the inverse of :func:`parse_duration`."""
    if ms == 0:
        return "0s"
    sign, ms, parts = ("-" if ms < 0 else ""), abs(ms), []
    for unit, size in UNITS_MS.items():
        if unit != "w" and ms >= size:
            parts.append(f"{ms // size}{unit}")
            ms %= size
    return sign + "".join(parts)
