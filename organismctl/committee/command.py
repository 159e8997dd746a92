"""The commands of the committee's machine, and their two forms.

A ledger entry carries the postcard form: the format version (one byte), the request id (``Option<text>``),
the kind (varint: the place in :data:`KINDS`), and the command's fields in the order of :data:`KINDS`; every
command has exactly one. The node API carries the JSON form: ``{"type": "lease", …}`` with ids in hex, bytes
in base64url, times in Unix milliseconds.

A command is data: whether it may stand is for :mod:`organismctl.committee.machine` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from organismctl.committee.codec import U64, Blob, Bool, Choice, FieldError, Fixed, Many, Maybe, Record, Text
from organismctl.committee.evidence import Pointer, Vouch
from organismctl.committee.moment import TIME, Moment, MomentCodec
from organismctl.errors import OrganismError
from organismctl.identity.config import Json
from organismctl.identity.postcard import PostcardError, Reader, Writer

FORMAT = 1
"""The version of the encoding: the first byte of every command."""
MAX_EVENT = 64 * 1024
"""The longest upstream event, bytes."""
MAX_ROSTER = 32
"""The largest roster (mosaik seats five; more is for the way between two rosters)."""
MAX_SPAN = 256
"""The most spanned members in a cut."""
MAX_TTL_MS = 3_600_000
"""The longest lease before it must be renewed."""
MAX_TEXT = 512
"""The longest reason or reference, bytes."""


class CommandError(OrganismError):
    """Bytes or JSON that are not a command."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A committee member in the roster: peer id (32 bytes) and the operator's label."""

    peer_id: bytes
    name: str


@dataclass(frozen=True, slots=True)
class CutPoint:
    """The last clock event of a spanned member that the older organism serves."""

    stable_id: bytes
    clock_event: int


@dataclass(frozen=True, slots=True)
class Succession:
    """What a new organism takes over from: the old one's Handover entry, and its cut."""

    fingerprint: bytes
    height: int
    digest: bytes
    cut: tuple[CutPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """The first command: which organism this is, and its first roster."""

    fingerprint: bytes
    members: tuple[Seat, ...]
    succession: Succession | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Does nothing: a proposer's first entry of its own epoch."""

    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Add one committee member or remove one; ``version`` is the roster's version afterwards."""

    action: str
    peer_id: bytes
    name: str
    version: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """An upstream event with its evidence.

    ``after`` is the position that the proposer believes to be the last observed one of that surface
    (``None``: no claim). The machine refuses a command whose belief is wrong, so that events which are in
    flight together can never overtake each other and leave a hole.
    """

    pointer: Pointer
    event: bytes
    vouches: tuple[Vouch, ...]
    after: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Make facts of what is ready, up to and including a clock event (``ticker``: exactly the next one)."""

    through: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The only way in which time enters: Unix milliseconds, strictly rising."""

    unix_ms: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Acquire, renew, release or take over the right of one change to act.

    ``fence`` is the caller's own number for renew and release, the number that is to be superseded for
    takeover, and 0 for acquire. ``ttl_ms`` counts for acquire, renew and takeover.
    """

    action: str
    change: str
    holder: str
    fence: int = 0
    ttl_ms: int = 0
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Mark a committee member as drained (it leads no more), or take the mark away."""

    peer_id: bytes
    drained: bool
    fence: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Schedule the retirement of this organism."""

    effective_at: Moment
    replacement: str | None = None
    reason: str = ""
    fence: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend:
    """Replace the scheduled retirement as a whole."""

    effective_at: Moment
    replacement: str | None = None
    reason: str = ""
    fence: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel the scheduled retirement."""

    reason: str = ""
    fence: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Hand over to a successor: this organism serves up to the cut, the successor after it."""

    fingerprint: bytes
    cut: tuple[CutPoint, ...]
    fence: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidEvidence:
    """Let replays pass the Observe at ``height`` although its pointer resolves no more."""

    height: int
    pointer: Pointer
    reason: str
    fence: int | None = None
    request_id: str | None = None


Command: TypeAlias = (
    Genesis
    | Barrier
    | Roster
    | Observe
    | Apply
    | Tick
    | Lease
    | Drain
    | Schedule
    | Amend
    | Cancel
    | Handover
    | VoidEvidence
)

ID = Fixed(32)
LABEL = Text(64, low=1)
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
_VOUCHES = Many(Record(Vouch, ("peer_id", ID), ("signature", Fixed(64))), MAX_ROSTER)
SEATS = Many(Record(Seat, ("peer_id", ID), ("name", LABEL)), MAX_ROSTER)
CUT = Many(Record(CutPoint, ("stable_id", ID), ("clock_event", U64())), MAX_SPAN)
_SUCCESSION = Record(Succession, ("fingerprint", ID), ("height", U64()), ("digest", ID), ("cut", CUT))
RETIREMENT_FIELDS = (
    ("effective_at", MomentCodec()),
    ("replacement", Maybe(Text(MAX_TEXT, low=1))),
    ("reason", REASON),
)

KINDS: tuple[tuple[str, Record], ...] = (
    (
        "genesis",
        Record(Genesis, ("fingerprint", ID), ("members", SEATS), ("succession", Maybe(_SUCCESSION))),
    ),
    ("barrier", Record(Barrier)),
    (
        "roster",
        Record(
            Roster,
            ("action", Choice(("add", "remove"))),
            ("peer_id", ID),
            ("name", LABEL),
            ("version", U64()),
        ),
    ),
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
"""Type word and fields of every command; the place here is the number in the encoding. Append only."""

_NUMBER = {record.cls: number for number, (_, record) in enumerate(KINDS)}
_BY_NAME = dict(KINDS)


def kind(command: Command) -> str:
    """The type word of a command: ``observe``."""
    return KINDS[_NUMBER[type(command)]][0]


def encode_command(command: Command) -> bytes:
    """The postcard form.

    Raises:
        CommandError: A field is out of bounds.
    """
    number = _NUMBER[type(command)]
    writer = Writer()
    try:
        writer.u64(FORMAT)
        REQUEST_ID.put(writer, command.request_id)
        writer.u64(number)
        KINDS[number][1].put(writer, command)
    except FieldError as exc:
        raise CommandError(f"not a valid {KINDS[number][0]} command: {exc}") from exc
    return writer.finish()


def decode_command(data: bytes) -> Command:
    """Read the postcard form; the whole of ``data`` must be one canonical command.

    Raises:
        CommandError: It is not.
    """
    try:
        reader = Reader(data)
        version = reader.u64()
        if version != FORMAT:
            raise CommandError(
                f"a command of format {version}, where {FORMAT} is known",
                advice="update organismctl on this node",
            )
        request_id = REQUEST_ID.get(reader)
        number = reader.u64()
        if number >= len(KINDS):
            raise CommandError(
                f"command kind {number} is not known", advice="update organismctl on this node"
            )
        command = KINDS[number][1].get(reader)
        reader.end()
    except (FieldError, PostcardError) as exc:
        raise CommandError(f"not a command: {exc}") from exc
    if request_id is not None:
        command = replace(command, request_id=request_id)
    return cast("Command", command)


def command_to_json(command: Command) -> dict[str, Json]:
    """The JSON form of a valid command; ``request_id`` stands in it only when there is one."""
    name, record = KINDS[_NUMBER[type(command)]]
    value: dict[str, Json] = {"type": name, **record.dump(command)}
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
    except FieldError as exc:
        raise CommandError(f"not a valid {name} command: {exc}") from exc
    return cast("Command", replace(command, request_id=request_id))
