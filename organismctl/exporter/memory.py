"""What the exporter remembers of each surface of each spanned member; pure: moments are values, no clock, no file.

Invariants:
    1. Nothing is remembered of what organism.toml does not read: memory is bounded by the files, not by remotes.
    2. ``watched_since_ms`` and ``dark_since_ms`` outlive the process. Silence is counted from the last event, or from
       when watching began; never from a time in which nobody listened.
    3. What nobody told at this sweep stays as it was, with the time at which it was last told (``seen_ms``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.identity.config import Json

RATE_OVER_MS = 300_000
"""The rate follows the last five minutes: older sweeps count for 1/e and less."""
MAX_COUNT = 1 << 53
"""Greater numbers are no counts: JSON readers and Prometheus keep no more digits."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sweep says of one committee member at one surface; moments by our clock, Unix ms.

    Attributes:
        node: The committee member.
        last_event_ms: When its last event came, or ``None``.
        since_ms: Since when it listens without a gap, or ``None`` when it does not say.
        received: Events since its process started, or ``None``.
        position: Its last certified position, or ``None``.
        lag_events: Events behind, or ``None``.
        lag_s: Seconds behind, or ``None``.
        link: The state of its subscription, or ``None``.
        seen_ms: When it told; ``None``: at the moment of the sweep.
    """

    node: str
    last_event_ms: int | None = None
    since_ms: int | None = None
    received: int | None = None
    position: int | None = None
    lag_events: int | None = None
    lag_s: float | None = None
    link: str | None = None
    seen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What the exporter's own subscription heard in one sweep: how many events, from when to when, and the last."""

    items: int
    since_ms: int | None
    until_ms: int | None
    last_event_ms: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What is remembered of one committee member at one surface."""

    seen_ms: int
    last_event_ms: int | None
    received: int | None
    position: int | None
    lag_events: int | None
    lag_s: float | None
    link: str | None

    def as_json(self) -> dict[str, Json]:
        """As ``/v1/memory`` tells it."""
        return {
            "seen_ms": self.seen_ms,
            "last_event_ms": self.last_event_ms,
            "lag_events": self.lag_events,
            "lag_s": self.lag_s,
            "position": self.position,
            "link": self.link,
        }


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered of one surface.

    Attributes:
        watched_since_ms: When it was first watched.
        seen_ms: When anybody last told something of it; 0: nobody has yet.
        last_event_ms: When anybody last heard it.
        dark_since_ms: Since when nothing comes, while it counts as dark; else ``None``.
        events: Events that came while it was watched.
        rate_per_s: Events per second, of the last minutes.
        last_position: The newest position that anybody has seen.
        silent_ms: For how long nothing had come when somebody last told; ``None``: nobody listened.
        nodes: Committee member to what is remembered of it there.
    """

    watched_since_ms: int
    seen_ms: int = 0
    last_event_ms: int | None = None
    dark_since_ms: int | None = None
    events: int = 0
    rate_per_s: float = 0.0
    last_position: int | None = None
    silent_ms: int | None = None
    nodes: Mapping[str, Mark] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        """As ``/v1/memory`` tells it."""
        return {
            "watched_since_ms": self.watched_since_ms,
            "seen_ms": self.seen_ms,
            "last_event_ms": self.last_event_ms,
            "dark_since_ms": self.dark_since_ms,
            "events": self.events,
            "rate_per_s": round(self.rate_per_s, 6),
            "last_position": self.last_position,
            "by_node": {node: mark.as_json() for node, mark in self.nodes.items()},
        }


@dataclass(frozen=True, slots=True)
class Clock:
    """A surface's clock: milliseconds of a period (``None``: not told), and after how many it counts as dark."""

    period_ms: int | None
    dark_after: int


def remember(
    past: Remembered | None,
    readings: Iterable[Reading],
    heard: Iterable[Heard],
    clock: Clock,
    now_ms: int,
) -> Remembered:
    """What is remembered after a sweep.

    Args:
        past: What was remembered before; ``None``: nothing.
        readings: What each committee member told now; members that told nothing are not among them.
        heard: What the exporter itself heard now.
        clock: The surface's clock.
        now_ms: The moment of the sweep.

    Returns:
        The new memory; the old one, but for members that are no more, where nobody told anything.
    """
    before = past or Remembered(now_ms)
    told, own = list(readings), list(heard)
    if not told and not own:
        return before
    new = _counted(before, told, own, now_ms)
    silence = _silence(before, new, told, own, now_ms)
    if silence is None:
        return replace(new, silent_ms=None, dark_since_ms=None)
    silent = max(silence[1] - silence[0], 0)
    dark = clock.period_ms is not None and silent >= clock.period_ms * clock.dark_after
    return replace(new, silent_ms=silent, dark_since_ms=silence[0] if dark else None)


def _counted(before: Remembered, told: list[Reading], own: list[Heard], now_ms: int) -> Remembered:
    """Counts, times and positions after a sweep in which somebody told something."""
    came = _came(before, told) + sum(one.items for one in own)
    last = _latest(
        before.last_event_ms,
        *(one.last_event_ms for one in told),
        *(one.last_event_ms for one in own),
        not_after=now_ms,
    )
    if came and (last is None or last <= before.seen_ms):
        last = now_ms  # counted and not dated (mosaik's metrics): it came since the last sweep
    positions = [one for one in (before.last_position, *(one.position for one in told)) if one is not None]
    nodes = {**before.nodes, **{one.node: _mark(one, before.nodes.get(one.node), now_ms) for one in told}}
    return replace(
        before,
        seen_ms=now_ms,
        last_event_ms=last,
        events=min(before.events + came, MAX_COUNT),
        rate_per_s=_rate(before, came, now_ms),
        last_position=max(positions, default=None),
        nodes=nodes,
    )


def quiet_since(memory: Remembered) -> int:
    """Since when nothing has come, as far as it was watched."""
    if memory.dark_since_ms is not None:
        return memory.dark_since_ms
    return memory.last_event_ms if memory.last_event_ms is not None else memory.watched_since_ms


def forget_nodes(memory: Remembered, nodes: Iterable[str]) -> Remembered:
    """Without committee members that are no more."""
    kept = set(nodes)
    return replace(memory, nodes={name: mark for name, mark in memory.nodes.items() if name in kept})


def _mark(one: Reading, past: Mark | None, now_ms: int) -> Mark:
    last = None if one.last_event_ms is None else min(one.last_event_ms, now_ms)
    if last is None and past is not None:
        last = now_ms if _since(past, one) else past.last_event_ms
    return Mark(now_ms, last, one.received, one.position, one.lag_events, one.lag_s, one.link)


def _came(before: Remembered, told: list[Reading]) -> int:
    """Events since the last sweep: every member hears the same ones, so the greatest count of any counts."""
    return max((_since(before.nodes.get(one.node), one) for one in told), default=0)


def _since(past: Mark | None, one: Reading) -> int:
    """Events that a member has counted since it was last seen."""
    if one.received is None or past is None or past.received is None:
        return 0
    # A count below the last one is that of a new process: it counts from nothing.
    return one.received - past.received if one.received >= past.received else one.received


def _rate(before: Remembered, came: int, now_ms: int) -> float:
    if not before.seen_ms or now_ms <= before.seen_ms:
        return before.rate_per_s
    took = now_ms - before.seen_ms
    # The plain mean while it has been watched for less than that.
    weight = max(1 - math.exp(-took / RATE_OVER_MS), took / max(now_ms - before.watched_since_ms, took))
    return before.rate_per_s + weight * (came * 1000 / took - before.rate_per_s)


def _silence(
    before: Remembered, new: Remembered, told: list[Reading], own: list[Heard], now_ms: int
) -> tuple[int, int] | None:
    """From when until when nothing came while somebody listened; ``None`` when nobody did."""
    since = before.dark_since_ms
    if since is not None and new.last_event_ms is not None and new.last_event_ms > since:
        since = None  # an event has come after that: another silence, if any
    if told:
        # A node goes on listening between sweeps, and one that cannot connect shows a silence of its own. What came
        # after the last one told (another source took its time) is not known: it adds no silence.
        until = max(min(now_ms if one.seen_ms is None else one.seen_ms, now_ms) for one in told)
        return (quiet_since(replace(new, dark_since_ms=None)) if since is None else since), until
    starts = [one.since_ms for one in own if one.since_ms is not None]
    ends = [one.until_ms for one in own if one.until_ms is not None]
    if not starts or not ends:
        return None
    if since is None:
        since = max(min(starts), new.last_event_ms or 0)
    return since, max(ends)


def _latest(*moments: int | None, not_after: int) -> int | None:
    """The latest of some moments, none of which can lie in the future."""
    known = [min(one, not_after) for one in moments if one is not None]
    return max(known) if known else None
