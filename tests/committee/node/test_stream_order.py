"""Items of a stream in order: whatever several producers send, each seq once, rising, and gaps told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee.node.stream_order import MAX_HELD, PATIENCE_S, StreamOrder


def drain(order: StreamOrder[int], now: float) -> list[int]:
    found = []
    while True:
        while (item := order.take()) is not None:
            found.append(item)
        if not order.due(now):
            return found
        order.skip()


def test_a_late_producer_fills_what_another_left_out() -> None:
    order: StreamOrder[int] = StreamOrder()
    order.put(0, 0, 0.0)
    assert drain(order, 0.0) == [0]
    order.put(2, 2, 1.0)
    assert drain(order, 1.0 + PATIENCE_S / 2) == []
    order.put(1, 1, 1.0 + PATIENCE_S / 2)
    assert drain(order, 1.0 + PATIENCE_S / 2) == [1, 2]
    assert (order.missed, order.first) == (0, None)


def test_what_does_not_come_is_passed_over_and_told() -> None:
    order: StreamOrder[int] = StreamOrder()
    order.put(120, 120, 0.0)
    assert drain(order, 0.0) == []
    assert order.gap == (0, 120)
    assert drain(order, PATIENCE_S) == [120]
    assert (order.missed, order.first) == (0, 120)
    order.put(123, 123, 2.0)
    assert drain(order, 2.0 + PATIENCE_S) == [123]
    assert order.missed == 2
    order.put(121, 121, 9.0)
    assert drain(order, 99.0) == []


def test_a_flood_of_early_items_is_bounded() -> None:
    order: StreamOrder[int] = StreamOrder()
    for seq in range(1, 3 * MAX_HELD):
        order.put(seq, seq, 0.0)
    assert drain(order, 0.0) == list(range(1, MAX_HELD + 1))


def test_what_was_read_elsewhere_is_not_wanted_again() -> None:
    order: StreamOrder[int] = StreamOrder()
    order.put(3, 3, 0.0)
    order.begin(5)
    order.put(4, 4, 0.0)
    order.put(5, 5, 0.0)
    order.begin(2)
    assert drain(order, 0.0) == [5]


@given(st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40)))
def test_any_order_gives_each_seq_once_and_rising(one: list[int], two: list[int]) -> None:
    order: StreamOrder[int] = StreamOrder()
    found: list[int] = []
    for turn, seq in enumerate([*one, *two]):
        order.put(seq, seq, float(turn))
        found += drain(order, float(turn))
    found += drain(order, 1e6)
    assert found == sorted(set(found))
    assert set(found) <= {*one, *two}
    if found:
        assert order.next == found[-1] + 1
        assert order.missed + (order.first or 0) + len(found) == order.next
