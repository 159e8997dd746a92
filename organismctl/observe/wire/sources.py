"""Sources of the wire: ``wire.catalog`` and ``wire.peer`` of entry points, ``wire.stream`` of a subscription.

asyncio and iroh are loaded by the first look, in the thread that looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from organismctl.identity.peer_entry import EntryPoint
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import Fact
from organismctl.observe.wire.observer import Observer
from organismctl.observe.wire.telling import CATALOG, PEER, STREAM, Telling, facts_of

if TYPE_CHECKING:
    from organismctl.identity.config import Json
    from organismctl.identity.surface_item import SurfaceItem
    from organismctl.observe.wire.faults import WireError
    from organismctl.observe.wire.subscription import Heard

TIMEOUT_S = 5.0
"""For all entry points together, and for being admitted to a stream: half of what ``observe`` waits."""
MARGIN_S = 2.0
"""What the last resort adds, so that the sentence of the stage that took too long comes first."""


@dataclass(frozen=True, slots=True)
class WireSource:
    """The catalogs of some entry points, merged.

    Attributes:
        entry_points: Whom to ask.
        network: The network id, or ``None``: whichever each entry point is on.
        observer: Who looks; nothing of it is published by a catalog look.
        timeout_s: Seconds for all of them together.
        expected: Peer ids that are asked about besides the entry points' own; each has a ``wire.peer`` fact.
    """

    entry_points: Sequence[EntryPoint]
    network: bytes | None
    observer: Observer = field(default_factory=Observer)
    timeout_s: float = TIMEOUT_S
    expected: Sequence[bytes] = ()

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        points = list(dict.fromkeys(self.entry_points))
        source = f"wire {points[0]}" if points else "wire"
        peers = dict.fromkeys((*self.expected, *(point.peer_id for point in points)))
        return [
            *(Want(CATALOG, str(point), f"wire {point}") for point in points),
            *(Want(PEER, peer.hex(), source) for peer in peers),
        ]

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        yield from look_catalogs(
            self.entry_points, self.network, self.observer, self.timeout_s, expected=self.expected
        )


def look_catalogs(
    entry_points: Sequence[EntryPoint],
    network: bytes | None,
    observer: Observer,
    deadline_s: float,
    *,
    expected: Sequence[bytes] = (),
) -> list[Fact]:
    """Ask entry points for their catalogs, and merge what they tell.

    Args:
        entry_points: Whom to ask; repeats are asked once.
        network: The network id, or ``None``: whichever each entry point is on.
        observer: Who looks; nothing of it is published.
        deadline_s: Seconds for all of them together.
        expected: Peer ids that are asked about besides the entry points' own.

    Returns:
        ``wire.catalog`` of each entry point, ``wire.peer`` of each peer; never raises for the world's faults.
    """
    from organismctl.observe.wire.background import run
    from organismctl.observe.wire.catalog import ask_all
    from organismctl.observe.wire.faults import WireError

    points = list(dict.fromkeys(entry_points))
    try:
        tellings = run(ask_all(points, deadline_s), deadline_s + MARGIN_S, meanwhile=_load_what_follows)
    except WireError as exc:
        tellings = [Telling(point, f"wire {point}", exc, now_ms(), 0) for point in points]
    return facts_of(tellings, network, now_ms(), expected=expected, observer=observer.peer_id)


def _load_what_follows() -> None:
    """What checks the catalogs loads while they are on their way."""
    import organismctl.identity.peer_entry_decoding  # noqa: F401


@dataclass(frozen=True, slots=True)
class StreamSource:
    """A subscription to one stream of one producer.

    Attributes:
        entry_point: The producer.
        network: The network id.
        stream_id: The stream id.
        observer: Who subscribes; its entry and tickets are published to the producer, who gossips them.
        listen_s: Seconds to listen once it is admitted.
        timeout_s: Seconds until it must be admitted.
    """

    entry_point: EntryPoint
    network: bytes
    stream_id: bytes
    observer: Observer = field(default_factory=Observer)
    listen_s: float = 2.0
    timeout_s: float = TIMEOUT_S

    @property
    def subject(self) -> str:
        """``STREAM_ID_HEX@PEERID``."""
        return f"{self.stream_id.hex()}@{self.entry_point.peer_id.hex()}"

    @property
    def source(self) -> str:
        """How facts name the source."""
        return f"wire {self.entry_point}"

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return (Want(STREAM, self.subject, self.source),)

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        from organismctl.observe.wire.background import run
        from organismctl.observe.wire.faults import UnknownPeerError, WireError
        from organismctl.observe.wire.subscription import listen

        work = listen(
            self.entry_point,
            self.network,
            self.stream_id,
            self.observer,
            listen_s=self.listen_s,
            timeout_s=self.timeout_s,
        )
        try:
            heard = run(work, self.timeout_s + self.listen_s + MARGIN_S)
        except WireError as exc:
            reason = self._other_network(exc.told) if isinstance(exc, UnknownPeerError) else None
            yield Fact.unseen(STREAM, self.subject, self.source, reason or exc.message, exc.cause)
            return
        took = heard.listened_ms
        yield Fact(STREAM, self.subject, heard_value(heard), self.source, seen_ms=now_ms(), took_ms=took)

    def _other_network(self, told: bytes) -> str | None:
        """A producer of another network drops our entry in silence, and then does not know us."""
        from organismctl.identity.digest import short
        from organismctl.identity.peer_entry import read_catalog

        for one in read_catalog(told).entries:
            if one.entry.peer_id == self.entry_point.peer_id and one.entry.network != self.network:
                mine, its = short(self.network), short(one.entry.network)
                return f"it is on network {its}, not on {mine}, which was asked for"
        return None


def heard_value(heard: Heard) -> dict[str, Json]:
    """What was heard, as the value of a ``wire.stream`` fact."""
    seconds = heard.listened_ms / 1000
    value: dict[str, Json] = {
        "items": heard.items,
        "bytes": heard.size,
        "first_ms": heard.first_ms,
        "last_ms": heard.last_ms,
        "listened_ms": heard.listened_ms,
        "rate_per_s": round(heard.items / seconds, 3) if seconds else 0.0,
    }
    if heard.last is not None:
        value |= {"decoded": heard.decoded, "first_seq": heard.first, "last_seq": heard.last}
    if heard.marker is not None:
        value["marker"] = _marker_value(heard.marker)
    if heard.ended is not None:
        value["ended"] = _ended_value(heard.ended)
    return value


def _marker_value(item: SurfaceItem) -> dict[str, Json]:
    """The marker, and the item whole, so that whoever knows the roster can check its certificate."""
    import base64

    from organismctl.identity.surface_item import encode_item

    marker = item.retirement
    assert marker is not None  # noqa: S101 # the caller's condition
    return {
        "seq": item.seq,
        "height": item.height,
        "effective_at": marker.effective_at,
        "replacement": marker.replacement,
        "reason": marker.reason,
        "signatures": len(item.certificate.signatures),
        "item": base64.urlsafe_b64encode(encode_item(item)).rstrip(b"=").decode(),
    }


def _ended_value(ended: WireError) -> dict[str, Json]:
    return {"code": ended.code, "cause": ended.cause, "what": ended.message}
