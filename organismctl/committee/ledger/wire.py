"""Strict, bounded reading and writing of the ledger's bytes, in postcard's encoding.

Integers are LEB128 varints in their shortest form, bytes carry a varint length, ids are 32 raw bytes. Readers
refuse what writers never produce, so every value has exactly one encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from organismctl.committee.ledger.entry import ID_BYTES, Epoch
from organismctl.errors import OrganismError

MAX_U64 = 2**64 - 1


class MalformedError(OrganismError):
    """Bytes that are not what a ledger writes."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"malformed ledger bytes: {message}",
            advice="compare the versions of the nodes; `organismctl doctor` shows them",
        )


class Writer:
    """Collects parts; ``done`` joins them."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def u64(self, value: int) -> Writer:
        """A varint, 0 to 2^64 - 1."""
        if value < 0x80:
            self.parts.append(value.to_bytes(1, "little"))
            return self
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        self.parts.append(bytes(out))
        return self

    def height(self, value: int) -> Writer:
        """A height, from -1 ("nothing yet"), shifted by one."""
        return self.u64(value + 1)

    def flag(self, value: bool) -> Writer:
        """One byte, 0 or 1."""
        self.parts.append(b"\x01" if value else b"\x00")
        return self

    def id(self, value: bytes) -> Writer:
        """32 raw bytes."""
        if len(value) != ID_BYTES:
            raise ValueError(f"an id has {ID_BYTES} bytes, not {len(value)}")
        self.parts.append(value)
        return self

    def epoch(self, value: Epoch) -> Writer:
        """Number, then proposer."""
        return self.u64(value.number).id(value.proposer)

    def blob(self, value: bytes) -> Writer:
        """Length and bytes."""
        self.u64(len(value)).parts.append(value)
        return self

    def blobs(self, values: Iterable[bytes]) -> Writer:
        """Count, then each blob."""
        values = tuple(values)
        self.u64(len(values))
        for value in values:
            self.blob(value)
        return self

    def done(self) -> bytes:
        """All parts."""
        return b"".join(self.parts)


class Reader:
    """Takes values from the front; every method raises :class:`MalformedError` on anything unexpected."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def u64(self) -> int:
        """A varint in its shortest form."""
        data, at, value = self.data, self.at, 0
        for shift in range(0, 70, 7):
            if at >= len(data):
                raise MalformedError("it ends inside a number")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if (byte == 0 and shift) or value > MAX_U64:
                    raise MalformedError("a number is not in its shortest form, or above 64 bits")
                self.at = at
                return value
        raise MalformedError("a number is longer than 64 bits")

    def height(self) -> int:
        """A height, from -1."""
        return self.u64() - 1

    def flag(self) -> bool:
        """One byte, 0 or 1."""
        byte = self.take(1)
        if byte not in (b"\x00", b"\x01"):
            raise MalformedError("a flag is neither 0 nor 1")
        return byte == b"\x01"

    def take(self, size: int) -> bytes:
        """``size`` raw bytes."""
        end = self.at + size
        if end > len(self.data):
            raise MalformedError("it ends early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def id(self) -> bytes:
        """32 raw bytes."""
        return self.take(ID_BYTES)

    def epoch(self) -> Epoch:
        """Number, then proposer."""
        return Epoch(self.u64(), self.id())

    def blob(self, limit: int) -> bytes:
        """Length and bytes, at most ``limit``."""
        size = self.u64()
        if size > limit:
            raise MalformedError(f"{size} bytes where at most {limit} may stand")
        return self.take(size)

    def many(self, limit: int, read: Callable[[], bytes]) -> tuple[bytes, ...]:
        """A count of at most ``limit``, then that many values."""
        count = self.u64()
        if count > limit:
            raise MalformedError(f"{count} values where at most {limit} may stand")
        return tuple([read() for _ in range(count)])

    def end(self) -> None:
        """Nothing may be left."""
        if self.at != len(self.data):
            raise MalformedError("bytes are left at its end")
