from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.check.finding import Status
from organismctl.check.run import CHECKS, exit_of, run_scope
from organismctl.exits import Exit
from organismctl.observe.snapshot import OBSERVER, Fact
from tests.check.worlds import (
    NAMES,
    NOW_MS,
    NOW_S,
    PEERS,
    card,
    deployment,
    file_fact,
    healthy,
    lock,
    organism,
    pick,
    run,
    scope,
    stanza,
    status,
    status_fact,
    ticket,
    unseen,
)


def but(name: str, **changes: Any) -> list[Fact]:
    """A healthy committee but for one node's words."""
    return [status_fact(one, **(changes if one == name else {})) for one in NAMES]


def bonds(*names: str) -> list[dict[str, Any]]:
    """Live bonds to those nodes."""
    return [{"peer_id": PEERS[one], "name": one, "connected": True, "last_seen_ms": 0} for one in names]


def ledger(**changes: Any) -> dict[str, Any]:
    return {"height": 120, "certified": 120, "digest": "a" * 64, "state_digest": "b" * 64, **changes}


def test_a_healthy_committee_is_ok() -> None:
    rows = run("committee", healthy())
    assert {row.status for row in rows} == {Status.OK}
    assert pick(rows, "COMMITTEE-TOLERANCE").values["tolerance"] == 1
    assert pick(rows, "LEDGER-DIVERGED").summary == "aaaaaaaaaa at height 120 on all 3"


def test_one_host_is_said_as_one_replica() -> None:
    rows = run("committee", healthy(one_host=True))
    assert pick(rows, "ONE-HOST").status is Status.WARN
    row = pick(rows, "COMMITTEE-TOLERANCE")
    assert "replicas=1, tolerance=0" in row.summary
    assert (row.values["replicas"], row.values["tolerance"], row.values["process_tolerance"]) == (1, 0, 1)
    assert exit_of(rows) is Exit.OK


def test_unreachable_is_unknown_not_unhealthy_and_its_bonds_vouch_for_it() -> None:
    rows = run("committee", [*healthy()[:2], unseen("node.status", "node-c")])
    row = pick(rows, "MEMBER-UNREACHABLE", "node-c")
    assert row.status is Status.UNKNOWN
    assert "a peer has a bond to it" in row.summary
    assert pick(rows, "COMMITTEE-QUORUM").status is Status.OK
    assert pick(rows, "LEDGER-DIVERGED").status is Status.UNKNOWN
    assert exit_of(rows) is Exit.UNKNOWN


def test_a_lone_survivor_without_bonds_has_no_quorum() -> None:
    facts = [
        status_fact("node-a", bonds=[], tick=NOW_S - 35),
        unseen("node.status", "node-b"),
        unseen("node.status", "node-c"),
    ]
    rows = run("committee", facts)
    row = pick(rows, "COMMITTEE-QUORUM")
    assert row.exit is Exit.UNHEALTHY
    assert row.summary == "1 of 3 there, 2 needed: writes are refused; what is read is 35 s old"
    assert row.values["reads_age_ms"] == 35_000
    assert exit_of(rows) is Exit.UNHEALTHY


def test_nobody_answers_is_unknown() -> None:
    rows = run("committee", [unseen("node.status", name) for name in NAMES])
    assert exit_of(rows) is Exit.UNKNOWN
    assert pick(rows, "COMMITTEE-QUORUM").status is Status.UNKNOWN
    assert pick(rows, "COMMITTEE-TOLERANCE").values["tolerance"] is None


def test_a_refused_observer_has_a_row_of_its_own() -> None:
    rows = run("committee", [*healthy()[:2], unseen("node.status", "node-c", OBSERVER, "401")])
    assert pick(rows, "OBSERVER-REFUSED", "node-c").status is Status.UNKNOWN
    assert pick(rows, "COMMITTEE-QUORUM").status is Status.OK


def test_different_digests_at_one_height_are_a_divergence_though_every_node_is_well() -> None:
    rows = run("committee", but("node-c", ledger=ledger(digest="c" * 64)))
    row = pick(rows, "LEDGER-DIVERGED")
    assert row.exit is Exit.UNHEALTHY
    assert "node-c" in row.summary


def test_different_states_under_one_ledger_are_a_divergence() -> None:
    row = pick(run("committee", but("node-c", ledger=ledger(state_digest="c" * 64))), "LEDGER-DIVERGED")
    assert row.status is Status.BAD


@pytest.mark.parametrize(("digest", "expected"), [("d" * 64, Status.OK), ("e" * 64, Status.BAD)])
def test_nodes_at_different_heights_are_compared_at_the_common_one(digest: str, expected: Status) -> None:
    facts = but("node-c", ledger=ledger(certified=110, digest="d" * 64, state_digest=None))
    for name in NAMES:
        told = {"height": 110, "digest": digest if name == "node-a" else "d" * 64, "state_digest": None}
        facts.append(Fact("node.digest", name, told, "x", seen_ms=NOW_MS))
    rows = run("committee", facts)
    assert pick(rows, "LEDGER-DIVERGED").status is expected
    assert pick(rows, "COMMIT-LAG", "node-c").values["behind"] == 10


@pytest.mark.parametrize(("state", "expected"), [("b" * 64, Status.OK), ("e" * 64, Status.BAD)])
def test_states_are_compared_below_where_all_still_tell_them(state: str, expected: Status) -> None:
    facts = but("node-c", ledger=ledger(certified=110, digest="d" * 64, state_digest=None))
    for name in NAMES:
        below = {"height": 96, "digest": "c" * 64, "state_digest": state if name == "node-a" else "b" * 64}
        told = {"height": 110, "digest": "d" * 64, "state_digest": None, "below": below}
        facts.append(Fact("node.digest", name, told, "x", seen_ms=NOW_MS))
    assert pick(run("committee", facts), "LEDGER-DIVERGED").status is expected


def test_a_sound_node_that_met_a_doubtful_one_is_told_from_it() -> None:
    met = "contradiction: a peer certifies another entry at height 118 than this node"
    facts = [
        status_fact("node-a", stopped=met),
        status_fact("node-b", stopped=met),
        status_fact("node-c", stopped=met, ledger=ledger(digest="c" * 64)),
    ]
    rows = run("committee", facts)
    told = {name: pick(rows, "NODE-STOPPED", name).values["ledger"] for name in NAMES}
    assert told == {"node-a": "sound", "node-b": "sound", "node-c": "doubtful"}
    broken = run("committee", but("node-b", stopped="the ledger's file is damaged"))
    assert pick(broken, "NODE-STOPPED", "node-b").values["ledger"] == "doubtful"


def test_lag_beyond_the_limit_is_a_breach() -> None:
    rows = run("committee", but("node-c", ledger=ledger(certified=90)))
    assert pick(rows, "COMMIT-LAG", "node-c").exit is Exit.BREACH


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"role": "proposer"}, Status.BAD),
        ({"role": "proposer", "epoch": 2}, Status.WARN),
    ],
)
def test_one_proposer_in_the_highest_epoch(changes: dict[str, Any], status: Status) -> None:
    assert pick(run("committee", but("node-b", **changes)), "LEADER-UNIQUE").status is status


def test_no_proposer() -> None:
    rows = run("committee", healthy(role="acceptor", proposer=None))
    assert pick(rows, "LEADER-UNIQUE").exit is Exit.UNHEALTHY
    named = run("committee", [unseen("node.status", "node-a"), *healthy()[1:]])
    assert pick(named, "LEADER-UNIQUE").status is Status.UNKNOWN
    assert "node-a" in pick(named, "LEADER-UNIQUE").summary
    sealed = run("committee", healthy(role="acceptor", proposer=None, sealed=True))
    assert pick(sealed, "LEADER-UNIQUE").status is Status.OK


def test_a_partition_between_answering_nodes_is_bad() -> None:
    facts = [
        status_fact("node-a", bonds=bonds("node-c")),
        status_fact("node-b", bonds=bonds("node-c")),
        status_fact("node-c"),
    ]
    rows = run("committee", facts)
    assert pick(rows, "BOND-MISSING", "node-a").exit is Exit.UNHEALTHY
    assert pick(rows, "BOND-MISSING", "node-c").status is Status.OK


def test_nodes_of_two_identities_are_forked() -> None:
    rows = run("committee", but("node-c", group_id="9" * 64))
    assert pick(rows, "GROUP-FORKED").exit is Exit.UNHEALTHY


def test_a_committee_that_runs_something_else_is_undeployed() -> None:
    rows = run("committee", healthy(fingerprint="9" * 64))
    assert pick(rows, "GROUP-FORKED").status is Status.OK
    assert pick(rows, "IDENTITY-UNDEPLOYED").exit is Exit.DRIFT


def test_an_accepted_identity_that_is_not_deployed_yet_warns() -> None:
    edited = organism(("quorum_of_offers = 2", "quorum_of_offers = 3"))
    pending = lock(organism()).accept(stanza(edited))
    rows = run("committee", healthy(), loaded=edited, locked=pending)
    assert pick(rows, "IDENTITY-UNDEPLOYED").status is Status.WARN


def test_without_our_group_id_it_is_unknown() -> None:
    rows = run("committee", healthy(), hashed=None)
    assert pick(rows, "GROUP-UNKNOWN", "committee").status is Status.UNKNOWN
    assert (
        pick(run("committee", but("node-c", group_id=None)), "GROUP-UNKNOWN", "node-c").status
        is Status.UNKNOWN
    )


def test_even_and_large_rosters_warn() -> None:
    four = (*NAMES, "node-d")
    rows = run("committee", [status_fact(one, status(one, four)) for one in four], deployed=deployment(four))
    assert pick(rows, "ROSTER-EVEN").status is Status.WARN
    more = [{"peer_id": f"{index}" * 64, "name": f"n{index}"} for index in range(4)]
    members = [*status("node-a")["roster"]["members"], *more]
    rows = run("committee", healthy(roster={"version": 2, "members": members}))
    assert pick(rows, "ROSTER-LARGE").status is Status.WARN
    assert pick(rows, "MEMBER-UNREACHABLE", "n1").status is Status.UNKNOWN


def test_the_wish_is_not_the_roster() -> None:
    rows = run("committee", healthy(), deployed=deployment((*NAMES, "node-d")))
    row = pick(rows, "ROSTER-DRIFT")
    assert row.exit is Exit.DRIFT
    assert "wished but not certified: node-d" in row.summary


def test_rosters_disagree() -> None:
    older = {"version": 0, "members": status("node-a")["roster"]["members"][:2]}
    assert (
        pick(run("committee", but("node-c", roster=older)), "ROSTER-DISAGREE", "node-c").status is Status.WARN
    )
    other = {"version": 1, "members": status("node-a")["roster"]["members"][:2]}
    assert (
        pick(run("committee", but("node-c", roster=other)), "ROSTER-DISAGREE", "node-c").status is Status.BAD
    )


def test_versions_clocks_stops_drains_and_endings() -> None:
    assert pick(run("committee", but("node-c", version="0.2.0")), "VERSION-SKEW").status is Status.WARN
    assert (
        pick(run("committee", but("node-c", now_ms=NOW_MS + 9000)), "CLOCK-SKEW", "node-c").status
        is Status.WARN
    )
    stopped = run("committee", but("node-c", stopped="it contradicts a certified entry"))
    assert pick(stopped, "NODE-STOPPED", "node-c").exit is Exit.UNHEALTHY
    assert pick(stopped, "COMMITTEE-TOLERANCE").status is Status.WARN
    assert pick(run("committee", healthy(drained=[PEERS["node-b"]])), "NODE-DRAINED").subject == "node-b"
    planned = {"effective_at": "tick:12", "replacement": None, "sealed": False}
    assert "tick:12" in pick(run("committee", healthy(retirement=planned)), "RETIREMENT-SCHEDULED").summary
    sealed = run("committee", but("node-a", sealed=True))
    assert "not yet on node-b, node-c" in pick(sealed, "ORGANISM-SEALED").summary


def test_another_node_at_the_address_is_malformed() -> None:
    rows = run("committee", [*healthy()[:2], status_fact("node-c", status("node-b"))])
    assert "another node" in pick(rows, "ANSWER-MALFORMED", "node-c").summary


def test_without_a_deployment_it_is_incomplete() -> None:
    assert pick(run("committee", no_deployment=True), "CHECK-INCOMPLETE").exit is Exit.UNKNOWN


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["a" * 64, PEERS["node-a"]]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_KEYS = sorted(status("node-a"))
_ANSWER = st.one_of(
    _JSON,
    st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=4).map(lambda some: {**status("node-a"), **some}),
)


@settings(max_examples=200, deadline=None)
@given(_ANSWER, _ANSWER, _JSON, _JSON, _JSON, _JSON)
def test_no_answer_of_a_node_makes_a_check_raise(
    first: Any, second: Any, held: Any, digest: Any, card_: Any, file: Any
) -> None:
    facts = [
        status_fact("node-a", {"x": 1} if first is None else first),
        status_fact("node-b", {} if second is None else second),
        Fact("node.tickets", "node-a", {"tickets": held}, "x", seen_ms=1),
        Fact("node.tickets", "node-b", held, "x", seen_ms=1),
        Fact("node.digest", "node-a", digest, "x", seen_ms=1),
        Fact("ticket.file", "node-a × beta", file, "x", seen_ms=1),
        Fact("span.card", "beta", card_, "x", seen_ms=1),
    ]
    rows = run_scope(list(CHECKS), scope(facts, locked=lock(organism())))
    assert rows
    assert exit_of(rows) is not Exit.OK


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(card().value)), _JSON))
def test_no_card_makes_the_check_raise(changes: dict[str, Any]) -> None:
    assert run("identity", [card(**changes)])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_ticket_makes_the_check_raise(data: bytes) -> None:
    assert run("tickets", [file_fact("node-a", data), file_fact("node-b", ticket("node-b"))])
