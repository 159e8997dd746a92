"""Whom the runner tells what it does, and the clock that it goes by."""

from __future__ import annotations

import time
from typing import Protocol


class Narrator(Protocol):
    """Whom the runner tells what it does. Never raises, never decides."""

    def step(self, number: int, count: int, title: str) -> None:
        """A step begins."""
        ...

    def say(self, text: str) -> None:
        """One sentence."""
        ...

    def waiting(self, what: str, since_s: float, until_s: float, blocker: str | None) -> None:
        """Still waiting: what for, how long already, how long at most, who is in the way."""
        ...


class Silent:
    """Tells nobody."""

    def step(self, number: int, count: int, title: str) -> None:
        """See :meth:`Narrator.step`."""

    def say(self, text: str) -> None:
        """See :meth:`Narrator.say`."""

    def waiting(self, what: str, since_s: float, until_s: float, blocker: str | None) -> None:
        """See :meth:`Narrator.waiting`."""


class Clock:
    """The runner's clock; tests bring their own."""

    def now_ms(self) -> int:
        """Wall-clock time, Unix ms: for people to read, and for dates."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back: for deadlines."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
