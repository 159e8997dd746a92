"""Whether evidence resolves upstream and how long it will, over looks that are built by hand."""

from __future__ import annotations

from typing import Any

import pytest

from organismctl.check.finding import Status
from organismctl.check.run import exit_of
from organismctl.check.span_health import span_health
from organismctl.exits import Exit
from organismctl.observe.snapshot import NOT_ASKED, Fact
from tests.check.span_worlds import SUBJECT, away, endpoint, evidence, judged, pointer, read, side, told
from tests.check.worlds import NAMES, NOW_MS, pick, scope

HOUR_MS = 3_600_000


def looked_up(**changes: Any) -> Fact:
    value = {"looked_up": 5, "resolved": 5, "gone": 0, "differs": 0, "not_resolving": [], **changes}
    return Fact("span.evidence", "beta/facts", value, "endpoint", seen_ms=NOW_MS)


def nodes(positions: range = range(5), **changes: Any) -> list[Fact]:
    return [evidence(name, positions, **changes) for name in NAMES]


def test_evidence_that_resolves() -> None:
    rows = judged([*nodes(), endpoint(), looked_up()], "evidence")
    assert exit_of(rows) is Exit.OK
    assert "5 of 5 pointers" in pick(rows, "EVIDENCE-UNRESOLVED", SUBJECT).summary
    assert pick(rows, "EVIDENCE-UNRESOLVED", "node-a").status is Status.OK
    assert pick(rows, "EVIDENCE-RETENTION", SUBJECT).status is Status.OK
    none_yet = judged([*nodes(range(0)), endpoint()], "evidence")
    assert exit_of(none_yet) is Exit.OK


def test_what_is_gone_or_another_is_bad_and_named() -> None:
    lost = [{"position": 2, "height": 12, "state": "gone"}]
    rows = judged([*nodes(), endpoint(), looked_up(resolved=4, gone=1, not_resolving=lost)], "evidence")
    row = pick(rows, "EVIDENCE-UNRESOLVED", SUBJECT)
    assert row.status is Status.BAD
    assert "position 2 (height 12)" in row.summary
    assert exit_of(rows) is Exit.UNHEALTHY


def test_a_node_that_rejected_a_replay_says_what_would_let_it_go_on() -> None:
    stopped = evidence("node-c", range(3), unresolved="EVIDENCE-UNRESOLVED: entry 12 is gone", state="gone")
    rows = judged([evidence("node-a", range(3)), stopped, endpoint(), looked_up()], "evidence")
    row = pick(rows, "EVIDENCE-UNRESOLVED", "node-c")
    assert row.status is Status.BAD
    assert row.values["void"] == {
        "type": "void_evidence", "height": 12, "pointer": pointer(2), "reason": "", "fence": None
    }  # fmt: skip


def test_a_bare_stream_is_unknown_and_said() -> None:
    bare = away("span.evidence", "beta/facts", "a bare stream has no replay", NOT_ASKED)
    rows = judged([*nodes(), bare], "evidence", deployed=side(endpoints=()))
    assert pick(rows, "EVIDENCE-UNRESOLVED", SUBJECT).status is Status.UNKNOWN
    assert pick(rows, "EVIDENCE-RETENTION", SUBJECT).status is Status.UNKNOWN
    assert exit_of(rows) is Exit.UNKNOWN
    untold = judged([], "evidence")
    assert exit_of(untold) is Exit.UNKNOWN
    assert exit_of(judged([], "evidence", no_deployment=True)) is Exit.UNKNOWN


@pytest.mark.parametrize(
    ("oldest", "needed", "status", "left"),
    [
        (0, 0, Status.OK, 1),
        (100, 100 + 40 * 3600, Status.WARN, 40 * 3600 + 1),
        (100, 100 + 3600, Status.BAD, 3601),
        (100, 99, Status.BAD, 0),
    ],
)
def test_the_oldest_pointer_is_projected(oldest: int, needed: int, status: Status, left: int) -> None:
    head = needed + 1000
    facts = [*nodes(range(needed, needed + 1)), endpoint(next_seq=head + 1, oldest=oldest), looked_up()]
    row = pick(judged(facts, "evidence"), "EVIDENCE-RETENTION", SUBJECT)
    assert (row.status, row.values["events_left"]) == (status, left)
    lost = {one.evidence_oldest_ms for one in span_health(scope(facts, loaded=read(), deployed=side()))}
    assert lost == {row.values["lost_at_ms"]}
    if oldest and left > 0:
        assert row.values["lost_at_ms"] == NOW_MS + left * 1000


def test_the_windows_own_rate_counts_before_the_period() -> None:
    kept = endpoint(next_seq=1101, oldest=100, oldest_ms=NOW_MS - 100_000, head_ms=NOW_MS)
    row = pick(
        judged([*nodes(range(200, 201)), kept, looked_up()], "evidence"), "EVIDENCE-RETENTION", SUBJECT
    )
    assert row.values["rate_per_s"] == 10.0
    assert row.values["lost_at_ms"] == NOW_MS + 10_100
    unpaced = judged(
        [*nodes(range(200, 201)), endpoint(next_seq=1101, oldest=100), looked_up()], "evidence",
        deployed=side(period=False),
    )  # fmt: skip
    assert pick(unpaced, "EVIDENCE-RETENTION", SUBJECT).status is Status.UNKNOWN


@pytest.mark.parametrize("value", [None, [], {"evidence": 3}, {"evidence": [7], "extent": [{"oldest": []}]}])
def test_nonsense_is_unknown(value: Any) -> None:
    rows = judged(
        [Fact("node.evidence", name, value, "node-api", seen_ms=NOW_MS) for name in NAMES], "evidence"
    )
    assert pick(rows, "ANSWER-MALFORMED", "node-a").status is Status.UNKNOWN


def test_events_that_are_only_counted_are_no_evidence() -> None:
    from tests.check.worlds import organism

    rows = judged([*nodes(), told("node-a")], "evidence", loaded=organism())
    assert pick(rows, "EVIDENCE-UNRESOLVED", SUBJECT).status is Status.OK
