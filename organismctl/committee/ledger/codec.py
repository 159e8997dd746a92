"""Messages to bytes and back: one tag byte, then the fields in order; strict and bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from organismctl.committee.ledger.messages import (
    Ack,
    Adopt,
    Canvass,
    Canvassed,
    Entries,
    Fetch,
    Forward,
    Forwarded,
    Introduce,
    Introduced,
    Lag,
    Message,
    Prepare,
    Promise,
    Propose,
    Reject,
    TakeOver,
)
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer

MAX_MESSAGE = 16 << 20
"""The longest message, in bytes."""
MAX_FRAME = MAX_MESSAGE + (1 << 16)
"""The longest frame, in bytes."""
MAX_BUNDLE = 256
"""At most this many messages in one frame."""
MAX_COMMANDS = 8192
MAX_COMMAND = 4 << 20
MAX_TEXT = 1024

_WRITE: dict[str, Callable[[Writer, Any], object]] = {
    "number": Writer.u64,
    "height": Writer.height,
    "flag": Writer.flag,
    "id": Writer.id,
    "epoch": Writer.epoch,
    "commands": Writer.blobs,
    "command": Writer.blob,
    "text": lambda writer, value: writer.blob(value.encode()),
}
_READ: dict[str, Callable[[Reader], Any]] = {
    "number": Reader.u64,
    "height": Reader.height,
    "flag": Reader.flag,
    "id": Reader.id,
    "epoch": Reader.epoch,
    "commands": lambda reader: reader.many(MAX_COMMANDS, lambda: reader.blob(MAX_COMMAND)),
    "command": lambda reader: reader.blob(MAX_COMMAND),
    "text": lambda reader: _text(reader.blob(MAX_TEXT)),
}
_LAYOUT: tuple[tuple[type[Any], tuple[tuple[str, str], ...]], ...] = (
    (Canvass, (("round", "number"), ("certified", "height"), ("certified_digest", "id"))),
    (
        Canvassed,
        (
            ("round", "number"),
            ("granted", "flag"),
            ("promised", "epoch"),
            ("certified", "height"),
            ("certified_digest", "id"),
        ),
    ),
    (Prepare, (("epoch", "epoch"),)),
    (
        Promise,
        (
            ("epoch", "epoch"),
            ("incarnation", "number"),
            ("founder", "flag"),
            ("accepted", "epoch"),
            ("certified", "height"),
            ("certified_digest", "id"),
            ("tail", "commands"),
        ),
    ),
    (
        Reject,
        (("epoch", "epoch"), ("promised", "epoch"), ("certified", "height"), ("certified_digest", "id")),
    ),
    (Adopt, (("epoch", "epoch"), ("base", "height"), ("base_digest", "id"), ("commands", "commands"))),
    (
        Propose,
        (
            ("epoch", "epoch"),
            ("previous", "height"),
            ("previous_digest", "id"),
            ("commands", "commands"),
            ("certified", "height"),
            ("certified_digest", "id"),
        ),
    ),
    (Ack, (("epoch", "epoch"), ("height", "height"), ("digest", "id"))),
    (Lag, (("epoch", "epoch"), ("adopted", "flag"), ("height", "height"))),
    (Fetch, (("start", "height"), ("digest", "id"), ("incarnation", "number"))),
    (
        Entries,
        (
            ("start", "height"),
            ("previous", "id"),
            ("commands", "commands"),
            ("epoch", "epoch"),
            ("certified", "height"),
            ("certified_digest", "id"),
        ),
    ),
    (TakeOver, (("epoch", "epoch"), ("height", "height"), ("digest", "id"))),
    (Introduce, (("incarnation", "number"),)),
    (Introduced, (("incarnation", "number"), ("version", "number"), ("certified", "height"))),
    (
        Forward,
        (
            ("process", "number"),
            ("request", "number"),
            ("epoch", "epoch"),
            ("again", "flag"),
            ("command", "command"),
            ("timeout_ms", "number"),
        ),
    ),
    (
        Forwarded,
        (
            ("request", "number"),
            ("kind", "number"),
            ("reason", "text"),
            ("text", "text"),
            ("height", "height"),
            ("digest", "id"),
            ("proposer", "id"),
        ),
    ),
)
_TAGS = {kind: tag for tag, (kind, _) in enumerate(_LAYOUT)}


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise MalformedError("text that is not UTF-8") from exc


def encode(message: Message) -> bytes:
    """A message's bytes.

    Args:
        message: Any message.

    Returns:
        Its tag and its fields, in the order of its class.
    """
    tag = _TAGS[type(message)]
    writer = Writer().u64(tag)
    for name, kind in _LAYOUT[tag][1]:
        _WRITE[kind](writer, getattr(message, name))
    return writer.done()


def decode(data: bytes) -> Message:
    """A message from its bytes.

    Args:
        data: At most :data:`MAX_MESSAGE` bytes.

    Returns:
        The message; encoding it gives ``data`` again.

    Raises:
        MalformedError: The bytes are no message, or not in the one form that ``encode`` gives.
    """
    if len(data) > MAX_MESSAGE:
        raise MalformedError(f"a message of {len(data)} bytes, where {MAX_MESSAGE} are allowed")
    reader = Reader(data)
    tag = reader.u64()
    if tag >= len(_LAYOUT):
        raise MalformedError(f"no message has the tag {tag}")
    kind, layout = _LAYOUT[tag]
    fields = [_READ[what](reader) for _, what in layout]
    reader.end()
    message: Message = kind(*fields)
    return message


def pack(messages: Iterable[Message]) -> bytes:
    """Several messages to one peer, as one frame: their encodings, with count and lengths."""
    return Writer().blobs([encode(message) for message in messages]).done()


def unpack(data: bytes) -> list[Message]:
    """The messages of a frame.

    Raises:
        MalformedError: The frame or any message in it is not what :func:`pack` gives.
    """
    if len(data) > MAX_FRAME:
        raise MalformedError(f"a frame of {len(data)} bytes, where {MAX_FRAME} are allowed")
    reader = Reader(data)
    parts = reader.many(MAX_BUNDLE, lambda: reader.blob(MAX_MESSAGE))
    reader.end()
    return [decode(part) for part in parts]
