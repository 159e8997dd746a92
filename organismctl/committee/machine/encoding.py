"""The canonical encoding of the state: for checkpoints, and for the digest that nodes compare.

Postcard of the format version (one byte), the fingerprint, the height plus one, the fields of ``State`` in
the order below, the roster, the marks, and what is open. Everything that the machine will ever look at is in
it, so equal digests mean equal futures.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from organismctl.committee.codec import U64, Bool, Codec, FieldError, Many, Maybe, Record, Text
from organismctl.committee.command import (
    CUT,
    ID,
    PEERS,
    POINTER,
    REQUEST_TEXT,
    RETIREMENT_FIELDS,
    CutPoint,
)
from organismctl.committee.evidence import Pointer
from organismctl.committee.ledger.roster import MAX_MEMBERS, Roster
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer
from organismctl.committee.machine.fact import MAX_INPUTS
from organismctl.committee.machine.state import (
    MAX_OPEN,
    MAX_REQUESTS,
    HandoverState,
    Join,
    LeaseState,
    MachineConfig,
    Mark,
    Retirement,
    State,
)
from organismctl.errors import OrganismError
from organismctl.identity.digest import h

FORMAT = 1
"""The version of the encoding: its first byte."""


@dataclass(frozen=True, slots=True)
class _Member:
    peer_id: bytes
    incarnation: int


class StateError(OrganismError):
    """Bytes that are not a state of this organism."""


_MARK = Record(Mark, ("position", Maybe(U64())), ("clock_event", Maybe(U64())), ("count", U64()))
_LEASE = Record(
    LeaseState, ("change", Text(128)), ("holder", Text(256)), ("since_ms", U64()), ("until_ms", U64())
)
_RETIREMENT = Record(Retirement, *RETIREMENT_FIELDS)
_HANDOVER = Record(HandoverState, ("fingerprint", ID), ("cut", CUT), ("height", U64()))
_HEAD: tuple[tuple[str, Codec], ...] = (
    ("started", Bool()),
    ("applied", Maybe(U64())),
    ("next_seq", U64()),
    ("tick_ms", U64()),
    ("ticks", U64()),
    ("fence", U64()),
    ("lease", Maybe(_LEASE)),
    ("retirement", Maybe(_RETIREMENT)),
    ("handover", Maybe(_HANDOVER)),
    ("sealed_height", Maybe(U64())),
)
_MEMBERS = Many(Record(_Member, ("peer_id", ID), ("incarnation", U64())), MAX_MEMBERS)
_PENDING = Many(POINTER, MAX_OPEN)


def encode_state(state: State) -> bytes:
    """The canonical encoding of a state."""
    writer = Writer()
    writer.u64(FORMAT)
    writer.id(state.config.fingerprint)
    writer.u64(state.height + 1)
    for name, codec in _HEAD:
        codec.put(writer, getattr(state, name))
    writer.u64(state.roster.version)
    _MEMBERS.put(writer, [_Member(peer, store) for peer, store in state.roster.members.items()])
    PEERS.put(writer, sorted(state.drained))
    writer.u64(len(state.marks))
    for mark in state.marks.values():
        _MARK.put(writer, mark)
    CUT.put(writer, [CutPoint(key, event) for key, event in sorted(state.floor.items())])
    _put_joins(writer, state)
    _PENDING.put(writer, state.pending)
    writer.u64(len(state.requests))
    writer.parts.extend(state.request_pieces)
    return writer.done()


def _put_joins(writer: Writer, state: State) -> None:
    order = {item: number for number, item in enumerate(state.config.inputs)}
    writer.u64(len(state.joins))
    for event, join in sorted(state.joins.items()):
        writer.u64(event)
        writer.u64(join.opened_ms)
        writer.u64(len(join.observations))
        for item in sorted(join.observations):
            pointer = join.observations[item]
            writer.u64(order[item])
            writer.u64(pointer.position)
            writer.id(pointer.blake3)


def state_digest(state: State) -> bytes:
    """``H(encode_state(state))``, 32 bytes: equal on every node at one height."""
    return h(encode_state(state))


def decode_state(config: MachineConfig, data: bytes) -> State:
    """Read a checkpoint.

    Args:
        config: The machine's config; its fingerprint must be the checkpoint's.
        data: What :func:`encode_state` gave.

    Raises:
        StateError: The bytes are not a canonical state of this organism.
    """
    try:
        reader = Reader(data)
        if reader.u64() != FORMAT:
            raise StateError("not a state of a known format")
        if reader.id() != config.fingerprint:
            raise StateError("the state is of another organism (fingerprint)")
        state = _get(config, reader)
        reader.end()
    except (FieldError, MalformedError) as exc:
        raise StateError(f"not a state: {exc}") from exc
    if encode_state(state) != data:
        raise StateError("not a state: not in canonical form")
    return state


def _get(config: MachineConfig, reader: Reader) -> State:
    height = reader.u64() - 1
    head: dict[str, Any] = {name: codec.get(reader) for name, codec in _HEAD}
    state = State(config, height, **head)
    version = reader.u64()
    members = {member.peer_id: member.incarnation for member in _MEMBERS.get(reader)}
    state.roster = Roster(version, MappingProxyType(members))
    state.drained = set(PEERS.get(reader))
    items = (*config.inputs, *(item for item in config.almanacs if item not in config.folded))
    if reader.u64() != len(items):
        raise FieldError("inputs: not those of the config")
    state.marks = {item: _MARK.get(reader) for item in items}
    state.floor = {point.stable_id: point.clock_event for point in CUT.get(reader)}
    for _ in range(_count(reader, MAX_OPEN)):
        event = reader.u64()
        state.joins[event] = _get_join(config, reader, event)
    state.pending = list(_PENDING.get(reader))
    for _ in range(_count(reader, MAX_REQUESTS)):
        request_id = REQUEST_TEXT.get(reader)
        if request_id in state.requests:
            raise FieldError("request id: each once")
        state.add_request(request_id, reader.u64())
    return state


def _get_join(config: MachineConfig, reader: Reader, event: int) -> Join:
    join = Join(reader.u64())
    for _ in range(_count(reader, MAX_INPUTS)):
        number = reader.u64()
        if number >= len(config.inputs):
            raise FieldError("input: not one of the config")
        item = config.inputs[number]
        position = reader.u64()
        join.observations[item] = Pointer(item.stable_id, item.surface_id, event, position, reader.id())
    return join


def _count(reader: Reader, high: int) -> int:
    count = reader.u64()
    if count > high:
        raise FieldError(f"list: at most {high} items")
    return count
