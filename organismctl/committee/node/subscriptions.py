"""One subscription per surface of each spanned member: events go to the driver, and nobody waits for anybody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from organismctl.committee.driver import Driver
from organismctl.committee.evidence import Pointer
from organismctl.committee.fold import Resolution
from organismctl.committee.lane import Link, UpstreamEvent
from organismctl.committee.machine import Input
from organismctl.committee.node.settings import Upstream
from organismctl.committee.node.upstream import AwayError, Event, RefusedError
from organismctl.identity.config import ReadSurface
from organismctl.identity.surface_item import RetirementMarker

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 3.0
ROOM_S = 0.05


class Reader(Protocol):
    """One spanned member as a node reads it: by its node APIs, or on the wire."""

    @property
    def upstream(self) -> Upstream:
        """The spanned member."""
        ...

    def follow(self, surface: ReadSurface, start: int) -> AsyncIterator[Event | None]:
        """Items from ``start`` on; ``None``: nothing new, and it lives. Ends after a marker."""
        ...

    async def resolve(self, surface: ReadSurface, pointers: Sequence[Pointer]) -> dict[Pointer, Resolution]:
        """What became of pointers to one surface."""
        ...

    def passed(self, surface: ReadSurface, position: int) -> bool:
        """Whether what this node did not see at a position can never be seen."""
        ...

    def note(self, surface: ReadSurface) -> str:
        """What is to be said of a surface although it is live, or empty."""
        ...

    def losses(self, surface: ReadSurface) -> tuple[int, int]:
        """How many events of a surface never came, and how many of what came gave way here before it was read."""
        ...

    def producers(self, surface: ReadSurface) -> int | None:
        """How many producers it is subscribed to now; ``None`` where there is no such thing."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


@dataclass(slots=True)
class Seen:
    """What this node sees of one surface; times are Unix ms."""

    surface: ReadSurface
    state: Link = Link.CONNECTING
    reason: str = ""
    received: int = 0
    last_event_ms: int | None = None
    position: int | None = None
    marker: RetirementMarker | None = None


class Subscription:
    """Follows one surface of a spanned member for ever.

    Args:
        reader: The spanned member.
        surface: Its surface.
        driver: Where decoded events go.
        wake: Called when something came in.
        now_ms: The wall clock.
    """

    def __init__(
        self,
        reader: Reader,
        surface: ReadSurface,
        driver: Driver,
        wake: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self.reader = reader
        self.seen = Seen(surface)
        self.source = Input(reader.upstream.member.stable_id, surface.id)
        self._driver = driver
        self._wake = wake
        self._now_ms = now_ms

    @property
    def folded(self) -> bool:
        """Whether its events go to the driver; otherwise they are only counted."""
        return self.source in self._driver.lanes

    def passed(self, position: int) -> bool:
        """Whether this node went past a position on a surface without replay: what it missed there it can never see."""
        return self.reader.passed(self.seen.surface, position) and (
            self.seen.position is not None and self.seen.position >= position
        )

    async def run(self) -> None:
        """Follow, reconnect, follow."""
        pause = FIRST_PAUSE_S
        while self.seen.marker is None:
            received = self.seen.received
            try:
                await self._follow()
                if self.seen.marker is None:
                    self._link(Link.CONNECTING, "it ended the stream")
            except AwayError as exc:
                self._link(Link.CONNECTING, str(exc))
            except RefusedError as exc:
                self._link(Link.REFUSED, str(exc))
            pause = FIRST_PAUSE_S if self.seen.received > received else min(LAST_PAUSE_S, pause * 2)
            if self.seen.marker is None:
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 # spreads reconnects

    async def _follow(self) -> None:
        start = self._start()
        async for event in self.reader.follow(self.seen.surface, start):
            note = self.reader.note(self.seen.surface)
            if self.seen.state is not Link.LIVE or note != self.seen.reason:
                self._link(Link.LIVE, note)
            if event is None:
                continue
            if event.marker is not None:
                self.seen.marker = event.marker
                self._link(Link.RETIRED, f"it retired, effective {event.marker.effective_at}")
                return
            self.seen.received += 1
            self.seen.last_event_ms = self._now_ms()
            self.seen.position = event.position
            if self.folded:
                await self._hand_over(UpstreamEvent(event.position, event.clock_event, event.data))
            self._wake()

    def _start(self) -> int:
        if self.folded:
            return self._driver.next_position(self.source)
        return 0 if self.seen.position is None else self.seen.position + 1

    async def _hand_over(self, event: UpstreamEvent) -> None:
        """Give an event to the driver; while its lane is full, the stream is not read on."""
        while not self._driver.on_event(self.source, event, self._now_ms()):
            self._wake()
            await asyncio.sleep(ROOM_S)

    def _link(self, state: Link, reason: str) -> None:
        self.seen.state, self.seen.reason = state, reason
        if self.folded:
            self._driver.on_link(self.source, state, reason)
        self._wake()
