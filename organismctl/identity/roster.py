"""The roster: who sits on the committee, and the signed chain that leads a stranger to it.

The chain starts at the digest that ``[genesis]`` names. Every link is a certified Roster entry of the ledger,
one add or one remove, signed by a majority of the roster before it, so that a stranger who starts from the
genesis digest believes the present roster without believing the node that sent it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from organismctl.identity.digest import h
from organismctl.identity.peer import verify
from organismctl.identity.postcard import PostcardError, Reader, Writer

_DOMAIN = b"organismctl/roster/1"
_LINK_DOMAIN = b"organismctl/roster-link/1"
MAX_MEMBERS = 255


class ChainError(ValueError):
    """The chain does not prove a roster; the message names the link."""


@dataclass(frozen=True, slots=True)
class Roster:
    """The committee's members.

    Attributes:
        version: 1 for the first roster; grows by one a change.
        members: Their peer ids, 32 bytes each; the operator's labels are no part of it.
    """

    version: int
    members: tuple[bytes, ...]

    @property
    def majority(self) -> int:
        """How many members are a majority."""
        return majority(len(self.members))


@dataclass(frozen=True, slots=True)
class RosterChange:
    """One add or one remove.

    Attributes:
        add: Whether the member is added (else removed).
        peer_id: Whom.
        version: The version of the roster after it.
    """

    add: bool
    peer_id: bytes
    version: int


@dataclass(frozen=True, slots=True)
class RosterLink:
    """A certified Roster entry with the signatures of a majority of the roster before it.

    Attributes:
        height: The entry's height in the ledger.
        change: What it changes.
        signatures: ``(peer id, 64-byte signature)`` over :func:`link_message`.
    """

    height: int
    change: RosterChange
    signatures: tuple[tuple[bytes, bytes], ...]


def majority(size: int) -> int:
    """The smallest number of members that is more than half."""
    return size // 2 + 1


def roster_digest(peer_ids: Iterable[bytes]) -> bytes:
    """``H(domain ‖ postcard(sorted peer ids))``, 32 bytes: order does not count."""
    writer = Writer()
    writer.seq(sorted(peer_ids), lambda w, peer: w.fixed(peer, 32))
    return h(_DOMAIN + writer.finish())


def link_message(fingerprint: bytes, previous: Roster, height: int, change: RosterChange) -> bytes:
    """What members of the previous roster sign, 32 bytes.

    ``H(domain ‖ fingerprint ‖ roster_digest(previous) ‖ postcard(version, height, add, peer id))``.
    """
    writer = Writer()
    _put_change(writer, height, change)
    return h(_LINK_DOMAIN + fingerprint + roster_digest(previous.members) + writer.finish())


def apply_change(roster: Roster, change: RosterChange) -> Roster:
    """The roster after a change.

    Raises:
        ChainError: The version does not follow, a member to add sits already, or one to remove does not.
    """
    if change.version != roster.version + 1:
        raise ChainError(f"version {change.version} does not follow version {roster.version}")
    sits = change.peer_id in roster.members
    if change.add == sits:
        raise ChainError(
            "adds a member who sits already" if change.add else "removes a member who does not sit"
        )
    if change.add:
        return Roster(change.version, (*roster.members, change.peer_id))
    rest = tuple(member for member in roster.members if member != change.peer_id)
    if not rest:
        raise ChainError("removes the last member")
    return Roster(change.version, rest)


def verify_chain(
    fingerprint: bytes, genesis: bytes, first: Roster, links: Sequence[RosterLink]
) -> list[Roster]:
    """Every roster from the first to the present one, proven.

    Args:
        fingerprint: The organism's fingerprint, 32 bytes.
        genesis: The digest that ``[genesis]`` names.
        first: The first roster as a node tells it.
        links: All changes since, in order.

    Raises:
        ChainError: Something is not proven; the message names the link.
    """
    if roster_digest(first.members) != genesis:
        raise ChainError("the first roster is not the one that [genesis] names")
    rosters, height = [Roster(1, first.members)], 0
    for number, link in enumerate(links, 1):
        if link.height <= height:
            raise ChainError(f"link {number}: height {link.height} does not follow {height}")
        message = link_message(fingerprint, rosters[-1], link.height, link.change)
        signers = {
            peer for peer, signature in link.signatures
            if peer in rosters[-1].members and verify(peer, message, signature)
        }  # fmt: skip
        if len(signers) < rosters[-1].majority:
            raise ChainError(
                f"link {number}: {len(signers)} of {rosters[-1].majority} needed signatures are valid"
            )
        try:
            rosters.append(apply_change(rosters[-1], link.change))
        except ChainError as error:
            raise ChainError(f"link {number}: {error}") from error
        height = link.height
    return rosters


def encode_link(link: RosterLink) -> bytes:
    """A link's postcard form."""
    writer = Writer()
    _put_change(writer, link.height, link.change)
    writer.varint(len(link.signatures))
    for peer, signature in link.signatures:
        writer.fixed(peer, 32)
        writer.fixed(signature, 64)
    return writer.finish()


def decode_link(data: bytes) -> RosterLink:
    """The inverse of :func:`encode_link`.

    Raises:
        PostcardError: It is anything else.
    """
    reader = Reader(data)
    version, height, add = reader.varint(), reader.varint(), reader.boolean()
    peer_id = reader.fixed(32)
    count = reader.varint()
    if count > MAX_MEMBERS:
        raise PostcardError(f"{count} signatures, at most {MAX_MEMBERS} are allowed")
    signatures = tuple((reader.fixed(32), reader.fixed(64)) for _ in range(count))
    reader.finish()
    return RosterLink(height, RosterChange(add, peer_id, version), signatures)


def _put_change(writer: Writer, height: int, change: RosterChange) -> None:
    writer.varint(change.version)
    writer.varint(height)
    writer.boolean(change.add)
    writer.fixed(change.peer_id, 32)
