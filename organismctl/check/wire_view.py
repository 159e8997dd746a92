"""The network as its own signed catalog tells it: the wire's facts of a snapshot, read carefully.

What was refused, unproven or not there stays told: an entry point that did not answer is a door with a reason,
never an empty network.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from organismctl.check.finding import SourceRef
from organismctl.check.values import hex_id, items, source, table, text, whole

if TYPE_CHECKING:
    from organismctl.observe.snapshot import Fact, Snapshot

CATALOG, PEER, STREAM = "wire.catalog", "wire.peer", "wire.stream"
MAX_TOLD = 4096
"""Most ids, addresses or tickets of one peer that are looked at."""


@dataclass(frozen=True, slots=True)
class WireTicket:
    """A live ticket of a peer's entry; ``data`` is ``None`` where a snapshot holds no bytes."""

    class_: str
    ticket_id: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class WirePeer:
    """One peer's own entry, its signature verified; ids are 64 hex.

    Attributes:
        peer_id: Who signed it.
        network: The network that it is for.
        version: mosaik's version, by its own word.
        started_ms: When its process started, Unix ms.
        updated_ms: When it last signed an entry, Unix ms.
        addresses: ``HOST:PORT``.
        relays: Relay URLs.
        tags: Its tags.
        streams: Streams that it serves.
        groups: Groups that it has joined.
        tickets: Its live tickets.
        told_by: The entry points that told it.
        observer: Whether it says that it only looks.
        refs: Where it is known from.
    """

    peer_id: str
    network: str | None
    version: str
    started_ms: int | None
    updated_ms: int | None
    addresses: tuple[str, ...]
    relays: tuple[str, ...]
    tags: tuple[str, ...]
    streams: tuple[str, ...]
    groups: tuple[str, ...]
    tickets: tuple[WireTicket, ...]
    told_by: tuple[str, ...]
    observer: bool
    refs: tuple[SourceRef, ...]


@dataclass(frozen=True, slots=True)
class Door:
    """One entry point that was asked for its catalog.

    Attributes:
        subject: ``PEERID@HOST:PORT``.
        peer_id: Whom it belongs to, 64 hex; ``None`` when the subject does not say.
        entries: How many entries it told; ``None`` when it did not answer.
        problems: Peer id or ``None``, and what was wrong with an entry that it sent.
        reason: Why it was not seen.
        cause: The kind of reason.
        refs: Where it was looked for.
    """

    subject: str
    peer_id: str | None
    entries: int | None
    problems: tuple[tuple[str | None, str], ...]
    reason: str | None
    cause: str | None
    refs: tuple[SourceRef, ...]

    @property
    def answered(self) -> bool:
        """Whether it told its catalog."""
        return self.entries is not None


@dataclass(frozen=True, slots=True)
class WireView:
    """Everything that was seen of the network.

    Attributes:
        doors: The entry points, in the order of the look.
        peers: Peer id to its newest entry.
        streams: Facts of subscriptions.
        unseen: Facts of peers that were asked about and are told by nobody, or not to be believed.
    """

    doors: tuple[Door, ...] = ()
    peers: Mapping[str, WirePeer] = field(default_factory=dict)
    streams: tuple[Fact, ...] = ()
    unseen: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether anybody looked at the network at all."""
        return bool(self.doors)

    @property
    def answering(self) -> list[Door]:
        """The entry points that told their catalog."""
        return [door for door in self.doors if door.answered]

    @property
    def blind(self) -> str | None:
        """Why nothing is known of the network; ``None`` when an entry point answered."""
        if not self.doors:
            return "nobody looked at the wire"
        if self.answering:
            return None
        return f"no entry point answered: {self.doors[0].reason}"

    def serving(self, stream: str) -> list[WirePeer]:
        """The peers that say they serve a stream."""
        return [peer for peer in self.peers.values() if stream in peer.streams]

    def joined(self, group: str) -> list[WirePeer]:
        """The peers that say they joined a group."""
        return [peer for peer in self.peers.values() if group in peer.groups]

    def doors_of(self, peer_ids: Sequence[str]) -> list[Door]:
        """The entry points that belong to these peers."""
        return [door for door in self.doors if door.peer_id in peer_ids]

    def missed_by(self, peer: WirePeer) -> list[str]:
        """The entry points that answered and do not know a peer."""
        return [door.subject for door in self.answering if door.subject not in peer.told_by]


def wire_view(snapshot: Snapshot, network: bytes | None = None) -> WireView:
    """Read the wire's facts.

    Args:
        snapshot: A look at the world.
        network: Entries of another network are left out; ``None`` takes all.
    """
    wanted = network.hex() if network is not None else None
    peers: dict[str, WirePeer] = {}
    for fact in snapshot.of(PEER):
        peer = _peer(fact)
        if peer is None or (wanted is not None and peer.network not in (None, wanted)):
            continue
        held = peers.get(peer.peer_id)
        if held is None or (peer.updated_ms or 0) > (held.updated_ms or 0):
            peers[peer.peer_id] = peer
    doors = tuple(_door(fact) for fact in snapshot.of(CATALOG))
    unseen = {fact.subject: fact for fact in snapshot.of(PEER) if not fact.seen and fact.subject not in peers}
    return WireView(doors, peers, tuple(snapshot.of(STREAM)), unseen)


def _door(fact: Fact) -> Door:
    told = table(fact.value)
    peer_id = hex_id(told.get("peer_id")) or hex_id(fact.subject.partition("@")[0])
    if not fact.seen:
        return Door(fact.subject, peer_id, None, (), fact.reason, fact.cause, source(fact))
    entries = whole(told.get("entries"))
    if entries is None:
        return Door(fact.subject, peer_id, None, (), "its answer is no catalog", "malformed", source(fact))
    problems = tuple(
        (hex_id(table(one).get("peer_id")), text(table(one).get("what")) or "unnamed")
        for one in items(told.get("problems"))[:MAX_TOLD]
    )
    return Door(fact.subject, peer_id, entries, problems, None, None, source(fact))


def _peer(fact: Fact) -> WirePeer | None:
    peer_id, told = hex_id(fact.subject), table(fact.value)
    if not fact.seen or peer_id is None:
        return None
    return WirePeer(
        peer_id=peer_id,
        network=hex_id(told.get("network")),
        version=text(told.get("protocol")) or "unknown",
        started_ms=whole(told.get("started_ms")),
        updated_ms=whole(told.get("updated_ms")),
        addresses=_texts(told.get("addresses")),
        relays=_texts(told.get("relays")),
        tags=_ids(told.get("tags")),
        streams=_ids(told.get("streams")),
        groups=_ids(told.get("groups")),
        tickets=tuple(_tickets(told.get("tickets"))),
        told_by=_texts(told.get("told_by")),
        observer=told.get("observer") is True,
        refs=source(fact),
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in items(value)[:MAX_TOLD] if isinstance(one, str))


def _ids(value: object) -> tuple[str, ...]:
    return tuple(found for one in items(value)[:MAX_TOLD] if (found := hex_id(one)) is not None)


def _tickets(value: object) -> list[WireTicket]:
    """Tickets with an id that is theirs: it is computed where the bytes are here."""
    from organismctl.identity.digest import derive

    found = []
    for one in items(value)[:MAX_TOLD]:
        told = table(one)
        class_, said, data = (
            hex_id(told.get("class")),
            hex_id(told.get("ticket_id")),
            unbase64(told.get("data")),
        )
        if class_ is None or (data is None and said is None):
            continue
        ticket_id = derive(bytes.fromhex(class_), data).hex() if data is not None else str(said)
        found.append(WireTicket(class_, ticket_id, data))
    return found


def unbase64(data: object) -> bytes | None:
    """Bytes from base64url without padding; ``None`` when it is none."""
    if not isinstance(data, str):
        return None
    try:
        return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
    except (ValueError, binascii.Error):
        return None
