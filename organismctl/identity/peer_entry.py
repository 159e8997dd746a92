"""Signed peer entries: what every mosaik peer says about itself, and what catalog sync carries.

Source: mosaik 0.3.18 (``discovery/entry.rs``, ``discovery/sync.rs``), iroh-base 0.97 (``EndpointAddr``). An entry
is postcard of its fields in this order, then a 64-byte ed25519 signature over ``H(entry bytes)``: ``protocol``
text · ``network`` 32 bytes · version, two zigzag varints (ms of process start; ms of the last update) · peer id
32 bytes · set of addresses (0 relay URL, 1 socket address, 2 custom transport) · sets of 32-byte ``tags``,
``streams``, ``groups`` · map of ticket id to (class, data). A catalog is a sequence of them.

Sets and maps are ordered, so one entry has one encoding; mosaik signs that one, and another is refused here.
Decoding is :mod:`organismctl.identity.peer_entry_decoding`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from organismctl.identity.digest import DIGEST_SIZE, derive, h
from organismctl.identity.peer import PEER_ID_SIZE, parse_peer_id, peer_id_from_seed, sign
from organismctl.identity.postcard import PostcardError, Writer

PROTOCOL = "0.3.18"
"""The mosaik version whose formats these are; an entry of our own says it."""
MAX_TICKET = 64 << 10
"""Longest ticket that is kept, bytes: a TDX ticket holds at most that much, a JWT far less."""
MAX_ENTRIES = 20_000
"""Entries of a catalog that are read: twice the largest network that is measured, two seconds of signatures."""
INLINE_CUSTOM = 30
"""Up to here iroh keeps a custom address inline, in a fixed 30 bytes."""

_SEMVER = (
    r"(?a:(?:0|[1-9]\d{0,19})(?:\.(?:0|[1-9]\d{0,19})){2}"
    r"(?:-(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)"
)
"""semver.org's grammar; compiled when a version needs it, which a released one does not."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


@dataclass(frozen=True, slots=True)
class PeerTicket:
    """A ticket as its holder publishes it.

    Attributes:
        kind: mosaik's ticket class, 32 bytes.
        data: Its bytes. Public on the wire, and all the same never in a repr.
    """

    kind: bytes
    data: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """``d(class, data)``, the key under which mosaik keeps it."""
        return derive(self.kind, self.data)


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """What a peer says about itself.

    Attributes:
        protocol: The version of mosaik, semver.
        network: Network id, 32 bytes.
        started_ms: When its process started, Unix ms.
        updated_ms: When this entry was made, Unix ms; with ``started_ms`` the entry's version.
        peer_id: 32 bytes.
        relays: Relay URLs.
        addresses: Socket addresses: ``127.0.0.1:7301``, ``[::1]:7301``.
        tags: 32-byte ids.
        streams: Ids of the streams that it produces.
        groups: Ids of the groups that it has joined (never withdrawn while it runs).
        tickets: Its live tickets.
        customs: Addresses of other transports: (transport id, data).
    """

    protocol: str
    network: bytes
    started_ms: int
    updated_ms: int
    peer_id: bytes
    relays: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    tags: tuple[bytes, ...] = ()
    streams: tuple[bytes, ...] = ()
    groups: tuple[bytes, ...] = ()
    tickets: tuple[PeerTicket, ...] = ()
    customs: tuple[tuple[int, bytes], ...] = ()

    @property
    def version(self) -> tuple[int, int]:
        """Newer is greater."""
        return self.started_ms, self.updated_ms


@dataclass(frozen=True, slots=True)
class Signed:
    """An entry and what was found about it.

    Attributes:
        entry: The entry.
        signature: 64 bytes.
        verified: Whether the peer that it names signed it. What is not verified says nothing about that peer.
        digest: ``H(entry bytes)``, which the signature covers.
        faults: What mosaik never writes (an unsorted set, a ticket under another's id): not to be trusted.
        left_out: What was too large to be kept; the rest of the entry stands.
    """

    entry: PeerEntry
    signature: bytes = field(repr=False)
    verified: bool
    digest: bytes = field(repr=False)
    faults: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def trusted(self) -> bool:
        """Whether it may be believed to be what the peer says of itself."""
        return self.verified and not self.faults


@dataclass(frozen=True, slots=True)
class EntryProblem:
    """What is wrong in a catalog: ``what``, and with whose entry when that shows (32 bytes, unproven)."""

    what: str
    peer_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalog: ``entries`` are trusted, everything else is among the ``problems``."""

    entries: tuple[Signed, ...]
    problems: tuple[EntryProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A peer and where it listens: ``PEERID@HOST:PORT``."""

    peer_id: bytes
    host: str
    port: int

    @staticmethod
    def parse(text: str) -> EntryPoint:
        """Read ``PEERID@HOST:PORT``; an IPv6 host stands in brackets.

        Raises:
            ValueError: Anything else, with what is wrong.
        """
        peer, at, address = text.partition("@")
        if not at:
            raise ValueError("not of the form PEERID@HOST:PORT")
        host, port = parse_address(address)
        return EntryPoint(parse_peer_id(peer), host, port)

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.peer_id.hex()}@{self.address}"


def parse_address(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT``: a name, an IPv4 address, or an IPv6 address in brackets; nothing is resolved.

    Raises:
        ValueError: Anything else, with what is wrong.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) <= 65535:
        raise ValueError("not HOST:PORT with a port from 1 to 65535")
    if host.startswith("[") and host.endswith("]"):
        import ipaddress

        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:7301")
    if _HOST.fullmatch(host) is None:
        raise ValueError("the host is neither a name nor an IP address")
    return host, int(port)


def is_protocol(text: str) -> bool:
    """Whether a text is a version as mosaik writes its own (semver)."""
    if text == PROTOCOL:
        return True
    return re.fullmatch(_SEMVER, text) is not None


def encode_entry(entry: PeerEntry) -> bytes:
    """The bytes that a signature covers; sets are put in mosaik's order, repeats dropped.

    Raises:
        PostcardError: A field has no encoding: an id that is not 32 bytes, an address that is none.
    """
    if not is_protocol(entry.protocol):
        raise PostcardError("the protocol is not a semantic version")
    writer = Writer()
    writer.text(entry.protocol).fixed(entry.network, DIGEST_SIZE)
    writer.zigzag(entry.started_ms).zigzag(entry.updated_ms).fixed(entry.peer_id, PEER_ID_SIZE)
    _write_addresses(writer, entry)
    for ids in (entry.tags, entry.streams, entry.groups):
        writer.seq(sorted(set(ids)), lambda w, one: w.fixed(one, DIGEST_SIZE))
    tickets = {ticket.id: ticket for ticket in entry.tickets}
    writer.varint(len(tickets))
    for key in sorted(tickets):
        writer.fixed(key, DIGEST_SIZE).fixed(tickets[key].kind, DIGEST_SIZE).bytes(tickets[key].data)
    return writer.finish()


def sign_entry(entry: PeerEntry, seed: bytes) -> bytes:
    """The signed entry, as catalog sync carries it.

    Args:
        entry: Whose ``peer_id`` is that of the seed.
        seed: 32-byte ed25519 seed.

    Raises:
        ValueError: The seed is another peer's, or not 32 bytes.
        PostcardError: The entry has no encoding.
    """
    if peer_id_from_seed(seed) != entry.peer_id:
        raise ValueError("the seed is not the entry's peer's")
    raw = encode_entry(entry)
    return raw + sign(seed, h(raw))


def encode_catalog(signed: Iterable[bytes]) -> bytes:
    """A catalog of entries as :func:`sign_entry` gives them; of none it is one zero byte."""
    return Writer().seq(signed, lambda w, one: w.fixed(one, len(one))).finish()


def read_entry(data: bytes) -> Signed:
    """Read one signed entry, and check its signature.

    Raises:
        PostcardError: It is not one.
    """
    from organismctl.identity.peer_entry_decoding import checked, unchecked_at

    data = bytes(data)
    one, end = unchecked_at(data, 0)
    if end != len(data):
        raise PostcardError(f"{len(data) - end} trailing bytes")
    return checked(one, {})


def read_catalog(
    data: bytes, *, max_entries: int = MAX_ENTRIES, known: dict[bytes, bytes] | None = None
) -> Catalog:
    """Read a catalog, check every signature, and keep what may be trusted; never raises.

    Args:
        data: Postcard of a sequence of signed entries, from whomever.
        max_entries: How many are read; what follows is a problem.
        known: Signatures that hold, by digest, filled as it goes: catalogs of one network are much alike, and
            the check is what they cost.
    """
    from organismctl.identity.peer_entry_decoding import catalog_of

    return catalog_of(bytes(data), max_entries, {} if known is None else known)


def _write_addresses(writer: Writer, entry: PeerEntry) -> None:
    """Relays, IPv4, IPv6, custom: the order of iroh's ``BTreeSet<TransportAddr>``."""
    relays = sorted({relay.encode() for relay in entry.relays})
    sockets = sorted({_socket(text) for text in entry.addresses}, key=lambda one: (len(one[0]), one))
    customs = sorted(set(entry.customs), key=custom_order)
    writer.varint(len(relays) + len(sockets) + len(customs))
    for relay in relays:
        writer.varint(0).bytes(relay)
    for raw, port in sockets:
        writer.varint(1).varint(0 if len(raw) == 4 else 1).fixed(raw, len(raw)).varint(port)
    for transport, data in customs:
        writer.varint(2).varint(transport)
        if len(data) <= INLINE_CUSTOM:
            padded = data.ljust(INLINE_CUSTOM, b"\0")
            writer.varint(0).fixed(bytes((len(data),)) + padded, 1 + INLINE_CUSTOM)
        else:
            writer.varint(1).bytes(data)


def custom_order(custom: tuple[int, bytes]) -> tuple[int, bool, int, bytes]:
    """How iroh orders custom addresses: by transport, inline ones first and by length."""
    transport, data = custom
    inline = len(data) <= INLINE_CUSTOM
    return transport, not inline, len(data) if inline else 0, data


def _socket(text: str) -> tuple[bytes, int]:
    """The bytes and the port of a socket address; names have no encoding."""
    import ipaddress

    host, _, port = text.rpartition(":")
    try:
        number = int(port)
        raw = ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).packed
    except ValueError as exc:
        raise PostcardError("not a socket address") from exc
    if not 0 <= number <= 65535 or (len(raw) == 16) != host.startswith("["):
        raise PostcardError("not a socket address")
    return raw, number
