"""Puts the items of one surface back in order, as several producers of a stream send them.

Every node of an organism sends every item, each in order, and none sends again what it sent before somebody
subscribed. So repeats are dropped, an item that came early waits a moment for those before it, and what does not come
is passed over: a stream has no replay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

PATIENCE_S = 1.0
"""How long an early item waits for those before it."""
MAX_HELD = 1024

T = TypeVar("T")


@dataclass(slots=True)
class StreamOrder(Generic[T]):
    """See the module; times are the caller's monotonic seconds.

    Attributes:
        next: The seq that is wanted next.
        begun: Whether an item was handed out.
        missed: How many seqs were passed over after the first item.
        first: The first seq that was handed out, when those before it were passed over; else ``None``.
    """

    next: int = 0
    begun: bool = False
    missed: int = 0
    first: int | None = None
    _held: dict[int, T] = field(default_factory=dict)
    _since: float | None = None

    def begin(self, start: int) -> None:
        """Nothing before ``start`` is wanted any more."""
        if start > self.next:
            self.next = start
            self._held = {seq: item for seq, item in self._held.items() if seq >= start}
            self._since = None

    def put(self, seq: int, item: T, now: float) -> None:
        """An item came; a repeat is dropped, and what comes while it is :attr:`full`."""
        if seq < self.next or seq in self._held or self.full:
            return
        self._held[seq] = item
        if self._since is None:
            self._since = now

    def take(self) -> T | None:
        """The next item, when it is there."""
        item = self._held.pop(self.next, None)
        if item is None:
            return None
        self.next += 1
        self.begun = True
        self._since = None
        return item

    def due(self, now: float) -> bool:
        """Whether early items have waited long enough."""
        if not self._held or self.next in self._held:
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= PATIENCE_S or self.full

    @property
    def full(self) -> bool:
        """Whether no more early items are held: take, or skip, before the next one is put in."""
        return len(self._held) >= MAX_HELD

    @property
    def gap(self) -> tuple[int, int]:
        """The seqs that do not come, from and up to (not including) the earliest that waits."""
        return self.next, min(self._held, default=self.next)

    def wait_on(self) -> None:
        """Let what came early wait once more for those before it."""
        self._since = None

    def skip(self) -> None:
        """Pass over what does not come."""
        start, end = self.gap
        if end == start:
            return
        if self.begun:
            self.missed += end - start
        else:
            self.first = end
        self.next = end
        self._since = None
