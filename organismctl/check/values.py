"""Careful looks into JSON values that came from somewhere else, and the words for times and ids in summaries."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from organismctl.check.finding import SourceRef

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from organismctl.identity.config import Json
    from organismctl.observe.snapshot import Fact

_HEX64 = re.compile(r"[0-9a-f]{64}")
_ID_LENGTH = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_MS = 253_402_300_799_000
"""The last second of the year 9999, Unix ms."""


def table(value: object) -> Mapping[str, Json]:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[Json]:
    """The value when it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def text(value: object) -> str | None:
    """The value when it is text."""
    return value if isinstance(value, str) else None


def whole(value: object) -> int | None:
    """The value when it is an integer."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def count(value: object) -> int | None:
    """A whole number that is not below zero; a remote's other numbers are as good as none."""
    found = whole(value)
    return found if found is not None and found >= 0 else None


def number(value: object) -> float | None:
    """A finite number that is not below zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None


def hex_id(value: object) -> str | None:
    """The value when it is an id in 64 hex; lowercase."""
    return _hex_id(value) if isinstance(value, str) and len(value) == _ID_LENGTH else None


@lru_cache(maxsize=8192)  # n nodes name the same n peers to each other
def _hex_id(value: str) -> str | None:
    lower = value.lower()
    return lower if _HEX64.fullmatch(lower) else None


def short(value: str | bytes | None) -> str:
    """An id as people read it: 10 hex characters."""
    if value is None:
        return "unknown"
    return value[:10] if isinstance(value, str) else value[:5].hex()


def source(fact: Fact | None) -> tuple[SourceRef, ...]:
    """Where a fact came from, for a finding."""
    return () if fact is None else (SourceRef(fact.source, fact.seen_ms),)


def duration(ms: int) -> str:
    """A length of time in its two largest units: ``6 d 4 h``, ``12 s``, ``350 ms``."""
    ms = abs(ms)
    if ms < 1000:
        return f"{ms} ms"
    rest = ms // 1000
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def moment(ms: int) -> str:
    """A moment in UTC, to the minute: ``2026-12-01T00:00Z``."""
    if not 0 <= ms <= _FAR_MS:
        return "after the year 9999" if ms > 0 else "before 1970"
    return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%MZ")


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names in one line, the first few of many."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def plural(count: int, word: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
