"""Findings as a check's JSON tells them, and how long they took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.support.committee import Committee
from tests.support.incident import check
from tests.support.waiting import PATIENCE_S, wait_until_holds

JOURNAL: list[str] = []
Rows = list[dict[str, Any]]


def find(rows: list[dict[str, Any]], code: str, subject: str) -> dict[str, Any]:
    found = [row for row in rows if row["code"] == code and row["subject"] == subject]
    assert len(found) == 1, [(row["code"], row["subject"], row["status"]) for row in rows]
    return found[0]


def first(
    committee: Committee,
    what: str,
    code: str,
    subject: str,
    status: str = "bad",
    check_name: str = "subscriptions",
    patience: float = PATIENCE_S,
    judge: Callable[[int, dict[str, Any], Rows], object] = lambda *_: None,
) -> tuple[int, dict[str, Any], Rows]:
    """Check until a finding is there; what was broken, and after how long it was found, goes to the journal.

    ``judge`` asserts what else holds of the same look, by its exit code, the finding and all of its findings.
    """
    begun = time.monotonic()

    def one(rows: Rows) -> dict[str, Any]:
        hit = [row for row in rows if (row["code"], row["subject"], row["status"]) == (code, subject, status)]
        assert hit, [(row["code"], row["subject"], row["status"]) for row in rows]
        return hit[0]

    exit_code, rows = wait_until_holds(
        f"{code} {subject} {status}",
        lambda: check(committee, check_name),
        lambda seen: judge(seen[0], one(seen[1]), seen[1]),
        patience,
    )
    row = one(rows)
    took = time.monotonic() - begun
    JOURNAL.append(f"{what} | {code} {subject}: {row['summary'][:90]} | {took:.1f} s | exit {exit_code}")
    return exit_code, row, rows
