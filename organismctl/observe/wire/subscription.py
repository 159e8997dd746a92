"""Subscribing to a stream as any mosaik consumer does, and counting what comes.

Steps: 1. one endpoint under the observer's identity; 2. catalog sync that offers the observer's signed entry, since
a producer refuses whom it does not know; 3. handshake ``network ‖ stream id``, answered by the same 64 bytes or by
a close code; 4. one frame per datum, until the time is over.

Nothing is kept of what comes but numbers, the last seq and the marker, so that a flood costs time alone, and that
is bounded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import iroh

from organismctl.identity.peer_entry import EntryPoint
from organismctl.identity.postcard import PostcardError
from organismctl.identity.surface_item import SurfaceItem, decode_item
from organismctl.observe.look import now_ms
from organismctl.observe.snapshot import MALFORMED
from organismctl.observe.wire.catalog import exchange
from organismctl.observe.wire.endpoint import STREAM_ALPN, Link, bound, connect, within
from organismctl.observe.wire.faults import UNKNOWN_PEER, UnknownPeerError, WireError, ended
from organismctl.observe.wire.frames import MAX_CATALOG, MAX_DATUM, Budget
from organismctl.observe.wire.observer import Observer, own_entry

MAX_ITEMS = 1_000_000
MAX_BYTES = 1 << 30
"""Where a subscription that floods is ended: far more than a listener needs to see that a stream lives."""
TRIES = 5
"""How often a producer that does not know us is told again; it takes in an entry just after it has answered."""
PAUSE_S = 0.1
OTHER_DATA = 16
"""After so many items that are no surface items, and none that is, no more are decoded."""


@dataclass(slots=True)
class Heard:
    """What a subscription heard.

    Attributes:
        items: How many items.
        size: Their bytes.
        first_ms: When the first came, Unix ms; ``None`` without one.
        last_ms: When the last came.
        listened_ms: How long it listened.
        decoded: How many of them are surface items.
        first: The first surface item's seq.
        last: The last one's.
        marker: The surface item that carries a RetirementMarker, unproven until its certificate is checked.
        ended: Why the producer ended it before its time; ``None`` when it did not.
    """

    items: int = 0
    size: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    listened_ms: int = 0
    decoded: int = 0
    first: int | None = None
    last: int | None = None
    marker: SurfaceItem | None = None
    ended: WireError | None = None

    def take(self, datum: bytes, at_ms: int) -> None:
        """Count one item."""
        self.items += 1
        self.size += len(datum)
        self.first_ms = at_ms if self.first_ms is None else self.first_ms
        self.last_ms = at_ms
        if self.items > OTHER_DATA and not self.decoded:
            return
        try:
            item = decode_item(datum)
        except PostcardError:
            return
        self.decoded += 1
        self.first = item.seq if self.first is None else self.first
        self.last = item.seq if self.last is None else max(self.last, item.seq)
        if item.retirement is not None:
            self.marker = item


async def listen(
    point: EntryPoint,
    network: bytes,
    stream: bytes,
    observer: Observer,
    *,
    listen_s: float,
    timeout_s: float,
    hand_over: Callable[[bytes], None] | None = None,
) -> Heard:
    """Subscribe, and listen.

    Args:
        point: The producer.
        network: The network id.
        stream: The stream id.
        observer: Who subscribes.
        listen_s: Seconds to listen once it is admitted.
        timeout_s: Seconds until it must be admitted.
        hand_over: Gets every datum as it comes; it must not block.

    Returns:
        What was heard.

    Raises:
        WireError: It was refused, or not answered.
    """
    async with _own(observer.seed) as (endpoint, seed):
        async with within(timeout_s, f"{point.address} did not open the stream within {timeout_s:g} s"):
            link = await _subscribe(endpoint, point, network, stream, seed, observer)
        try:
            return await _hear(link, listen_s, hand_over)
        finally:
            link.close()


async def _subscribe(
    endpoint: iroh.Endpoint,
    point: EntryPoint,
    network: bytes,
    stream: bytes,
    seed: bytes,
    observer: Observer,
) -> Link:
    """Make ourselves known until the producer has taken it in, and shake hands."""
    for turn in range(1, TRIES + 1):
        ours = own_entry(seed, observer.tickets, network, now_ms())
        told = await exchange(endpoint, point, (ours,), Budget(MAX_CATALOG))
        link = await connect(endpoint, point, STREAM_ALPN, MAX_DATUM)
        try:
            await _shake_hands(link, network + stream)
        except WireError as exc:
            if exc.code != UNKNOWN_PEER:
                raise
            if turn == TRIES:
                raise UnknownPeerError(exc, told) from exc
            await asyncio.sleep(PAUSE_S * turn)
        else:
            return link
    raise AssertionError("the last turn returns or raises")


async def _shake_hands(link: Link, handshake: bytes) -> None:
    """Ask for the stream; a link on which it is not opened is closed, also when the time is over."""
    opened = False
    try:
        await link.send(handshake)
        opened = await link.receive() == handshake
        if not opened:
            raise WireError("it opened another stream than the one asked for", MALFORMED)
    finally:
        if not opened:
            link.close()


async def _hear(link: Link, listen_s: float, hand_over: Callable[[bytes], None] | None) -> Heard:
    """Count until the time is over, the producer ends it, or it has sent more than anybody needs."""
    heard, loop = Heard(), asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(listen_s):
            while heard.items < MAX_ITEMS and heard.size < MAX_BYTES:
                datum = await link.receive()
                heard.take(datum, now_ms())
                if hand_over is not None:
                    hand_over(datum)
                if heard.items % 256 == 0:
                    await asyncio.sleep(0)  # frames that are already here never wait, and others listen too
        heard.ended = WireError(
            f"it was left after {heard.items} items and {heard.size} bytes: a flood", MALFORMED
        )
    except TimeoutError:
        pass
    except WireError as exc:
        heard.ended = ended(exc)
    heard.listened_ms = round((loop.time() - begun) * 1000)
    return heard


@dataclass(slots=True)
class _Shared:
    """An endpoint that several subscriptions use."""

    opened: asyncio.Task[None]
    ready: asyncio.Future[iroh.Endpoint]
    leave: asyncio.Event
    users: int = 0


_shared: dict[bytes, _Shared] = {}
"""Endpoints by seed, touched in the background loop alone: two endpoints of one identity at a time would take each
other's packets for their own path."""


@asynccontextmanager
async def _own(seed: bytes | None) -> AsyncIterator[tuple[iroh.Endpoint, bytes]]:
    """The observer's endpoint and its seed: shared for a lasting identity, fresh without one."""
    if seed is None:
        fresh = os.urandom(32)
        async with bound(fresh) as endpoint:
            yield endpoint, fresh
        return
    shared = _shared.get(seed)
    if shared is None:
        shared = _shared[seed] = _open(seed)
    shared.users += 1
    try:
        yield await asyncio.shield(shared.ready), seed
    finally:
        shared.users -= 1
        if not shared.users:
            _shared.pop(seed, None)
            shared.leave.set()
            await asyncio.wait((shared.opened,))


def _open(seed: bytes) -> _Shared:
    ready: asyncio.Future[iroh.Endpoint] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def keep() -> None:
        try:
            async with bound(seed) as endpoint:
                ready.set_result(endpoint)
                await leave.wait()
        except WireError as exc:
            ready.set_exception(exc)

    return _Shared(asyncio.create_task(keep()), ready, leave)
