"""What the protocol asks of the world, and what it is told at start: plain values, no behaviour.

The driver (:mod:`organismctl.committee.ledger.runner`, or the simulator) carries out each effect in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from organismctl.committee.ledger.entry import NO_EPOCH, Entry, Epoch
from organismctl.committee.ledger.messages import Entries, Message
from organismctl.committee.ledger.roster import NOBODY, Roster


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; it may be lost, late, doubled or out of order."""

    to: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Write:
    """Change the disk, all of it or nothing, and fsync; writes are done in order.

    When it is on disk, call ``written(now, token)``; the token of a later write speaks for the earlier ones too,
    so that many writes may share one transaction.

    Attributes:
        token: Counts up from 1.
        promised: The new promised epoch, or ``None`` to leave it.
        accepted: The new accepted epoch, or ``None`` to leave it.
        truncate: First drop every entry above this height, or ``None``.
        entries: Then add these, which follow what is there.
        certified: The new certified height, or ``None`` to leave it.
        introduced: Set that this founder was introduced.
        incarnations: Peers' incarnations to remember.
    """

    token: int
    promised: Epoch | None = None
    accepted: Epoch | None = None
    truncate: int | None = None
    entries: tuple[Entry, ...] = ()
    certified: int | None = None
    introduced: bool = False
    incarnations: tuple[tuple[bytes, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Serve:
    """Read up to ``limit`` entries from disk, from ``start``, and send :meth:`reply`.

    Attributes:
        to: Who asked.
        start: The first height to read.
        limit: At most that many entries and ``max_bytes`` of commands (but always one).
        max_bytes: See ``limit``.
        template: The reply without its entries.
    """

    to: bytes
    start: int
    limit: int
    max_bytes: int
    template: Entries

    def reply(self, previous: bytes, commands: tuple[bytes, ...]) -> Send:
        """The message to send, given the digest at ``start - 1`` and the commands that were read."""
        t = self.template
        return Send(
            self.to, Entries(self.start, previous, commands, t.epoch, t.certified, t.certified_digest)
        )


class Reason(StrEnum):
    """Why an append was refused: it did not happen, and will not."""

    NO_MAJORITY = "no_majority"
    """Less than a majority in sight, so nothing is taken in."""
    NOT_PROPOSER = "not_proposer"
    """Ask the proposer (the hint of the refusal), or wait for one."""
    HANDING_OVER = "handing_over"
    """The proposer is stepping down; ask its successor."""
    BUSY = "busy"
    """The queue is full."""
    INVALID = "invalid"
    """It cannot be appended as it is; the text says why."""
    SUPERSEDED = "superseded"
    """Another entry was certified at its height."""
    STOPPED = "stopped"
    """This node has stopped."""


@dataclass(frozen=True, slots=True)
class Certified:
    """The append stands in the ledger for good.

    Attributes:
        height: Where.
        digest: The chain's digest there.
    """

    height: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The append did not happen and will not.

    Attributes:
        reason: Why.
        text: One sentence for a person.
        proposer: Whom to ask instead, when known.
    """

    reason: Reason
    text: str
    proposer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The append was proposed, and whether it will be certified is not known. Never "failed".

    Attributes:
        text: One sentence for a person.
        height: The height at which it was proposed, when known.
    """

    text: str
    height: int | None = None


Outcome: TypeAlias = Certified | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Resolve:
    """The outcome of an append request; exactly one for each."""

    request: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Advanced:
    """Entries up to ``height`` are certified and on this node's disk: fold them, then publish."""

    height: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """The node must stop, loudly: it never answers again. Restarting does not heal it.

    Attributes:
        code: A stable name: ``contradiction``, ``lost-store``, ``foreign-genesis`` or ``disk``.
        reason: What was seen.
        advice: What an operator does.
    """

    code: str
    reason: str
    advice: str


Effect: TypeAlias = Send | Write | Serve | Resolve | Advanced | Stop


class Origin(StrEnum):
    """How a store came to be."""

    FOUNDER = "founder"
    LEARNER = "learner"


@dataclass(frozen=True, slots=True)
class DiskState:
    """What a store holds, as the protocol starts from it.

    Attributes:
        incarnation: The store's own number, drawn when it was made; never 0.
        origin: Founder (made with Genesis) or learner (made empty).
        introduced: Whether a founder's introduction is over; always true for a learner.
        promised: The promised epoch.
        accepted: The accepted epoch.
        certified: The certified height; -1 when there is none.
        entries: The entries from ``certified`` (included, unless -1) to the last.
        roster: The roster as of ``certified``.
        incarnations: What peers introduced themselves with.
    """

    incarnation: int
    origin: Origin
    introduced: bool
    promised: Epoch = NO_EPOCH
    accepted: Epoch = NO_EPOCH
    certified: int = -1
    entries: tuple[Entry, ...] = ()
    roster: Roster = NOBODY
    incarnations: Mapping[bytes, int] = field(default_factory=dict)
