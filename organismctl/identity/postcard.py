"""The postcard encoding (https://postcard.jamesmunns.com/wire-format), written and read strictly.

Writing is canonical. Reading refuses what a writer never makes (overlong varints, other booleans than 0 and 1),
so that one value has one encoding, and never allocates more than the input is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from organismctl.errors import OrganismError

T = TypeVar("T")
Bytes = bytes
"""``bytes`` under a name that the methods called ``bytes`` do not shadow."""
U64_MAX = 2**64 - 1


class PostcardError(OrganismError):
    """Bytes that are not the postcard encoding of what was asked for, or a value that has none."""


class Writer:
    """Collects an encoding; every method returns the writer, so that calls chain."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out = bytearray()

    def varint(self, value: int) -> Writer:
        """An unsigned integer of up to 64 bits."""
        if not 0 <= value <= U64_MAX:
            raise PostcardError(f"{value} is not an unsigned 64-bit integer")
        while value > 0x7F:
            self._out.append(value & 0x7F | 0x80)
            value >>= 7
        self._out.append(value)
        return self

    def zigzag(self, value: int) -> Writer:
        """A signed integer of up to 64 bits."""
        if not -(2**63) <= value < 2**63:
            raise PostcardError(f"{value} is not a signed 64-bit integer")
        return self.varint(value << 1 if value >= 0 else (-value << 1) - 1)

    def boolean(self, value: bool) -> Writer:
        """One byte, 0 or 1."""
        self._out.append(1 if value else 0)
        return self

    def bytes(self, value: Bytes) -> Writer:
        """A length and the bytes."""
        self.varint(len(value))
        self._out += value
        return self

    def text(self, value: str) -> Writer:
        """A length and UTF-8."""
        try:
            raw = value.encode()
        except UnicodeEncodeError as exc:
            raise PostcardError("text holds a lone surrogate, which UTF-8 cannot carry") from exc
        return self.bytes(raw)

    def fixed(self, value: Bytes, size: int) -> Writer:
        """Exactly ``size`` bytes without a length."""
        if len(value) != size:
            raise PostcardError(f"expected {size} bytes, got {len(value)}")
        self._out += value
        return self

    def option(self, value: T | None, write: Callable[[Writer, T], object]) -> Writer:
        """0 for ``None``; else 1 and the value."""
        self.boolean(value is not None)
        if value is not None:
            write(self, value)
        return self

    def seq(self, values: Iterable[T], write: Callable[[Writer, T], object]) -> Writer:
        """A length and the values."""
        items = list(values)
        self.varint(len(items))
        for item in items:
            write(self, item)
        return self

    def finish(self) -> Bytes:
        """The encoding."""
        return bytes(self._out)


class Reader:
    """Reads an encoding from the front; every method raises :class:`PostcardError` and nothing else."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: Bytes) -> None:
        self._data = bytes(data)
        self._position = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._position

    def _take(self, size: int) -> Bytes:
        if size > self.remaining:
            raise PostcardError(f"{size} bytes wanted at {self._position}, {self.remaining} left")
        start = self._position
        self._position = start + size
        return self._data[start : self._position]

    def varint(self, maximum: int = U64_MAX) -> int:
        """An unsigned integer up to ``maximum``."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise PostcardError("overlong varint")
                if value > maximum:
                    raise PostcardError(f"{value} exceeds {maximum}")
                return value
        raise PostcardError("varint longer than 64 bits")

    def zigzag(self) -> int:
        """A signed 64-bit integer."""
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def boolean(self) -> bool:
        """0 or 1, nothing else."""
        byte = self._take(1)[0]
        if byte > 1:
            raise PostcardError(f"{byte} is not a boolean")
        return byte == 1

    def bytes(self, limit: int | None = None) -> Bytes:
        """A length and that many bytes, at most ``limit``."""
        size = self.varint()
        if limit is not None and size > limit:
            raise PostcardError(f"{size} bytes exceed the limit of {limit}")
        return self._take(size)

    def text(self, limit: int | None = None) -> str:
        """A length and UTF-8, at most ``limit`` bytes."""
        raw = self.bytes(limit)
        try:
            return raw.decode()
        except UnicodeDecodeError as exc:
            raise PostcardError("text is not UTF-8") from exc

    def fixed(self, size: int) -> Bytes:
        """Exactly ``size`` bytes."""
        return self._take(size)

    def option(self, read: Callable[[Reader], T]) -> T | None:
        """A value or ``None``."""
        return read(self) if self.boolean() else None

    def seq(self, read: Callable[[Reader], T], limit: int | None = None) -> list[T]:
        """A length and the values, at most ``limit`` of them; each must take at least one byte."""
        count = self.varint()
        bound = self.remaining if limit is None else min(limit, self.remaining)
        if count > bound:
            raise PostcardError(f"{count} items exceed the {bound} that may follow")
        return [read(self) for _ in range(count)]

    def finish(self) -> None:
        """Check that nothing is left."""
        if self.remaining:
            raise PostcardError(f"{self.remaining} trailing bytes")
