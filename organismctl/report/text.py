"""Text for people: stripped of control characters, aligned, wrapped to a width that the caller gives."""

from __future__ import annotations

import json
import re
import textwrap
import time
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from organismctl.report.controls import CONTROLS, RAW

_RAW = re.compile(f"[{RAW}]")
MIN_WIDTH = 40


def clean(text: str) -> str:
    """One line of text that does nothing to a terminal: no control characters, no direction overrides."""
    return text.translate(CONTROLS)


def json_text(value: Any) -> str:
    """JSON for people and machines: indented, and free of raw control characters of any kind."""
    return escape_raw(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def escape_raw(text: str) -> str:
    """JSON with the control characters that JSON itself would let stand as escapes."""
    return _RAW.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def cells(text: str) -> int:
    """Columns that a cleaned text takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def pad(text: str, width: int) -> str:
    """Text filled up with blanks to a width in columns."""
    return text + " " * (width - cells(text))


def relative(file: str, base: str) -> str:
    """A path as seen from ``base``, when it lies below it; else as it is."""
    path = PurePath(file)
    if base and path.is_absolute() and path.is_relative_to(base):
        return path.relative_to(base).as_posix()
    return file


def shorten(text: str, width: int) -> str:
    """Text of at most ``width`` characters, its end marked when something is left off."""
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def stamp(ms: int) -> str:
    """A moment in UTC, to the second: ``2026-12-01T00:00:00Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))


def fit(text: str, width: int) -> str:
    """A cleaned text in at most ``width`` columns, its end marked when something is left off."""
    if cells(text) <= width:
        return text
    kept: list[str] = []
    used = 0
    for char in text:
        used += cells(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns; at least one."""
    return textwrap.wrap(text, max(width, MIN_WIDTH // 2), break_on_hyphens=False) or [""]


def aligned(rows: Sequence[Sequence[str]], head: Sequence[str], width: int, *, most: int = 48) -> str:
    """Plain columns, two blanks apart; the last one wraps at the width, the others are cut at ``most``.

    Args:
        rows: Cells; control characters are stripped here.
        head: Titles of the columns.
        width: Columns of the page.
        most: Longest cell of all but the last column.
    """
    lines = [[*(fit(clean(cell), most) for cell in row[:-1]), clean(row[-1])] for row in (head, *rows)]
    sizes = [max(cells(line[column]) for line in lines) for column in range(len(head) - 1)]
    indent = sum(sizes) + 2 * len(sizes)
    out = []
    for line in lines:
        first = "".join(pad(cell, size) + "  " for cell, size in zip(line, sizes, strict=False))
        for number, part in enumerate(wrap(line[-1], width - indent)):
            out.append(((first if number == 0 else " " * indent) + part).rstrip())
    return "\n".join(out) + "\n"
