"""Our own surfaces on the wire: certified items as datums of a mosaik stream, or as entries of a mosaik map.

Items come from the node's own store once a majority signed them, so nothing that waits here is held in memory. Every
node sends every item; readers drop repeats by seq.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from organismctl.committee.carrier.mosaik_engine import ItemMap, Producer, translated
from organismctl.committee.node.mosaik_map import MARKER_KEY
from organismctl.committee.node.publishing import Publisher
from organismctl.errors import OrganismError
from organismctl.identity.surface_item import decode_item

PAGE = 64
LOOK_S = 0.25
FULL_S = 0.02
MAX_BEHIND = 4096
"""Items that a stream may be behind while it is full; then the oldest are left out of it."""
REMIND_S = 5.0
"""How often the marker is sent again while somebody is subscribed, beside once to every new subscriber."""
PATIENCE_S = 2.0
"""How long another node may take to write an item into the map before this one does."""
CHECK_S = 30.0
WRITE_S = 5.0
log = logging.getLogger(__name__)


class StreamSurface:
    """Sends one surface's items.

    Args:
        publisher: Has the items.
        lane: The surface's place.
        producer: Its stream.
    """

    def __init__(self, publisher: Publisher, lane: int, producer: Producer) -> None:
        self._publisher = publisher
        self._lane = lane
        self._producer = producer
        self._at = publisher.next_seq[lane]
        self._reminded: dict[bytes, int] = {}
        self._reminded_at = float("-inf")
        self.sent = 0
        """Items that went out to somebody."""
        self.skipped = 0
        """Items that were left out because the stream was full for too long."""

    def subscribers(self) -> list[bytes]:
        """Who is subscribed: a peer id each."""
        return self._producer.consumers()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            with translated("send on a surface's stream"):
                await self._send_new()
                self._remind()
            await moved(self._publisher, self._lane, self._at)

    async def _send_new(self) -> None:
        behind = self._publisher.next_seq[self._lane] - self._at
        if behind > MAX_BEHIND:
            self.skipped += behind - MAX_BEHIND
            self._at += behind - MAX_BEHIND
        for seq, data in self._publisher.items(self._lane, self._at, PAGE):
            word = self._producer.send(data)
            if word == "full":
                await asyncio.sleep(FULL_S)
                return
            self.sent += word == "sent"
            self._at = seq + 1

    def _remind(self) -> None:
        """After the seal: the marker once more for whoever came since, twice, and to all now and then."""
        if not self._publisher.sealed(self._lane) or self._at < self._publisher.next_seq[self._lane]:
            return
        present = self._producer.consumers()
        self._reminded = {peer: self._reminded.get(peer, 0) for peer in present}
        now = time.monotonic()
        due = any(count < 2 for count in self._reminded.values()) or now - self._reminded_at >= REMIND_S
        if not present or not due:
            return
        for _, data in self._publisher.items(self._lane, self._at - 1, 1):
            if self._producer.send(data) == "sent":
                self._reminded = {peer: count + 1 for peer, count in self._reminded.items()}
                self._reminded_at = now


class MapSurface:
    """Writes one surface's items into a map, wherever they are not there yet.

    The ledger's proposer writes; the others write what it does not within :data:`PATIENCE_S`. What mosaik loses, as
    when all nodes are started anew, is written again.

    Args:
        publisher: Has the items.
        lane: The surface's place.
        store: Its map.
        first: Whether this node is the one to write at once.
    """

    def __init__(self, publisher: Publisher, lane: int, store: ItemMap, first: Callable[[], bool]) -> None:
        self._publisher = publisher
        self._lane = lane
        self._store = store
        self._first = first
        self._stands = 0
        self._checked = float("-inf")
        self._since: float | None = None
        self.reason = "not online yet"
        """Why items are not written now, or empty."""

    @property
    def stands(self) -> int:
        """Items below this seq stand in the map."""
        return self._stands

    async def run(self) -> None:
        """Write for ever; what fails is tried again."""
        while True:
            try:
                with translated("write a surface's map"):
                    wrote = await self._round()
            except OrganismError as exc:
                if exc.message != self.reason:
                    log.warning("%s", exc.message)
                self.reason, wrote = exc.message, False
            if not wrote:
                await asyncio.sleep(LOOK_S)

    async def _round(self) -> bool:
        """One page; whether there may be more at once."""
        if not self._store.online():
            self.reason, self._checked = "the map is not online", float("-inf")
            return False
        self.reason = ""
        if time.monotonic() - self._checked >= CHECK_S:
            await self._check()
        items = self._publisher.items(self._lane, self._stands, PAGE)
        if not items:
            return False
        for seq, data in items:
            key = MARKER_KEY if decode_item(data).retirement is not None else seq
            if self._store.get(key) is None:
                if not self._mine():
                    return False
                await asyncio.to_thread(self._store.insert, key, data, WRITE_S)
            self._stands = seq + 1
        self._since = None
        return True

    def _mine(self) -> bool:
        """Whether this node writes what is missing now."""
        if self._first():
            return True
        now = time.monotonic()
        self._since = self._since or now
        return now - self._since >= PATIENCE_S

    async def _check(self) -> None:
        """Look from the beginning what the map lacks."""
        keys = set(await asyncio.to_thread(self._store.keys))
        self._stands = next((seq for seq in range(self._stands) if seq not in keys), self._stands)
        self._checked = time.monotonic()


async def moved(publisher: Publisher, lane: int, seq: int) -> None:
    """Wait until an item of that seq is published, at most a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S), publisher.moved:
            await publisher.moved.wait_for(lambda: publisher.next_seq[lane] > seq)
