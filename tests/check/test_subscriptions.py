"""Whose side it is when a spanned member is not heard, over looks that are built by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from organismctl.check.finding import Status
from organismctl.check.run import exit_of
from organismctl.check.span_health import span_health
from organismctl.exits import Exit
from organismctl.observe.snapshot import OBSERVER, Fact
from tests.check.span_worlds import (
    SUBJECT,
    URL,
    admitted,
    away,
    endpoint,
    heard,
    judged,
    memory,
    read,
    side,
    told,
)
from tests.check.wire_worlds import BETA, BETA_DOOR, BETA_STREAM, door_fact, peer_fact
from tests.check.worlds import NAMES, NOW_MS, healthy, pick, scope

LONG_AGO = NOW_MS - 30_000


def nodes(**changes: Any) -> list[Fact]:
    return [told(name, **changes) for name in NAMES]


def test_all_is_well_and_every_pair_has_its_own_rows() -> None:
    rows = judged([*nodes(), endpoint(), *admitted()])
    assert exit_of(rows) is Exit.OK
    assert {row.status for row in rows} == {Status.OK}
    for name in NAMES:
        lag = pick(rows, "SPAN-LAG", f"{name} × {SUBJECT}")
        assert (lag.values["lag_events"], lag.values["lag_s"], lag.values["side"]) == (0, 0.0, "none")


def test_nothing_to_judge_by_is_incomplete_and_what_was_not_seen_is_unknown() -> None:
    assert exit_of(judged([], no_deployment=True)) is Exit.UNKNOWN
    rows = judged([])
    assert exit_of(rows) is Exit.UNKNOWN
    assert pick(rows, "SPAN-LAG", f"node-a × {SUBJECT}").status is Status.UNKNOWN
    bare = judged([endpoint()], deployed=side(url=False))
    assert pick(bare, "MEMBER-DARK").status is Status.OK
    assert exit_of(bare) is Exit.UNKNOWN


def test_one_node_behind_is_a_breach_of_that_pair_alone() -> None:
    rows = judged(
        [told("node-a"), told("node-b", position=2, arrived=2), told("node-c"), endpoint(), *admitted()]
    )
    late = pick(rows, "SPAN-LAG", f"node-b × {SUBJECT}")
    assert (late.status, late.values["lag_events"], late.values["lag_s"]) == (Status.BAD, 38, 38.0)
    assert pick(rows, "SPAN-LAG", f"node-a × {SUBJECT}").status is Status.OK
    assert exit_of(rows) is Exit.BREACH
    unpaced = judged([told("node-a", position=2, arrived=2), endpoint()], deployed=side(period=False))
    assert pick(unpaced, "SPAN-LAG", f"node-a × {SUBJECT}").status is Status.OK
    assert pick(unpaced, "MEMBER-DARK").status is Status.UNKNOWN


def test_a_producer_that_is_gone_is_their_side() -> None:
    broken = {"state": "connecting", "reason": "connection refused", "last_event_ms": LONG_AGO}
    rows = judged([*nodes(**broken), away("span.endpoint", f"beta @ {URL}"), *admitted()])
    gone = pick(rows, "SPAN-PRODUCER-GONE", SUBJECT)
    assert gone.status is Status.BAD
    assert "their side" in gone.summary
    assert {row.side for row in span_health(scope([*nodes(**broken), away("span.endpoint", f"beta @ {URL}")],
                                                  loaded=read(), deployed=side()))} == {"theirs"}  # fmt: skip
    assert exit_of(rows) is Exit.UNHEALTHY


def test_silence_on_live_subscriptions_is_dark_and_theirs() -> None:
    rows = judged([*nodes(last_event_ms=LONG_AGO), endpoint(last_item_ms=LONG_AGO), *admitted()])
    dark = pick(rows, "MEMBER-DARK", SUBJECT)
    assert (dark.status, dark.values["dark_periods"]) == (Status.BAD, 30.0)
    assert "their side" in dark.summary
    assert exit_of(rows) is Exit.UNHEALTHY


def test_silence_that_nobody_listened_to_proves_nothing() -> None:
    broken = {"state": "connecting", "reason": "no route", "last_event_ms": LONG_AGO}
    rows = judged([*nodes(**broken), endpoint(last_item_ms=None), *admitted()])
    assert pick(rows, "MEMBER-DARK", SUBJECT).status is Status.UNKNOWN
    proven = judged(
        [*nodes(**broken), endpoint(last_item_ms=None), memory(last_event_ms=LONG_AGO), *admitted()]
    )
    assert pick(proven, "MEMBER-DARK", SUBJECT).status is Status.BAD
    short = heard(items=0, last_ms=None, last_seq=None, rate_per_s=0.0, listened_ms=2000)
    wired = side(peers=True)
    rows = judged([*nodes(**broken), short, *admitted()], deployed=wired)
    assert "only" in pick(rows, "MEMBER-DARK", SUBJECT).summary
    longer = heard(items=0, last_ms=None, last_seq=None, rate_per_s=0.0, listened_ms=12_000)
    rows = judged([*nodes(**{**broken, "last_event_ms": None}), longer], deployed=wired)
    assert pick(rows, "MEMBER-DARK", SUBJECT).values["dark_periods"] == 12.0


def test_an_endpoint_that_answers_late_adds_no_silence() -> None:
    """Seen in a demo on a loaded machine: the nodes had told 3 s before that they heard it right then."""
    late = replace(endpoint(last_item_ms=None), seen_ms=NOW_MS + 30_000)
    row = pick(judged([*nodes(last_event_ms=NOW_MS - 18), late, *admitted()]), "MEMBER-DARK", SUBJECT)
    assert (row.status, row.summary) == (Status.OK, "last heard 18 ms before it was looked at")


def test_an_exporter_that_answers_late_adds_no_silence() -> None:
    """It watched until its last sweep, whenever it is asked."""
    swept = memory(last_event_ms=NOW_MS - 100, seen_ms=NOW_MS)
    late = replace(swept, seen_ms=NOW_MS + 30_000)
    row = pick(judged([*nodes(last_event_ms=NOW_MS - 18), late, *admitted()]), "MEMBER-DARK", SUBJECT)
    assert (row.status, row.summary) == (Status.OK, "last heard 18 ms before it was looked at")


def test_a_refused_ticket_names_its_step() -> None:
    refused = told(
        "node-b", state="connecting", reason="none serves the stream to this node", last_event_ms=LONG_AGO
    )
    rows = judged([told("node-a"), refused, told("node-c"), endpoint(), *admitted(but=["node-b"])])
    row = pick(rows, "SPAN-REFUSED", f"node-b × {SUBJECT}")
    assert (row.status, row.values["side"]) == (Status.BAD, "ticket")
    assert "step expired" in row.summary
    assert pick(rows, "MEMBER-DARK").status is Status.OK


def test_one_nodes_subscription_and_all_of_ours_are_told_apart() -> None:
    broken: dict[str, Any] = {"state": "connecting", "reason": "no route to host"}
    one = judged([told("node-a"), told("node-b", **broken), told("node-c"), endpoint(), *admitted()])
    row = pick(one, "SPAN-SUBSCRIPTION", f"node-b × {SUBJECT}")
    assert (row.status, row.values["side"]) == (Status.BAD, "node")
    every = judged([*nodes(**broken), endpoint(), *admitted()])
    assert pick(every, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").values["side"] == "ours"
    silent = judged([told("node-a", last_event_ms=LONG_AGO), told("node-b"), endpoint(), *admitted()])
    assert pick(silent, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").values["side"] == "node"
    pinned = judged([*nodes(state="refused", reason="it is pinned to another hash"), endpoint(), *admitted()])
    assert pick(pinned, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").values["side"] == "theirs"
    ours = nodes(state="refused", reason="a surface of type vec is not read on the wire; give endpoints")
    vec = judged([*ours, endpoint(), *admitted()])
    assert pick(vec, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").values["side"] == "ours"
    why = (
        "1 of its mosaik peers are in the catalog, and none serves the stream to this node: it has another id"
    )
    policy = judged([*nodes(state="connecting", reason=why), endpoint(), *admitted()])
    assert pick(policy, "SPAN-REFUSED", f"node-a × {SUBJECT}").values["side"] == "theirs"
    assert exit_of(policy) is Exit.UNHEALTHY


def test_the_observers_own_trouble_is_not_the_committees() -> None:
    rows = judged(
        [away("node.subscriptions", "node-a", "401", OBSERVER), told("node-b"), told("node-c"), endpoint()]
    )
    assert pick(rows, "OBSERVER-REFUSED", "node-a").status is Status.UNKNOWN
    turned_away = Fact.unseen(
        "wire.stream", f"{BETA_STREAM}@{BETA}", "wire", "it does not admit us", OBSERVER
    )
    rows = judged([*nodes(), turned_away, endpoint(), *admitted()], deployed=side(peers=True))
    assert exit_of(rows) is Exit.OK


def test_the_wire_alone_shows_a_producer_and_its_absence() -> None:
    broken = {"state": "connecting", "reason": "nobody"}
    deployed = side(peers=True, endpoints=())
    there = [door_fact(BETA_DOOR), peer_fact(BETA, streams=[BETA_STREAM])]
    rows = judged([*nodes(**broken), *there, *admitted()], deployed=deployed)
    assert pick(rows, "SPAN-PRODUCER-GONE").status is Status.OK
    assert pick(rows, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").values["side"] == "ours"
    absent = [door_fact(BETA_DOOR), peer_fact(BETA)]
    rows = judged([*nodes(**broken), *absent, *admitted()], deployed=deployed)
    assert pick(rows, "SPAN-PRODUCER-GONE").status is Status.BAD
    assert pick(rows, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").values["side"] == "theirs"


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({"missed": 7}, "slow consumer"),
        ({"missed": 7, "dropped": 7}, "this node took them too slowly"),
    ],
)
def test_lost_events_say_whose_side_lost_them(changes: dict[str, Any], whose: str) -> None:
    rows = judged([told("node-a", **changes), told("node-b"), told("node-c"), endpoint(), *admitted()])
    row = pick(rows, "SPAN-SLOW-CONSUMER", f"node-a × {SUBJECT}")
    assert row.status is Status.WARN
    assert whose in row.summary
    every = judged([*nodes(**changes), endpoint(), *admitted()])
    assert exit_of(every) is Exit.OK
    dropped = heard(ended={"code": 10413, "cause": OBSERVER, "what": "too slow"})
    rows = judged([*nodes(), dropped, *admitted()], deployed=side(peers=True))
    assert "observer" in pick(rows, "SPAN-SLOW-CONSUMER").subject


def test_a_marker_on_its_surface_says_until_when_and_what_then() -> None:
    marker = {"effective_at": "2026-12-25T00:00Z", "replacement": "beta-2", "reason": "moved"}
    seen = [*nodes(marker=marker), endpoint(marker=marker), *admitted()]
    rows = judged(seen)
    row = pick(rows, "SPAN-RETIRING", SUBJECT)
    assert row.status is Status.WARN
    assert row.values["replacement"] == "beta-2"
    assert row.values["moves"] == ["fingerprint", "group_id"]
    assert row.values["since_ms"] == NOW_MS - 500
    assert "beta-2" in row.summary
    late = judged(seen, now_ms=NOW_MS + 40 * 86_400_000)
    assert pick(late, "SPAN-RETIRING", SUBJECT).status is Status.BAD
    assert exit_of(late) is Exit.DRIFT
    ticks = judged([*nodes(marker={"effective_at": "tick:99"}), endpoint()])
    assert pick(ticks, "SPAN-RETIRING", SUBJECT).status is Status.BAD


def test_a_committee_that_waits_names_the_member_and_since_when() -> None:
    waits = [{"span": "beta", "surface": "facts", "since_ms": LONG_AGO, "clock_event": 41}]
    rows = judged([*nodes(waiting=waits), endpoint(), *admitted()])
    row = pick(rows, "STALL-WAITING", SUBJECT)
    assert (row.status, row.values["since_ms"], row.values["clock_event"]) == (Status.BAD, LONG_AGO, 41)
    assert "driver.stall" in row.values["new_fingerprint"]  # type: ignore[operator]
    assert exit_of(rows) is Exit.UNHEALTHY
    soon = [{"span": "beta", "surface": "facts", "since_ms": NOW_MS - 500, "clock_event": 41}]
    assert pick(judged([*nodes(waiting=soon)]), "STALL-WAITING").status is Status.OK


def test_partial_facts_show_how_degraded_they_are() -> None:
    loaded = read(('stall = "wait"', 'stall = "partial"'))
    member = loaded.config.span[0]
    lacks = [{"stable_id": member.stable_id.hex(), "surface_id": BETA_STREAM, "facts": 3}]
    one: Any = {"name": "facts", "facts": 10, "degraded": 3, "missing": lacks, "last": {"missing": 1}}
    facts = [Fact("node.facts", "node-a", {"surfaces": [one]}, "node-api", seen_ms=NOW_MS)]
    row = pick(judged([*nodes(), *facts], loaded=loaded), "FACT-DEGRADED", "facts")
    assert (row.status, row.values["degraded"], row.values["lacks"]) == (Status.WARN, 3, {SUBJECT: 3})
    whole: Any = {**one, "degraded": 0, "missing": [], "last": {"missing": 0}}
    facts = [Fact("node.facts", "node-a", {"surfaces": [whole]}, "node-api", seen_ms=NOW_MS)]
    assert pick(judged([*nodes(), *facts], loaded=loaded), "FACT-DEGRADED", "facts").status is Status.OK
    assert pick(judged(nodes(), loaded=loaded), "FACT-DEGRADED", "facts").status is Status.UNKNOWN


def test_clocks_that_disagree_make_nothing_fresher() -> None:
    ahead = [told(name, ahead_ms=90_000, last_event_ms=LONG_AGO) for name in NAMES]
    rows = judged([*ahead, endpoint(last_item_ms=None), *admitted()])
    assert pick(rows, "MEMBER-DARK", SUBJECT).values["dark_periods"] == 30.0
    rows = judged([*nodes(), endpoint(last_item_ms=NOW_MS + 60_000), *admitted()])
    assert pick(rows, "SPAN-CLOCK", SUBJECT).values["ahead_ms"] == {URL: 60_000}


@pytest.mark.parametrize(
    "value",
    [
        None, [], {"subscriptions": {}}, {"subscriptions": [[], 7]},
        {"subscriptions": [{"span": "beta", "surface": "facts", "state": "splendid"}]},
        {"subscriptions": [{"span": "beta", "surface": "facts", "state": "live", "position": -4,
                            "received": True, "last_event_ms": "soon", "marker": 7, "missed": -9}],
         "now_ms": "now", "stall": {"waiting_for": [3, {"span": 5}]}},
    ],
)  # fmt: skip
def test_nonsense_of_a_node_is_unknown(value: Any) -> None:
    rows = judged([Fact("node.subscriptions", name, value, "node-api", seen_ms=NOW_MS) for name in NAMES])
    assert pick(rows, "SPAN-LAG", f"node-a × {SUBJECT}").status is Status.UNKNOWN


def test_the_exporters_memory_stands_in_for_what_a_node_forgot() -> None:
    fresh = [told(name, last_event_ms=None, received=0) for name in NAMES]
    kept = memory(by_node={"node-a": {"last_event_ms": NOW_MS - 2000, "link": "live"}})
    rows = span_health(scope([*fresh, kept, endpoint()], loaded=read(), deployed=side()))
    assert (rows[0].last_event_ms, rows[0].dark_periods) == (NOW_MS - 2000, 2.0)


def sampled(name: str, producers: float | None, before: float, after: float, gap_ms: int = 1000) -> Fact:
    """Two samples of mosaik's own exporter of a node."""

    def series(items: float) -> dict[str, Any]:
        label = BETA_STREAM[:10]
        some = {} if producers is None else {label: producers}
        return {
            "mosaik_streams_consumer_producers": some,
            "mosaik_streams_consumer_items_received": {label: items},
        }

    samples: Any = [
        {"at_ms": NOW_MS - gap_ms, "series": series(before)},
        {"at_ms": NOW_MS, "series": series(after)},
    ]
    return Fact("node.metrics", name, {"samples": samples}, "metrics", seen_ms=NOW_MS)


def test_an_organism_without_a_node_api_is_judged_by_its_metrics() -> None:
    bare = side(url=False, peers=True, endpoints=())
    there = [door_fact(BETA_DOOR), peer_fact(BETA, streams=[BETA_STREAM])]
    moving = [sampled(name, 1, 40, 52) for name in NAMES]
    rows = judged([*moving, *there, heard()], deployed=bare)
    assert pick(rows, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").status is Status.OK
    assert pick(rows, "MEMBER-DARK").status is Status.OK
    assert pick(rows, "SPAN-LAG", f"node-a × {SUBJECT}").status is Status.UNKNOWN
    broken = [sampled("node-a", 0, 40, 40), *moving[1:], *there]
    row = pick(judged(broken, deployed=bare), "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}")
    assert (row.status, row.values["side"]) == (Status.BAD, "node")
    silent = [sampled(name, 1, 40, 40, gap_ms=30_000) for name in NAMES]
    assert pick(judged([*silent, *there], deployed=bare), "MEMBER-DARK").status is Status.BAD
    short = [sampled(name, 1, 40, 40) for name in NAMES]
    assert pick(judged([*short, *there], deployed=bare), "MEMBER-DARK").status is Status.UNKNOWN
    absent = [sampled(name, None, 0, 0) for name in NAMES]
    assert (
        pick(judged(absent, deployed=bare), "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").status
        is Status.UNKNOWN
    )


def test_a_proposer_that_hears_nothing_holds_up_everybody() -> None:
    refused = told("node-a", state="connecting", reason="no producer", position=None, observed=0, received=0)
    behind = [
        told(name, position=None, observed=0, received=90, arrived=89, vouches=[1, 2]) for name in NAMES[1:]
    ]
    rows = judged([refused, *behind, *healthy(), *admitted(but=["node-a"])], deployed=side(endpoints=()))
    row = pick(rows, "SPAN-REFUSED", f"node-a × {SUBJECT}")
    assert row.values["proposer"] is True
    assert "it is the proposer" in row.summary
    lag = pick(rows, "SPAN-LAG", f"node-b × {SUBJECT}")
    assert (lag.status, lag.values["lag_events"]) == (Status.BAD, 90)
    assert "1 of 2 vouches" in lag.summary


def test_a_subscription_that_works_off_what_came_is_not_live() -> None:
    rows = judged([*[told(name, producers=0) for name in NAMES], endpoint(), *admitted()])
    assert pick(rows, "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}").values["link"] == "connecting"


def test_a_million_events_at_once_are_a_lag_and_no_more() -> None:
    flooded = endpoint(next_seq=1_000_041)
    rows = judged([*[told(name) for name in NAMES], flooded, *admitted()])
    row = pick(rows, "SPAN-LAG", f"node-a × {SUBJECT}")
    assert (row.status, row.values["lag_events"]) == (Status.BAD, 1_000_000)
    heard_it = heard(items=1_000_000, rate_per_s=100_000.0, last_seq=1_000_040)
    rows = judged([*[told(name) for name in NAMES], heard_it, *admitted()], deployed=side(peers=True))
    assert pick(rows, "SPAN-LAG", f"node-a × {SUBJECT}").values["lag_s"] == 10.0
