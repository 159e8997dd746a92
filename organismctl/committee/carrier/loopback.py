"""The loopback carrier: frames as HTTP requests between the node processes of one host.

It needs nothing but the nodes' own APIs (``POST /v1/peer``), and never leaves the host. Every peer has one
kept connection, used one request at a time; while one is under way, frames gather and share the next.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping

from organismctl.committee.carrier import Bond, Channel, Handler
from organismctl.committee.carrier.link import BEAT_S, Link
from organismctl.committee.carrier.session import Party
from organismctl.committee.carrier.wire import loopback_address
from organismctl.errors import RefusedError

FRESH_S = 3 * BEAT_S + 0.5
"""A peer that took nothing for this long is not connected."""
MAX_PEERS = 512


class LoopbackCarrier:
    """See the module; implements :class:`~organismctl.committee.carrier.Carrier`.

    Args:
        party: This node.
        addresses: Peer id to node API URL of every node that the deployment names, this one left out.
        tls: For peers whose URL is https, or ``None``.
        now_ms: The wall clock.

    Raises:
        RefusedError: An address is not on this host.
    """

    def __init__(
        self,
        party: Party,
        addresses: Mapping[bytes, str],
        *,
        tls: ssl.SSLContext | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.party = party
        self._tls = tls
        self._now_ms = now_ms
        self._handlers: dict[int, Handler] = {}
        self._links: dict[bytes, Link] = {}
        self._seen_ms: dict[bytes, int] = {}
        self._sent: dict[bytes, float] = {}
        self._running = False
        loopback_address(party.url)
        for peer, url in addresses.items():
            self.learn(peer, url)

    @property
    def name(self) -> str:
        """See :class:`Carrier`."""
        return "loopback"

    def learn(self, peer: bytes, url: str) -> None:
        """Take in where a peer listens; the first address stays.

        Raises:
            RefusedError: It is not on this host, or there are too many peers.
        """
        if peer == self.party.peer_id or peer in self._links:
            return
        address = loopback_address(url)
        if len(self._links) >= MAX_PEERS:
            raise RefusedError(f"more than {MAX_PEERS} peers")
        link = self._links[peer] = Link(self.party, peer, address, self._tls)
        if self._running:
            link.start()

    def listen(self, channel: Channel, handler: Handler) -> None:
        """See :class:`Carrier`."""
        self._handlers[channel] = handler

    def send(self, to: bytes, channel: Channel, frame: bytes) -> None:
        """See :class:`Carrier`."""
        link = self._links.get(to)
        if link is not None:
            link.send(channel, frame)

    def deliver(self, peer: bytes, channel: int, frame: bytes) -> None:
        """A frame of an authenticated peer arrived; one for nobody is dropped."""
        handler = self._handlers.get(channel)
        if handler is not None:
            handler(peer, frame)

    def seen(self, peer: bytes) -> None:
        """An authenticated peer was heard."""
        self._seen_ms[peer] = self._now_ms()

    def bonds(self) -> Mapping[bytes, Bond]:
        """See :class:`Carrier`."""
        now, wall = time.monotonic(), self._now_ms()
        bonds = {}
        for peer, link in self._links.items():
            age = now - link.sent_at
            seen = self._seen_ms.get(peer)
            if age != float("inf"):
                seen = max(seen or 0, wall - int(age * 1000))
            connected = age <= FRESH_S
            bonds[peer] = Bond(connected, seen, "" if connected else link.reason or "no answer in time")
        return bonds

    @property
    def dropped(self) -> int:
        """Frames that were dropped since the start."""
        return sum(link.dropped for link in self._links.values())

    async def start(self) -> None:
        """See :class:`Carrier`."""
        self._running = True
        for link in self._links.values():
            link.start()

    async def close(self) -> None:
        """See :class:`Carrier`."""
        self._running = False
        for link in self._links.values():
            await link.close()
