"""One spanned member as this node reads it on the wire: mosaik streams and maps instead of node APIs.

A stream has no replay: what was sent before this node subscribed is fetched from the node APIs that deployment.toml
names, and where there are none it was not seen, which is said. Producers other than the peers that deployment.toml
names are listened to only when every item is proven by its organism's roster.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from organismctl.committee.carrier.mosaik_engine import Validator
from organismctl.committee.carrier.mosaik_network import Feed, MosaikNetwork
from organismctl.committee.evidence import Pointer
from organismctl.committee.fold import Resolution
from organismctl.committee.node.mosaik_map import MapReader
from organismctl.committee.node.settings import Upstream
from organismctl.committee.node.stream_order import StreamOrder
from organismctl.committee.node.upstream import AwayError, Event, RefusedError, UpstreamReader
from organismctl.errors import OrganismError
from organismctl.identity.config import ReadSurface
from organismctl.identity.surface_item import MAX_ITEM

BEAT_S = 0.5
FILL_TRIES = 10
"""How often an endpoint that is away is asked for a gap, a second apart, before the gap is passed over for good."""
WAITING = 4096
"""Datums that wait to be read; older ones give way, and are missed."""
MAX_DATUM = MAX_ITEM + (64 << 10)


@dataclass(slots=True)
class _Stream:
    """One subscription."""

    waiting: deque[bytes] = field(default_factory=lambda: deque(maxlen=WAITING))
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    order: StreamOrder[Event] = field(default_factory=StreamOrder)
    feed: Feed | None = None
    counted: int = 0
    refused: int = 0
    why: str = ""
    tries: int = 0

    def take(self, data: bytes) -> None:
        """A datum came in."""
        if len(data) > MAX_DATUM:
            self.refuse("an item is too long")
            return
        self.waiting.append(data)
        self.arrived.set()

    def refuse(self, why: str) -> None:
        """A datum cannot be used."""
        self.refused += 1
        self.why = why


class WireReader:
    """See the module; implements :class:`~organismctl.committee.node.subscriptions.Reader`.

    Args:
        upstream: What is spanned.
        network: The mosaik network; up before anything is followed.
        http: The same spanned member by its node APIs, for what a stream cannot give.
    """

    def __init__(self, upstream: Upstream, network: MosaikNetwork, http: UpstreamReader) -> None:
        self._upstream = upstream
        self._network = network
        self._http = http
        self._streams: dict[bytes, _Stream] = {}
        self._maps: dict[bytes, MapReader] = {}

    @property
    def upstream(self) -> Upstream:
        """See :class:`Reader`."""
        return self._upstream

    async def close(self) -> None:
        """See :class:`Reader`."""
        for stream in self._streams.values():
            if stream.feed is not None:
                stream.feed.close()
        for one in self._maps.values():
            await one.close()
        self._streams.clear()
        self._maps.clear()
        await self._http.close()

    # Following.

    def follow(self, surface: ReadSurface, start: int) -> AsyncIterator[Event | None]:
        """See :class:`Reader`.

        Raises:
            AwayError: Nobody serves it to this node.
            RefusedError: It cannot be read in this way.
        """
        if surface.type == "map":
            return self._map(surface).follow(start)
        return self._follow(surface, start)

    async def _follow(self, surface: ReadSurface, start: int) -> AsyncIterator[Event | None]:
        if surface.type != "stream":
            raise RefusedError(f"a surface of type {surface.type} is not read on the wire; give endpoints")
        stream = self._open(surface)
        stream.order.begin(start)
        while True:
            if stream.waiting and not stream.order.full:
                await self._read(surface, stream)
            while (event := stream.order.take()) is not None:
                yield event
                if event.marker is not None:
                    return
            if stream.order.due(time.monotonic()):
                async for event in self._fill(surface, stream):
                    yield event
                continue
            if not stream.waiting:
                await self._await(stream)
                yield None

    def _open(self, surface: ReadSurface) -> _Stream:
        stream = self._streams.setdefault(surface.id, _Stream())
        if stream.feed is None:
            only = None if self._http.proves else list(self._upstream.peers)
            try:
                stream.feed = self._network.subscribe(surface.id, stream.take, only=only)
            except OrganismError as exc:
                raise AwayError(exc.message) from exc
        return stream

    async def _await(self, stream: _Stream) -> None:
        """Wait a beat for something to come in.

        Raises:
            AwayError: Nobody serves it.
        """
        stream.arrived.clear()
        try:
            async with asyncio.timeout(BEAT_S):
                await stream.arrived.wait()
        except TimeoutError:
            if stream.feed is None or not stream.feed.producers:
                raise AwayError(self._why_nobody()) from None

    def _why_nobody(self) -> str:
        known = set(self._network.peers())
        seen = sum(peer in known for peer in self._upstream.peers)
        if not seen:
            return "none of its mosaik peers is in the catalog: they do not answer, or are on another network"
        return (
            f"{seen} of its mosaik peers are in the catalog, and none serves the stream to this node: "
            "it has another id, or our ticket does not admit"
        )

    async def _read(self, surface: ReadSurface, stream: _Stream) -> None:
        """Read the first datum that waits; one that cannot be used is counted, and holds up nothing."""
        data = stream.waiting[0]
        try:
            event = await self._event(surface, stream, data)
        except RefusedError as exc:
            stream.refuse(str(exc))
        else:
            stream.order.put(event.position, event, time.monotonic())
        # Only now, so that an endpoint that is away for a moment costs no item.
        if stream.waiting and stream.waiting[0] is data:
            stream.waiting.popleft()
        # A flood leaves the loop to the others in between.
        await asyncio.sleep(0)

    async def _event(self, surface: ReadSurface, stream: _Stream, data: bytes) -> Event:
        if surface.decode is not None:
            return await self._http.read(surface, data)
        try:
            return await self._http.read(surface, data)
        except RefusedError:
            # Without a decoder events of any make are counted, not read.
            stream.counted += 1
            return Event(stream.order.next, 0, b"")

    async def _fill(self, surface: ReadSurface, stream: _Stream) -> AsyncIterator[Event]:
        """What a stream did not bring, from the node APIs where there are some; else it is passed over."""
        start, end = stream.order.gap
        if self._upstream.endpoints:
            try:
                async for event in self._http.fetch(surface, start, end):
                    stream.order.put(event.position, event, time.monotonic())
                    while (ready := stream.order.take()) is not None:
                        yield ready
            except AwayError as exc:
                stream.why = f"its endpoint: {exc}"
                stream.tries += 1
                if stream.tries < FILL_TRIES and not stream.order.full:
                    stream.order.wait_on()  # what is passed over is lost for good, and it may be back in a moment
                    return
            except RefusedError as exc:
                stream.why = f"its endpoint: {exc}"
        stream.tries = 0
        if stream.order.next < end:
            stream.order.skip()

    # What is asked.

    async def resolve(self, surface: ReadSurface, pointers: Sequence[Pointer]) -> dict[Pointer, Resolution]:
        """See :class:`Reader`: a bare stream cannot be asked, so there it is unknown."""
        if self._upstream.endpoints:
            return await self._http.resolve(surface, pointers)
        if surface.type == "map":
            return await self._map(surface).resolve(pointers)
        return dict.fromkeys(pointers, Resolution.UNKNOWN)

    def passed(self, surface: ReadSurface, position: int) -> bool:  # noqa: ARG002 # a Reader's signature
        """See :class:`Reader`: true of a stream that nobody can be asked about."""
        return surface.type == "stream" and not self._upstream.endpoints

    def note(self, surface: ReadSurface) -> str:
        """See :class:`Reader`."""
        stream = self._streams.get(surface.id)
        if stream is None:
            return ""
        told = []
        if stream.order.first:
            told.append(f"events before seq {stream.order.first} were not seen: a stream has no replay")
        if stream.order.missed:
            told.append(f"{stream.order.missed} events did not come")
        if stream.refused:
            told.append(f"{stream.refused} items were refused, the last because {stream.why}")
        if self._upstream.member.kind == "organism" and not self._http.proves:
            told.append("not proven: without endpoints nobody tells its roster")
        return "; ".join(told)

    def losses(self, surface: ReadSurface) -> tuple[int, int]:
        """See :class:`Reader`: what a stream passed over, and what gave way here before it was read."""
        stream = self._streams.get(surface.id)
        if stream is None:
            return 0, 0
        return stream.order.missed, 0 if stream.feed is None else stream.feed.dropped

    def producers(self, surface: ReadSurface) -> int | None:
        """See :class:`Reader`: of a stream that was subscribed to."""
        stream = self._streams.get(surface.id)
        return None if stream is None or stream.feed is None else len(stream.feed.producers)

    def _map(self, surface: ReadSurface) -> MapReader:
        if surface.id not in self._maps:
            self._maps[surface.id] = MapReader(self._network, self._http, surface, self._admits)
        return self._maps[surface.id]

    def _admits(self) -> list[Validator]:
        """Whom a map of this spanned member admits, as far as we know: whom its current issuers admit."""
        from organismctl.committee.carrier.mosaik_validators import mosaik_validators

        member = self._upstream.member
        current = [one.validator for one in member.issuers if one.state == "current"]
        return mosaik_validators(current, f"[[span.issuer]] of {member.name}")
