"""A surface read live from mosaik streams, as an integrator's own node would read it, and proven all the same.

Streams have no replay. What was published before the subscription, and what a cut swallowed, comes from the node
API; a later item shows that one is missing, and so does silence. Invariants 1 to 3 of
:mod:`organismctl.observe.surface` hold.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from organismctl.errors import OrganismError, UnreachableError
from organismctl.observe.surface import Event, Reader, UnprovenError

if TYPE_CHECKING:
    from organismctl.identity.peer_entry import EntryPoint
    from organismctl.identity.surface_item import SurfaceItem
    from organismctl.observe.wire import Observer

QUEUE = 10_000
"""Items that wait to be proven; beyond it they are dropped, and read again from the node API."""
QUIET_S = 5.0
"""After this long without an item the node API is asked whether one was missed."""
STAY_S = 3600.0
"""How long one subscription lasts before it is made anew."""
ADMIT_S = 10.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


@dataclass
class WireReader:
    """Follows one surface over the wire.

    Attributes:
        points: Peers that serve the stream; all of them are subscribed to.
        network: The network id.
        observer: Who subscribes.
        reader: Proves items, and reads from the node API what the wire did not bring.
    """

    points: Sequence[EntryPoint]
    network: bytes
    observer: Observer
    reader: Reader
    _queue: queue.Queue[tuple[EntryPoint, bytes]] = field(
        default_factory=lambda: queue.Queue(QUEUE), init=False
    )
    _alive: dict[EntryPoint, bool] = field(default_factory=dict, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _life: float = field(default=0.0, init=False)

    def follow(self) -> Iterator[SurfaceItem]:
        """Items from the reader's ``start`` on, then live, until the marker.

        Raises:
            UnreachableError: Neither a stream nor the node API brought anything for longer than ``patience_s``.
            UnprovenError: The node API serves what does not prove.
            HoleError: The next item is served nowhere.
        """
        self._alive = dict.fromkeys(self.points, False)
        for point in self.points:
            threading.Thread(target=self._subscribe, args=(point,), daemon=True).start()
        try:
            yield from self._items()
        finally:
            self._over.set()

    def _items(self) -> Iterator[SurfaceItem]:
        self._life = asked = time.monotonic()
        ended = yield from self._missed()
        while not ended and not self.reader.should_stop():
            try:
                point, datum = self._queue.get(timeout=0.5)
            except queue.Empty:
                if time.monotonic() - max(self._life, asked) > QUIET_S:
                    asked = time.monotonic()
                    ended = yield from self._missed()
                self._demand_life()
                continue
            item = self._proven(point, datum)
            if item is None or item.seq < self.reader.start:
                continue
            self._life = time.monotonic()
            if item.seq > self.reader.start:
                self.reader.on_event(
                    Event("missed", str(point), f"items {self.reader.start} to {item.seq - 1}")
                )
                ended = yield from self._missed(demanded=True)
                continue
            self.reader.start += 1
            yield item
            ended = item.retirement is not None

    def _missed(self, *, demanded: bool = False) -> Generator[SurfaceItem, None, bool]:
        """What the node API has from ``start`` on; whether the marker was among it.

        Args:
            demanded: Whether the wire has shown that there is more; otherwise its silence is no fault.
        """
        try:
            for item in self.reader.read():
                yield item
                if item.retirement is not None:
                    return True
        except UnreachableError:
            if demanded:
                raise
        else:
            self._life = time.monotonic()
        return False

    def _proven(self, point: EntryPoint, datum: bytes) -> SurfaceItem | None:
        """A stream's datum, proven; anybody may advertise a stream, so what does not prove is dropped and said."""
        faults: list[OrganismError] = []
        for client in self.reader.clients:
            try:
                return self.reader.prover.item(datum, client)
            except UnprovenError as error:
                self.reader.on_event(Event("unproven", str(point), error.message))
                return None
            except OrganismError as error:
                faults.append(error)
        raise faults[-1]

    def _demand_life(self) -> None:
        if any(self._alive.values()) or time.monotonic() - self._life <= self.reader.patience_s:
            return
        raise UnreachableError(
            f"no peer serves the stream, and no node a newer item, for {self.reader.patience_s:.0f} s",
            advice="`organismctl inspect PEERID@HOST:PORT` shows who serves which stream",
        )

    def _subscribe(self, point: EntryPoint) -> None:
        """One peer's stream, again and again until the reader is done."""
        from organismctl.observe.wire.background import run
        from organismctl.observe.wire.faults import WireError
        from organismctl.observe.wire.subscription import listen

        pause = _FIRST_PAUSE_S
        while not self._over.is_set():
            begun = time.monotonic()
            work = listen(
                point, self.network, self.reader.prover.pin.surface_id, self.observer,
                listen_s=STAY_S, timeout_s=ADMIT_S, hand_over=self._taker(point),
            )  # fmt: skip
            try:
                run(work, STAY_S + 2 * ADMIT_S)
            except WireError as error:
                self._lost(point, error.message)
            else:
                self._lost(point, "the stream ended")
            pause = _FIRST_PAUSE_S if time.monotonic() - begun > ADMIT_S else min(2 * pause, _LONGEST_PAUSE_S)
            self._over.wait(pause)

    def _taker(self, point: EntryPoint) -> Callable[[bytes], None]:
        def take(datum: bytes) -> None:
            if not self._alive[point]:
                self._alive[point] = True
                self.reader.on_event(Event("connected", str(point), "over the wire"))
            try:
                self._queue.put_nowait((point, datum))
            except queue.Full:
                return

        return take

    def _lost(self, point: EntryPoint, why: str) -> None:
        was, self._alive[point] = self._alive[point], False
        if not was or self._over.is_set():
            return
        self.reader.on_event(Event("switched", str(point), why))
        if not any(self._alive.values()):
            self.reader.on_event(Event("handle-failure", "", why))
