from __future__ import annotations

from typing import Any

import pytest

from organismctl.check.finding import Finding, Status
from organismctl.check.run import exit_of, run_scope
from organismctl.check.surfaces import MAP_KEY, MAP_VALUE
from organismctl.exits import Exit
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.map_group import map_group_id
from organismctl.observe.snapshot import OBSERVER, Fact
from tests.check.span_worlds import side, told
from tests.check.span_worlds import surface as served
from tests.check.wire_worlds import (
    BETA,
    BETA_DOOR,
    BETA_STREAM,
    DOORS,
    SURFACE,
    network,
    peer_fact,
    shut,
    wired,
)
from tests.check.worlds import (
    NAMES,
    NOW_MS,
    PEERS,
    card,
    deployment,
    healthy,
    organism,
    pick,
    run,
    scope,
    status_fact,
    unseen,
)

SERVES = [{"name": "facts", "next_seq": 41}]


def judged(facts: list[Fact], **how: Any) -> list[Finding]:
    return run("surfaces", [*healthy(surfaces=SERVES), *facts], deployed=wired(), **how)


def heard(peer: str = PEERS["node-a"], **changes: Any) -> Fact:
    value = {
        "items": 30,
        "bytes": 900,
        "first_ms": NOW_MS - 9000,
        "last_ms": NOW_MS - 300,
        "rate_per_s": 3.0,
        **changes,
    }
    return Fact("wire.stream", f"{SURFACE}@{peer}", value, "wire", seen_ms=NOW_MS)


def test_served_by_every_node_on_the_wire() -> None:
    row = pick(judged(network()), "SURFACE-UNSERVED")
    assert row.status is Status.OK
    assert row.values["served"] == [*NAMES]
    assert row.summary == f"{SURFACE[:10]} served by 3 of 3 nodes"


def test_one_that_does_not_serve_warns_and_none_is_bad() -> None:
    row = pick(judged(network({"node-b": {"streams": []}})), "SURFACE-UNSERVED")
    assert (row.status, row.values["unserved"]) == (Status.WARN, ["node-b"])
    rows = judged(network({name: {"streams": []} for name in NAMES}))
    assert pick(rows, "SURFACE-UNSERVED").status is Status.BAD
    assert exit_of(rows) is Exit.UNHEALTHY
    assert exit_of(rows, fail_on="integrators") is Exit.UNHEALTHY


def test_a_blind_wire_is_unknown_and_an_absent_peer_does_not_serve() -> None:
    blind = pick(judged([shut(door) for door in DOORS.values()]), "SURFACE-UNSERVED")
    assert blind.status is Status.UNKNOWN
    row = pick(judged(network(without=["node-c"])), "SURFACE-UNSERVED")
    assert (row.status, row.values["unserved"]) == (Status.WARN, ["node-c"])


def test_without_the_wire_the_nodes_own_word_stands() -> None:
    rows = run("surfaces", healthy(surfaces=SERVES), deployed=deployment())
    row = pick(rows, "SURFACE-UNSERVED")
    assert row.status is Status.OK
    assert row.values["next_seq"] == dict.fromkeys(NAMES, 41)
    other = [*healthy(surfaces=SERVES)[:2], status_fact("node-c", fingerprint="0" * 64, surfaces=SERVES)]
    row = pick(run("surfaces", other, deployed=deployment()), "SURFACE-UNSERVED")
    assert row.status is Status.WARN
    assert "it runs fingerprint 0000000000" in row.summary
    some = [*healthy(surfaces=SERVES)[:2], unseen("node.status", "node-c")]
    assert pick(run("surfaces", some, deployed=deployment()), "SURFACE-UNSERVED").status is Status.UNKNOWN
    assert pick(run("surfaces", [], deployed=deployment()), "SURFACE-UNSERVED").status is Status.UNKNOWN


def test_a_map_is_a_group() -> None:
    loaded = organism(
        ('[[surface]]\nname = "facts"\ntype = "stream"', '[[surface]]\nname = "facts"\ntype = "map"')
    )
    store = identity_of(loaded.config).surface_ids["facts"]
    acl = [one.signature() for one in loaded.config.acl]
    group = map_group_id(store, MAP_KEY, MAP_VALUE, acl).hex()
    facts = network({name: {"groups": [group]} for name in NAMES[:2]})
    row = pick(run("surfaces", facts, deployed=wired(), loaded=loaded), "SURFACE-UNSERVED")
    assert (row.status, row.values["served"], row.values["unserved"]) == (
        Status.WARN,
        [*NAMES[:2]],
        ["node-c"],
    )


def test_what_a_subscriber_hears() -> None:
    row = pick(judged([*network(), heard(last_seq=38)]), "SURFACE-HEARD", "facts @ node-a")
    assert row.status is Status.OK
    assert row.values["lag"] == 2
    assert "30 items, 3 per s, the last 300 ms before the end, 2 behind the ledger" in row.summary
    silent = pick(judged([*network(), heard(items=0)]), "SURFACE-HEARD")
    assert silent.status is Status.WARN
    ended = pick(judged([*network(), heard(marker={"effective_at": "x"})]), "SURFACE-HEARD")
    assert "RetirementMarker" in ended.summary


def test_the_observers_refusal_is_not_the_committees() -> None:
    refused = Fact.unseen(
        "wire.stream", f"{SURFACE}@{PEERS['node-a']}", "wire", "401: unknown peer", OBSERVER
    )
    rows = judged([*network(), refused])
    assert pick(rows, "OBSERVER-REFUSED", "facts @ node-a").status is Status.UNKNOWN
    assert not [row for row in rows if row.code == "SURFACE-HEARD"]
    gone = Fact.unseen("wire.stream", f"{SURFACE}@{PEERS['node-a']}", "wire", "no answer")
    assert pick(judged([*network(), gone]), "SURFACE-HEARD").status is Status.UNKNOWN


def test_what_the_check_cannot_do() -> None:
    assert pick(run("surfaces", no_deployment=True), "CHECK-INCOMPLETE").status is Status.UNKNOWN
    rows = run_scope(["surfaces"], scope(deployed=deployment(names=())))
    assert pick(rows, "CHECK-INCOMPLETE").status is Status.UNKNOWN


def spanned(facts: list[Fact], **how: Any) -> list[Finding]:
    return run("identity", [card(), *facts], deployed=wired(), **how)


def test_a_spanned_member_that_serves_what_we_read() -> None:
    rows = spanned(network())
    assert {row.status for row in rows} == {Status.OK}
    assert BETA[:10] in pick(rows, "SPAN-UNSERVED", "beta / facts").summary


def test_a_spanned_member_that_serves_nothing_is_bad_and_a_blind_look_is_unknown() -> None:
    rows = spanned([*network()[:-1], peer_fact(BETA)])
    assert pick(rows, "SPAN-UNSERVED").status is Status.BAD
    blind = spanned([shut(BETA_DOOR), *(shut(door) for door in DOORS.values())])
    assert pick(blind, "SPAN-UNSERVED").status is Status.UNKNOWN
    assert pick(blind, "WIRE-UNREACHABLE").status is Status.UNKNOWN
    assert exit_of(blind) is Exit.UNKNOWN


@pytest.mark.parametrize("kind", ["map", "vec"])
def test_what_the_wire_cannot_tell_is_unknown(kind: str) -> None:
    loaded = organism(('type = "stream"\nid = "beta.facts"', f'type = "{kind}"\nid = "beta.facts"'))
    assert pick(spanned(network(), loaded=loaded), "SPAN-UNSERVED").status is Status.UNKNOWN


def test_without_entry_points_nothing_is_said() -> None:
    rows = run("identity", [card(), *network()], deployed=wired(span=False))
    assert not [row for row in rows if row.code == "SPAN-UNSERVED"]


def test_what_a_subscriber_hears_of_a_spanned_member() -> None:
    def beta(value: Any = None, reason: str = "", cause: str = OBSERVER) -> Fact:
        subject = f"{BETA_STREAM}@{BETA}"
        if reason:
            return Fact.unseen("wire.stream", subject, "wire", reason, cause)
        return Fact("wire.stream", subject, value, "wire", seen_ms=NOW_MS)

    subject = f"beta / facts @ {BETA[:10]}"
    rows = spanned([*network(), beta({"items": 9, "rate_per_s": 3, "last_ms": NOW_MS - 10})])
    assert pick(rows, "SPAN-HEARD", subject).status is Status.OK
    marked = pick(
        spanned([*network(), beta({"items": 1, "marker": {"seq": 7, "item": "bytes"}})]), "SPAN-HEARD"
    )
    assert marked.status is Status.WARN
    assert marked.values["marker"] == {"seq": 7}
    ended = {"items": 3, "ended": {"what": "it is shutting down (close code 204)"}}
    assert "it is shutting down" in pick(spanned([*network(), beta(ended)]), "SPAN-HEARD").summary
    assert pick(spanned([*network(), beta({"items": 0})]), "SPAN-HEARD").status is Status.WARN
    refused = spanned([*network(), beta(reason="it does not admit the observer (close code 10403)")])
    assert pick(refused, "OBSERVER-REFUSED", subject).status is Status.UNKNOWN
    gone = spanned([*network(), beta(reason="no answer", cause="unreachable")])
    assert pick(gone, "SPAN-HEARD").status is Status.UNKNOWN


def fresh(*facts: Fact, period: bool = True) -> Finding:
    rows = run("surfaces", [*healthy(surfaces=SERVES), *facts], deployed=side(period=period))
    return pick(rows, "SURFACE-STALE", "facts")


def test_an_old_last_item_is_stale_and_whose_side_it_is() -> None:
    old = NOW_MS - 60_000
    heard_it = [told(name) for name in NAMES]
    silent = [told(name, last_event_ms=old) for name in NAMES]
    assert fresh(served(), *heard_it).status is Status.OK
    row = fresh(served(last_item_ms=old), *heard_it)
    assert (row.status, row.values["age_ms"]) == (Status.BAD, 60_000)
    assert "our side" in row.summary
    row = fresh(served(last_item_ms=old), *silent)
    assert (row.status, row.values["silent"]) == (Status.WARN, ["beta / facts"])
    assert fresh(served(last_item_ms=None), *heard_it).status is Status.BAD
    assert fresh(served(last_item_ms=old, sealed=True)).status is Status.OK
    assert fresh(*heard_it).status is Status.UNKNOWN
    assert fresh(served(), *heard_it, period=False).status is Status.UNKNOWN


def test_an_integrator_of_an_unserved_surface_gets_a_timeout() -> None:
    row = pick(judged(network({name: {"streams": []} for name in NAMES})), "SURFACE-UNSERVED")
    assert "ConnectTimeout" in row.summary
