from __future__ import annotations

from typing import Any

from organismctl.check.finding import Finding, Status
from organismctl.check.run import exit_of
from organismctl.exits import Exit
from organismctl.observe.snapshot import Fact
from tests.check.wire_worlds import DOORS, network, shut, wire_ticket, wired
from tests.check.worlds import (
    DAY_S,
    NAMES,
    NEXT_ISSUER,
    NOW_S,
    file_fact,
    pick,
    run,
    ticket,
)


def admitted(name: str, days: float = 30, **more: Any) -> bytes:
    """A ticket for the committee itself."""
    return ticket(name, days=days, issuer="acme-admission", **more)


def world(published: dict[str, list[bytes]], files: dict[str, bytes] | None = None) -> list[Fact]:
    """Every node with its admission, what it publishes beside it, and the files."""
    changes = {
        name: {"tickets": [wire_ticket(one) for one in (admitted(name), *published.get(name, []))]}
        for name in NAMES
    }
    made = files if files is not None else {name: data[0] for name, data in published.items() if data}
    return [*network(changes), *(file_fact(name, data) for name, data in made.items())]


def judged(facts: list[Fact], **how: Any) -> list[Finding]:
    return run("tickets", facts, deployed=wired(), **how)


ALL = {name: [ticket(name)] for name in NAMES}


def test_the_wire_carries_the_ticket_of_the_file() -> None:
    rows = judged(world(ALL))
    row = pick(rows, "TICKET-WIRE", "node-a × beta")
    assert (row.status, row.values["where"]) == (Status.OK, "both")
    assert pick(rows, "TICKET-HORIZON", "node-a × beta").status is Status.OK
    assert pick(rows, "TICKET-ADMISSION", "node-a").status is Status.OK
    assert pick(rows, "TICKET-QUORUM", "committee").status is Status.OK


def test_in_the_file_only() -> None:
    rows = judged(world({**ALL, "node-a": []}, {name: ticket(name) for name in NAMES}))
    row = pick(rows, "TICKET-WIRE", "node-a × beta")
    assert (row.status, row.values["where"]) == (Status.BAD, "file")
    assert "tickets/node-a.beta.ticket" in row.summary
    assert pick(rows, "TICKET-MISSING", "node-a × beta").status is Status.BAD


def test_on_the_wire_only_is_judged_like_a_file() -> None:
    rows = judged(
        world(
            {**ALL, "node-a": [ticket("node-a", days=1)]},
            {"node-b": ticket("node-b"), "node-c": ticket("node-c")},
        )
    )
    row = pick(rows, "TICKET-WIRE", "node-a × beta")
    assert (row.status, row.values["where"]) == (Status.WARN, "wire")
    assert pick(rows, "TICKET-HORIZON", "node-a × beta").status is Status.BAD
    assert exit_of(rows) is Exit.BREACH


def test_another_ticket_on_the_wire_than_in_the_file() -> None:
    rows = judged(
        world({**ALL, "node-a": [ticket("node-a", days=9)]}, {name: ticket(name) for name in NAMES})
    )
    row = pick(rows, "TICKET-WIRE", "node-a × beta")
    assert (row.status, row.values["where"]) == (Status.BAD, "other")
    # What the network sees governs, not the file's later horizon.
    horizon = pick(rows, "TICKET-HORIZON", "node-a × beta").values["horizon_ms"]
    assert horizon == (NOW_S + 9 * DAY_S) * 1000


def test_a_refused_wire_ticket_is_told_by_its_step() -> None:
    bad = ticket("node-b")  # issued to another peer
    rows = judged(world({**ALL, "node-a": [bad]}, {"node-a": bad}))
    row = pick(rows, "TICKET-INVALID", "node-a × beta")
    assert row.values["failing_step"] == "subject"


def test_a_ticket_for_somebody_else_is_not_taken_for_beta() -> None:
    rows = judged(world({**ALL, "node-a": [ticket("node-a", secret=NEXT_ISSUER)]}, {}))
    assert pick(rows, "TICKET-MISSING", "node-a × beta").status is Status.BAD
    assert not [row for row in rows if (row.code, row.subject) == ("TICKET-WIRE", "node-a × beta")]


def test_a_wire_that_does_not_show_a_node_leaves_the_file_and_is_unknown() -> None:
    facts = [file_fact(name, ticket(name)) for name in NAMES]
    rows = judged([*facts, *(shut(door) for door in DOORS.values())])
    assert pick(rows, "TICKET-WIRE", "node-a × beta").status is Status.UNKNOWN
    assert pick(rows, "TICKET-HORIZON", "node-a × beta").status is Status.OK
    assert pick(rows, "TICKET-ADMISSION", "node-a").status is Status.UNKNOWN
    assert exit_of(rows) is Exit.UNKNOWN


def test_a_member_without_a_valid_admission_is_bad_though_it_looks_healthy() -> None:
    changes = {name: {"tickets": [wire_ticket(admitted(name))]} for name in NAMES}
    changes["node-b"] = {"tickets": []}
    changes["node-c"] = {"tickets": [wire_ticket(admitted("node-c", days=-1))]}
    rows = judged(network(changes))
    assert pick(rows, "TICKET-ADMISSION", "node-a").status is Status.OK
    assert "publishes" not in pick(rows, "TICKET-ADMISSION", "node-a").summary
    assert pick(rows, "TICKET-ADMISSION", "node-b").status is Status.BAD
    ended = pick(rows, "TICKET-ADMISSION", "node-c")
    assert (ended.status, ended.values["failing_step"]) == (Status.BAD, "expired")
    assert pick(rows, "TICKET-QUORUM-LOST", "committee").status is Status.BAD


def test_the_admission_file_against_the_wire() -> None:
    more = {name: {"tickets": [wire_ticket(admitted(name))]} for name in NAMES}
    own = file_fact("node-a", admitted("node-a", days=50), "committee")
    rows = judged([*network(more), own])
    assert pick(rows, "TICKET-WIRE", "node-a × committee").values["where"] == "other"


def test_a_snapshot_without_ticket_bytes_is_unknown() -> None:
    bare = {key: value for key, value in wire_ticket(ticket("node-a")).items() if key != "data"}
    rows = judged([*network({"node-a": {"tickets": [bare]}}), file_fact("node-b", ticket("node-b"))])
    assert pick(rows, "TICKET-UNSEEN", "node-a × beta").status is Status.UNKNOWN
    assert pick(rows, "TICKET-ADMISSION", "node-a").status is Status.UNKNOWN
