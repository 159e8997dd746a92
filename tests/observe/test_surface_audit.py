"""A surface read whole from every node: each proven by itself, all compared."""

from __future__ import annotations

from typing import Any

import pytest

from organismctl.committee.client import NodeClient
from organismctl.exits import Exit
from organismctl.identity.surface_item import Fact
from organismctl.observe.surface_audit import BAD, OK, UNKNOWN, SurfaceAudit, audit
from tests.observe.servers import fault
from tests.support.surfaces import MARKER, PEERS, Committee, Endpoint, b64, dead_url, serving


@pytest.fixture
def committee() -> Committee:
    return Committee()


def audited(committee: Committee, *endpoints: Endpoint, dead: bool = False, **how: Any) -> SurfaceAudit:
    with serving(*endpoints) as urls:
        clients = [NodeClient(url, timeout=2.0) for url in [*urls, *([dead_url()] if dead else [])]]
        try:
            return audit(clients, committee.pin, **how)
        finally:
            for client in clients:
                client.close()


def statuses(verdict: SurfaceAudit) -> list[str]:
    return [row.status for row in verdict.endpoints]


def test_nodes_that_agree_prove_the_surface(committee: Committee) -> None:
    made = committee.items(5, marker=True)
    told: list[int] = []
    verdict = audited(
        committee, *(Endpoint(committee, made) for _ in range(3)), retired=True, on_items=told.append
    )
    assert verdict.exit is Exit.OK
    assert verdict.summary == "3 of 3 nodes prove the surface; 3 end with the marker"
    assert told == [1, 2, 3, 4, 5, 6] * 3
    assert {(row.items, row.last_seq, row.marker) for row in verdict.endpoints} == {(6, 5, MARKER)}


def test_a_node_that_is_behind_is_no_fault_while_nothing_is_retired(committee: Committee) -> None:
    made = committee.items(5)
    verdict = audited(committee, *(Endpoint(committee, made[:count]) for count in (5, 3, 0)))
    assert statuses(verdict) == [OK, OK, OK]
    assert verdict.endpoints[2].detail == "it serves no item yet"
    assert verdict.summary == "3 of 3 nodes prove the surface; it is not retired"


@pytest.mark.parametrize("count", [0, 3, 5])
def test_one_node_that_lacks_the_marker_is_bad(committee: Committee, count: int) -> None:
    made = committee.items(5, marker=True)
    for retired in (True, False):
        verdict = audited(
            committee, Endpoint(committee, made), Endpoint(committee, made[:count]), retired=retired
        )
        assert statuses(verdict) == [OK, BAD]
        assert verdict.exit is Exit.UNHEALTHY
        wanted = ("no marker" if count else "no item") if retired else "lacks the marker"
        assert wanted in verdict.endpoints[1].detail


def test_a_surface_that_should_be_retired_and_is_not_is_bad(committee: Committee) -> None:
    verdict = audited(
        committee, Endpoint(committee, committee.items(2)), Endpoint(committee, []), retired=True
    )
    assert [row.detail for row in verdict.endpoints] == ["its last item is no marker", "it serves no item"]
    assert verdict.exit is Exit.UNHEALTHY


def test_nodes_that_differ_are_told_though_each_proves(committee: Committee) -> None:
    made = committee.items(4)
    forked = [*made[:2], committee.item(2, Fact(b"another")), made[3]]
    verdict = audited(committee, Endpoint(committee, made), Endpoint(committee, forked[:3]))
    assert statuses(verdict) == [OK, BAD]
    assert "up to seq 2 it differs from" in verdict.endpoints[1].detail
    late = audited(committee, Endpoint(committee, made), Endpoint(committee, forked))
    assert statuses(late) == [OK, BAD]


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        (lambda c: [*c.items(1, marker=True), c.item(2)], "item 2 after the marker"),
        (lambda c: [c.item(0), c.forged(1)], "0 of 2 needed"),
        (lambda c: [c.item(0), c.item(2)], "item 1 is missing"),
        (lambda c: [b"junk"], "malformed item"),
        (lambda c: [c.item(0, signers=PEERS[:1])], "1 of 2 needed"),
    ],
)
def test_what_does_not_prove_is_bad(committee: Committee, spoil: Any, detail: str) -> None:
    verdict = audited(
        committee, Endpoint(committee, committee.items(1)), Endpoint(committee, spoil(committee))
    )
    assert statuses(verdict) == [OK, BAD]
    assert detail in verdict.endpoints[1].detail
    assert verdict.exit is Exit.UNHEALTHY


def test_another_fingerprint_is_bad(committee: Committee) -> None:
    verdict = audited(committee, Endpoint(committee, [], fingerprint=b"\x01" * 32))
    assert statuses(verdict) == [BAD]


def test_what_cannot_be_read_is_unknown_and_stands_in_the_list(committee: Committee) -> None:
    made = committee.items(1)
    busy = Endpoint(committee, made, answers={"/v1/surfaces/facts/items": fault(429, "busy")})
    foreign = Endpoint(committee, made, answers={"/v1/surfaces": (200, b"<html>")})
    verdict = audited(committee, Endpoint(committee, made), busy, foreign, dead=True)
    assert statuses(verdict) == [OK, UNKNOWN, UNKNOWN, UNKNOWN]
    assert verdict.exit is Exit.UNKNOWN
    assert verdict.summary == "1 of 4 nodes prove the surface; it is not retired"
    assert verdict.as_json()["exit"] == 5


def test_something_bad_weighs_more_than_something_unseen(committee: Committee) -> None:
    verdict = audited(committee, Endpoint(committee, [committee.forged(0)]), dead=True)
    assert verdict.exit is Exit.UNHEALTHY


def test_a_later_start_compares_what_is_read(committee: Committee) -> None:
    made = committee.items(4)
    served = Endpoint(committee, made, page=lambda start, limit: {
        "items": [b64(one) for one in made[start : start + limit]], "next": 4, "sealed": False,
    })  # fmt: skip
    verdict = audited(committee, served, Endpoint(committee, made), start=2)
    assert [(row.items, row.last_seq, row.status) for row in verdict.endpoints] == [(2, 3, OK)] * 2
    beyond = audited(committee, Endpoint(committee, made), start=9)
    assert beyond.endpoints[0].detail == "it serves no item yet"
