"""This node as a peer of a mosaik network: one endpoint, one inbox, one thread that drains it.

The thread waits without the GIL and hands what came in to the event loop in batches; at most :data:`AHEAD` of them
wait there, so a busy loop slows the thread, and then the extension's own bounds hold. All methods are called in the
event loop unless they say that they block.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from organismctl.committee.carrier.mosaik_engine import (
    Group,
    Inbox,
    ItemMap,
    Network,
    Producer,
    Subscription,
    Validator,
    start_network,
    translated,
)
from organismctl.errors import OrganismError

START_S = 30.0
GRACE_S = 0.5
WAIT_S = 0.5
BATCH = 1000
AHEAD = 4
Handler: TypeAlias = "Callable[[bytes], None]"
Ticket: TypeAlias = "tuple[bytes, bytes]"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class NetworkOptions:
    """Where and as whom this node takes part.

    Attributes:
        network: The network's id.
        seed: This node's ed25519 seed.
        bind: ``HOST:PORT`` of its QUIC endpoint.
        relay: URL of a relay of our own; ``None``: mosaik's public ones.
        bootstrap: Peer id to addresses of peers that it asks until it knows them.
    """

    network: bytes
    seed: bytes
    bind: str
    relay: str | None
    bootstrap: tuple[tuple[bytes, tuple[str, ...]], ...]


async def _abandonable(start: Callable[[], Network]) -> Network:
    """Start a network in a thread that the end of the process does not wait for: a relay may be away."""
    loop = asyncio.get_running_loop()
    started: asyncio.Future[Network] = loop.create_future()

    def settle(network: Network | None, error: BaseException | None) -> None:
        if started.cancelled():
            return
        if network is not None:
            started.set_result(network)
        elif error is not None:
            started.set_exception(error)

    def run() -> None:
        network, error = None, None
        try:
            network = start()
        except BaseException as exc:  # noqa: BLE001 # it is raised where it is awaited
            error = exc
        # A loop that is closed: the process ends, and its networks with it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, network, error)

    threading.Thread(target=run, name="mosaik-start", daemon=True).start()
    return await started


class Feed:
    """One subscription; what comes in is handed over in the event loop."""

    def __init__(self, owner: MosaikNetwork, tag: int, subscription: Subscription) -> None:
        self._owner = owner
        self._tag = tag
        self._subscription = subscription

    @property
    def producers(self) -> list[bytes]:
        """Who serves it now."""
        return self._subscription.producers

    @property
    def dropped(self) -> int:
        """Items that gave way before they were taken."""
        return self._subscription.dropped

    def close(self) -> None:
        """End it; nothing is handed over any more."""
        self._owner.forget(self._tag)
        self._subscription.close()


class MosaikNetwork:
    """See the module.

    Args:
        options: Where and as whom.
    """

    def __init__(self, options: NetworkOptions) -> None:
        self.options = options
        self._network: Network | None = None
        self._inbox: Inbox | None = None
        self._thread: threading.Thread | None = None
        self._handlers: dict[int, Handler] = {}
        self._tags = 0
        self._closed = threading.Event()
        self._room = threading.Semaphore(AHEAD)

    # Life.

    async def start(self, tickets: Sequence[Ticket]) -> None:
        """Begin to take part; cancelled, it waits for nothing.

        Raises:
            OrganismError: It cannot be done; says why.
        """
        options = self.options
        self._network = await _abandonable(
            partial(
                start_network,
                options.network,
                options.seed,
                relay=options.relay,
                bind=[options.bind],
                bootstrap=[(peer, list(addresses)) for peer, addresses in options.bootstrap],
                tickets=list(tickets),
                timeout_s=START_S,
            )
        )
        with translated("open an inbox"):
            self._inbox = self._network.inbox()
        self._thread = threading.Thread(
            target=self._drain,
            args=(self._inbox, asyncio.get_running_loop()),
            name="mosaik-inbox",
            daemon=True,
        )
        self._thread.start()

    async def close(self) -> None:
        """Leave in order: groups, streams, then the network. May be called twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._handlers.clear()
        self._room.release()
        if self._inbox is not None:
            self._inbox.close()
        if self._network is not None:
            try:
                await asyncio.to_thread(self._leave, self._network)
            except OrganismError as exc:
                log.warning("%s", exc.message)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 2 * WAIT_S)

    @staticmethod
    def _leave(network: Network) -> None:
        with translated("leave the network"):
            network.close(GRACE_S)

    # What comes in.

    def _drain(self, inbox: Inbox, loop: asyncio.AbstractEventLoop) -> None:
        while not self._closed.is_set():
            try:
                with translated("read its inbox"):
                    batch = inbox.recv(WAIT_S, BATCH)
            except OrganismError as exc:
                log.warning("%s", exc.message)
                self._closed.wait(WAIT_S)
                continue
            if not batch:
                continue
            self._room.acquire()
            try:
                loop.call_soon_threadsafe(self._hand, batch)
            except RuntimeError:
                # The loop is closed: the process ends.
                return

    def _hand(self, batch: list[tuple[int, bytes]]) -> None:
        self._room.release()
        for tag, data in batch:
            handler = self._handlers.get(tag)
            if handler is not None:
                handler(data)

    def subscribe(
        self,
        stream_id: bytes,
        handler: Handler,
        *,
        validators: Sequence[Validator] = (),
        only: Sequence[bytes] | None = None,
        limit: int = 10_000,
    ) -> Feed:
        """Read a stream; ``handler`` gets every datum, and must not block.

        Raises:
            OrganismError: It cannot be subscribed to.
        """
        self._tags += 1
        tag = self._tags
        self._handlers[tag] = handler
        try:
            with translated(f"subscribe to stream {stream_id.hex()[:10]}"):
                subscription = self._inbox_now().subscribe(
                    stream_id,
                    tag,
                    validators=list(validators),
                    only=None if only is None else list(only),
                    limit=limit,
                )
        except OrganismError:
            self.forget(tag)
            raise
        return Feed(self, tag, subscription)

    def forget(self, tag: int) -> None:
        """Hand nothing of a subscription over any more."""
        self._handlers.pop(tag, None)

    # What goes out, and what is known.

    def producer(
        self, stream_id: bytes, *, validators: Sequence[Validator] = (), only: Sequence[bytes] | None = None
    ) -> Producer:
        """Serve a stream.

        Raises:
            OrganismError: It is served already, or cannot be.
        """
        with translated(f"serve stream {stream_id.hex()[:10]}"):
            return self._now().producer(
                stream_id, validators=list(validators), only=None if only is None else list(only)
            )

    def map_writer(self, store_id: bytes, validators: Sequence[Validator]) -> ItemMap:
        """Write a map.

        Raises:
            OrganismError: It cannot be joined.
        """
        with translated(f"write map {store_id.hex()[:10]}"):
            return self._now().map_writer(store_id, validators=list(validators))

    def map_reader(self, store_id: bytes, validators: Sequence[Validator]) -> ItemMap:
        """Read a map.

        Raises:
            OrganismError: It cannot be joined.
        """
        with translated(f"read map {store_id.hex()[:10]}"):
            return self._now().map_reader(store_id, validators=list(validators))

    def join(
        self,
        secret: bytes,
        signature: bytes,
        validators: Sequence[Validator],
        *,
        timing: tuple[int, int, int],
        sync: tuple[int, int],
    ) -> Group:
        """Join a group.

        Args:
            secret: The group secret, 32 bytes.
            signature: The machine's signature, 32 bytes.
            validators: Whom it admits.
            timing: Heartbeat ms, its jitter ms, how many may be missed.
            sync: Entries a batch, seconds that one may take.

        Raises:
            OrganismError: It cannot be joined.
        """
        with translated("join the group"):
            return self._now().group(
                secret,
                signature,
                validators=list(validators),
                batch=sync[0],
                fetch_timeout_s=sync[1],
                heartbeat_ms=timing[0],
                heartbeat_jitter_ms=timing[1],
                max_missed_heartbeats=timing[2],
            )

    def peers(self) -> list[bytes]:
        """Whom the catalog holds, this node left out; empty before the start."""
        return [] if self._network is None else self._network.peers()

    def catalog(self) -> bytes:
        """Postcard of every signed peer entry that this node knows.

        Raises:
            OrganismError: The network is not up.
        """
        with translated("read its catalog"):
            return self._now().catalog()

    def set_tickets(self, tickets: Sequence[Ticket]) -> None:
        """Publish these tickets: new ones first, then the rest is taken back. Blocks.

        Raises:
            OrganismError: They cannot be published.
        """
        with translated("publish the tickets"):
            self._now().set_tickets(list(tickets))

    def _now(self) -> Network:
        if self._network is None or self._closed.is_set():
            raise OrganismError("this node is not on mosaik's network now")
        return self._network

    def _inbox_now(self) -> Inbox:
        self._now()
        assert self._inbox is not None  # noqa: S101 # opened with the network
        return self._inbox
