"""What is remembered: since when, how many, how dark; across restarts, gaps and clocks that lie."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from organismctl.exporter.memory import (
    MAX_COUNT,
    Clock,
    Heard,
    Reading,
    Remembered,
    forget_nodes,
    quiet_since,
    remember,
)

T0 = 1_795_500_000_000
CLOCK = Clock(1000, 5)


def live(node: str = "node-a", *, last: int | None = None, received: int = 0, **more: int) -> Reading:
    return Reading(node, last_event_ms=last, since_ms=T0 - 60_000, received=received, link="live", **more)


def test_events_are_counted_once_however_many_members_hear_them() -> None:
    memory = remember(None, [live("node-a", received=10), live("node-b", received=900)], [], CLOCK, T0)
    assert memory.events == 0  # what came before it watched is not counted
    memory = remember(
        memory, [live("node-a", received=15), live("node-b", received=903)], [], CLOCK, T0 + 1000
    )
    assert memory.events == 5
    # node-a starts anew and counts from nothing; node-b goes on.
    memory = remember(
        memory, [live("node-a", received=2), live("node-b", received=905)], [], CLOCK, T0 + 2000
    )
    assert memory.events == 7
    assert memory.rate_per_s == 3.5


def test_a_million_events_at_once_are_a_number_like_another() -> None:
    memory = remember(None, [live(received=0)], [], CLOCK, T0)
    memory = remember(memory, [live(received=1_000_000, last=T0 + 900)], [], CLOCK, T0 + 1000)
    assert (memory.events, memory.dark_since_ms) == (1_000_000, None)
    memory = remember(replace(memory, events=MAX_COUNT), [live(received=2_000_000)], [], CLOCK, T0 + 2000)
    assert memory.events == MAX_COUNT


def test_dark_from_the_last_event_and_light_by_the_next() -> None:
    memory = remember(None, [live(last=T0 - 100)], [], CLOCK, T0)
    assert memory.dark_since_ms is None
    memory = remember(memory, [live(last=T0 - 100)], [], CLOCK, T0 + 4899)
    assert memory.dark_since_ms is None
    memory = remember(memory, [live(last=T0 - 100)], [], CLOCK, T0 + 4900)
    assert memory.dark_since_ms == T0 - 100
    # Since when stays, over a restart of the node that forgets its last event.
    memory = remember(memory, [live(last=None)], [], CLOCK, T0 + 60_000)
    assert memory.dark_since_ms == T0 - 100
    memory = remember(memory, [live(last=T0 + 60_500, received=1)], [], CLOCK, T0 + 61_000)
    assert memory.dark_since_ms is None
    assert quiet_since(memory) == T0 + 60_500


def test_another_source_that_took_its_time_adds_no_silence() -> None:
    """The sweep ended six seconds after the committee had told what it heard right then."""
    told = live(last=T0 - 100, seen_ms=T0)
    memory = remember(None, [told, live("node-b", last=T0 - 100, seen_ms=T0 - 50)], [], CLOCK, T0 + 6000)
    assert (memory.dark_since_ms, memory.silent_ms, memory.seen_ms) == (None, 100, T0 + 6000)
    memory = remember(memory, [replace(told, seen_ms=T0 + 5000)], [], CLOCK, T0 + 12_000)
    assert memory.dark_since_ms == T0 - 100


def test_nobody_tells_and_nothing_moves() -> None:
    memory = remember(None, [live(last=T0 - 100)], [], CLOCK, T0)
    assert remember(memory, [], [], CLOCK, T0 + 60_000) is memory


def test_what_nobody_listened_to_is_not_dark() -> None:
    """The exporter alone listens, a second in each sweep; a day in which it did not run proves nothing."""
    memory = remember(None, [], [Heard(3, T0 - 1000, T0, T0 - 10)], CLOCK, T0)
    assert memory.events == 3
    day = T0 + 86_400_000
    memory = remember(memory, [], [Heard(0, day - 1000, day, None)], CLOCK, day)
    assert memory.dark_since_ms is None
    memory = remember(memory, [], [Heard(0, day - 1000, day, None)], Clock(100, 5), day)
    assert memory.dark_since_ms == day - 1000
    # What passes between two times of listening counts for nothing.
    late = remember(memory, [], [Heard(9, day + 5000, day + 6000, day + 5900)], Clock(100, 5), day + 9000)
    assert (late.dark_since_ms, late.silent_ms) == (None, 100)


def test_a_member_that_never_spoke_is_dark_from_when_it_was_watched() -> None:
    silent = Reading("node-a", since_ms=T0 - 500, received=0, link="connecting")
    memory = remember(None, [silent], [], CLOCK, T0)
    memory = remember(memory, [silent], [], CLOCK, T0 + 5000)
    assert memory.dark_since_ms == T0


def test_without_a_period_nothing_is_dark() -> None:
    memory = remember(None, [live(last=T0 - 10**9)], [], Clock(None, 5), T0)
    assert memory.dark_since_ms is None


def test_a_clock_that_runs_ahead_makes_nothing_fresher_than_now() -> None:
    memory = remember(None, [live(last=T0 + 86_400_000)], [], CLOCK, T0)
    assert memory.last_event_ms == T0
    assert memory.nodes["node-a"].last_event_ms == T0


def test_an_event_that_is_counted_and_not_dated_came_since_the_last_sweep() -> None:
    """As mosaik's metrics tell it, of an organism without our node API."""
    bare = [Reading("node-a", received=number, link="live") for number in (5, 5, 6)]
    memory = remember(None, bare[:1], [], CLOCK, T0)
    memory = remember(memory, bare[1:2], [], CLOCK, T0 + 5000)
    assert memory.dark_since_ms == T0
    memory = remember(memory, bare[2:], [], CLOCK, T0 + 6000)
    assert (memory.last_event_ms, memory.dark_since_ms, memory.nodes["node-a"].last_event_ms) == (
        T0 + 6000,
        None,
        T0 + 6000,
    )
    memory = remember(memory, bare[2:], [], CLOCK, T0 + 7000)
    assert memory.nodes["node-a"].last_event_ms == T0 + 6000


def test_members_that_are_no_more_are_forgotten() -> None:
    memory = remember(None, [live("node-a"), live("node-b")], [], CLOCK, T0)
    assert list(forget_nodes(memory, ["node-b", "node-c"]).nodes) == ["node-b"]


READINGS = st.builds(
    Reading,
    node=st.sampled_from(["node-a", "node-b", "node-c"]),
    last_event_ms=st.none() | st.integers(T0 - 10**6, T0 + 10**8),
    since_ms=st.none() | st.integers(T0 - 10**6, T0 + 10**6),
    received=st.none() | st.integers(0, 1 << 70),
    position=st.none() | st.integers(0, 1 << 70),
    link=st.sampled_from(["live", "connecting", "refused", "retired", None]),
)


@given(
    st.lists(st.tuples(st.integers(0, 100_000), st.lists(READINGS, max_size=4)), max_size=12),
    st.none() | st.integers(1, 10_000),
)
def test_whatever_is_told_memory_stays_sound(
    sweeps: list[tuple[int, list[Reading]]], period: int | None
) -> None:
    memory: Remembered | None = None
    now = T0
    for step, readings in sweeps:
        now += step
        new = remember(memory, readings, [], Clock(period, 3), now)
        assert new.watched_since_ms <= now
        assert 0 <= new.events <= MAX_COUNT
        assert new.rate_per_s >= 0
        assert new.last_event_ms is None or new.last_event_ms <= now
        if new.dark_since_ms is not None and readings:
            assert period is not None
            assert now - new.dark_since_ms >= period * 3
        if memory is not None:
            assert new.watched_since_ms == memory.watched_since_ms
            assert new.events >= memory.events
        memory = new
