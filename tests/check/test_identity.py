from __future__ import annotations

from typing import Any

import pytest

from organismctl.check.finding import Status
from organismctl.check.run import exit_of
from organismctl.exits import Exit
from organismctl.observe.snapshot import MALFORMED, Fact
from tests.check.span_worlds import URL, endpoint, side
from tests.check.worlds import CONTENT, ISSUER_KEY, NOW_MS, card, organism, pick, run, unseen

ENDPOINT: dict[str, Any] = dict(endpoint().value)  # type: ignore[arg-type]

MRTD = "91" * 48


def test_a_card_as_pinned_is_ok() -> None:
    rows = run("identity", [card()])
    assert {row.status for row in rows} == {Status.OK}


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"stable_id": "f" * 64}, "SPAN-MOVED", Status.BAD),
        ({"stable_id": "short"}, "SPAN-MOVED", Status.UNKNOWN),
        ({"content_hash": "f" * 64}, "SPAN-CONTENT", Status.BAD),
        ({"content_hash": None}, "SPAN-CONTENT", Status.UNKNOWN),
        ({"issuance_root": ["f" * 64]}, "SPAN-ISSUER", Status.BAD),
        ({"issuance_root": []}, "SPAN-ISSUER", Status.BAD),
        ({"issuance_root": None}, "SPAN-ISSUER", Status.UNKNOWN),
        ({"retired": {"effective_at": "2026-12-01T00:00Z", "replacement": None}}, "SPAN-RETIRED", Status.BAD),
    ],
)
def test_what_moved(changes: dict[str, Any], code: str, status: Status) -> None:
    row = pick(run("identity", [card(**changes)]), code)
    assert row.status is status
    assert row.exit is (Exit.DRIFT if status is Status.BAD else Exit.UNKNOWN)


def test_a_moved_pin_has_its_line() -> None:
    row = pick(run("identity", [card(content_hash="f" * 64)]), "SPAN-CONTENT")
    assert row.place is not None
    assert organism().text.splitlines()[(row.place.line or 0) - 1].startswith("content_hash")
    assert "stale" in row.summary


def test_an_unpinned_content_hash_may_move() -> None:
    text = organism().text
    pin = next(line for line in text.splitlines() if line.startswith("content_hash"))
    assert (
        pick(
            run("identity", [card(content_hash="f" * 64)], loaded=organism((pin + "\n", ""))), "SPAN-CONTENT"
        ).status
        is Status.OK
    )


def test_a_key_of_the_root_is_enough_and_a_stranger_beside_it_warns() -> None:
    key = organism().config.span[0].issuers[0].validator.keys[0].key_id().hex()
    assert pick(run("identity", [card(issuance_root=[key])]), "SPAN-ISSUER").status is Status.OK
    assert pick(run("identity", [card(issuance_root=[key, "f" * 64])]), "SPAN-ISSUER").status is Status.WARN


@pytest.mark.parametrize("facts", [[], [unseen("span.card", "beta")]])
def test_a_card_that_was_not_seen_is_unknown(facts: list[Fact]) -> None:
    rows = run("identity", facts)
    assert pick(rows, "SPAN-CARD").status is Status.UNKNOWN
    assert exit_of(rows) is Exit.UNKNOWN


def test_a_malformed_card_is_unknown() -> None:
    assert (
        pick(run("identity", [unseen("span.card", "beta", MALFORMED)]), "ANSWER-MALFORMED").status
        is Status.UNKNOWN
    )


def test_measurements_match_and_are_never_called_attested() -> None:
    loaded = organism(
        (f'type = "jwt"\nissuers = ["beta"]\nkeys = [{{ alg = "EdDSA", key = "{ISSUER_KEY}" }}]',
         f'type = "tdx"\nmrtd = "{MRTD}"')
    )  # fmt: skip
    root = [loaded.config.span[0].issuers[0].validator.signature().hex()]

    def row(**changes: Any) -> Any:
        return pick(
            run("identity", [card(issuance_root=root, **changes)], loaded=loaded), "SPAN-MEASUREMENTS"
        )

    assert row(measurements=[{"mrtd": MRTD}]).summary == "measurements match"
    assert row(measurements=[{"mrtd": "00" * 48}]).status is Status.BAD
    assert row(measurements=[]).status is Status.UNKNOWN


def test_a_card_is_held_against_what_its_endpoints_serve() -> None:
    served = {**ENDPOINT, "fingerprint": "f" * 64}
    facts = [card(), Fact("span.endpoint", f"beta @ {URL}", served, "endpoint", seen_ms=NOW_MS)]
    rows = run("identity", facts, deployed=side())
    assert pick(rows, "SPAN-CARD-CONTRADICTS", "beta").status is Status.BAD
    row = pick(rows, "SPAN-CONTENT", f"beta @ {URL}")
    assert (row.status, row.values["moves"]) == (Status.BAD, ["fingerprint", "group_id"])
    honest = {**ENDPOINT, "fingerprint": CONTENT}
    facts = [card(), Fact("span.endpoint", f"beta @ {URL}", honest, "endpoint", seen_ms=NOW_MS)]
    rows = run("identity", facts, deployed=side())
    assert {row.status for row in rows if row.code in ("SPAN-CARD-CONTRADICTS", "SPAN-CONTENT")} == {
        Status.OK
    }


def test_a_card_that_hides_its_retirement_lies() -> None:
    marked = endpoint(marker={"effective_at": "2026-12-01T00:00Z", "replacement": None})
    rows = run("identity", [card(), marked], deployed=side())
    assert "has not retired" in pick(rows, "SPAN-CARD-CONTRADICTS", "beta").summary


@pytest.mark.parametrize("lost", ["stable_id", "content_hash", "issuance_root", "retired"])
def test_a_card_that_shrinks_is_unknown_never_ok(lost: str) -> None:
    whole = card()
    assert isinstance(whole.value, dict)
    shrunk = {key: value for key, value in whole.value.items() if key != lost}
    rows = run("identity", [Fact("span.card", "beta", shrunk, "card", seen_ms=NOW_MS)])
    assert Status.UNKNOWN in {row.status for row in rows}
    assert exit_of(rows) is Exit.UNKNOWN
