"""Findings as a check's JSON tells them, and how long they took."""

from __future__ import annotations

import time
from typing import Any

from tests.support.committee import Committee, wait_for
from tests.support.incident import check

JOURNAL: list[str] = []


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
    patience: float = 30,
) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    """Check until a finding is there; what was broken, and after how long it was found, goes to the journal."""
    begun = time.monotonic()

    def look() -> tuple[int, dict[str, Any], list[dict[str, Any]]] | None:
        exit_code, rows = check(committee, check_name)
        hit = [row for row in rows if (row["code"], row["subject"], row["status"]) == (code, subject, status)]
        return (exit_code, hit[0], rows) if hit else None

    exit_code, row, rows = wait_for(f"{code} {subject} {status}", look, patience)
    took = time.monotonic() - begun
    JOURNAL.append(f"{what} | {code} {subject}: {row['summary'][:90]} | {took:.1f} s | exit {exit_code}")
    return exit_code, row, rows
