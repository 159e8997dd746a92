from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.check.finding import Status
from organismctl.check.quorum import quorum_of
from organismctl.check.run import exit_of
from organismctl.check.ticket_matrix import Cell, State
from organismctl.check.tickets import outlives
from organismctl.exits import Exit
from organismctl.observe.snapshot import OBSERVER, Fact
from tests.check.worlds import (
    DAY_S,
    ISSUER_KEY,
    NAMES,
    NEXT_ISSUER,
    NEXT_KEY,
    NOW_MS,
    deployment,
    file_fact,
    held_fact,
    organism,
    pick,
    run,
    scope,
    ticket,
    ticket_facts,
    unseen,
)

PAIR = "node-a × beta"


def three(**changed: bytes) -> list[Fact]:
    """A good ticket per node, but for those given (``node_a=…``)."""
    tickets = {name: changed.get(name.replace("-", "_"), ticket(name)) for name in NAMES}
    return ticket_facts(tickets)


def test_good_tickets_are_ok() -> None:
    rows = run("tickets", three())
    assert {row.status for row in rows} == {Status.OK}
    row = pick(rows, "TICKET-HORIZON", PAIR)
    assert row.values["horizon_ms"] == NOW_MS + 30 * DAY_S * 1000
    assert "30 d left" in row.summary
    assert exit_of(rows) is Exit.OK


@pytest.mark.parametrize(
    ("days", "status", "code"), [(6, Status.WARN, Exit.OK), (1, Status.BAD, Exit.BREACH)]
)
def test_limits_of_a_horizon(days: float, status: Status, code: Exit) -> None:
    rows = run("tickets", three(node_a=ticket("node-a", days=days)))
    assert pick(rows, "TICKET-HORIZON", PAIR).status is status
    assert exit_of(rows) is code
    assert pick(rows, "TICKET-QUORUM").status is Status.OK


def test_max_age_governs_when_it_is_earlier() -> None:
    loaded = organism(('issuers = ["beta"]', 'issuers = ["beta"]\nmax_age = "10d"'))
    row = pick(run("tickets", three(), loaded=loaded), "TICKET-HORIZON", PAIR)
    assert row.values["horizon_ms"] == NOW_MS + 9 * DAY_S * 1000


@pytest.mark.parametrize(
    ("data", "step"),
    [
        (ticket("node-b"), "subject"),
        (ticket("node-a", issuer="gamma"), "issuer"),
        (ticket("node-a", secret=NEXT_ISSUER), "signature"),
        (ticket("node-a", not_before_s=NOW_MS // 1000 + 60), "not-before"),
        (b"no ticket", "parts"),
    ],
)
def test_the_failing_step_is_named(data: bytes, step: str) -> None:
    row = pick(run("tickets", three(node_a=data)), "TICKET-INVALID", PAIR)
    assert row.values["failing_step"] == step
    assert row.exit is Exit.BREACH


def test_an_expired_ticket_is_a_horizon_in_the_past() -> None:
    row = pick(run("tickets", three(node_a=ticket("node-a", days=-1))), "TICKET-HORIZON", PAIR)
    assert row.status is Status.BAD
    assert "1 d ago" in row.summary


def test_judged_at_a_future_time() -> None:
    rows = run("tickets", three(), now_ms=NOW_MS + 31 * DAY_S * 1000)
    assert pick(rows, "TICKET-QUORUM-LOST").exit is Exit.UNHEALTHY
    assert exit_of(rows) is Exit.UNHEALTHY


def test_quorum_breaks_when_a_majority_nears_its_end_together() -> None:
    near = {f"node_{one}": ticket(f"node-{one}", days=1) for one in "ab"}
    row = pick(run("tickets", three(**near)), "TICKET-QUORUM")
    assert row.status is Status.BAD
    assert row.values["horizon_ms"] == NOW_MS + DAY_S * 1000


def test_a_never_expiring_ticket_is_flagged() -> None:
    loaded = organism(('issuers = ["beta"]', 'issuers = ["beta"]\nallow_non_expiring = true'))
    rows = run("tickets", three(node_a=ticket("node-a", days=None)), loaded=loaded)
    assert pick(rows, "TICKET-HORIZON", PAIR).status is Status.OK
    assert pick(rows, "TICKET-NEVER-EXPIRES").status is Status.WARN


def test_a_missing_ticket() -> None:
    facts = [*three()[2:], file_fact("node-a", None), held_fact("node-a")]
    assert pick(run("tickets", facts), "TICKET-MISSING", PAIR).exit is Exit.BREACH


def test_what_nobody_looked_at_is_unknown_not_missing() -> None:
    rows = run("tickets", three()[2:])
    assert pick(rows, "TICKET-UNSEEN", PAIR).status is Status.UNKNOWN
    assert exit_of(rows) is Exit.UNKNOWN


def test_a_ticket_that_is_only_in_the_file_admits_nobody() -> None:
    old, new = ticket("node-a", days=3), ticket("node-a", days=40)
    facts = [
        *three()[2:],
        file_fact("node-a", new),
        held_fact("node-a", old, horizon_ms=NOW_MS + 3 * DAY_S * 1000),
    ]
    rows = run("tickets", facts)
    assert pick(rows, "TICKET-INSTALLED", PAIR).exit is Exit.DRIFT
    horizon = pick(rows, "TICKET-HORIZON", PAIR)
    assert horizon.status is Status.WARN
    assert horizon.values["by_node"] is True


def test_a_refused_observer_is_not_the_committees_fault() -> None:
    facts = [
        *three()[2:],
        file_fact("node-a", ticket("node-a")),
        unseen("node.tickets", "node-a", OBSERVER, "401"),
    ]
    rows = run("tickets", facts)
    assert pick(rows, "OBSERVER-REFUSED", "node-a").status is Status.UNKNOWN
    assert pick(rows, "TICKET-HORIZON", PAIR).status is Status.OK


def test_a_node_without_a_url_is_judged_by_its_files() -> None:
    facts = [file_fact(name, ticket(name)) for name in NAMES]
    rows = run("tickets", facts, deployed=deployment(url=False))
    assert pick(rows, "TICKET-INSTALLED", "node-a").status is Status.WARN
    assert exit_of(rows) is Exit.OK


def test_a_shared_secret_that_is_not_here_leaves_it_unknown() -> None:
    loaded = organism(
        (f'issuers = ["beta"]\nkeys = [{{ alg = "EdDSA", key = "{ISSUER_KEY}" }}]',
         f'issuers = ["beta"]\nkeys = [{{ alg = "HS256", fingerprint = "{"e" * 64}" }}]'),
    )  # fmt: skip
    from organismctl.identity.jwt import issue_jwt
    from tests.check.worlds import PEERS

    made = {
        name: issue_jwt(
            "HS256", b"\7" * 32, bytes.fromhex(PEERS[name]), issued_at_s=1, expires_at_s=NOW_MS, issuer="beta"
        )
        for name in NAMES
    }
    rows = run("tickets", ticket_facts(made), loaded=loaded)
    assert pick(rows, "TICKET-UNSEEN", PAIR).status is Status.UNKNOWN
    assert pick(rows, "TICKET-QUORUM").status is Status.UNKNOWN


def test_the_next_issuers_ticket_stands_beside_the_present_one() -> None:
    coming = (
        '\n[[span.issuer]]\nstate = "next"\ntype = "jwt"\nissuers = ["beta-2"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{NEXT_KEY}" }}]\n\n[driver]'
    )
    loaded = organism(("\n[driver]", coming))
    rows = run("tickets", three(), loaded=loaded)
    assert pick(rows, "TICKET-NEXT-ISSUER", PAIR).status is Status.WARN
    second = ticket("node-a", secret=NEXT_ISSUER, issuer="beta-2")
    first = ticket("node-a")
    facts = [
        *three()[2:],
        file_fact("node-a", first),
        file_fact("node-a", second),
        held_fact("node-a", first, second),
    ]
    rows = run("tickets", facts, loaded=loaded)
    assert pick(rows, "TICKET-NEXT-ISSUER", PAIR).status is Status.OK
    assert pick(rows, "TICKET-HORIZON", PAIR).status is Status.OK


def test_no_issuer_no_ticket() -> None:
    start = organism().text.index("[[span.issuer]]")
    end = organism().text.index("[driver]")
    loaded = organism((organism().text[start:end], "\n"))
    rows = run(
        "tickets", [held_fact(name) for name in NAMES], loaded=loaded, deployed=deployment(files=False)
    )
    assert {row.status for row in rows} == {Status.OK}


def test_without_a_deployment_it_is_incomplete() -> None:
    assert exit_of(run("tickets", no_deployment=True)) is Exit.UNKNOWN
    assert exit_of(run("tickets", deployed=deployment(names=()))) is Exit.UNKNOWN


def test_a_malformed_list_is_said() -> None:
    facts = [*three()[2:], Fact("node.tickets", "node-a", {"tickets": 7}, "x", seen_ms=1)]
    assert pick(run("tickets", facts), "ANSWER-MALFORMED").status is Status.UNKNOWN


def test_a_change_is_refused_when_a_ticket_would_not_outlive_it() -> None:
    world = scope(three(node_a=ticket("node-a", days=0.001)))
    rows = outlives(world, NAMES, NOW_MS + 600_000)
    assert pick(rows, "TICKET-OUTLIVED", PAIR).exit is Exit.REFUSED
    assert pick(rows, "TICKET-OUTLIVED", "node-b × beta").status is Status.OK
    assert pick(outlives(scope(), ["node-a"], NOW_MS), "TICKET-OUTLIVED").status is Status.UNKNOWN


def test_no_report_of_a_ticket_holds_its_bytes() -> None:
    data = ticket("node-a")
    rows = run("tickets", three(node_a=data))
    shown = repr(rows)
    assert data.decode() not in shown
    assert data.rsplit(b".", 1)[1].decode() not in shown


_HORIZON = st.one_of(st.none(), st.integers(min_value=-10, max_value=10))
_STATE = st.sampled_from([State.VALID, State.INVALID, State.MISSING, State.UNKNOWN])


@settings(deadline=None)
@given(st.lists(st.tuples(_STATE, _HORIZON), min_size=1, max_size=9))
def test_quorum_is_what_counting_at_each_moment_gives(rows: list[tuple[State, int | None]]) -> None:
    cells = [Cell(str(index), "s", state, horizon_ms=end) for index, (state, end) in enumerate(rows)]
    quorum = quorum_of(cells, -20)
    needed = len(cells) // 2 + 1
    for moment in range(-15, 15):
        sure = sum(c.state is State.VALID and (c.horizon_ms is None or c.horizon_ms > moment) for c in cells)
        perhaps = sure + sum(c.state is State.UNKNOWN for c in cells)
        assert (sure >= needed) == (quorum.surely_until_ms is None or quorum.surely_until_ms > moment)
        assert (perhaps < needed) == quorum.lost(moment)
