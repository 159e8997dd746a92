"""What nodes say to each other beside the ledger: they ask for vouches and exchange signatures.

Encoded like the ledger's messages (shortest varints, raw ids); the first byte is the kind. Signatures prove
themselves, so it does not matter who passes them on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from organismctl.committee.command import MAX_EVENT
from organismctl.committee.evidence import Pointer
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer

MAX_SIGNED = 1024
_SIGNATURE = 64


@dataclass(frozen=True, slots=True)
class VouchAsk:
    """Did you see this event? Answer with :class:`Vouched`, :class:`Denied`, or nothing."""

    pointer: Pointer
    event: bytes


@dataclass(frozen=True, slots=True)
class Vouched:
    """I saw or resolved it."""

    pointer: Pointer
    signature: bytes


@dataclass(frozen=True, slots=True)
class Denied:
    """Upstream answered me, and has no such event."""

    pointer: Pointer


@dataclass(frozen=True, slots=True)
class Mark:
    """One member's signature over one item or link."""

    lane: int
    seq: int
    peer: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Marks:
    """Signatures."""

    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class MarksAsk:
    """Tell me the signatures of these rows of a lane."""

    lane: int
    start: int
    count: int


Talk: TypeAlias = VouchAsk | Vouched | Denied | Marks | MarksAsk


def encode(talk: Talk) -> bytes:
    """The bytes of a message."""
    writer = Writer()
    match talk:
        case VouchAsk(pointer, event):
            _put(writer.u64(0), pointer).blob(event)
        case Vouched(pointer, signature):
            _put(writer.u64(1), pointer).blob(signature)
        case Denied(pointer):
            _put(writer.u64(2), pointer)
        case Marks(marks):
            writer.u64(3).u64(len(marks))
            for mark in marks:
                writer.u64(mark.lane).u64(mark.seq).id(mark.peer).blob(mark.signature)
        case MarksAsk(lane, start, count):
            writer.u64(4).u64(lane).u64(start).u64(count)
    return writer.done()


def decode(data: bytes) -> Talk:
    """The message in ``data``.

    Raises:
        MalformedError: It is none.
    """
    reader = Reader(data)
    kind = reader.u64()
    talk: Talk
    if kind == 0:
        talk = VouchAsk(_get(reader), reader.blob(MAX_EVENT))
    elif kind == 1:
        talk = Vouched(_get(reader), _signature(reader))
    elif kind == 2:
        talk = Denied(_get(reader))
    elif kind == 3:
        count = reader.u64()
        if count > MAX_SIGNED:
            raise MalformedError(f"{count} signatures at once")
        talk = Marks(tuple([_mark(reader) for _ in range(count)]))
    elif kind == 4:
        talk = MarksAsk(reader.u64(), reader.u64(), reader.u64())
    else:
        raise MalformedError("an unknown kind of talk")
    reader.end()
    return talk


def _put(writer: Writer, pointer: Pointer) -> Writer:
    writer.id(pointer.stable_id).id(pointer.surface_id)
    return writer.u64(pointer.clock_event).u64(pointer.position).id(pointer.blake3)


def _get(reader: Reader) -> Pointer:
    return Pointer(reader.id(), reader.id(), reader.u64(), reader.u64(), reader.id())


def _signature(reader: Reader) -> bytes:
    signature = reader.blob(_SIGNATURE)
    if len(signature) != _SIGNATURE:
        raise MalformedError("a signature has 64 bytes")
    return signature


def _mark(reader: Reader) -> Mark:
    return Mark(reader.u64(), reader.u64(), reader.id(), _signature(reader))
