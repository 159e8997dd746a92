"""The verdict and the table can fail: a write that is not where its acknowledgement says is lost."""

from __future__ import annotations

from typing import Any, cast

from tests.hosts.bare import Bare, Judged
from tests.hosts.load import Ack, Record
from tests.hosts.table import Row, render, rows
from tests.hosts.verdict import compare


class Applied:
    """A bare node that applied this."""

    def __init__(self, *requests: str) -> None:
        self._requests = list(requests)

    def ask(self, _word: str) -> list[str]:
        return self._requests


def acks(*pairs: tuple[str, int]) -> Record:
    return Record(
        [Ack("node-a", request, height, float(height)) for request, height in pairs], began=0.0, ended=9.0
    )


def test_a_height_that_holds_another_request_is_a_loss_and_a_difference() -> None:
    same = {0: ("d0", ""), 1: ("d1", "a/0"), 2: ("d2", "a/1")}
    other = {0: ("d0", ""), 1: ("d1", "a/0"), 2: ("dX", "b/0")}
    record = acks(("a/0", 1), ("a/1", 2))
    assert compare([same, same], record, 2) == (0, 0)
    assert compare([same, other], record, 2) == (1, 1)
    assert compare([same, {}], record, 2) == (2, 3)


def test_a_bare_group_loses_what_one_node_alone_applied() -> None:
    bare = Bare(cast("Any", None), cast("Any", [Applied("a/0", "b/0"), Applied("a/0", "c/0", "c/1")]))
    assert bare.judge(acks(("a/0", 1), ("b/0", 2), ("c/0", 2))) == Judged(2, 2, 2)


def test_the_longest_gap_counts_from_the_start_and_to_the_end() -> None:
    assert acks(("a/0", 1), ("a/1", 2)).longest_gap() == 7.0


def test_rows_go_through_a_tests_properties() -> None:
    row = Row("leader cut off", 3, "organismctl", 10, 0, 0, 1.5, 2, "note")
    assert rows([("across-hosts", row.text()), ("other", 1)]) == [row]
    assert render([row]).splitlines()[1].split("  ")[-1] == "note"
