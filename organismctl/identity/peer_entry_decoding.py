"""Reading signed peer entries, strictly and fast: a network of 10,000 peers is read at the pace of its signatures.

Written over positions rather than over :class:`~organismctl.identity.postcard.Reader`, whose calls would cost as
much as the signatures do. Two kinds of trouble:

- *structure* (truncated, an overlong varint, an unknown kind, too many of something): nothing behind it is read,
  so it raises;
- *faults* (an unsorted set, a ticket under another's id): the entry is not to be trusted, what follows it can be
  read all the same.

Memory is at most a few times the input's length, and the limits below bound the time that one entry takes.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from organismctl.identity.digest import h
from organismctl.identity.peer_entry import (
    INLINE_CUSTOM,
    MAX_TICKET,
    Catalog,
    EntryProblem,
    PeerEntry,
    PeerTicket,
    Signed,
    custom_order,
    is_protocol,
)
from organismctl.identity.postcard import PostcardError

MAX_IDS = 4096
"""Ids in one set of one entry: 128 KiB; a busy peer has some dozens."""
MAX_ADDRESSES = 256
MAX_TICKETS = 256
MAX_TEXT = 2048
"""Longest relay URL and protocol version, bytes: what a URL may be in practice."""
MAX_FAULTS = 4
"""Faults named per entry; one is enough to distrust it."""

_U64_BITS = 64
_V6_GROUPS, _V6_TEXT = struct.Struct(">8H").unpack, ":".join(["%x"] * 8)
_ZEROS = re.compile(r"\b0(?::0)+\b")
_TWISTED_ONE = (1).to_bytes(32, "little")
SMALL_ORDER = frozenset(
    point[:31] + bytes((point[31] | sign,))
    for point in (
        bytes(32),
        _TWISTED_ONE,
        bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    )
    for sign in (0, 0x80)
)
"""Points of small order, every encoding: whoever likes can sign for such a key, so mosaik's strict check refuses
them (``verify_strict`` of ed25519-dalek) where OpenSSL's does not."""


class Unchecked(NamedTuple):
    """An entry as it stands there, its signature not yet checked."""

    entry: PeerEntry
    signature: bytes
    digest: bytes
    faults: tuple[str, ...]
    left_out: tuple[str, ...]


def catalog_of(data: bytes, max_entries: int, known: dict[bytes, bytes]) -> Catalog:
    """See :func:`organismctl.identity.peer_entry.read_catalog`.

    First everything is decoded, then everything is checked: in turns each would push the other out of the
    processor's caches, and 10,000 entries would take a fifth longer.
    """
    read: list[Unchecked] = []
    broken = ""
    count = position = 0
    try:
        count, position = _varint(data, 0)
        for _ in range(min(count, max_entries)):
            one, position = unchecked_at(data, position)
            read.append(one)
    except PostcardError as exc:
        broken = (
            f"entry {len(read) + 1} of {count} is malformed, and nothing behind it can be read: {exc.message}"
        )
    entries: list[Signed] = []
    problems: list[EntryProblem] = []
    for one in read:
        _sort_out(checked(one, known), entries, problems)
    if broken:
        problems.append(EntryProblem(broken))
    elif count > max_entries:
        problems.append(EntryProblem(f"it claims {count} entries; the first {max_entries} were read"))
    elif position != len(data):
        problems.append(EntryProblem(f"{len(data) - position} bytes follow the last entry"))
    return Catalog(tuple(entries), tuple(problems))


def _sort_out(signed: Signed, entries: list[Signed], problems: list[EntryProblem]) -> None:
    peer = signed.entry.peer_id
    if not signed.verified:
        what = "unsigned" if not any(signed.signature) else "its signature does not verify"
        problems.append(EntryProblem(what, peer))
        return
    problems += [EntryProblem(what, peer) for what in (*signed.faults, *signed.left_out)]
    if signed.trusted:
        entries.append(signed)


def unchecked_at(data: bytes, start: int) -> tuple[Unchecked, int]:
    """The signed entry that begins at ``start``, and where it ends.

    Raises:
        PostcardError: The structure is broken.
    """
    faults: list[str] = []
    left_out: list[str] = []
    entry, end = _entry(data, start, faults, left_out)
    stop = end + 64
    if stop > len(data):
        raise PostcardError("truncated in the signature")
    digest = h(data[start:end])
    return Unchecked(entry, data[end:stop], digest, tuple(faults[:MAX_FAULTS]), tuple(left_out)), stop


def checked(one: Unchecked, known: dict[bytes, bytes]) -> Signed:
    """The entry with the verdict on its signature.

    Args:
        one: The entry.
        known: Signatures that hold, under their digest (which covers the peer id); filled as it goes.
    """
    entry, signature, digest, faults, left_out = one
    peer = entry.peer_id
    verified = known.get(digest) == signature
    if not verified and peer not in SMALL_ORDER and signature[:32] not in SMALL_ORDER:
        verified = _is_signed(peer, digest, signature)
        if verified:
            known[digest] = signature
    return Signed(entry, signature, verified, digest, faults, left_out)


def _is_signed(peer: bytes, digest: bytes, signature: bytes) -> bool:
    """As :func:`organismctl.identity.peer.verify`, without its cache: here every key is met once."""
    try:
        Ed25519PublicKey.from_public_bytes(peer).verify(signature, digest)
    except (InvalidSignature, ValueError):
        return False
    return True


def _entry(data: bytes, at: int, faults: list[str], left_out: list[str]) -> tuple[PeerEntry, int]:
    raw, at = _text(data, at)
    protocol = _protocol(raw)
    if protocol is None:
        faults.append("its protocol is not a semantic version")
    network, at = _fixed(data, at)
    started, at = _varint(data, at)
    updated, at = _varint(data, at)
    peer, at = _fixed(data, at)
    count, at = _varint(data, at)
    relays, addresses, customs, at = _addresses(data, at, count, faults) if count else ((), (), (), at)
    tags, at = _ids(data, at, "tags", faults)
    streams, at = _ids(data, at, "streams", faults)
    groups, at = _ids(data, at, "groups", faults)
    tickets, at = _tickets(data, at, faults, left_out)
    entry = PeerEntry(
        protocol or "",
        network,
        (started >> 1) ^ -(started & 1),
        (updated >> 1) ^ -(updated & 1),
        peer,
        relays,
        addresses,
        tags,
        streams,
        groups,
        tickets,
        customs,
    )
    return entry, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    try:
        byte = data[at]
        if byte < 0x80:
            return byte, at + 1
        value, shift = byte & 0x7F, 7
        while True:
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= _U64_BITS + 6:
                raise PostcardError("a varint longer than 64 bits")
    except IndexError:
        raise PostcardError(f"truncated at byte {len(data)}") from None
    if byte == 0 or value >> _U64_BITS:
        raise PostcardError("an overlong varint")
    return value, at + 1


def _fixed(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 32
    if end > len(data):
        raise PostcardError(f"truncated at byte {len(data)}")
    return data[at:end], end


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _varint(data, at)
    end = at + size
    if end > len(data):
        raise PostcardError(f"{size} bytes wanted at {at}, {len(data) - at} left")
    return data[at:end], end


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    raw, at = _bytes(data, at)
    if len(raw) > MAX_TEXT:
        raise PostcardError(f"a text of {len(raw)} bytes; at most {MAX_TEXT} are allowed")
    return raw, at


@lru_cache(maxsize=64)
def _protocol(raw: bytes) -> str | None:
    """The version, or ``None``; peers of one network have few."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return None
    return text if is_protocol(text) else None


def _ids(data: bytes, at: int, what: str, faults: list[str]) -> tuple[tuple[bytes, ...], int]:
    """A set of 32-byte ids."""
    count, at = _varint(data, at)
    if not count:
        return (), at
    end = at + 32 * count
    if end > len(data):
        raise PostcardError(f"{count} {what} exceed what follows")
    if count > MAX_IDS:
        faults.append(f"{count} {what}; at most {MAX_IDS} are read")
        return (), end
    ids = tuple([data[p : p + 32] for p in range(at, end, 32)])
    if count > 1:
        for i in range(1, count):
            if ids[i - 1] >= ids[i]:
                faults.append(f"its {what} are not in order, once each")
                break
    return ids, end


def _addresses(
    data: bytes, at: int, count: int, faults: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, bytes], ...], int]:
    """The set of transport addresses: relays, socket addresses, custom ones."""
    if count > MAX_ADDRESSES:
        raise PostcardError(f"{count} addresses; at most {MAX_ADDRESSES} are read")
    relays: list[str] = []
    sockets: list[str] = []
    customs: list[tuple[int, bytes]] = []
    last: tuple[int, object] | None = None
    for _ in range(count):
        kind, at = _varint(data, at)
        order: tuple[int, object]
        if kind == 1:
            raw, port, at = _socket(data, at)
            order = (len(raw), (raw, port))
            sockets.append(_socket_text(raw, port))
        elif kind == 0:
            relay, at = _text(data, at)
            order = (0, relay)
            url, sound = _relay(relay)
            relays.append(url)
            if not sound:
                faults.append("a relay address that is no URL")
        elif kind == 2:
            custom, at = _custom(data, at)
            order = (32, custom_order(custom))
            customs.append(custom)
        else:
            raise PostcardError(f"an address of kind {kind}")
        if last is not None and not last < order:
            faults.append("its addresses are not in order, once each")
        last = order
    return tuple(relays), tuple(sockets), tuple(customs), at


def _socket(data: bytes, at: int) -> tuple[bytes, int, int]:
    family, at = _varint(data, at)
    if family > 1:
        raise PostcardError(f"a socket address of family {family}")
    end = at + (16 if family else 4)
    raw = data[at:end]
    port, at = _varint(data, end)
    if port > 0xFFFF:
        raise PostcardError(f"port {port}")
    return raw, port, at


def _socket_text(raw: bytes, port: int) -> str:
    if len(raw) == 4:
        return f"{raw[0]}.{raw[1]}.{raw[2]}.{raw[3]}:{port}"
    groups = _V6_TEXT % _V6_GROUPS(raw)
    if runs := [found.span() for found in _ZEROS.finditer(groups)]:
        # RFC 5952: the longest run of zeros, the first of several, is written as two colons.
        begin, end = runs[0] if len(runs) == 1 else max(runs, key=lambda run: run[1] - run[0])
        groups = f"{groups[: max(begin - 1, 0)]}::{groups[end + 1 :]}"
    return f"[{groups}]:{port}"


@lru_cache(maxsize=64)
def _relay(raw: bytes) -> tuple[str, bool]:
    """A relay's URL, and whether it looks like one; peers of one network have few."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise PostcardError("a relay URL that is not UTF-8") from None
    return text, "://" in text and text.isprintable()


def _custom(data: bytes, at: int) -> tuple[tuple[int, bytes], int]:
    transport, at = _varint(data, at)
    form, at = _varint(data, at)
    if form == 1:
        raw, at = _text(data, at)
        if len(raw) <= INLINE_CUSTOM:
            raise PostcardError("a short custom address in its long form")
        return (transport, raw), at
    end = at + 1 + INLINE_CUSTOM
    if form or end > len(data) or data[at] > INLINE_CUSTOM:
        raise PostcardError("a malformed custom address")
    size = data[at]
    if any(data[at + 1 + size : end]):
        raise PostcardError("a custom address with bytes behind its end")
    return (transport, data[at + 1 : at + 1 + size]), end


def _tickets(
    data: bytes, at: int, faults: list[str], left_out: list[str]
) -> tuple[tuple[PeerTicket, ...], int]:
    """The map of ticket id to ticket."""
    count, at = _varint(data, at)
    if count > MAX_TICKETS:
        raise PostcardError(f"{count} tickets; at most {MAX_TICKETS} are read")
    tickets: list[PeerTicket] = []
    last = b""
    for _ in range(count):
        key, at = _fixed(data, at)
        kind, at = _fixed(data, at)
        raw, at = _bytes(data, at)
        if key <= last:
            faults.append("its tickets are not in order, once each")
        last = key
        if h(kind + raw) != key:
            faults.append("a ticket under another's id")
        if len(raw) > MAX_TICKET:
            left_out.append(f"a ticket of {len(raw)} bytes was left out; at most {MAX_TICKET} are read")
        else:
            tickets.append(PeerTicket(kind, raw))
    return tuple(tickets), at
