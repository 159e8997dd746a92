"""The committee's commands as values; :mod:`organismctl.committee.command` gives them their two forms.

A command is data: whether it may stand is for :mod:`organismctl.committee.machine` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from organismctl.committee.evidence import Pointer, Vouch
from organismctl.committee.ledger.roster import FOUNDER
from organismctl.committee.moment import Moment


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
    """Height 0: which organism this is, and its first roster (peer ids, rising)."""

    fingerprint: bytes
    members: tuple[bytes, ...]
    succession: Succession | None = None
    request_id: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Does nothing: a proposer's first entry of its own epoch."""

    request_id: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Add one committee member or remove one.

    ``incarnation`` is that of the new member's store; 0 in a request: the proposer fills it in. ``version``,
    the roster's version afterwards, is a wish that is checked at the door and no part of the entry: who asks
    for the change of a roster that has moved on since is refused. There is no request id, for none is needed:
    a change that is in cannot be made again.
    """

    action: str
    peer_id: bytes
    incarnation: int = FOUNDER
    version: int | None = None
    request_id: None = None


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
