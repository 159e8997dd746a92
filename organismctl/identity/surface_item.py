"""What stands on a surface: facts, at the end a RetirementMarker, each with a majority's signatures.

Postcard of ``SurfaceItem { seq: u64, height: u64, item: Fact(bytes) | Retirement(RetirementMarker),
certificate }``. Members of the roster sign :func:`item_message`; a stranger checks them against the
roster that the chain from ``[genesis]`` proves (:mod:`organismctl.identity.roster`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from organismctl.identity.digest import h
from organismctl.identity.peer import verify
from organismctl.identity.postcard import PostcardError, Reader, Writer
from organismctl.identity.roster import MAX_MEMBERS, Roster

_DOMAIN = b"organismctl/surface-item/1"
MAX_ITEM = 1 << 20
"""Longest fact, bytes."""
MAX_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Fact:
    """A public fact, opaque here."""

    data: bytes


@dataclass(frozen=True, slots=True)
class RetirementMarker:
    """The last datum on every surface.

    Attributes:
        effective_at: The moment as text: RFC 3339 in UTC, or ``tick:N`` (with ``or TIME`` to fall back on).
        replacement: The replacement's REF (:mod:`organismctl.identity.reference`), or ``None``.
        reason: Why, in the operator's words; may be empty.
    """

    effective_at: str
    replacement: str | None = None
    reason: str = ""


Item: TypeAlias = Fact | RetirementMarker


@dataclass(frozen=True, slots=True)
class Certificate:
    """Signatures of roster members over one item.

    Attributes:
        roster_version: The version of the roster that signed.
        signatures: ``(peer id, 64-byte signature)``, sorted by peer id.
    """

    roster_version: int
    signatures: tuple[tuple[bytes, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SurfaceItem:
    """One item: ``seq`` counts from 0 on each surface, ``height`` is its place in the ledger."""

    seq: int
    height: int
    item: Item
    certificate: Certificate

    @property
    def retirement(self) -> RetirementMarker | None:
        """The marker, when this is one."""
        return self.item if isinstance(self.item, RetirementMarker) else None


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """Who signed an item.

    Attributes:
        threshold: How many members of the roster must have signed.
        valid: Members with a valid signature.
        invalid: Members whose signature does not verify.
        strangers: Signers who do not sit on the roster.
        missing: Members who did not sign.
    """

    threshold: int
    valid: frozenset[bytes]
    invalid: frozenset[bytes]
    strangers: frozenset[bytes]
    missing: frozenset[bytes]

    @property
    def verified(self) -> bool:
        """Whether a majority signed."""
        return len(self.valid) >= self.threshold


def item_message(fingerprint: bytes, surface_id: bytes, seq: int, height: int, item: Item) -> bytes:
    """What roster members sign, 32 bytes.

    ``H(domain ‖ fingerprint ‖ surface id ‖ seq u64le ‖ height u64le ‖ postcard(item))``.
    """
    return h(
        _DOMAIN
        + fingerprint
        + surface_id
        + seq.to_bytes(8, "little")
        + height.to_bytes(8, "little")
        + encode_body(item)
    )


def verify_item(item: SurfaceItem, fingerprint: bytes, surface_id: bytes, roster: Roster) -> ItemVerdict:
    """Check an item's certificate against the roster of its version; never raises.

    Args:
        item: The item.
        fingerprint: The organism's fingerprint.
        surface_id: The surface's id.
        roster: The proven roster whose version the certificate names.
    """
    message = item_message(fingerprint, surface_id, item.seq, item.height, item.item)
    members = frozenset(roster.members)
    signed = dict(item.certificate.signatures) if roster.version == item.certificate.roster_version else {}
    valid = frozenset(
        peer for peer, mark in signed.items() if peer in members and verify(peer, message, mark)
    )
    return ItemVerdict(
        threshold=roster.majority,
        valid=valid,
        invalid=(frozenset(signed) & members) - valid,
        strangers=frozenset(signed) - members,
        missing=members - frozenset(signed),
    )


def certificate(
    roster_version: int, signatures: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]
) -> Certificate:
    """A certificate in its canonical order."""
    return Certificate(roster_version, tuple(sorted(dict(signatures).items())))


def encode_body(item: Item) -> bytes:
    """Postcard of the item alone: 0 = Fact, 1 = Retirement."""
    writer = Writer()
    if isinstance(item, Fact):
        writer.varint(0)
        writer.bytes(item.data)
    else:
        writer.varint(1)
        writer.text(item.effective_at)
        writer.option(item.replacement, Writer.text)
        writer.text(item.reason)
    return writer.finish()


def decode_body(data: bytes) -> Item:
    """The inverse of :func:`encode_body`.

    Raises:
        PostcardError: It is anything else.
    """
    reader = Reader(data)
    item = _body(reader)
    reader.finish()
    return item


def encode_item(item: SurfaceItem) -> bytes:
    """Postcard of a whole item."""
    writer = Writer()
    writer.varint(item.seq)
    writer.varint(item.height)
    body = encode_body(item.item)
    writer.fixed(body, len(body))
    writer.varint(item.certificate.roster_version)
    writer.varint(len(item.certificate.signatures))
    for peer, signature in item.certificate.signatures:
        writer.fixed(peer, 32)
        writer.fixed(signature, 64)
    return writer.finish()


def decode_item(data: bytes) -> SurfaceItem:
    """The inverse of :func:`encode_item`.

    Raises:
        PostcardError: It is anything else.
    """
    reader = Reader(data)
    seq, height, body, version = reader.varint(), reader.varint(), _body(reader), reader.varint()
    count = reader.varint()
    if count > MAX_MEMBERS:
        raise PostcardError(f"{count} signatures, at most {MAX_MEMBERS} are allowed")
    signatures = tuple((reader.fixed(32), reader.fixed(64)) for _ in range(count))
    reader.finish()
    peers = [peer for peer, _ in signatures]
    if peers != sorted(set(peers)):
        raise PostcardError("signatures that are not sorted by peer, once each")
    return SurfaceItem(seq, height, body, Certificate(version, signatures))


def _body(reader: Reader) -> Item:
    kind = reader.varint()
    if kind == 0:
        return Fact(reader.bytes(MAX_ITEM))
    if kind == 1:
        return RetirementMarker(
            reader.text(MAX_TEXT), reader.option(lambda r: r.text(MAX_TEXT)), reader.text(MAX_TEXT)
        )
    raise PostcardError(f"an item of kind {kind}")
