"""A finding: one verdict on one subject.

Checks make findings through :func:`organismctl.check.codes.finding`, which looks the code up in the one
table of codes; nothing else decides a status's exit class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.identity.config import Json


class Status(StrEnum):
    """The four verdicts. Unknown is never ok."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Where a value came from and when it was seen (Unix ms; ``None`` when it never was)."""

    source: str
    seen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file the finding's cause stands; ``line`` is 1-based, ``None`` when the key is gone."""

    file: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A person's acceptance of a finding, until a date (``[[accept]]`` in deployment.toml)."""

    until: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict on one subject.

    Attributes:
        code: A stable code from the table: ``TICKET-HORIZON``.
        status: The verdict.
        subject: What it is about: ``node-a × acme-mainnet``; unique with the code.
        summary: One line.
        values: What was compared, JSON-ready.
        limits: The limits that it was compared with, JSON-ready.
        sources: Where the values came from.
        runbook: The runbook to turn to, or ``None``.
        exit: The exit class of this finding (``OK`` for ok, warn and accepted ones).
        accepted: Set when a person accepted it; the row stays, marked.
        concerns: Who must act on it: ``committee``, ``integrators``; what ``--fail-on`` asks for.
        place: Where in a file its cause stands, when it stands in one.
    """

    code: str
    status: Status
    subject: str
    summary: str
    values: Mapping[str, Json] = field(default_factory=dict)
    limits: Mapping[str, Json] = field(default_factory=dict)
    sources: tuple[SourceRef, ...] = ()
    runbook: str | None = None
    exit: Exit = Exit.OK
    accepted: Acceptance | None = None
    concerns: tuple[str, ...] = ()
    place: Place | None = None
