"""The roster as the ledger certifies it: who votes, and how it changes one member at a time.

A member stands with the *incarnation* of its store: a number drawn when the store is made. Founders, who are named
before any store exists, stand with :data:`FOUNDER`; a member that was added stands with the incarnation it reported
as a learner. A promise counts only from the incarnation that the roster names, and a node whose store is not the
one that was admitted stops: so a lost disk can never vote with an empty memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from organismctl.committee.ledger.entry import Kind
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer

FOUNDER = 0
"""The incarnation under which a founder stands."""
MAX_MEMBERS = 255
MAX_EXTRA = 1 << 20


class Action(StrEnum):
    """What a change of the roster does."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class RosterChange:
    """One member in, or one out.

    Attributes:
        action: Add or remove.
        peer: The member's peer id, 32 bytes.
        incarnation: For an add, the incarnation of the member's store; 0 in a request means "as it reported", and
            the proposer fills it in. Always 0 for a remove.
    """

    action: Action
    peer: bytes
    incarnation: int = FOUNDER

    def command(self) -> bytes:
        """The entry's command: kind, action (0 add, 1 remove), peer id, incarnation."""
        action = Writer().u64(Kind.ROSTER).flag(self.action is Action.REMOVE)
        return action.id(self.peer).u64(self.incarnation).done()

    @classmethod
    def parse(cls, command: bytes) -> RosterChange:
        """Read a roster command; raises :class:`MalformedError`."""
        reader = Reader(command)
        if reader.u64() != Kind.ROSTER:
            raise MalformedError("not a roster change")
        action = Action.REMOVE if reader.flag() else Action.ADD
        change = cls(action, reader.id(), reader.u64())
        reader.end()
        if change.action is Action.REMOVE and change.incarnation:
            raise MalformedError("a removal names an incarnation")
        return change


@dataclass(frozen=True, slots=True)
class Roster:
    """The members after some height.

    Attributes:
        version: 1 at Genesis, one more with each change.
        members: Peer id to incarnation, in the order of the ids.
    """

    version: int
    members: Mapping[bytes, int]

    @classmethod
    def of(cls, peers: Iterable[bytes]) -> Roster:
        """The first roster, of founders."""
        return cls(1, MappingProxyType(dict.fromkeys(sorted(peers), FOUNDER)))

    @property
    def majority(self) -> int:
        """How many members decide; for an empty roster 1, which nobody can reach."""
        return len(self.members) // 2 + 1

    def has_quorum(self, peers: Collection[bytes]) -> bool:
        """Whether the members among ``peers`` are a majority."""
        return sum(peer in self.members for peer in peers) >= self.majority

    def apply(self, change: RosterChange) -> Roster:
        """The roster after a change.

        Raises:
            ValueError: The change adds a member, removes a stranger or empties the roster.
        """
        members = dict(self.members)
        if change.action is Action.ADD:
            if change.peer in members:
                raise ValueError("it is on the roster already")
            if len(members) >= MAX_MEMBERS:
                raise ValueError(f"a roster has at most {MAX_MEMBERS} members")
            members[change.peer] = change.incarnation
            members = dict(sorted(members.items()))
        else:
            if change.peer not in members:
                raise ValueError("it is not on the roster")
            if len(members) == 1:
                raise ValueError("the last member cannot be removed")
            del members[change.peer]
        return Roster(self.version + 1, MappingProxyType(members))


NOBODY = Roster(0, MappingProxyType({}))
"""The roster of a learner that has not even fetched Genesis."""


@dataclass(frozen=True, slots=True)
class GenesisRecord:
    """What stands at height 0.

    Attributes:
        fingerprint: The organism's fingerprint, 32 bytes.
        roster: The first roster's peer ids, sorted.
        extra: What the layer above puts there (a predecessor's handover), opaque here.
    """

    fingerprint: bytes
    roster: tuple[bytes, ...]
    extra: bytes = b""

    def command(self) -> bytes:
        """The command of height 0."""
        writer = Writer().u64(Kind.GENESIS).id(self.fingerprint).u64(len(self.roster))
        for peer in sorted(self.roster):
            writer.id(peer)
        return writer.blob(self.extra).done()

    @classmethod
    def parse(cls, command: bytes) -> GenesisRecord:
        """Read the command of height 0; raises :class:`MalformedError`."""
        reader = Reader(command)
        if reader.u64() != Kind.GENESIS:
            raise MalformedError("height 0 is not a Genesis")
        fingerprint = reader.id()
        roster = reader.many(MAX_MEMBERS, reader.id)
        extra = reader.blob(MAX_EXTRA)
        reader.end()
        if not roster or list(roster) != sorted(set(roster)):
            raise MalformedError("the first roster is empty, unsorted or repeats a member")
        return cls(fingerprint, roster, extra)


def after(roster: Roster, command: bytes) -> Roster | None:
    """The roster after a command, or ``None`` when the command does not touch it.

    Raises:
        MalformedError: The command is a roster change or Genesis, and malformed or impossible.
    """
    if not command:
        raise MalformedError("an empty command")
    if command[0] == Kind.GENESIS:
        return Roster.of(GenesisRecord.parse(command).roster)
    if command[0] != Kind.ROSTER:
        return None
    try:
        return roster.apply(RosterChange.parse(command))
    except ValueError as exc:
        raise MalformedError(f"a roster change that cannot be: {exc}") from exc
