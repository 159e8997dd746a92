"""Field codecs: one description of a field gives its postcard form and its JSON form.

Both directions are strict. Encoding refuses what decoding would refuse, decoding refuses every spelling but
the canonical one, and JSON refuses unknown keys and wrong types. Faults are :class:`FieldError` with the path
of the field; the callers turn it into their own error.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Protocol, cast

from organismctl.committee.ledger.wire import Reader, Writer
from organismctl.identity.config import Json

U64_MAX = (1 << 64) - 1


class FieldError(ValueError):
    """A field's value cannot stand; the message says where and what is allowed."""


class Codec(Protocol):
    """The two forms of one kind of value."""

    def put(self, writer: Writer, value: Any) -> None:
        """Append the postcard form.

        Raises:
            FieldError: The value is out of bounds.
        """
        ...

    def get(self, reader: Reader) -> Any:
        """Read the postcard form.

        Raises:
            FieldError: The value is out of bounds.
        """
        ...

    def dump(self, value: Any) -> Json:
        """The JSON form of a valid value."""
        ...

    def load(self, raw: object, path: str) -> Any:
        """Read the JSON form.

        Raises:
            FieldError: With ``path``.
        """
        ...


@dataclass(frozen=True, slots=True)
class U64:
    """An unsigned integer of at most 64 bits: a varint, a JSON integer."""

    low: int = 0
    high: int = U64_MAX

    def put(self, writer: Writer, value: int) -> None:
        """See :meth:`Codec.put`."""
        writer.u64(self._check(value, "integer"))

    def get(self, reader: Reader) -> int:
        """See :meth:`Codec.get`."""
        return self._check(reader.u64(), "integer")

    def dump(self, value: int) -> Json:
        """See :meth:`Codec.dump`."""
        return value

    def load(self, raw: object, path: str) -> int:
        """See :meth:`Codec.load`."""
        return self._check(raw, path)

    def _check(self, value: object, path: str) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise FieldError(f"{path}: an integer from {self.low} to {self.high}")
        return value


@dataclass(frozen=True, slots=True)
class Bool:
    """A truth value: one byte, a JSON boolean."""

    def put(self, writer: Writer, value: bool) -> None:
        """See :meth:`Codec.put`."""
        writer.flag(self.load(value, "flag"))

    def get(self, reader: Reader) -> bool:
        """See :meth:`Codec.get`."""
        return reader.flag()

    def dump(self, value: bool) -> Json:
        """See :meth:`Codec.dump`."""
        return value

    def load(self, raw: object, path: str) -> bool:
        """See :meth:`Codec.load`."""
        if type(raw) is not bool:
            raise FieldError(f"{path}: true or false")
        return raw


@dataclass(frozen=True, slots=True)
class Text:
    """Printable UTF-8 text with a bounded length in bytes: length and bytes, a JSON string."""

    high: int
    low: int = 0

    def put(self, writer: Writer, value: str) -> None:
        """See :meth:`Codec.put`."""
        writer.blob(self.load(value, "text").encode())

    def get(self, reader: Reader) -> str:
        """See :meth:`Codec.get`."""
        try:
            value = reader.blob(self.high).decode()
        except UnicodeDecodeError as exc:
            raise FieldError("text: UTF-8") from exc
        return self.load(value, "text")

    def dump(self, value: str) -> Json:
        """See :meth:`Codec.dump`."""
        return value

    def load(self, raw: object, path: str) -> str:
        """See :meth:`Codec.load`."""
        if type(raw) is str and raw.isprintable():
            try:
                size = len(raw.encode())
            except UnicodeEncodeError:
                size = -1
            if self.low <= size <= self.high:
                return raw
        raise FieldError(f"{path}: printable text of {self.low} to {self.high} bytes")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words: its index as a varint, a JSON string."""

    words: tuple[str, ...]

    def put(self, writer: Writer, value: str) -> None:
        """See :meth:`Codec.put`."""
        writer.u64(self.words.index(self.load(value, "word")))

    def get(self, reader: Reader) -> str:
        """See :meth:`Codec.get`."""
        index = reader.u64()
        if index >= len(self.words):
            raise FieldError(f"word: one of {', '.join(self.words)}")
        return self.words[index]

    def dump(self, value: str) -> Json:
        """See :meth:`Codec.dump`."""
        return value

    def load(self, raw: object, path: str) -> str:
        """See :meth:`Codec.load`."""
        if type(raw) is not str or raw not in self.words:
            raise FieldError(f"{path}: one of {', '.join(self.words)}")
        return raw


@dataclass(frozen=True, slots=True)
class Fixed:
    """Exactly ``size`` bytes: raw, lowercase hex in JSON."""

    size: int

    def put(self, writer: Writer, value: bytes) -> None:
        """See :meth:`Codec.put`."""
        writer.parts.append(self._check(value, "bytes"))

    def get(self, reader: Reader) -> bytes:
        """See :meth:`Codec.get`."""
        return reader.take(self.size)

    def dump(self, value: bytes) -> Json:
        """See :meth:`Codec.dump`."""
        return value.hex()

    def load(self, raw: object, path: str) -> bytes:
        """See :meth:`Codec.load`."""
        if type(raw) is str and len(raw) == 2 * self.size and not set(raw) - set("0123456789abcdef"):
            return bytes.fromhex(raw)
        raise FieldError(f"{path}: {2 * self.size} lowercase hex characters")

    def _check(self, value: object, path: str) -> bytes:
        if type(value) is not bytes or len(value) != self.size:
            raise FieldError(f"{path}: {self.size} bytes")
        return value


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes of a bounded length: length and bytes, base64url without padding in JSON."""

    high: int

    def put(self, writer: Writer, value: bytes) -> None:
        """See :meth:`Codec.put`."""
        writer.blob(self._check(value, "bytes"))

    def get(self, reader: Reader) -> bytes:
        """See :meth:`Codec.get`."""
        return reader.blob(self.high)

    def dump(self, value: bytes) -> Json:
        """See :meth:`Codec.dump`."""
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    def load(self, raw: object, path: str) -> bytes:
        """See :meth:`Codec.load`."""
        fault = FieldError(f"{path}: canonical base64url without padding, at most {self.high} bytes")
        if type(raw) is not str or len(raw) > 2 * self.high or not raw.isascii():
            raise fault
        try:
            value = base64.b64decode(raw + "=" * (-len(raw) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as exc:
            raise fault from exc
        if self.dump(value) != raw:
            raise fault
        return self._check(value, path)

    def _check(self, value: object, path: str) -> bytes:
        if type(value) is not bytes or len(value) > self.high:
            raise FieldError(f"{path}: at most {self.high} bytes")
        return value


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value or nothing: postcard ``Option``, JSON null or absence."""

    inner: Codec

    def put(self, writer: Writer, value: Any) -> None:
        """See :meth:`Codec.put`."""
        writer.flag(value is not None)
        if value is not None:
            self.inner.put(writer, value)

    def get(self, reader: Reader) -> Any:
        """See :meth:`Codec.get`."""
        return self.inner.get(reader) if reader.flag() else None

    def dump(self, value: Any) -> Json:
        """See :meth:`Codec.dump`."""
        return None if value is None else self.inner.dump(value)

    def load(self, raw: object, path: str) -> Any:
        """See :meth:`Codec.load`."""
        return None if raw is None else self.inner.load(raw, path)


@dataclass(frozen=True, slots=True)
class Many:
    """A bounded sequence: length and items, a JSON array; a tuple in memory."""

    inner: Codec
    high: int

    def put(self, writer: Writer, value: Sequence[Any]) -> None:
        """See :meth:`Codec.put`."""
        self._bound(len(value), "list")
        writer.u64(len(value))
        for item in value:
            self.inner.put(writer, item)

    def get(self, reader: Reader) -> tuple[Any, ...]:
        """See :meth:`Codec.get`."""
        count = reader.u64()
        self._bound(count, "list")
        return tuple([self.inner.get(reader) for _ in range(count)])

    def dump(self, value: Sequence[Any]) -> Json:
        """See :meth:`Codec.dump`."""
        return [self.inner.dump(item) for item in value]

    def load(self, raw: object, path: str) -> tuple[Any, ...]:
        """See :meth:`Codec.load`."""
        if type(raw) is not list:
            raise FieldError(f"{path}: a list of at most {self.high}")
        self._bound(len(raw), path)
        return tuple(self.inner.load(item, f"{path}[{index}]") for index, item in enumerate(raw))

    def _bound(self, count: int, path: str) -> None:
        if count > self.high:
            raise FieldError(f"{path}: at most {self.high} items")


class Record:
    """A dataclass: its fields one after the other, a JSON object.

    Args:
        cls: The dataclass; built by keyword.
        fields: Field name and codec, in the order of the encoding.
    """

    def __init__(self, cls: type, *fields: tuple[str, Codec]) -> None:
        self.cls = cls
        self.fields = fields
        self._defaults = {item.name for item in dataclass_fields(cls) if item.default is not MISSING}

    def put(self, writer: Writer, value: Any) -> None:
        """See :meth:`Codec.put`."""
        for name, codec in self.fields:
            try:
                codec.put(writer, getattr(value, name))
            except FieldError as exc:
                raise FieldError(f"{name}: {exc}") from None

    def get(self, reader: Reader) -> Any:
        """See :meth:`Codec.get`."""
        return self.cls(**{name: codec.get(reader) for name, codec in self.fields})

    def dump(self, value: Any) -> dict[str, Json]:
        """See :meth:`Codec.dump`."""
        return {name: codec.dump(getattr(value, name)) for name, codec in self.fields}

    def load(self, raw: object, path: str) -> Any:
        """See :meth:`Codec.load`."""
        if type(raw) is not dict:
            raise FieldError(f"{path or 'value'}: an object")
        given = cast("dict[str, object]", raw)
        known = [name for name, _ in self.fields]
        unknown = sorted(repr(key) for key in given if key not in known)
        if unknown:
            raise FieldError(f"{path or 'value'}: unknown key {unknown[0][:80]}; known: {', '.join(known)}")
        where = f"{path}." if path else ""
        return self.cls(
            **{
                name: codec.load(given.get(name), where + name)
                for name, codec in self.fields
                if name in given or name not in self._defaults
            }
        )
