"""What passes between the fold, the nodes and the surfaces while items gather their signatures."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from organismctl.committee.codec import U64, FieldError, Fixed, Record, Text
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer
from organismctl.errors import OrganismError
from organismctl.identity.roster import Roster, RosterChange, RosterLink
from organismctl.identity.surface_item import Item, SurfaceItem

LINKS = ""
"""The track of roster links; the others are named after their surface."""


class SignatureError(OrganismError):
    """Bytes that are not a signature message."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One member's signature over one thing, as it goes from node to node.

    Attributes:
        track: A surface's name, or :data:`LINKS`.
        number: The item's seq, or the version that the link leads to.
        peer_id: Who signed.
        signature: 64 bytes over ``item_message`` or ``link_message``.
    """

    track: str
    number: int
    peer_id: bytes
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certified:
    """A certified item that waits for signatures: what the owner stores at once, before anything else.

    Attributes:
        surface: The surface's name.
        seq: Its seq there.
        height: Its entry.
        item: The fact or the marker.
        roster: The roster under which the entry was certified.
    """

    surface: str
    seq: int
    height: int
    item: Item
    roster: Roster


@dataclass(frozen=True, slots=True)
class CertifiedLink:
    """A certified roster change that waits for signatures of the roster before it."""

    height: int
    change: RosterChange
    previous: Roster


@dataclass(frozen=True, slots=True)
class Published:
    """A complete item, next in its surface's order."""

    surface: str
    item: SurfaceItem


Thing: TypeAlias = Certified | CertifiedLink
Complete: TypeAlias = Published | RosterLink


class Verdict(StrEnum):
    """What became of a signature."""

    COUNTED = "counted"
    REPEAT = "repeat"
    """It is known, or what it signs is complete already."""
    EARLY = "early"
    """It is kept until the thing is certified here."""
    WRONG = "wrong"
    """It does not verify."""
    STRANGER = "stranger"
    """Its signer is not in the roster that counts."""
    DROPPED = "dropped"
    """Too far ahead, or deferred; it is asked for again."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What is incomplete, and whose signatures are not here."""

    track: str
    number: int
    needed: int
    peers: tuple[bytes, ...]


def place(thing: Thing) -> tuple[str, int]:
    """The track and the number of a certified thing."""
    if isinstance(thing, Certified):
        return thing.surface, thing.seq
    return LINKS, thing.change.version


def members(thing: Thing) -> frozenset[bytes]:
    """Whose signatures count for a certified thing."""
    return frozenset(thing.roster.members if isinstance(thing, Certified) else thing.previous.members)


_SIGNATURE = Record(
    Signature, ("track", Text(255)), ("number", U64()), ("peer_id", Fixed(32)), ("signature", Fixed(64))
)


def encode_signature(signature: Signature) -> bytes:
    """The postcard form of a signature message."""
    writer = Writer()
    _SIGNATURE.put(writer, signature)
    return writer.done()


def decode_signature(data: bytes) -> Signature:
    """The inverse of :func:`encode_signature`.

    Raises:
        SignatureError: It is anything else.
    """
    try:
        reader = Reader(data)
        signature: Signature = _SIGNATURE.get(reader)
        reader.end()
    except (FieldError, MalformedError) as exc:
        raise SignatureError(f"not a signature message: {exc}") from exc
    return signature
