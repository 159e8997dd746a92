"""Accepted findings: the row stays, marked, and no longer decides; an acceptance ends on its date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from organismctl.check.codes import CODES, finding, nearest
from organismctl.check.finding import Acceptance, Finding, Place, Status
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.files.deployment import Accept, Deployment


def apply_accepts(rows: Sequence[Finding], deployment: Deployment | None, now_ms: int) -> list[Finding]:
    """Mark what a person has accepted, and warn of acceptances that are over or name nothing.

    Args:
        rows: Findings.
        deployment: Whose ``[[accept]]`` entries count; up to and including their day, UTC.
        now_ms: The moment of judgement, Unix ms.

    Returns:
        All rows, in order, then the warnings.
    """
    if deployment is None or not deployment.accepts:
        return list(rows)
    today = _day(now_ms)
    valid: dict[tuple[str, str], Accept] = {}
    warnings: list[Finding] = []
    for index, accept in enumerate(deployment.accepts):
        place = Place(deployment.file, deployment.line(f"accept[{index}]"))
        if accept.code not in CODES:
            near = nearest(accept.code)
            hint = f"; did you mean {near}?" if near else ""
            warnings.append(
                finding(
                    "ACCEPT-UNKNOWN", None, accept.subject, f"{accept.code} is no code{hint}", place=place
                )
            )
        elif accept.until < today:
            summary = f"the acceptance of {accept.code} ended on {accept.until.isoformat()}"
            warnings.append(
                finding("ACCEPT-EXPIRED", None, f"{accept.code} {accept.subject}", summary, place=place)
            )
        else:
            valid[accept.code, accept.subject] = accept
    return [*(_marked(row, valid.get((row.code, row.subject))) for row in rows), *warnings]


def _marked(row: Finding, accept: Accept | None) -> Finding:
    if accept is None or row.status is Status.OK:
        return row
    return replace(row, exit=Exit.OK, accepted=Acceptance(accept.until.isoformat(), accept.reason))


def _day(now_ms: int) -> date:
    """The day of a moment, UTC; the last one there is for moments beyond it."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now_ms)).date()
    except OverflowError:
        return date.max
