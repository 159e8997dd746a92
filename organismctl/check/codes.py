"""The one table of finding codes: what each means, what to do, its exit class and its runbook.

A code is stable for ever: people accept findings by code, and alerts name them. The same code stands on the
ok row and on the bad row of one question; the status is the answer. :func:`finding` is the only way to make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from organismctl.check.codes_committee import COMMITTEE
from organismctl.check.codes_identity import IDENTITY
from organismctl.check.codes_span import SPANS
from organismctl.check.codes_ticket import TICKETS
from organismctl.check.codes_type import Code
from organismctl.check.codes_wire import WIRE
from organismctl.check.finding import Finding, Place, SourceRef, Status
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.identity.config import Json

__all__ = ["CODES", "Code", "UnknownCodeError", "exit_of", "finding", "nearest"]

CODES: Mapping[str, Code] = {code.code: code for code in (*IDENTITY, *TICKETS, *COMMITTEE, *WIRE, *SPANS)}
"""Every code by name."""


class UnknownCodeError(KeyError):
    """A code that is not in the table: a defect of the check that used it."""


_NONE: Mapping[str, Json] = MappingProxyType({})


def finding(
    code: str,
    status: Status | None,
    subject: str,
    summary: str,
    *,
    values: Mapping[str, Json] = _NONE,
    limits: Mapping[str, Json] = _NONE,
    sources: tuple[SourceRef, ...] = (),
    place: Place | None = None,
) -> Finding:
    """Make a finding by its code.

    Args:
        code: One of :data:`CODES`.
        status: The verdict; ``None`` takes the code's default.
        subject: What it is about; unique with the code.
        summary: One line.
        values: What was compared, JSON-ready.
        limits: What it was compared with, JSON-ready.
        sources: Where the values came from.
        place: Where in a file its cause stands.

    Raises:
        UnknownCodeError: The code is not in the table.
    """
    row = CODES.get(code)
    if row is None:
        raise UnknownCodeError(code)
    verdict = row.default if status is None else status
    return Finding(
        code=code,
        status=verdict,
        subject=subject,
        summary=summary,
        values=values,
        limits=limits,
        sources=sources,
        runbook=row.runbook,
        exit=exit_of(row, verdict),
        concerns=row.concerns,
        place=place,
    )


def exit_of(row: Code, status: Status | None = None) -> Exit:
    """The exit class of a code's finding: what could not be seen is unknown, whatever the code.

    Args:
        row: The code.
        status: The finding's; ``None`` takes the code's default.
    """
    status = row.default if status is None else status
    if status is Status.BAD:
        return row.exit
    return Exit.UNKNOWN if status is Status.UNKNOWN else Exit.OK


def nearest(text: str) -> str | None:
    """The known code that is closest to a mistyped one, or ``None``."""
    from difflib import get_close_matches

    found = get_close_matches(text.upper(), CODES, n=1)
    return found[0] if found else None
