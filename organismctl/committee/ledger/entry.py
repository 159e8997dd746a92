"""Entries, epochs and the hash chain: the values that the certified ledger is made of.

A *command* is the bytes that an entry carries: one kind byte (:class:`Kind`), then a payload that only the kind's
reader understands. The chain is ``digest_h = blake3(digest_{h-1} ‖ u64le(h) ‖ command)`` with 32 zero bytes in
front of height 0, so equal digests at one height mean equal ledgers up to it. The epoch of an entry is *not* part
of the chain: a new proposer carries an entry over under its own epoch, unchanged.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from blake3 import blake3

ID_BYTES = 32
NO_DIGEST = bytes(ID_BYTES)
"""The digest "before" height 0."""


class Epoch(NamedTuple):
    """A proposer's number: compared as (number, proposer), so no two proposers ever share one.

    Attributes:
        number: Counts up; the next proposer takes one more than the highest it has seen.
        proposer: The proposer's peer id, 32 bytes.
    """

    number: int
    proposer: bytes


NO_EPOCH = Epoch(0, NO_DIGEST)
"""Below every epoch that a proposer takes."""


class Kind(IntEnum):
    """The first byte of a command."""

    APPLICATION = 0
    """The payload belongs to the machine above the ledger."""
    ROSTER = 1
    """One member added or removed (:class:`~organismctl.committee.ledger.roster.RosterChange`)."""
    BARRIER = 2
    """The first entry of an epoch: no payload; it proves that the proposer can certify."""
    GENESIS = 3
    """Height 0: fingerprint, first roster, and what a predecessor handed over."""


BARRIER = bytes([Kind.BARRIER])


class Entry(NamedTuple):
    """One entry of a ledger.

    Attributes:
        height: Its place, from 0 (Genesis).
        epoch: The epoch under which this node accepted it; it may differ from node to node and is not hashed.
        command: Kind byte and payload.
        digest: The chain's value at this height, 32 bytes.
    """

    height: int
    epoch: Epoch
    command: bytes
    digest: bytes

    @property
    def kind(self) -> Kind:
        """What the command is for; raises ``ValueError`` for a byte that no kind has."""
        return Kind(self.command[0])

    @property
    def payload(self) -> bytes:
        """The command without its kind byte."""
        return self.command[1:]


def chain(previous: bytes, height: int, command: bytes) -> bytes:
    """The digest at ``height``.

    Args:
        previous: The digest at ``height - 1``; :data:`NO_DIGEST` for height 0.
        height: The height, from 0.
        command: The command's bytes.

    Returns:
        32 bytes.
    """
    return blake3(previous + height.to_bytes(8, "little") + command).digest()


def application(payload: bytes) -> bytes:
    """The command that carries a payload of the machine above."""
    return b"\x00" + payload


def link(previous: bytes, start: int, commands: tuple[bytes, ...], epoch: Epoch) -> list[Entry]:
    """Entries from commands that follow each other.

    Args:
        previous: The digest at ``start - 1``.
        start: The height of the first command.
        commands: The commands in order.
        epoch: The epoch to stamp on each.

    Returns:
        One entry a command, chained.
    """
    entries = []
    for height, command in enumerate(commands, start):
        previous = chain(previous, height, command)
        entries.append(Entry(height, epoch, command, previous))
    return entries
