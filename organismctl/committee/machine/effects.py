"""What a step of the machine asks for or says. Effects are acted on only after certification."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

from organismctl.committee.codec import Blob
from organismctl.committee.command import CutPoint
from organismctl.committee.evidence import Pointer
from organismctl.committee.machine.fact import Input
from organismctl.committee.moment import Moment
from organismctl.identity.surface_item import RetirementMarker

if TYPE_CHECKING:
    from organismctl.identity.config import Json

ID_SIZE = 32


@dataclass(frozen=True, slots=True)
class Started:
    """Genesis is in: the first roster's version is 1."""

    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class PublishFact:
    """Put a fact on a surface under this seq; ``data`` as in :mod:`organismctl.committee.machine.fact`."""

    surface: str
    seq: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PublishMarker:
    """Put the marker on a surface, as its last item."""

    surface: str
    seq: int
    height: int
    marker: RetirementMarker


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation is in."""

    pointer: Pointer


@dataclass(frozen=True, slots=True)
class Ignored:
    """It changes nothing and is no fault: ``duplicate``, ``late``, ``nothing-ready`` or ``request``."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Under ``wait``: no fact of a clock event that these inputs passed without reporting it."""

    clock_event: int
    missing: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """The certified roster has a new version; each node signs the link."""

    version: int
    action: str
    peer_id: bytes
    height: int


@dataclass(frozen=True, slots=True)
class LeaseGranted:
    """The lease is the caller's, under this fence, until a Tick past ``until_ms``."""

    change: str
    holder: str
    fence: int
    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class LeaseRefused:
    """Somebody else has the lease, or the fence is not the current one; says who and since when."""

    reason: str
    change: str | None
    holder: str | None
    fence: int
    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """The lease is free: ``released``, ``expired`` or ``sealed``."""

    change: str
    holder: str
    fence: int
    cause: str


@dataclass(frozen=True, slots=True)
class DrainChanged:
    """A committee member is marked as drained, or no longer."""

    peer_id: bytes
    drained: bool


@dataclass(frozen=True, slots=True)
class RetirementChanged:
    """The retirement was ``scheduled``, ``amended`` or ``cancelled``."""

    action: str
    effective_at: Moment
    replacement: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The successor is named; nothing past the cut is folded here any more."""

    fingerprint: bytes
    cut: tuple[CutPoint, ...]


@dataclass(frozen=True, slots=True)
class EvidenceVoided:
    """Replays may pass the Observe at ``height``."""

    height: int
    pointer: Pointer
    reason: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """The machine is sealed: every later command is refused."""

    height: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The command is refused; the state is as before.

    Attributes:
        code: One of :data:`REFUSALS`.
        reason: One sentence.
    """

    code: str
    reason: str


REFUSALS = {
    "sealed": "the organism is retired",
    "not-started": "Genesis is missing",
    "started": "a second Genesis",
    "genesis": "Genesis is of another organism or roster",
    "malformed": "the entry is not a command",
    "roster-version": "the roster has moved on",
    "roster": "this roster change cannot stand",
    "not-spanned": "the surface is not an input of this organism",
    "out-of-order": "another position was observed last",
    "clock-back": "the upstream clock went back",
    "past-cut": "the successor serves what comes after the cut",
    "evidence": "hash or vouches do not stand",
    "too-many-open": "too many facts are open",
    "early": "its time has not come",
    "tick": "time does not move forward",
    "fence": "another runner holds the lease",
    "drain": "this mark cannot stand",
    "retirement": "this schedule cannot stand",
    "handover": "this handover cannot stand",
    "void": "nothing to void",
}
"""Every code of :class:`Refused` and what it means."""

Effect: TypeAlias = (
    Started
    | PublishFact
    | PublishMarker
    | Observed
    | Ignored
    | Skipped
    | RosterChanged
    | LeaseGranted
    | LeaseRefused
    | LeaseEnded
    | DrainChanged
    | RetirementChanged
    | HandedOver
    | EvidenceVoided
    | Sealed
    | Refused
)
Effects: TypeAlias = "tuple[Effect, ...]"


def refusal(effects: Iterable[Effect]) -> Refused | LeaseRefused | None:
    """The refusal among a command's effects, if it was refused."""
    return next((effect for effect in effects if isinstance(effect, Refused | LeaseRefused)), None)


def effect_to_json(effect: Effect) -> dict[str, Json]:
    """The JSON form of an effect: ``{"type": "lease_granted", …}``; ids in hex, bytes in base64url."""
    return {"type": _snake(type(effect).__name__)} | {
        field.name: _plain(getattr(effect, field.name)) for field in fields(effect)
    }


def _snake(name: str) -> str:
    return "".join("_" + char.lower() if char.isupper() else char for char in name).lstrip("_")


def _plain(value: object) -> Json:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex() if len(value) == ID_SIZE else Blob(len(value)).dump(value)
    if isinstance(value, Moment):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type] # a dataclass
