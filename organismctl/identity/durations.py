"""Durations as people write them: a number with a unit, several joined, largest first."""

from __future__ import annotations

import re

UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
ALLOWED = 'text with units, as "500ms", "2s", "7d" or "1h30m" (d, h, m, s, ms; largest first)'
_MAX_MS = 2**63 - 1
_PART = re.compile(r"([0-9]{1,19})(ms|d|h|m|s)")


def parse_duration(text: str) -> int:
    """Read a duration.

    Args:
        text: Whole numbers with units, each unit at most once and largest first; no blanks, no sign.

    Returns:
        Milliseconds.

    Raises:
        ValueError: With the allowed forms.
    """
    total = 0
    position = 0
    last = _MAX_MS
    while position < len(text):
        match = _PART.match(text, position)
        if match is None or UNITS_MS[match[2]] >= last:
            raise ValueError(f"{text[:40]!r} is not a duration: {ALLOWED}")
        last = UNITS_MS[match[2]]
        total += int(match[1]) * last
        position = match.end()
    if not text or total > _MAX_MS:
        raise ValueError(f"{text[:40]!r} is not a duration: {ALLOWED}")
    return total


def parse_seconds(text: str) -> int:
    """Read a duration that mosaik folds in whole seconds.

    Raises:
        ValueError: Not a duration, or zero or a fraction of a second, which mosaik's signatures drop.
    """
    ms = parse_duration(text)
    if ms == 0 or ms % 1000:
        raise ValueError(f"{text[:40]!r} is not a whole, positive number of seconds")
    return ms // 1000


def format_duration(ms: int) -> str:
    """The shortest text that :func:`parse_duration` reads back; a minus sign leads a negative one."""
    if ms == 0:
        return "0s"
    sign, rest = ("-", -ms) if ms < 0 else ("", ms)
    parts = []
    for unit, size in UNITS_MS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)
