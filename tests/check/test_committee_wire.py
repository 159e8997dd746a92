from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.check.finding import Finding, Status
from organismctl.check.run import CHECKS, exit_of
from organismctl.exits import Exit
from organismctl.files.lock import LockFile
from organismctl.identity.digest import h
from organismctl.identity.group_id import group_id_of
from organismctl.observe.snapshot import DEFECT, MALFORMED, NOT_ASKED, OBSERVER, Fact
from tests.check.wire_worlds import (
    BETA_DOOR,
    CONFIG,
    DOORS,
    GROUP,
    IDENTITY,
    OTHER,
    SURFACE,
    door_fact,
    network,
    node_peer,
    peer_fact,
    shut,
    wired,
)
from tests.check.worlds import NAMES, NOW_MS, PEERS, SECRET_HASH, healthy, organism, pick, run, stanza


def judged(facts: list[Fact], **how: Any) -> list[Finding]:
    return run("committee", [*healthy(), *facts], deployed=wired(), **how)


def test_a_healthy_network_is_ok_and_a_map_beside_the_group_is_normal() -> None:
    rows = judged(network())
    assert {row.status for row in rows} == {Status.OK}
    assert "and 1 group beside it" in pick(rows, "GROUP-FORKED", "node-a").summary
    assert pick(rows, "VERSION-SKEW", "mosaik").summary.startswith("mosaik 0.3.18 on every member")


def test_without_a_look_at_the_wire_nothing_is_said_of_it() -> None:
    assert not [
        row for row in judged([]) if row.code.startswith(("PEER", "WIRE", "CATALOG", "GROUP-STRANGER"))
    ]


def test_a_forked_node_is_named_with_the_likely_field() -> None:
    tuned = replace(CONFIG, group=replace(CONFIG.group, heartbeat_ms=250))
    forked = (group_id_of(tuned, SECRET_HASH, IDENTITY) or b"").hex()
    loaded = organism(('heartbeat = "500ms"', 'heartbeat = "250ms"'))
    # The file says 250 ms; node-b runs mosaik's default.
    rows = judged(
        network({name: {"groups": [forked, OTHER]} for name in NAMES if name != "node-b"}), loaded=loaded
    )
    row = pick(rows, "GROUP-FORKED", "node-b")
    assert row.status is Status.BAD
    assert row.values["key"] == "group.heartbeat"
    assert row.values["forked_group_id"] == GROUP
    assert "heartbeat is 500ms (mosaik's default)" in row.summary
    assert pick(rows, "GROUP-FORKED", "node-a").status is Status.OK
    assert exit_of(rows) is Exit.UNHEALTHY


def test_what_is_deployed_while_the_next_identity_waits_is_no_fork() -> None:
    old, new = organism(), organism(("quorum_of_offers = 2", "quorum_of_offers = 3"))
    waiting = LockFile(deployed=stanza(old), next=stanza(new), group_secret_hash=SECRET_HASH)
    row = pick(judged(network(), loaded=new, locked=waiting), "GROUP-FORKED", "node-a")
    assert row.status is Status.WARN
    assert "is not yet" in row.summary
    gone = LockFile(deployed=stanza(old), group_secret_hash=SECRET_HASH)
    row = pick(judged(network(), loaded=new, locked=gone), "GROUP-FORKED", "node-a")
    assert row.status is Status.BAD
    assert row.values["likely"] == "it runs the identity of organism.lock's deployed stanza"


def test_an_unexplained_fork_and_a_node_in_no_group() -> None:
    rows = judged(network({"node-a": {"groups": [OTHER]}, "node-b": {"groups": []}}))
    row = pick(rows, "GROUP-FORKED", "node-a")
    assert (row.status, row.values.get("likely")) == (Status.BAD, None)
    assert row.summary == f"it has joined {OTHER[:10]}, not the computed {GROUP[:10]}"
    assert "it has joined no group" in pick(rows, "GROUP-FORKED", "node-b").summary


def test_the_group_id_is_not_known_here() -> None:
    rows = judged(network(), hashed=None)
    assert pick(rows, "GROUP-UNKNOWN", "node-a").status is Status.UNKNOWN
    assert not [row for row in rows if row.code == "GROUP-FORKED" and row.subject == "node-a"]


def test_a_peer_that_is_in_no_catalog_and_one_that_is_known_to_some() -> None:
    rows = judged(network({"node-b": {"told_by": [DOORS["node-b"]]}}, without=["node-c"]))
    absent = pick(rows, "PEER-ABSENT", "node-c")
    assert absent.status is Status.BAD
    assert "not in the catalog of" in absent.summary
    assert pick(rows, "GROUP-FORKED", "node-c").status is Status.UNKNOWN
    partly = pick(rows, "PEER-ABSENT", "node-b")
    assert partly.status is Status.WARN
    assert "told by 1 of 4 entry points" in partly.summary


@pytest.mark.parametrize("cause", [OBSERVER, DEFECT])
def test_a_blind_observer_proves_no_absence(cause: str) -> None:
    rows = judged([shut(door, cause) for door in DOORS.values()])
    assert pick(rows, "PEER-ABSENT", "node-a").status is Status.UNKNOWN
    assert exit_of(rows) is Exit.UNKNOWN
    codes = {row.code for row in rows if row.subject in ("node-a", "node-a on the wire")}
    assert ("OBSERVER-REFUSED" in codes) == (cause == OBSERVER)
    assert ("WIRE-UNREACHABLE" in codes) == (cause == DEFECT)


def test_one_entry_point_that_does_not_answer_is_unknown() -> None:
    facts = [shut(DOORS["node-c"]) if fact.subject == DOORS["node-c"] else fact for fact in network()]
    rows = judged(facts)
    assert pick(rows, "WIRE-UNREACHABLE", "node-c").status is Status.UNKNOWN
    assert pick(rows, "WIRE-UNREACHABLE", "node-a").status is Status.OK
    assert exit_of(rows) is Exit.UNKNOWN


def test_a_lying_entry_is_told_with_its_sender() -> None:
    lie = {"peer_id": h(b"victim").hex(), "what": "its signature does not verify\x1b[2J"}
    facts = [
        door_fact(DOORS["node-b"], problems=[lie, {"what": "truncated"}])
        if one.subject == DOORS["node-b"]
        else one
        for one in network()
    ]
    row = pick(judged(facts), "CATALOG-UNPROVEN", "node-b")
    assert row.status is Status.BAD
    assert "its signature does not verify" in row.summary
    assert "(and 1 more)" in row.summary
    assert row.values["count"] == 2


def test_versions_apart_and_a_stranger_in_our_group() -> None:
    stranger = h(b"stranger").hex()
    rows = judged([*network({"node-c": {"protocol": "0.3.17"}}), peer_fact(stranger, groups=[GROUP])])
    assert pick(rows, "VERSION-SKEW", "mosaik").status is Status.WARN
    row = pick(rows, "GROUP-STRANGER")
    assert row.status is Status.WARN
    assert row.values["peers"] == [stranger]


def test_what_is_no_catalog_and_no_entry() -> None:
    odd = Fact("wire.catalog", DOORS["node-a"], {"entries": "many"}, "wire", seen_ms=NOW_MS)
    facts = [odd, *(one for one in network() if one.subject != DOORS["node-a"])]
    rows = judged(facts)
    assert pick(rows, "ANSWER-MALFORMED", "node-a on the wire").status is Status.UNKNOWN
    junk = [
        Fact("wire.peer", "not an id", {}, "wire", seen_ms=NOW_MS),
        Fact("wire.peer", PEERS["node-a"], ["x"], "wire", seen_ms=NOW_MS),
        Fact(
            "wire.peer",
            PEERS["node-b"],
            {"groups": 7, "tickets": [1, {"class": "x"}]},
            "wire",
            seen_ms=NOW_MS,
        ),
        shut(BETA_DOOR, MALFORMED),
        door_fact(DOORS["node-a"]),
    ]
    assert pick(judged(junk), "GROUP-FORKED", "node-b").status is Status.BAD


def test_entries_of_another_network_do_not_count_and_the_newest_wins() -> None:
    old = node_peer("node-a", groups=[], updated_ms=NOW_MS - 5)
    elsewhere = node_peer("node-a", groups=[], updated_ms=NOW_MS + 5, network=h(b"elsewhere").hex())
    rows = judged([old, elsewhere, *network()])
    assert pick(rows, "GROUP-FORKED", "node-a").status is Status.OK


def test_a_peer_that_signed_two_entries_of_one_version_is_not_believed() -> None:
    torn = Fact.unseen("wire.peer", PEERS["node-c"], "wire", "it signed two different entries", MALFORMED)
    rows = judged([*network(without=["node-c"]), torn])
    row = pick(rows, "PEER-ABSENT", "node-c")
    assert (row.status, row.summary) == (Status.UNKNOWN, "it signed two different entries")


def test_an_entry_that_is_not_signed_anew_warns() -> None:
    rows = judged(network({"node-c": {"updated_ms": NOW_MS - 200_000}}))
    row = pick(rows, "PEER-ABSENT", "node-c")
    assert row.status is Status.WARN
    assert "its entry is 3 min 20 s old" in row.summary


def test_without_a_url_a_node_that_answers_on_the_wire_is_there() -> None:
    silent = [
        Fact.unseen("node.status", name, "node-api", "deployment.toml gives it no url", NOT_ASKED)
        for name in NAMES
    ]
    rows = run("committee", [*silent, *network()], deployed=wired())
    row = pick(rows, "MEMBER-UNREACHABLE", "node-a")
    assert (row.status, row.summary) == (Status.OK, "it answers on the wire; it has no url")
    assert pick(rows, "COMMITTEE-QUORUM").status is Status.UNKNOWN  # the wire shows no ledger
    gone = [Fact.unseen("node.status", name, "node-api", "refused") for name in NAMES]
    rows = run("committee", [*gone, *network()], deployed=wired())
    row = pick(rows, "MEMBER-UNREACHABLE", "node-a")
    assert row.status is Status.UNKNOWN
    assert row.summary.endswith("it answers on the wire")


_KEYS = st.sampled_from(
    ["peer_id", "entries", "problems", "what", "network", "protocol", "streams", "groups", "tickets", "class",
     "ticket_id", "data", "told_by", "addresses", "updated_ms", "items", "marker", "ended", "last_ms", "rate_per_s"]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from([GROUP, OTHER, PEERS["node-a"], "=", DOORS["node-a"]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["wire.catalog", "wire.peer", "wire.stream"]), _JSON), max_size=5))
def test_no_fact_of_the_wire_makes_a_check_raise(values: list[tuple[str, Any]]) -> None:
    peer = PEERS["node-a"]
    subjects = {"wire.catalog": DOORS["node-a"], "wire.peer": peer, "wire.stream": f"{SURFACE}@{peer}"}
    facts = [Fact(kind, subjects[kind], value, "wire", seen_ms=NOW_MS) for kind, value in values]
    for name in CHECKS:
        assert run(name, [*healthy(), *facts], deployed=wired())
