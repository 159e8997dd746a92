"""Postcard, the compact encoding of serde that mosaik uses on the wire, as a strict writer and reader.

Source of the format: the postcard specification 1.0 (varints are LEB128, signed ones zigzag; text, bytes,
sequences and maps are length-prefixed; an option is one byte 0 or 1; arrays of a fixed size have no prefix).
The reader takes canonical encodings only, bounds every length by what is left, and never over-reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Bytes = bytes
"""``bytes`` under a name that the methods called ``bytes`` do not shadow."""
Bool = bool
"""Likewise for ``bool``."""
U64_MAX = (1 << 64) - 1
I64_MIN, I64_MAX = -(1 << 63), (1 << 63) - 1


class PostcardError(ValueError):
    """The bytes are not the one canonical encoding of what was expected."""


class Writer:
    """Appends values to a buffer; each raises ``PostcardError`` on a bad value."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out = bytearray()

    def u64(self, value: int) -> None:
        """An unsigned integer up to 64 bits, as a varint."""
        if not 0 <= value <= U64_MAX:
            raise PostcardError(f"not an unsigned 64-bit integer: {value}")
        out = self._out
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)

    def i64(self, value: int) -> None:
        """A signed integer of 64 bits, as a zigzag varint."""
        if not I64_MIN <= value <= I64_MAX:
            raise PostcardError(f"not a signed 64-bit integer: {value}")
        self.u64((value << 1) ^ (value >> 63) if value >= 0 else ((-value) << 1) - 1)

    def u8(self, value: int) -> None:
        """One byte."""
        if not 0 <= value <= 0xFF:
            raise PostcardError(f"not a byte: {value}")
        self._out.append(value)

    def bool(self, value: Bool) -> None:  # the format's name
        """One byte, 0 or 1."""
        self._out.append(1 if value else 0)

    def raw(self, value: Bytes) -> None:
        """Bytes of a size that both sides know, without a prefix."""
        self._out += value

    def bytes(self, value: Bytes) -> None:  # the format's name
        """A length, then the bytes."""
        self.u64(len(value))
        self._out += value

    def text(self, value: str) -> None:
        """UTF-8 with its length in bytes."""
        try:
            self.bytes(value.encode())
        except UnicodeEncodeError as error:
            raise PostcardError("text with a lone surrogate") from error

    def option(self, value: T | None, put: Callable[[T], object]) -> None:
        """0, or 1 and the value."""
        self.bool(value is not None)
        if value is not None:
            put(value)

    def seq(self, values: list[T] | tuple[T, ...], put: Callable[[T], object]) -> None:
        """A count, then the values."""
        self.u64(len(values))
        for value in values:
            put(value)

    def finish(self) -> Bytes:
        """Everything written so far."""
        return Bytes(self._out)


class Reader:
    """Reads values in order; every method raises ``PostcardError`` on anything but the canonical form."""

    __slots__ = ("_data", "_end", "_pos")

    def __init__(self, data: Bytes) -> None:
        self._data = Bytes(data)
        self._pos = 0
        self._end = len(self._data)

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return self._end - self._pos

    def u64(self) -> int:
        """An unsigned integer up to 64 bits."""
        data, pos, shift, value = self._data, self._pos, 0, 0
        while True:
            if pos >= self._end:
                raise PostcardError("ends inside a number")
            byte = data[pos]
            pos += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise PostcardError("a number longer than 64 bits")
        if value > U64_MAX or (byte == 0 and shift):
            raise PostcardError("a number in a non-canonical form")
        self._pos = pos
        return value

    def i64(self) -> int:
        """A signed integer of 64 bits."""
        value = self.u64()
        return -((value + 1) >> 1) if value & 1 else value >> 1

    def u8(self) -> int:
        """One byte."""
        return self.raw(1)[0]

    def bool(self) -> Bool:  # the format's name
        """One byte, 0 or 1."""
        value = self.u8()
        if value > 1:
            raise PostcardError(f"a flag of {value}")
        return value == 1

    def raw(self, size: int) -> Bytes:
        """Exactly ``size`` bytes."""
        if size > self.left:
            raise PostcardError(f"ends early: {size} bytes expected, {self.left} left")
        start = self._pos
        self._pos = start + size
        return self._data[start : self._pos]

    def bytes(self, limit: int | None = None) -> Bytes:  # the format's name
        """Length-prefixed bytes, at most ``limit``."""
        size = self.u64()
        if limit is not None and size > limit:
            raise PostcardError(f"{size} bytes, at most {limit} are allowed")
        return self.raw(size)

    def text(self, limit: int | None = None) -> str:
        """Length-prefixed UTF-8, at most ``limit`` bytes."""
        try:
            return self.bytes(limit).decode()
        except UnicodeDecodeError as error:
            raise PostcardError("text that is not UTF-8") from error

    def option(self, get: Callable[[], T]) -> T | None:
        """``None``, or the value."""
        return get() if self.bool() else None

    def count(self, smallest: int = 1) -> int:
        """A count of values of which each takes at least ``smallest`` bytes."""
        count = self.u64()
        if count * max(smallest, 1) > self.left:
            raise PostcardError(f"{count} values cannot fit in {self.left} bytes")
        return count

    def seq(self, get: Callable[[], T], smallest: int = 1) -> tuple[T, ...]:
        """A count, then as many values."""
        return tuple(get() for _ in range(self.count(smallest)))

    def end(self) -> None:
        """Nothing may follow."""
        if self.left:
            raise PostcardError(f"{self.left} bytes after the end")
