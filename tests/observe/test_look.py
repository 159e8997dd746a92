from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from organismctl.observe.look import Source, Want, observe
from organismctl.observe.snapshot import DEFECT, UNREACHABLE, Fact, Snapshot


@dataclass
class Fake:
    """A source that waits for a gate before it answers."""

    name: str
    gate: threading.Event | None = None
    fault: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def wants(self) -> Sequence[Want]:
        return (Want("kind", self.name, "fake"),)

    def look(self) -> Iterator[Fact]:
        self.asked.append(self.name)
        if self.fault is not None:
            raise self.fault
        if self.gate is not None:
            self.gate.wait(30)
        yield Fact("kind", self.name, {"ok": True}, "fake", seen_ms=1)


class Barrier(Fake):
    """Answers only when as many as the barrier holds are asked at once."""

    barrier: threading.Barrier

    def look(self) -> Iterator[Fact]:
        self.barrier.wait(20)
        yield from super().look()


def test_facts_stand_in_the_order_of_the_sources() -> None:
    snapshot = observe([Fake("b"), Fake("a"), Fake("c")])
    assert [fact.subject for fact in snapshot.facts] == ["b", "a", "c"]
    assert snapshot.taken_ms > 0


def test_a_hundred_sources_are_asked_at_once() -> None:
    barrier = threading.Barrier(100)
    sources = []
    for index in range(100):
        one = Barrier(str(index))
        one.barrier = barrier
        sources.append(one)
    snapshot = observe(sources, 25)
    assert all(fact.seen for fact in snapshot.facts)


def test_no_more_at_once_than_allowed() -> None:
    gate = threading.Event()
    sources = [Fake(str(index), gate) for index in range(6)]
    seen: list[int] = []

    def free() -> None:
        seen.append(sum(len(one.asked) for one in sources))
        gate.set()

    snapshot = observe(sources, 25, max_parallel=2, meanwhile=free)
    assert seen == [2]
    assert len(snapshot.facts) == 6


def test_what_does_not_answer_by_the_deadline_is_unseen_and_does_not_hold_up_the_rest() -> None:
    gate = threading.Event()
    begun = time.monotonic()
    snapshot = observe([Fake("slow", gate), Fake("quick")], 0.2)
    gate.set()
    assert time.monotonic() - begun < 15
    slow, quick = snapshot.facts
    assert (slow.seen, slow.cause, slow.reason) == (False, UNREACHABLE, "no answer within 0.2 s")
    assert quick.seen


def test_a_defect_of_one_source_is_a_fact() -> None:
    broken, well = observe([Fake("broken", fault=KeyError("x")), Fake("well")]).facts
    assert (broken.cause, broken.reason) == (DEFECT, "the look failed: KeyError")
    assert well.seen


def test_a_second_round_sees_the_first_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []

    def more(snapshot: Snapshot) -> Sequence[Source]:
        return [Fake(f"after {len(snapshot.facts)}")]

    snapshot = observe(
        [Fake("a"), Fake("b")], then=more, on_progress=lambda done, total: told.append((done, total))
    )
    assert [fact.subject for fact in snapshot.facts] == ["a", "b", "after 2"]
    assert told == [(1, 2), (2, 2), (1, 1)]


def test_nothing_to_ask() -> None:
    assert observe([]).facts == ()


def test_a_snapshot_finds_facts_and_merges() -> None:
    one = Fact("k", "s", 1, "x", seen_ms=1)
    two = Fact("k", "s", 2, "x", seen_ms=1)
    merged = Snapshot.merge([Snapshot(7, (one,)), Snapshot(5, (two,))])
    assert merged.taken_ms == 5
    assert merged.get("k", "s") == one
    assert list(merged.all("k", "s")) == [one, two]
    assert merged.get("k", "other") is None
    assert list(merged.of("k")) == [one, two]
