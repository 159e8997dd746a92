"""The seam to the ``iroh`` wheel: endpoints, and links that speak mosaik's frames over one stream.

Whatever iroh raises leaves here as a :class:`~organismctl.observe.wire.faults.WireError`. Imported in the bodies
that look, never at the top of a module that a command loads.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import iroh

from organismctl.identity.digest import short
from organismctl.identity.peer_entry import EntryPoint
from organismctl.observe.snapshot import MALFORMED, OBSERVER
from organismctl.observe.wire.faults import WireError, of_connect, of_stream
from organismctl.observe.wire.frames import Budget, FrameDecoder, frame

CATALOG_ALPN = b"/mosaik/discovery/sync/1.0"
STREAM_ALPN = b"/mosaik/streams/1.0"
SUCCESS = 200
CHUNK = 256 << 10
"""Bytes per read: few calls for a large catalog, little memory for many small ones."""
MAX_ADDRESSES = 8
"""Addresses of one name that are tried at once."""
CODE_S = 0.3
"""How long the close code may come behind the end of the stream: it travels in a packet of its own."""
CLOSE_S = 1.0
"""An endpoint that does not close within this is left to itself; the look has its answer."""


class Link:
    """One connection and its one stream, in frames.

    Args:
        connection: The connection.
        stream: Its stream, which this side opened.
        limit: Longest frame that is read, bytes.
        budget: Bytes of the whole look, or ``None``.
    """

    def __init__(
        self, connection: iroh.Connection, stream: iroh.BiStream, limit: int, budget: Budget | None = None
    ) -> None:
        self._connection = connection
        self._sender, self._receiver = stream.send(), stream.recv()
        self._frames = FrameDecoder(limit)
        self._budget = budget
        self._answered = False

    async def send(self, body: bytes) -> None:
        """Send one frame.

        Raises:
            WireError: The connection ended.
        """
        with self._translated():
            await self._sender.write_all(frame(body))

    async def receive(self) -> bytes:
        """The next frame.

        Raises:
            WireError: The connection ended, or it sends what is no frame.
        """
        while (body := self._frames.take()) is None:
            with self._translated():
                data = await self._receiver.read(CHUNK)
            if not data:
                raise await self._ended()
            if self._budget is not None:
                self._budget.take(len(data))
            self._frames.feed(data)
        self._answered = True
        return body

    def close(self, code: int = SUCCESS, reason: bytes = b"Success") -> None:
        """Close the connection; harmless when it is closed already."""
        with suppress(iroh.IrohError):
            self._connection.close(code, reason)

    async def _ended(self) -> WireError:
        """The stream ended: with a close code behind it, in the middle of a frame, or just so."""
        with suppress(TimeoutError, iroh.IrohError):
            async with asyncio.timeout(CODE_S):
                await self._connection.closed()
        if (reason := self._connection.close_reason()) is not None:
            return of_stream("", reason)
        if pending := self._frames.pending:
            return WireError(f"it ended the stream {pending} bytes into a frame", MALFORMED)
        return WireError(
            "it ended the stream" if self._answered else "it ended the stream without an answer", MALFORMED
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except iroh.IrohError as exc:
            raise of_stream(exc.message(), self._connection.close_reason()) from exc


@asynccontextmanager
async def bound(seed: bytes | None = None) -> AsyncIterator[iroh.Endpoint]:
    """An endpoint for a while, closed behind it.

    Args:
        seed: Its identity; ``None`` for a fresh one. No relay and no lookup service is ever asked.

    Raises:
        WireError: No socket can be had here.
    """
    options = iroh.EndpointOptions(
        preset=iroh.preset_minimal(),
        relay_mode=iroh.RelayMode.disabled(),
        secret_key=seed if seed is not None else os.urandom(32),
    )
    try:
        endpoint = await iroh.Endpoint.bind(options)
    except iroh.IrohError as exc:
        raise WireError("no UDP socket can be opened here") from exc
    try:
        yield endpoint
    finally:
        with suppress(iroh.IrohError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await endpoint.close()


async def connect(
    endpoint: iroh.Endpoint, point: EntryPoint, alpn: bytes, limit: int, budget: Budget | None = None
) -> Link:
    """Open a link to a peer.

    Args:
        endpoint: Ours.
        point: The peer, and where it is tried.
        alpn: The protocol.
        limit: Longest frame that is read, bytes.
        budget: Bytes of the whole look.

    Raises:
        WireError: Nobody answers there, or somebody else does.
    """
    where = await _resolved(point)
    try:
        peer = iroh.EndpointId.from_bytes(point.peer_id)
    except iroh.IrohError as exc:
        raise WireError(f"{short(point.peer_id)} is no peer id: not a point of the curve", OBSERVER) from exc
    try:
        address = iroh.EndpointAddr(peer, None, where)
        connection = await endpoint.connect(address, alpn)
    except iroh.IrohError as exc:
        raise of_connect(exc.message(), point.address) from exc
    try:
        stream = await connection.open_bi()
    except iroh.IrohError as exc:
        raise of_stream(exc.message(), connection.close_reason()) from exc
    return Link(connection, stream, limit, budget)


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Bound a stage of a look; ``what`` says what did not come, and how long it was waited for.

    Raises:
        WireError: It did not come in time.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise WireError(what) from exc


async def _resolved(point: EntryPoint) -> list[str]:
    """``IP:PORT`` of each address; a name is looked up in a thread that nobody has to wait for."""
    with suppress(ValueError):
        ipaddress.ip_address(point.host)
        return [point.address]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(point.host, point.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):  # UnicodeError: a label that no name has
            found = []
        loop.call_soon_threadsafe(tell, list(dict.fromkeys(str(one[4][0]) for one in found)))

    def tell(hosts: list[str]) -> None:
        if not answer.done():
            answer.set_result(hosts[:MAX_ADDRESSES])

    threading.Thread(target=ask, daemon=True).start()
    hosts = await answer
    if not hosts:
        raise WireError(f"there is no address of the name {point.host}")
    return [f"[{host}]:{point.port}" if ":" in host else f"{host}:{point.port}" for host in hosts]
