"""The commands of the committee's machine, and their two forms.

A ledger entry carries the byte form. Genesis, Barrier and Roster are the ledger's own entries and have its
encoding (:mod:`organismctl.committee.ledger.entry`). Every other command is an application entry: the
ledger's kind byte 0, then postcard of the format version (one byte), the request id (``Option<text>``), the
number of the command (varint: its place in :data:`KINDS`) and its fields in the order of :data:`KINDS`. Each
command has exactly one byte form.

The node API carries the JSON form: ``{"type": "lease", …}`` with ids in hex, bytes in base64url, times in
Unix milliseconds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import cast

from organismctl.committee.codec import U64, Blob, Bool, Choice, FieldError, Fixed, Many, Maybe, Record, Text
from organismctl.committee.command_types import (
    Amend,
    Apply,
    Barrier,
    Cancel,
    Command,
    CutPoint,
    Drain,
    Genesis,
    Handover,
    Lease,
    Observe,
    Roster,
    Schedule,
    Succession,
    Tick,
    VoidEvidence,
)
from organismctl.committee.evidence import Pointer, Vouch
from organismctl.committee.ledger.entry import BARRIER, Kind, application
from organismctl.committee.ledger.roster import MAX_MEMBERS, Action, GenesisRecord, RosterChange
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer
from organismctl.committee.moment import TIME, MomentCodec
from organismctl.errors import OrganismError
from organismctl.identity.config import Json

__all__ = [
    "FORMAT",
    "KINDS",
    "MAX_EVENT",
    "MAX_SPAN",
    "MAX_TEXT",
    "MAX_TTL_MS",
    "Amend",
    "Apply",
    "Barrier",
    "Cancel",
    "Command",
    "CommandError",
    "CutPoint",
    "Drain",
    "Genesis",
    "Handover",
    "Lease",
    "Observe",
    "Roster",
    "Schedule",
    "Succession",
    "Tick",
    "VoidEvidence",
    "command_from_json",
    "command_to_json",
    "decode_command",
    "encode_command",
    "kind",
]

FORMAT = 1
"""The version of the encoding of application commands."""
_APPLICATION = bytes([Kind.APPLICATION])
_ROSTER = bytes([Kind.ROSTER])
MAX_EVENT = 64 * 1024
"""The longest upstream event, bytes."""
MAX_SPAN = 256
"""The most spanned members in a cut."""
MAX_TTL_MS = 3_600_000
"""The longest lease before it must be renewed."""
MAX_TEXT = 512
"""The longest reason or reference, bytes."""
_REMEMBERED = 1024  # the longest command whose decoding is kept for the next part of a node that asks


class CommandError(OrganismError):
    """Bytes or JSON that are not a command."""


ID = Fixed(32)
REQUEST_TEXT = Text(128, low=1)
REQUEST_ID = Maybe(REQUEST_TEXT)
REASON = Text(MAX_TEXT)
FENCE = Maybe(U64())
POINTER = Record(
    Pointer,
    ("stable_id", ID),
    ("surface_id", ID),
    ("clock_event", U64()),
    ("position", U64()),
    ("blake3", ID),
)
PEERS = Many(ID, MAX_MEMBERS)
_VOUCHES = Many(Record(Vouch, ("peer_id", ID), ("signature", Fixed(64))), MAX_MEMBERS)
CUT = Many(Record(CutPoint, ("stable_id", ID), ("clock_event", U64())), MAX_SPAN)
_SUCCESSION = Record(Succession, ("fingerprint", ID), ("height", U64()), ("digest", ID), ("cut", CUT))
RETIREMENT_FIELDS = (
    ("effective_at", MomentCodec()),
    ("replacement", Maybe(Text(MAX_TEXT, low=1))),
    ("reason", REASON),
)

KINDS: tuple[tuple[str, Record], ...] = (
    (
        "observe",
        Record(
            Observe,
            ("pointer", POINTER),
            ("event", Blob(MAX_EVENT)),
            ("vouches", _VOUCHES),
            ("after", Maybe(U64())),
        ),
    ),
    ("apply", Record(Apply, ("through", U64()))),
    ("tick", Record(Tick, ("unix_ms", TIME))),
    (
        "lease",
        Record(
            Lease,
            ("action", Choice(("acquire", "renew", "release", "takeover"))),
            ("change", Text(128, low=1)),
            ("holder", Text(256, low=1)),
            ("fence", U64()),
            ("ttl_ms", U64(high=MAX_TTL_MS)),
        ),
    ),
    ("drain", Record(Drain, ("peer_id", ID), ("drained", Bool()), ("fence", FENCE))),
    ("schedule", Record(Schedule, *RETIREMENT_FIELDS, ("fence", FENCE))),
    ("amend", Record(Amend, *RETIREMENT_FIELDS, ("fence", FENCE))),
    ("cancel", Record(Cancel, ("reason", REASON), ("fence", FENCE))),
    ("handover", Record(Handover, ("fingerprint", ID), ("cut", CUT), ("fence", FENCE))),
    (
        "void_evidence",
        Record(VoidEvidence, ("height", U64()), ("pointer", POINTER), ("reason", REASON), ("fence", FENCE)),
    ),
)
"""Type word and fields of every application command; the place here is the number. Append only."""

_LEDGER_KINDS: tuple[tuple[str, Record], ...] = (
    ("genesis", Record(Genesis, ("fingerprint", ID), ("members", PEERS), ("succession", Maybe(_SUCCESSION)))),
    ("barrier", Record(Barrier)),
    (
        "roster",
        Record(
            Roster,
            ("action", Choice(tuple(Action))),
            ("peer_id", ID),
            ("incarnation", U64()),
            ("version", Maybe(U64())),
        ),
    ),
)
_NUMBER = {record.cls: number for number, (_, record) in enumerate(KINDS)}
_BY_NAME = dict(_LEDGER_KINDS + KINDS)
_NAME = {record.cls: name for name, record in _BY_NAME.items()}


def kind(command: Command) -> str:
    """The type word of a command: ``observe``."""
    return _NAME[type(command)]


def encode_command(command: Command) -> bytes:
    """The byte form: what a ledger entry carries.

    Raises:
        CommandError: A field is out of bounds.
    """
    try:
        if isinstance(command, Genesis | Barrier | Roster):
            return _encode_ledgers_own(command)
        number = _NUMBER[type(command)]
        writer = Writer()
        writer.u64(FORMAT)
        REQUEST_ID.put(writer, command.request_id)
        writer.u64(number)
        KINDS[number][1].put(writer, command)
    except FieldError as exc:
        raise CommandError(f"not a valid {kind(command)} command: {exc}") from exc
    return application(writer.done())


def _encode_ledgers_own(command: Genesis | Barrier | Roster) -> bytes:
    if isinstance(command, Barrier):
        return BARRIER
    _BY_NAME[kind(command)].put(Writer(), command)
    _check_ledgers_own(command)
    if isinstance(command, Roster):
        return RosterChange(Action(command.action), command.peer_id, command.incarnation).command()
    extra = Writer()
    if command.succession is not None:
        _SUCCESSION.put(extra, command.succession)
    return GenesisRecord(command.fingerprint, command.members, extra.done()).command()


def _check_ledgers_own(command: object) -> None:
    """The rules between fields."""
    if isinstance(command, Roster) and command.action == Action.REMOVE and command.incarnation:
        raise FieldError("incarnation: 0 for a removal")
    if isinstance(command, Genesis):
        members = list(command.members)
        if not members or members != sorted(set(members)):
            raise FieldError("members: at least one, in rising order, each once")


def decode_command(data: bytes) -> Command:
    """Read the byte form; the whole of ``data`` must be one canonical command.

    Raises:
        CommandError: It is not.
    """
    try:
        if data[:1] == _APPLICATION:
            return _decode_again(data) if len(data) <= _REMEMBERED else _decode_application(data)
        return _decode_ledgers_own(data)
    except (FieldError, MalformedError) as exc:
        raise CommandError(f"not a command: {exc}") from exc


@lru_cache(maxsize=256)
def _decode_again(data: bytes) -> Command:
    # An entry is looked into by several parts of a node, one right after the other.
    return _decode_application(data)


def _decode_application(data: bytes) -> Command:
    reader = Reader(data[1:])
    version = reader.u64()
    if version != FORMAT:
        raise CommandError(
            f"a command of format {version}, where {FORMAT} is known",
            advice="update organismctl on this node",
        )
    request_id = REQUEST_ID.get(reader)
    number = reader.u64()
    if number >= len(KINDS):
        raise CommandError(f"command number {number} is not known", advice="update organismctl on this node")
    command = KINDS[number][1].get(reader)
    reader.end()
    return cast("Command", command if request_id is None else replace(command, request_id=request_id))


def _decode_ledgers_own(data: bytes) -> Command:
    if data == BARRIER:
        return Barrier()
    if data[:1] == _ROSTER:
        change = RosterChange.parse(data)
        return Roster(action=change.action.value, peer_id=change.peer, incarnation=change.incarnation)
    record = GenesisRecord.parse(data)
    succession = None
    if record.extra:
        reader = Reader(record.extra)
        succession = _SUCCESSION.get(reader)
        reader.end()
    return Genesis(fingerprint=record.fingerprint, members=record.roster, succession=succession)


def command_to_json(command: Command) -> dict[str, Json]:
    """The JSON form of a valid command; ``request_id`` stands in it only when there is one."""
    name = kind(command)
    value: dict[str, Json] = {"type": name, **_BY_NAME[name].dump(command)}
    if command.request_id is not None:
        value["request_id"] = command.request_id
    return value


def command_from_json(value: object) -> Command:
    """Read the JSON form.

    Raises:
        CommandError: It is not a command; says which field and what is allowed.
    """
    if not isinstance(value, dict):
        raise CommandError("a command is a JSON object")
    given = dict(value)
    name = given.pop("type", None)
    if not isinstance(name, str) or name not in _BY_NAME:
        raise CommandError(f"type: one of {', '.join(_BY_NAME)}")
    try:
        request_id = REQUEST_ID.load(given.pop("request_id", None), "request_id")
        command = _BY_NAME[name].load(given, "")
        _check_ledgers_own(command)
    except FieldError as exc:
        raise CommandError(f"not a valid {name} command: {exc}") from exc
    if request_id is None or isinstance(command, Genesis | Barrier | Roster):
        return cast("Command", command)
    return cast("Command", replace(command, request_id=request_id))
