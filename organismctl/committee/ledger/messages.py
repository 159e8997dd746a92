"""The messages between nodes, as values; :mod:`organismctl.committee.ledger.codec` makes bytes of them.

A message says nothing about its sender: the carrier authenticates the sender's peer id and hands it over.
``certified`` and ``certified_digest`` always tell how far the sender knows the ledger to be certified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from organismctl.committee.ledger.entry import Epoch


@dataclass(frozen=True, slots=True)
class Canvass:
    """Before taking an epoch: would you follow me? Changes nothing at the receiver."""

    round: int
    certified: int
    certified_digest: bytes


@dataclass(frozen=True, slots=True)
class Canvassed:
    """The answer; a node that hears a live proposer says no."""

    round: int
    granted: bool
    promised: Epoch
    certified: int
    certified_digest: bytes


@dataclass(frozen=True, slots=True)
class Prepare:
    """Promise me this epoch."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Promise:
    """On disk: I accept nothing below ``epoch`` any more. My uncertified tail follows.

    Attributes:
        epoch: The promised epoch.
        incarnation: The incarnation of the sender's store.
        founder: Whether that store was made as a founder's.
        accepted: The epoch in which the tail was accepted.
        certified: How far the sender knows it to be certified.
        certified_digest: The digest there.
        tail: The commands above ``certified``, in order.
    """

    epoch: Epoch
    incarnation: int
    founder: bool
    accepted: Epoch
    certified: int
    certified_digest: bytes
    tail: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """``epoch`` is over, or contradicts what is certified; ``promised`` is the highest promise of the sender."""

    epoch: Epoch
    promised: Epoch
    certified: int
    certified_digest: bytes


@dataclass(frozen=True, slots=True)
class Adopt:
    """The proposer's whole log above ``base``: replace everything uncertified by it, in one disk transaction."""

    epoch: Epoch
    base: int
    base_digest: bytes
    commands: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Propose:
    """Entries that follow ``previous`` in the proposer's log; without any, a heartbeat."""

    epoch: Epoch
    previous: int
    previous_digest: bytes
    commands: tuple[bytes, ...]
    certified: int
    certified_digest: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """On disk, accepted in ``epoch``: everything up to ``height``, whose digest this is."""

    epoch: Epoch
    height: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Lag:
    """What you proposed does not follow what I have: go on from ``height``, or (not adopted) send Adopt."""

    epoch: Epoch
    adopted: bool
    height: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Give me certified entries from ``start``; also a learner's report of where it stands.

    Attributes:
        start: The first height wanted; what is below is certified at the sender.
        digest: The sender's digest at ``start - 1``.
        incarnation: The sender's store.
    """

    start: int
    digest: bytes
    incarnation: int


@dataclass(frozen=True, slots=True)
class Entries:
    """Certified entries from ``start``, perhaps none.

    Attributes:
        start: The height of the first command.
        previous: The digest at ``start - 1``; meaningless without commands.
        commands: Certified commands in order.
        epoch: The epoch of the proposer that the sender follows (its number and id are a hint).
        certified: How far the sender knows it to be certified.
        certified_digest: The digest there.
    """

    start: int
    previous: bytes
    commands: tuple[bytes, ...]
    epoch: Epoch
    certified: int
    certified_digest: bytes


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The proposer of ``epoch`` has stopped; you hold all of its log, up to ``height``: become the proposer."""

    epoch: Epoch
    height: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Introduce:
    """A founder's first words: remember my store's incarnation."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class Introduced:
    """What is on my disk about you.

    Attributes:
        incarnation: The first incarnation that you introduced yourself with; 0 when there is none.
        version: The version of the roster as certified here.
        certified: How far the ledger is certified here.
    """

    incarnation: int
    version: int
    certified: int


@dataclass(frozen=True, slots=True)
class Forward:
    """An append that a node passes on to the proposer.

    Attributes:
        process: A number of the sender's process, drawn at its start.
        request: The process's number for it.
        epoch: The proposer's epoch when the first copy was sent; ``NO_EPOCH`` when it was not known.
        again: Whether a copy was sent before.
        command: Kind byte and payload (application or roster).
        timeout_ms: How long the sender still waits.
    """

    process: int
    request: int
    epoch: Epoch
    again: bool
    command: bytes
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The outcome of a forwarded append.

    Attributes:
        request: The number from :class:`Forward`.
        kind: 0 certified, 1 refused, 2 unknown.
        reason: For a refusal, the :class:`~organismctl.committee.ledger.effects.Reason`'s value.
        text: For a person.
        height: The height, or -1.
        digest: For a certified one, the digest; else 32 zero bytes.
        proposer: Whom to ask instead; 32 zero bytes when unknown.
    """

    request: int
    kind: int
    reason: str
    text: str
    height: int
    digest: bytes
    proposer: bytes


Message: TypeAlias = (
    Canvass
    | Canvassed
    | Prepare
    | Promise
    | Reject
    | Adopt
    | Propose
    | Ack
    | Lag
    | Fetch
    | Entries
    | TakeOver
    | Introduce
    | Introduced
    | Forward
    | Forwarded
)
