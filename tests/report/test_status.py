from __future__ import annotations

from typing import Any

import jsonschema

from organismctl.check.run import CHECKS, run_scope
from organismctl.check.scope import Scope
from organismctl.report.interface import Style
from organismctl.report.model import Named, Report
from organismctl.report.schema import schemas
from organismctl.report.status import ChangeLine, status_json, status_text
from tests.check.worlds import (
    NAMES,
    NOW_MS,
    card,
    healthy,
    lock,
    organism,
    scope,
    ticket,
    ticket_facts,
    unseen,
)


def made(world: Scope, changes: tuple[ChangeLine, ...] = ()) -> tuple[dict[str, Any], str]:
    report = Report("status", Named.of(world), run_scope(list(CHECKS), world), NOW_MS, NOW_MS)
    value = status_json(world, report, changes)
    jsonschema.validate(value, schemas()["status.schema.json"])
    return value, status_text(value, report, Style(width=100))


SCREEN = """\
acme.settlement  fingerprint FINGERPRIN  group id GROUPGROUP
committee  3 of 3 there, 2 needed, tolerance 0; proposer node-a; ledger 120, alike
one host   replicas=1, tolerance=0: fault domains between hosts cannot apply

NODE    STATE  ROLE      CERTIFIED  NOTE
node-a  up     proposer  120
node-b  up     acceptor  120
node-c  up     acceptor  120

SPANNED MEMBER  CARD  HEARD    ADMITTED  NEXT HORIZON  MAJORITY UNTIL
beta            ok    unknown  3 of 3    in 30 d       in 30 d

change: 2026-x rotate-member parked: rotate node-a out
"""


def test_one_screen() -> None:
    facts = [*healthy(one_host=True), *ticket_facts({name: ticket(name) for name in NAMES}), card()]
    world = scope(facts, locked=lock(organism()))
    value, text = made(world, (ChangeLine("2026-x rotate-member", "parked", "rotate node-a out"),))
    assert world.identity is not None
    assert world.group_id is not None
    golden = SCREEN.replace("FINGERPRIN", world.identity.fingerprint.hex()[:10])
    screen, _, findings = text.partition("findings: ")
    assert screen == golden.replace("GROUPGROUP", world.group_id.hex()[:10])
    assert "1 warn" in findings.splitlines()[0]
    assert value["committee"]["ledger"]["alike"] is True


def test_nothing_seen_is_unknown_everywhere() -> None:
    value, text = made(scope([unseen("node.status", name) for name in NAMES], hashed=None))
    assert value["committee"]["tolerance"] is None
    assert value["committee"]["ledger"]["alike"] is None
    assert "tolerance unknown" in text
    assert "3 unknown" in text
    assert value["exit"] != 0


def test_without_a_deployment_there_is_still_an_identity() -> None:
    value, text = made(scope(no_deployment=True))
    assert value["nodes"] == []
    assert "changes: none under way" in text


def test_sealed_scheduled_and_leased() -> None:
    _, text = made(scope(healthy(sealed=True)))
    assert "the marker is the last item" in text
    planned = {"effective_at": "tick:9", "replacement": None, "sealed": False}
    _, text = made(scope(healthy(retirement=planned, lease={"change": "c-1"})))
    assert "retirement effective at tick:9" in text
    assert "held by change c-1" in text
