"""Peers for tests: an iroh endpoint that accepts mosaik's protocols and behaves, or misbehaves, as it is told.

It is the real protocol over real QUIC on loopback; what a peer does with a connection is one coroutine.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import iroh

from organismctl.identity.peer import sign
from organismctl.identity.peer_entry import EntryPoint, encode_catalog
from organismctl.identity.surface_item import Fact, RetirementMarker, SurfaceItem, certificate, encode_item
from organismctl.observe.wire.frames import FrameDecoder, frame
from tests.identity.entries import peer as fake_peer
from tests.identity.entries import seed as fake_seed

SYNC = b"/mosaik/discovery/sync/1.0"
STREAMS = b"/mosaik/streams/1.0"

Behaviour = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One incoming connection, after its first frame."""

    def __init__(self, connection: iroh.Connection, stream: iroh.BiStream, first: bytes) -> None:
        self.connection = connection
        self.stream = stream
        self.first = first
        self.visitor = connection.remote_id().to_bytes()

    async def send(self, body: bytes) -> None:
        """One well-formed frame."""
        await self.raw(frame(body))

    async def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        await self.stream.send().write_all(data)

    async def finish(self) -> None:
        """End the stream."""
        await self.stream.send().finish()

    def close(self, code: int, reason: bytes = b"\x1b[31mNotAllowed") -> None:
        """Close the connection."""
        self.connection.close(code, reason)

    async def gone(self) -> None:
        """Until the visitor has left."""
        await self.connection.closed()


class Peer:
    """A peer on loopback, in a thread of its own."""

    def __init__(self, name: str, behaviours: dict[bytes, Behaviour], seed: bytes | None = None) -> None:
        self.seed = seed if seed is not None else fake_seed(name)
        self.behaviours = behaviours
        self.visitors: list[bytes] = []
        self.received: list[bytes] = []
        self.point: EntryPoint
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Bind, and answer from now on."""
        self._thread.start()
        self._do(self._bind())

    def stop(self) -> None:
        """Close, and wait until it is closed."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _bind(self) -> None:
        options = iroh.EndpointOptions(
            preset=iroh.preset_minimal(),
            relay_mode=iroh.RelayMode.disabled(),
            bind_addr="127.0.0.1:0",
            secret_key=self.seed,
            alpns=list(self.behaviours),
        )
        self._endpoint = await iroh.Endpoint.bind(options)
        host, _, port = next(s for s in self._endpoint.bound_sockets() if s[0] != "[").rpartition(":")
        self.point = EntryPoint(self._endpoint.id().to_bytes(), host, int(port))
        self._spawn(self._accept())

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._endpoint.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while (incoming := await self._endpoint.accept_next()) is not None:
            self._spawn(self._serve(incoming))

    async def _serve(self, incoming: iroh.Incoming) -> None:
        with suppress(iroh.IrohError):
            accepting = await incoming.accept()
            connection = await accepting.connect()
            stream = await connection.accept_bi()
            decoder = FrameDecoder(1 << 20)
            while (first := decoder.take()) is None:
                decoder.feed(await stream.recv().read(65536))
            visit = Visit(connection, stream, first)
            self.visitors.append(visit.visitor)
            self.received.append(first)
            await self.behaviours[connection.alpn()](visit)
            await visit.gone()


@contextmanager
def running(name: str, behaviours: dict[bytes, Behaviour], seed: bytes | None = None) -> Iterator[Peer]:
    """A peer for a while."""
    peer = Peer(name, behaviours, seed)
    peer.start()
    try:
        yield peer
    finally:
        peer.stop()


def telling(*signed: bytes) -> Behaviour:
    """A catalog of these entries."""

    async def tell(visit: Visit) -> None:
        await visit.send(encode_catalog(signed))

    return tell


def saying(*bodies: bytes) -> Behaviour:
    """These frames."""

    async def say(visit: Visit) -> None:
        for body in bodies:
            await visit.send(body)

    return say


def streaming(data: Sequence[bytes], close: int | None = None) -> Behaviour:
    """A producer that admits everybody, sends ``data``, and closes with a code when it has one."""

    async def stream(visit: Visit) -> None:
        await visit.send(visit.first)
        for datum in data:
            await visit.send(datum)
        if close is not None:
            await visit.finish()
            await visit.stream.send().stopped()
            visit.close(close)

    return stream


def closing(code: int) -> Behaviour:
    """Closes at once."""

    async def close(visit: Visit) -> None:
        visit.close(code)

    return close


def item(seq: int, body: Fact | RetirementMarker | None = None) -> bytes:
    """A surface item with one signature, which proves nothing."""
    marks = {fake_peer("a"): sign(fake_seed("a"), b"anything")}
    return encode_item(SurfaceItem(seq, seq + 100, body or Fact(b"%d" % seq), certificate(1, marks)))


async def flood(visit: Visit) -> None:
    """A producer that admits everybody and never stops."""
    await visit.send(visit.first)
    block = frame(item(1)) * 500
    while True:
        await visit.raw(block)
