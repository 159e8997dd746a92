"""A small declarative validator for TOML documents.

A document is described once, by shapes: :class:`Table`, :class:`Tables`, :class:`Tagged` here and the leaves
in ``fields.py``. The same description reads a file, collecting every problem instead of the first, and yields
the JSON Schema that editors use. Our own code, because ``fingerprint check`` may import nothing heavy.

Reading never raises: what is wrong becomes a :class:`~organismctl.errors.Problem` of the :class:`Reader` and
the value :data:`INVALID`. Only :meth:`Reader.finish` raises, with all problems at once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from organismctl.errors import InputError, Problem
from organismctl.files.keypath import child, item

if TYPE_CHECKING:
    from organismctl.files.locate import Locator

JsonSchema = dict[str, Any]
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_FOUND_LIMIT = 60


class Invalid:
    """The type of :data:`INVALID`."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "INVALID"


INVALID = Invalid()
"""Stands for a value that a problem was reported for."""


def show(value: object) -> str:
    """A value as it is named in a problem: TOML-like, on one line, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "an array" if value else "an empty array"
    if isinstance(value, str):
        text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in value[: _FOUND_LIMIT + 1])
        return f'"{text[:_FOUND_LIMIT]}…"' if len(text) > _FOUND_LIMIT else f'"{text}"'
    if isinstance(value, int) and value.bit_length() > 256:  # printing a huge one may be refused
        return f"an integer of {value.bit_length()} bits"
    return f"{value}"[:_FOUND_LIMIT]


class Reader:
    """One file being read: where problems and warnings gather.

    Attributes:
        file: The path as the operator named it.
        text: The TOML text.
        problems: What must be mended.
        warnings: What a person should look at.
    """

    __slots__ = ("_locator", "file", "problems", "text", "warnings")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._locator: Locator | None = None

    def line(self, path: str) -> int | None:
        """The line of a path or of what is around it; the text is only scanned when somebody asks."""
        if self._locator is None:
            from organismctl.files.locate import Locator

            self._locator = Locator(self.text)
        return self._locator.line(path)

    def problem(self, path: str, found: str | None, allowed: str, hint: str | None = None) -> Invalid:
        """Report a fault; gives :data:`INVALID` so that a shape can return it."""
        self.problems.append(Problem(self.file, self.line(path), path, found, allowed, hint))
        return INVALID

    def warn(self, path: str, found: str, allowed: str, hint: str | None = None) -> None:
        """Report what is allowed but looks like a mistake."""
        self.warnings.append(Problem(self.file, self.line(path), path, found, allowed, hint))

    def parse(self) -> dict[str, Any]:
        """The text as plain values.

        Raises:
            InputError: It is not TOML; the problem carries the line.
        """
        try:
            return tomllib.loads(self.text)
        except (ValueError, RecursionError) as exc:
            raise self._syntax(exc) from exc

    def finish(self) -> None:
        """End the reading.

        Raises:
            InputError: There are problems; all of them, in the order of the file.
        """
        if self.problems:
            self.problems.sort(key=lambda p: p.line or 0)
            count = len(self.problems)
            raise InputError(
                f"{self.file} has {count} problem{'s' if count > 1 else ''}",
                self.problems,
                advice="mend the lines named, then run the command again",
            )

    def _syntax(self, exc: Exception) -> InputError:
        """What ``tomllib`` says, as a problem with its line."""
        text = str(exc)
        line: int | None = None
        if isinstance(exc, RecursionError):
            text = "arrays or tables nested too deeply"
        elif at := _AT.search(text):
            line = int(at[1]) if at[1] else self.text.count("\n") + 1
            text = text[: at.start()] + (f" in column {at[2]}" if at[2] else " at the end of the file")
        problem = Problem(self.file, line, "(syntax)", text, "TOML 1.0")
        return InputError(f"{self.file} is not valid TOML", [problem], advice="mend the line named")


class Shape(Protocol):
    """What may stand at one place of a document."""

    def read(self, value: Any, path: str, reader: Reader) -> Any:
        """The value in memory, or :data:`INVALID` with a problem reported."""
        ...

    def schema(self) -> JsonSchema:
        """The same as JSON Schema (2020-12)."""
        ...


class Field:
    """One key of a table.

    Attributes:
        shape: What may stand there.
        doc: One line for editors.
        required: Whether the key must be there.
        default: The value in memory when the key is absent.
        shown: The default as it would be written in the file, for editors.
    """

    __slots__ = ("default", "doc", "required", "shape", "shown")

    def __init__(
        self, shape: Shape, doc: str = "", *, required: bool = False, default: Any = None, shown: Any = None
    ) -> None:
        self.shape = shape
        self.doc = doc
        self.required = required
        self.default = default
        self.shown = shown if shown is not None else default


Check = Callable[[dict[str, Any], str, Reader], None]
"""Looks at a table's values together; values may be :data:`INVALID`."""


class Table:
    """A table with known keys; unknown ones are problems with the nearest known key."""

    def __init__(self, fields: Mapping[str, Field], *, check: Check | None = None, doc: str = "") -> None:
        self.fields = dict(fields)
        self.check = check
        self.doc = doc

    def read(self, value: Any, path: str, reader: Reader) -> dict[str, Any] | Invalid:
        """See :meth:`Shape.read`; a dict of every field's value, defaults filled in."""
        if not isinstance(value, dict):
            return reader.problem(path, show(value), "a table")
        out: dict[str, Any] = {}
        for key, field in self.fields.items():
            if key in value:
                out[key] = field.shape.read(value[key], child(path, key), reader)
            elif field.required:
                out[key] = reader.problem(child(path, key), None, allowed_of(field.shape))
            else:
                out[key] = field.default
        for key in value:
            if key not in self.fields:
                self._unknown(key, path, reader)
        if self.check is not None:
            self.check(out, path, reader)
        return out

    def _unknown(self, key: str, path: str, reader: Reader) -> None:
        """Report a key that is not ours; its value is not shown, for it may be a misplaced secret."""
        import difflib

        near = difflib.get_close_matches(key, self.fields, n=1, cutoff=0.6)
        known = ", ".join(self.fields) or "no keys"
        reader.problem(child(path, key), "an unknown key", known, near[0] if near else None)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        properties: JsonSchema = {}
        for key, field in self.fields.items():
            entry = dict(field.shape.schema())
            if field.doc:
                entry["description"] = field.doc
            if isinstance(field.shown, (str, int, bool)):
                entry["default"] = field.shown
            properties[key] = entry
        out: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
        if self.doc:
            out["description"] = self.doc
        if required := [key for key, field in self.fields.items() if field.required]:
            out["required"] = required
        return out


class Tables:
    """An array of one shape, of bounded length.

    Attributes:
        unique: Key of which no two elements may have the same value, or ``None``.
    """

    def __init__(
        self, each: Shape, *, low: int = 0, high: int | None = None, unique: Sequence[str] = ()
    ) -> None:
        self.each = each
        self.low = low
        self.high = high
        self.unique = tuple(unique)

    def read(self, value: Any, path: str, reader: Reader) -> tuple[Any, ...] | Invalid:
        """See :meth:`Shape.read`; a tuple of the elements' values."""
        if not isinstance(value, list):
            return reader.problem(path, show(value), f"an array of {self._noun()}")
        if not self.low <= len(value) <= (len(value) if self.high is None else self.high):
            reader.problem(path, f"{len(value)} of them", self.count())
        out = tuple(self.each.read(one, item(path, i), reader) for i, one in enumerate(value))
        for key in self.unique:
            self._duplicates(out, key, path, reader)
        return out

    def _noun(self) -> str:
        return "tables" if isinstance(self.each, (Table, Tagged)) else "values"

    def count(self) -> str:
        """How many elements may stand there, in words."""
        if self.high is None:
            return f"at least {self.low}"
        return f"{self.low} to {self.high}" if self.low != self.high else f"exactly {self.low}"

    @staticmethod
    def _duplicates(out: Sequence[Any], key: str, path: str, reader: Reader) -> None:
        """Report each element that repeats an earlier one's ``key``."""
        seen: dict[Any, int] = {}
        for i, one in enumerate(out):
            value = one.get(key) if isinstance(one, dict) else INVALID
            if isinstance(value, Invalid) or value is None:
                continue
            if value in seen:
                shown = value.hex() if isinstance(value, bytes) else show(value)
                first = item(path, seen[value])
                reader.problem(child(item(path, i), key), f"{shown}, as in {first}", "a value of its own")
            else:
                seen[value] = i

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        out: JsonSchema = {"type": "array", "items": self.each.schema()}
        if self.low:
            out["minItems"] = self.low
        if self.high is not None:
            out["maxItems"] = self.high
        return out


class Tagged:
    """One of several tables, told apart by one key."""

    def __init__(self, tag: str, variants: Mapping[str, Table], default: str | None = None) -> None:
        self.tag = tag
        self.variants = dict(variants)
        self.default = default

    def read(self, value: Any, path: str, reader: Reader) -> dict[str, Any] | Invalid:
        """See :meth:`Shape.read`; the chosen table's values and the tag."""
        if not isinstance(value, dict):
            return reader.problem(path, show(value), "a table")
        allowed = " | ".join(self.variants)
        if self.tag not in value and self.default is None:
            return reader.problem(child(path, self.tag), None, allowed)
        tag = value.get(self.tag, self.default)
        table = self.variants.get(tag) if isinstance(tag, str) else None
        if table is None:
            return reader.problem(child(path, self.tag), show(tag), allowed)
        out = table.read({k: v for k, v in value.items() if k != self.tag}, path, reader)
        return out if isinstance(out, Invalid) else {self.tag: tag, **out}

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        choices = []
        for tag, table in self.variants.items():
            one = table.schema()
            one["properties"] = {self.tag: {"const": tag}, **one["properties"]}
            if tag != self.default:
                one["required"] = [self.tag, *one.get("required", [])]
            choices.append(one)
        return {"oneOf": choices}


def allowed_of(shape: Shape) -> str:
    """What may stand there, in words, for a key that is missing."""
    allowed = getattr(shape, "allowed", None)
    if isinstance(allowed, str):
        return allowed
    if isinstance(shape, Tables):
        return f"an array, {shape.count()}"
    return "a table"
