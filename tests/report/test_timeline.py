"""Who loses quorum when, and the window that a picture of it covers."""

from __future__ import annotations

from organismctl.report.html_chart import Window
from organismctl.report.timeline import DAY_MS, admission_text, majority_text, timeline_json
from tests.check.worlds import NAMES, NOW_MS, scope, ticket, ticket_facts, unseen
from tests.report.pages import world


def line_of(days: dict[str, float | None]) -> dict[str, object]:
    facts = ticket_facts({name: ticket(name, days=left, issued_at_s=None) for name, left in days.items()})
    told = timeline_json(
        scope([*facts, *(unseen("node.tickets", name) for name in NAMES if name not in days)])
    )
    (line,) = [one for one in told["spans"] if not one["own"]]
    return line


def test_the_ticket_that_the_majority_hangs_on_is_named() -> None:
    line = line_of({"node-a": 30, "node-b": 3, "node-c": 1})
    assert line["lost_with"] == ["node-b"]
    assert line["surely_until_ms"] == line["perhaps_until_ms"] == NOW_MS + 3 * DAY_MS
    assert majority_text(line, NOW_MS) == (
        "fewer than a majority from 2026-11-27T06:00Z, in 3 d, when the ticket of node-b ends; "
        "3 of 3 admitted now, 2 needed"
    )


def test_what_could_not_be_judged_makes_it_a_span_of_time() -> None:
    line = line_of({"node-a": 30, "node-b": 3})
    assert (line["surely_until_ms"], line["perhaps_until_ms"]) == (NOW_MS + 3 * DAY_MS, NOW_MS + 30 * DAY_MS)
    assert "between 2026-11-27T06:00Z and 2026-12-24T06:00Z; 1 node could not be judged" in majority_text(
        line, NOW_MS
    )


def test_a_lost_majority_stands_first_and_every_admission_has_its_words() -> None:
    told = timeline_json(world())
    assert [line["name"] for line in told["spans"]] == ["delta", "gamma", "beta"]
    assert majority_text(told["spans"][0], NOW_MS) == "no majority now; 1 of 3 admitted now, 2 needed"
    words = [admission_text(node, NOW_MS) for node in told["spans"][0]["nodes"]]
    assert words[0] == "not admitted: ended 2026-11-23T01:12Z, 1 d 4 h ago"
    assert words[1] == "admitted until 2026-11-27T06:00Z, in 3 d"


def test_one_far_horizon_does_not_squeeze_the_rest() -> None:
    facts = ticket_facts({"node-a": ticket("node-a", days=9000), "node-b": ticket("node-b", days=10)})
    told = timeline_json(scope(facts))
    assert told["until_ms"] - NOW_MS < 40 * DAY_MS


def test_marks_are_few_and_inside() -> None:
    for length in (3_600_000, DAY_MS, 3 * DAY_MS, 100 * DAY_MS, 40_000 * DAY_MS):
        window = Window(NOW_MS, NOW_MS + length)
        marks = window.ticks()
        assert len(marks) <= 4
        assert all(window.from_ms < mark < window.until_ms for mark in marks)
    assert Window(5, 5).x(9) == 100.0
