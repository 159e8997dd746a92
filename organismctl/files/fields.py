"""The leaves of the documents' shapes: text, numbers, ids, durations.

Every leaf says in ``allowed`` what may stand there, in words that a problem quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from organismctl.files.keypath import child, item
from organismctl.files.schema import INVALID, Invalid, JsonSchema, Reader, Shape, show
from organismctl.identity.digest import near_hex, uid
from organismctl.identity.durations import ALLOWED as DURATION
from organismctl.identity.durations import parse_duration

_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
_SAFE = (1 << 53) - 1
_DEEP = 64
NEAR_HEX = "64 hex for an id, or text that does not look like one (this text will be hashed)"


def tidy(text: str) -> bool:
    """Whether text is NFC and free of control characters, so that equal looks mean equal bytes."""
    if text.isascii():
        return text.isprintable()
    import unicodedata

    return text.isprintable() and unicodedata.is_normalized("NFC", text)


class Text:
    """Non-empty text on one line.

    Attributes:
        pattern: What the whole text must match, or ``None``.
        secret: Whether what was found is kept out of problems.
    """

    def __init__(self, allowed: str = "text", *, pattern: str | None = None, secret: bool = False) -> None:
        self.allowed = allowed
        self.pattern = pattern  # compiled when first used: most runs never use most of them
        self.secret = secret

    def read(self, value: Any, path: str, reader: Reader) -> str | Invalid:
        """See :meth:`Shape.read`."""
        if not isinstance(value, str):
            return reader.problem(path, show(value), self.allowed)
        if not value or not tidy(value) or (self.pattern and not re.fullmatch(self.pattern, value)):
            found = f"text of {len(value)} characters (not shown)" if self.secret else show(value)
            return reader.problem(path, found, f"{self.allowed}, on one line and in Unicode form NFC")
        return value

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        if self.pattern:
            return {"type": "string", "pattern": f"^(?:{self.pattern})$"}
        return {"type": "string", "minLength": 1}


class Label(Text):
    """A name that people use; 64 hex is refused, because mosaik would take it for an id."""

    def read(self, value: Any, path: str, reader: Reader) -> str | Invalid:
        """See :meth:`Shape.read`."""
        text = super().read(value, path, reader)
        if isinstance(text, Invalid):
            return text
        if _HEX64.fullmatch(text):
            return reader.problem(path, show(text), "a name; 64 hex would be taken for an id")
        if near_hex(text):
            reader.warn(path, show(text), "a name that does not look like a mistyped id")
        return text

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {**super().schema(), "not": {"pattern": "^[0-9a-fA-F]{64}$"}}


class Choice:
    """One of a few words."""

    def __init__(self, values: Sequence[str]) -> None:
        self.values = tuple(values)
        self.allowed = " | ".join(self.values)

    def read(self, value: Any, path: str, reader: Reader) -> str | Invalid:
        """See :meth:`Shape.read`."""
        if isinstance(value, str) and value in self.values:
            return value
        near = None
        if isinstance(value, str):
            import difflib

            near = next(iter(difflib.get_close_matches(value, self.values, n=1)), None)
        return reader.problem(path, show(value), self.allowed, near)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"enum": list(self.values)}


class Whole:
    """An integer within limits."""

    def __init__(self, low: int = 0, high: int = _SAFE) -> None:
        self.low = low
        self.high = high
        self.allowed = f"{low}" if low == high else f"an integer from {low} to {high}"

    def read(self, value: Any, path: str, reader: Reader) -> int | Invalid:
        """See :meth:`Shape.read`."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            return reader.problem(path, show(value), self.allowed)
        return value

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        if self.low == self.high:
            return {"const": self.low}
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class Flag:
    """``true`` or ``false``."""

    allowed = "true | false"

    def read(self, value: Any, path: str, reader: Reader) -> bool | Invalid:
        """See :meth:`Shape.read`."""
        return value if isinstance(value, bool) else reader.problem(path, show(value), self.allowed)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"type": "boolean"}


class Hex:
    """Bytes as hex, of an exact size or of any.

    Attributes:
        size: Bytes, or ``None`` for any number but zero.
        secret: Whether what was found is kept out of problems.
    """

    def __init__(self, size: int | None = 32, *, secret: bool = False) -> None:
        self.size = size
        self.secret = secret
        self.allowed = f"{2 * size} hex characters" if size else "hex, two characters a byte"

    def read(self, value: Any, path: str, reader: Reader) -> bytes | Invalid:
        """See :meth:`Shape.read`."""
        count = f"{{{2 * self.size}}}" if self.size else "+"
        if isinstance(value, str) and re.fullmatch(f"[0-9a-fA-F]{count}", value) and len(value) % 2 == 0:
            return bytes.fromhex(value)
        if isinstance(value, str) and (self.secret or re.fullmatch("[0-9a-fA-F]*", value)):
            kind = "characters (not shown)" if self.secret else "hex characters"
            return reader.problem(path, f"{len(value)} {kind}", self.allowed)
        return reader.problem(path, show(value), self.allowed)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        if self.size:
            return {"type": "string", "pattern": f"^[0-9a-fA-F]{{{2 * self.size}}}$"}
        return {"type": "string", "pattern": "^(?:[0-9a-fA-F]{2})+$"}


class Id:
    """An id by mosaik's rule: 64 hex as they stand, other text hashed (with a warning when near-hex).

    Attributes:
        keep_text: Give ``(text, 32 bytes)`` instead of the bytes alone.
    """

    allowed = "text, or 64 hex"

    def __init__(self, *, keep_text: bool = False) -> None:
        self.keep_text = keep_text
        self._text = Text(self.allowed)

    def read(self, value: Any, path: str, reader: Reader) -> bytes | tuple[str, bytes] | Invalid:
        """See :meth:`Shape.read`."""
        text = self._text.read(value, path, reader)
        if isinstance(text, Invalid):
            return text
        if near_hex(text):
            reader.warn(path, show(text), NEAR_HEX)
        return (text, uid(text)) if self.keep_text else uid(text)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return self._text.schema()


class Duration:
    """A duration as text; milliseconds in memory, or seconds.

    Attributes:
        low: Smallest allowed, in milliseconds.
        whole_seconds: Give seconds, and refuse what has a fraction (mosaik would drop it in silence).
    """

    def __init__(self, low: int = 0, *, whole_seconds: bool = False) -> None:
        self.low = low
        self.whole_seconds = whole_seconds
        self.allowed = f"a duration: {DURATION}"

    def read(self, value: Any, path: str, reader: Reader) -> int | Invalid:
        """See :meth:`Shape.read`."""
        try:
            ms = parse_duration(value) if isinstance(value, str) else -1
        except ValueError:
            ms = -1
        if ms < 0:
            return reader.problem(path, show(value), self.allowed)
        if ms < self.low:
            at_least = "more than zero" if self.low == 1 else f"at least {self.low} ms"
            return reader.problem(path, show(value), f"a duration of {at_least}")
        if self.whole_seconds and ms % 1000:
            return reader.problem(path, show(value), "whole seconds: mosaik drops the rest in silence")
        return ms // 1000 if self.whole_seconds else ms

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"type": "string", "pattern": "^(?:[0-9]{1,15}(?:ms|[wdhms]))+$"}


class Strings:
    """An array of texts; a tuple in memory."""

    def __init__(self, each: Shape | None = None, *, low: int = 0, distinct: bool = False) -> None:
        self.each: Shape = each or Text()
        self.low = low
        self.distinct = distinct
        inner = getattr(self.each, "allowed", "text")
        self.allowed = f"an array of {inner}" if not low else f"an array with at least {low}: {inner}"

    def read(self, value: Any, path: str, reader: Reader) -> tuple[Any, ...] | Invalid:
        """See :meth:`Shape.read`."""
        if not isinstance(value, list) or len(value) < self.low:
            return reader.problem(path, show(value), self.allowed)
        out = tuple(self.each.read(one, item(path, i), reader) for i, one in enumerate(value))
        for i, one in enumerate(out):
            if self.distinct and not isinstance(one, Invalid) and one in out[:i]:
                reader.problem(item(path, i), f"{show(one)} again", "each value once")
        return out

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        out: JsonSchema = {"type": "array", "items": self.each.schema()}
        if self.low:
            out["minItems"] = self.low
        return {**out, "uniqueItems": True} if self.distinct else out


class Moment:
    """A point in time with its offset from UTC, or Unix seconds; Unix seconds in memory."""

    allowed = "a date-time with an offset (2026-12-01T00:00:00Z), or Unix seconds"

    def read(self, value: Any, path: str, reader: Reader) -> int | Invalid:
        """See :meth:`Shape.read`."""
        if isinstance(value, datetime) and value.tzinfo is not None:
            return int(value.timestamp())
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _SAFE:
            return value
        return reader.problem(path, show(value), self.allowed)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"anyOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}]}


class Day:
    """A calendar date; a date-time is refused."""

    allowed = "a date, such as 2026-12-31"

    def read(self, value: Any, path: str, reader: Reader) -> date | Invalid:
        """See :meth:`Shape.read`."""
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        return reader.problem(path, show(value), self.allowed)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"type": "string", "format": "date"}


class Each:
    """A table with free keys and one shape of value."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.allowed = "a table"

    def read(self, value: Any, path: str, reader: Reader) -> dict[str, Any] | Invalid:
        """See :meth:`Shape.read`."""
        if not isinstance(value, dict):
            return reader.problem(path, show(value), self.allowed)
        return {key: self.shape.read(one, child(path, key), reader) for key, one in value.items()}

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"type": "object", "additionalProperties": self.shape.schema()}


class Parameters:
    """Free values with one canonical form: text (NFC), booleans, safe integers, arrays, tables.

    Attributes:
        scalars: Only text, booleans and integers (a ticket's claims).
    """

    def __init__(self, *, scalars: bool = False) -> None:
        self.scalars = scalars
        self.allowed = "a table of " + self._inner()

    def _inner(self) -> str:
        nested = "" if self.scalars else ", arrays, tables"
        return f"text (Unicode NFC), booleans, integers within ±(2^53-1){nested}"

    def read(self, value: Any, path: str, reader: Reader) -> dict[str, Any] | Invalid:
        """See :meth:`Shape.read`."""
        if not isinstance(value, dict):
            return reader.problem(path, show(value), self.allowed)
        before = len(reader.problems)
        self._walk(value, path, reader, depth=0)
        return value if len(reader.problems) == before else INVALID

    def _walk(self, value: Any, path: str, reader: Reader, depth: int) -> None:
        if depth > _DEEP:
            reader.problem(path, "a value nested too deeply", f"at most {_DEEP} levels")
            return
        if isinstance(value, Mapping) and not (self.scalars and depth):
            for key, inner in value.items():
                at = child(path, key)
                if not _normal(key):
                    reader.problem(at, f"the key {show(key)}", "keys in Unicode form NFC")
                self._walk(inner, at, reader, depth + 1)
        elif isinstance(value, list) and not self.scalars:
            for i, inner in enumerate(value):
                self._walk(inner, item(path, i), reader, depth + 1)
        elif isinstance(value, str):
            if not _normal(value):
                reader.problem(path, f"{show(value)}, not in form NFC", "text in Unicode form NFC")
        elif not isinstance(value, int) or abs(value) > _SAFE:  # a bool is an int, and allowed
            found = f"{show(value)} ({type(value).__name__})" if not isinstance(value, int) else show(value)
            reader.problem(path, found, self._inner())

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        if self.scalars:
            return {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}
        return {"type": "object"}


def _normal(text: str) -> bool:
    """Whether text is in Unicode form NFC."""
    if text.isascii():
        return True
    import unicodedata

    return unicodedata.is_normalized("NFC", text)
