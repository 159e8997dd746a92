from __future__ import annotations

import re
from pathlib import Path

import pytest

from organismctl.check.accept import apply_accepts
from organismctl.check.codes import CODES, UnknownCodeError, finding, nearest
from organismctl.check.finding import Status
from organismctl.check.run import CHECKS, exit_of, kinds_of
from organismctl.exits import Exit
from organismctl.observe.sources import ALL_KINDS
from tests.check.worlds import NOW_MS, deployment, healthy, pick, run

FOLDER = Path(__file__).parent
PACKAGE = Path(__file__).parents[2] / "organismctl"


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained_and_has_a_runbook(code: str) -> None:
    row = CODES[code]
    assert re.fullmatch(r"[A-Z]+(-[A-Z]+)+", code)
    for text in (row.title, row.meaning, row.action):
        assert text
        assert text == text.strip()
    assert row.meaning.endswith(".")
    assert row.action.endswith((".", "`"))
    assert re.fullmatch(r"[a-z-]+", row.runbook)
    assert row.exit not in (Exit.OK, Exit.USAGE, Exit.UNKNOWN)
    assert row.default is not Status.OK


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_made_by_a_check_and_by_a_test(code: str) -> None:
    made = "".join(
        file.read_text() for file in (PACKAGE / "check").glob("*.py") if not file.name.startswith("codes")
    )
    tried = "".join(file.read_text() for file in FOLDER.glob("test_*.py") if file.name != "test_codes.py")
    assert f'"{code}"' in made
    assert f'"{code}"' in tried + Path(__file__).read_text()


def test_no_check_uses_a_code_that_is_not_in_the_table() -> None:
    for file in (PACKAGE / "check").glob("*.py"):
        for code in re.findall(r'finding\(\s*"([A-Z-]+)"', file.read_text()):
            assert code in CODES, f"{file.name}: {code}"


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(UnknownCodeError):
        finding("NO-SUCH-CODE", Status.OK, "x", "y")
    assert nearest("ticket-quorun") == "TICKET-QUORUM"


@pytest.mark.parametrize("code", CODES)
def test_status_decides_the_exit_class(code: str) -> None:
    assert finding(code, Status.OK, "x", "y").exit is Exit.OK
    assert finding(code, Status.WARN, "x", "y").exit is Exit.OK
    assert finding(code, Status.UNKNOWN, "x", "y").exit is Exit.UNKNOWN
    assert finding(code, Status.BAD, "x", "y").exit is CODES[code].exit


def test_every_kind_that_a_check_needs_has_a_source() -> None:
    assert kinds_of(CHECKS) <= set(ALL_KINDS)


ACCEPT = '\n[[accept]]\ncode = "{code}"\nsubject = "committee"\nuntil = {until}\nreason = "on order"\n'


def test_an_accepted_finding_keeps_its_row_and_no_longer_decides() -> None:
    side = deployment(more=ACCEPT.format(code="COMMITTEE-QUORUM", until="2026-12-31"))
    rows = run(
        "committee",
        [healthy()[0].__class__("node.status", "node-a", healthy(bonds=[])[0].value, "x", seen_ms=NOW_MS)],
        deployed=side,
    )
    row = pick(rows, "COMMITTEE-QUORUM")
    assert row.status is Status.BAD
    assert row.exit is Exit.OK
    assert row.accepted is not None
    assert row.accepted.reason == "on order"
    assert exit_of([row], strict=True) is Exit.OK


def test_an_acceptance_ends_after_its_day_and_a_mistyped_one_is_said() -> None:
    row = finding("ROSTER-EVEN", None, "committee", "4 members")
    past = deployment(more=ACCEPT.format(code="ROSTER-EVEN", until="2026-11-01"))
    rows = apply_accepts([row], past, NOW_MS)
    assert rows[0].accepted is None
    assert pick(rows, "ACCEPT-EXPIRED").status is Status.WARN
    odd = deployment(more=ACCEPT.format(code="ROSTER-EVENT", until="2026-12-31"))
    assert "did you mean ROSTER-EVEN?" in pick(apply_accepts([row], odd, NOW_MS), "ACCEPT-UNKNOWN").summary
    assert apply_accepts([row], past, 10**18)[0].accepted is None


def test_the_worst_finding_decides() -> None:
    def bad(code: str) -> object:
        return finding(code, Status.BAD, "x", "y")

    rows = [bad("COMMIT-LAG"), bad("FINGERPRINT-DRIFT"), finding("SPAN-CARD", None, "x", "y")]
    assert exit_of(rows) is Exit.BREACH
    assert exit_of([*rows, bad("LEDGER-DIVERGED")]) is Exit.UNHEALTHY
    assert exit_of([*rows, bad("TICKET-OUTLIVED")]) is Exit.REFUSED
