"""What a node's API answers: unknown keys are ignored, known ones must be what they should be.

Readers raise :class:`MalformedAnswerError` for anything else; :mod:`organismctl.committee.client` says which
node it was. Text of a node is remote: who prints it strips control characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from organismctl.committee.strict import (
    JsonObject,
    MalformedAnswerError,
    blob,
    digest,
    flag,
    many,
    maybe,
    number,
    obj,
    read_json,
    text,
)

DIGEST_STRIDE = 16
"""A node tells its state digest at the multiples of this height, and at its newest height."""


@dataclass(frozen=True, slots=True)
class Health:
    """``GET /v1/health``."""

    ok: bool
    sealed: bool


@dataclass(frozen=True, slots=True)
class SurfaceInfo:
    """One of the organism's surfaces as a node serves it.

    Attributes:
        name: Its name.
        type: ``stream``, ``map`` or ``vec``.
        id: 32 bytes.
        next_seq: The seq that its next item will have on this node.
        sealed: Whether the marker is its last item here.
        last_item_ms: When the last item was published here, Unix ms; ``None`` when there is none.
    """

    name: str
    type: str
    id: bytes
    next_seq: int
    sealed: bool
    last_item_ms: int | None


@dataclass(frozen=True, slots=True)
class SurfaceList:
    """``GET /v1/surfaces``: the organism's fingerprint (32 bytes) and its surfaces."""

    fingerprint: bytes
    surfaces: tuple[SurfaceInfo, ...]


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """Items of a surface by seq: SurfaceItem bytes, the seq to go on from, and whether the marker is in."""

    items: tuple[bytes, ...]
    next: int
    sealed: bool


@dataclass(frozen=True, slots=True)
class FollowedItem:
    """One line of a followed surface: the seq, and the SurfaceItem's bytes (they name the seq themselves)."""

    seq: int
    item: bytes


@dataclass(frozen=True, slots=True)
class TicketInfo:
    """One ticket as a node holds it; never its bytes.

    Attributes:
        span: The spanned member's name.
        ticket_class: The ticket class, 32 bytes.
        ticket_id: 32 bytes.
        horizon_ms: The effective horizon, Unix ms; ``None``: it never stops admitting by itself.
        valid: Whether it admits now.
        failing_step: The step of mosaik's validation that fails, or ``None``.
    """

    span: str
    ticket_class: bytes
    ticket_id: bytes
    horizon_ms: int | None
    valid: bool
    failing_step: str | None


@dataclass(frozen=True, slots=True)
class SubscriptionInfo:
    """One subscription of a node to a surface of a spanned member.

    Attributes:
        span: The spanned member's name.
        surface: The surface's name there, as our config calls it.
        state: ``live``, ``connecting``, ``refused`` or ``retired``.
        reason: Why it is not live; else empty.
        last_event_ms: When the last event came in, Unix ms.
        received: Events that came in on this node since it started.
        observed: Events that the committee has certified.
        position: The last certified position.
        marker: The spanned member's own RetirementMarker, or ``None``.
    """

    span: str
    surface: str
    state: str
    reason: str
    last_event_ms: int | None
    received: int
    observed: int
    position: int | None
    marker: JsonObject | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One certified entry: height, epoch number, chain digest (32 bytes), and the command's JSON form."""

    height: int
    epoch: int
    digest: bytes
    command: JsonObject


@dataclass(frozen=True, slots=True)
class LogPage:
    """Certified entries in order, and how far the node has certified."""

    entries: tuple[LogEntry, ...]
    certified: int


@dataclass(frozen=True, slots=True)
class LogDigest:
    """The chain's digest at a height, and the folded state's digest there (``None``: not kept any more)."""

    height: int
    digest: bytes
    state_digest: bytes | None


@dataclass(frozen=True, slots=True)
class EvidenceInfo:
    """An observation's height and pointer; ``resolved``, ``gone``, ``unknown``, ``vouched`` or ``voided``."""

    height: int
    pointer: JsonObject
    state: str


@dataclass(frozen=True, slots=True)
class Appended:
    """A certified append: its height and its effects in JSON form."""

    height: int
    effects: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class ChangeInfo:
    """A change's journal copy: its id, how many lines, and when the last one came, Unix ms."""

    id: str
    lines: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class ChangeCopy:
    """A change's journal copy, whole: the plan's JSON text and the journal's lines, unchecked."""

    id: str
    plan: JsonObject
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """The one error form: a stable code, a sentence, the next step, and the effects of a refused command."""

    code: str
    message: str
    advice: str | None
    effects: tuple[JsonObject, ...] = ()


# Readers of answers.


def read_health(raw: JsonObject) -> Health:
    """See :class:`Health`."""
    return Health(flag(raw.get("ok"), "ok"), flag(raw.get("sealed"), "sealed"))


def _surface(value: object, where: str) -> SurfaceInfo:
    raw = obj(value, where)
    return SurfaceInfo(
        name=text(raw.get("name"), f"{where}.name", 256),
        type=text(raw.get("type"), f"{where}.type", 16),
        id=digest(raw.get("id"), f"{where}.id"),
        next_seq=number(raw.get("next_seq"), f"{where}.next_seq"),
        sealed=flag(raw.get("sealed"), f"{where}.sealed"),
        last_item_ms=maybe(raw.get("last_item_ms"), f"{where}.last_item_ms", number),
    )


def read_surfaces(raw: JsonObject) -> SurfaceList:
    """See :class:`SurfaceList`."""
    return SurfaceList(
        digest(raw.get("fingerprint"), "fingerprint"), many(raw.get("surfaces"), "surfaces", _surface, 64)
    )


def read_items(raw: JsonObject) -> ItemsPage:
    """See :class:`ItemsPage`."""
    return ItemsPage(
        items=many(raw.get("items"), "items", blob, 1000),
        next=number(raw.get("next"), "next"),
        sealed=flag(raw.get("sealed"), "sealed"),
    )


def read_line(line: bytes) -> FollowedItem:
    """One line of a followed surface."""
    raw = read_json(line)
    return FollowedItem(number(raw.get("seq"), "seq"), blob(raw.get("item"), "item"))


def _ticket(value: object, where: str) -> TicketInfo:
    raw = obj(value, where)
    return TicketInfo(
        span=text(raw.get("span"), f"{where}.span", 256),
        ticket_class=digest(raw.get("class"), f"{where}.class"),
        ticket_id=digest(raw.get("ticket_id"), f"{where}.ticket_id"),
        horizon_ms=maybe(raw.get("horizon_ms"), f"{where}.horizon_ms", number),
        valid=flag(raw.get("valid"), f"{where}.valid"),
        failing_step=maybe(raw.get("failing_step"), f"{where}.failing_step", text),
    )


def read_tickets(raw: JsonObject) -> tuple[TicketInfo, ...]:
    """The tickets of a node."""
    return many(raw.get("tickets"), "tickets", _ticket, 65_536)


def _subscription(value: object, where: str) -> SubscriptionInfo:
    raw = obj(value, where)
    return SubscriptionInfo(
        span=text(raw.get("span"), f"{where}.span", 256),
        surface=text(raw.get("surface"), f"{where}.surface", 256),
        state=text(raw.get("state"), f"{where}.state", 32),
        reason=text(raw.get("reason") or "", f"{where}.reason"),
        last_event_ms=maybe(raw.get("last_event_ms"), f"{where}.last_event_ms", number),
        received=number(raw.get("received"), f"{where}.received"),
        observed=number(raw.get("observed"), f"{where}.observed"),
        position=maybe(raw.get("position"), f"{where}.position", number),
        marker=maybe(raw.get("marker"), f"{where}.marker", obj),
    )


def read_subscriptions(raw: JsonObject) -> tuple[SubscriptionInfo, ...]:
    """The subscriptions of a node."""
    return many(raw.get("subscriptions"), "subscriptions", _subscription, 4096)


def _entry(value: object, where: str) -> LogEntry:
    raw = obj(value, where)
    return LogEntry(
        height=number(raw.get("height"), f"{where}.height"),
        epoch=number(raw.get("epoch"), f"{where}.epoch"),
        digest=digest(raw.get("digest"), f"{where}.digest"),
        command=obj(raw.get("command"), f"{where}.command"),
    )


def read_log(raw: JsonObject) -> LogPage:
    """See :class:`LogPage`."""
    return LogPage(
        many(raw.get("entries"), "entries", _entry, 1000), number(raw.get("certified"), "certified", -1)
    )


def read_log_digest(raw: JsonObject) -> LogDigest:
    """See :class:`LogDigest`."""
    return LogDigest(
        height=number(raw.get("height"), "height"),
        digest=digest(raw.get("digest"), "digest"),
        state_digest=maybe(raw.get("state_digest"), "state_digest", digest),
    )


def _evidence(value: object, where: str) -> EvidenceInfo:
    raw = obj(value, where)
    return EvidenceInfo(
        height=number(raw.get("height"), f"{where}.height"),
        pointer=obj(raw.get("pointer"), f"{where}.pointer"),
        state=text(raw.get("state"), f"{where}.state", 32),
    )


def read_evidence(raw: JsonObject) -> tuple[EvidenceInfo, ...]:
    """The evidence of a node's newest observations."""
    return many(raw.get("evidence"), "evidence", _evidence, 10_000)


def read_appended(raw: JsonObject) -> Appended:
    """See :class:`Appended`."""
    if raw.get("outcome") != "certified":
        raise MalformedAnswerError("outcome is not certified")
    return Appended(number(raw.get("height"), "height"), many(raw.get("effects"), "effects", obj, 4096))


def _change(value: object, where: str) -> ChangeInfo:
    raw = obj(value, where)
    return ChangeInfo(
        id=text(raw.get("id"), f"{where}.id", 128),
        lines=number(raw.get("lines"), f"{where}.lines"),
        updated_ms=number(raw.get("updated_ms"), f"{where}.updated_ms"),
    )


def read_changes(raw: JsonObject) -> tuple[ChangeInfo, ...]:
    """The journal copies of a node."""
    return many(raw.get("changes"), "changes", _change, 65_536)


def _line(value: object, where: str) -> str:
    return text(value, where, 1 << 20)


def read_change(raw: JsonObject) -> ChangeCopy:
    """See :class:`ChangeCopy`."""
    return ChangeCopy(
        id=text(raw.get("id"), "id", 128),
        plan=obj(raw.get("plan"), "plan"),
        lines=many(raw.get("lines"), "lines", _line),
    )


def read_fault(raw: JsonObject) -> Fault:
    """See :class:`Fault`."""
    error = obj(raw.get("error"), "error")
    return Fault(
        code=text(error.get("code"), "error.code", 64),
        message=text(error.get("message"), "error.message"),
        advice=maybe(error.get("advice"), "error.advice", text),
        effects=many(error.get("effects") or [], "error.effects", obj, 4096),
    )
