"""The one result of a check, from which every format is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from organismctl.check.finding import Finding, Status
from organismctl.check.run import decides, exit_of
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.check.scope import Scope

REPORT_SCHEMA = 1
ORDER = (Status.BAD, Status.UNKNOWN, Status.WARN, Status.OK)
"""Worst first, as tables show them."""


@dataclass(frozen=True, slots=True)
class Named:
    """Both identities of an organism, which every report shows.

    Attributes:
        name: Its name.
        fingerprint: 64 hex, or ``None`` with the reason.
        group_id: 64 hex, or ``None`` with the reason.
        fingerprint_unknown: Why there is no fingerprint.
        group_id_unknown: Why there is no group id.
    """

    name: str
    fingerprint: str | None
    group_id: str | None
    fingerprint_unknown: str | None = None
    group_id_unknown: str | None = None

    @staticmethod
    def of(scope: Scope) -> Named:
        """The identities of a scope."""
        return Named(
            scope.organism.config.name,
            scope.identity.fingerprint.hex() if scope.identity else None,
            scope.group_id.hex() if scope.group_id else None,
            scope.identity_unknown,
            scope.group_unknown,
        )

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "group_id": self.group_id,
            "fingerprint_unknown": self.fingerprint_unknown,
            "group_id_unknown": self.group_id_unknown,
        }

    def line(self) -> str:
        """One line, ids short: what stands above a table."""
        pin = f"fingerprint {self.fingerprint[:10]}" if self.fingerprint else "fingerprint unknown"
        group = f"group id {self.group_id[:10]}" if self.group_id else "group id unknown"
        return f"{self.name}  {pin}  {group}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check command found.

    Attributes:
        command: ``check tickets``.
        organism: Whom it is about.
        findings: Every finding, ok ones included.
        judged_ms: The moment of judgement, Unix ms.
        seen_ms: When the look at the world began, Unix ms; ``None`` when nothing was looked at.
        strict: Whether a warning decides too.
        fail_on: ``any``, ``committee`` or ``integrators``.
    """

    command: str
    organism: Named
    findings: Sequence[Finding]
    judged_ms: int
    seen_ms: int | None = None
    strict: bool = False
    fail_on: str = "any"

    @property
    def exit(self) -> Exit:
        """The exit code."""
        return exit_of(self.findings, strict=self.strict, fail_on=self.fail_on)

    @property
    def counts(self) -> Mapping[str, int]:
        """Findings by status; accepted ones apart."""
        counts = {status.value: 0 for status in ORDER} | {"accepted": 0}
        for row in self.findings:
            counts["accepted" if row.accepted else row.status.value] += 1
        return counts

    def sorted(self) -> list[Finding]:
        """Findings, worst first, otherwise in their order; accepted ones after those that decide."""
        return sorted(self.findings, key=lambda row: (ORDER.index(row.status), row.accepted is not None))

    def failing(self, row: Finding) -> bool:
        """Whether a finding makes the command fail."""
        return exit_of([row], strict=self.strict, fail_on=self.fail_on) is not Exit.OK

    def decides(self, row: Finding) -> bool:
        """Whether ``--fail-on`` lets a finding decide at all."""
        return decides(row, self.fail_on)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready and complete; its schema is published as ``check.schema.json``."""
        return {
            "schema": REPORT_SCHEMA,
            "command": self.command,
            "organism": self.organism.as_json(),
            "judged_ms": self.judged_ms,
            "seen_ms": self.seen_ms,
            "strict": self.strict,
            "fail_on": self.fail_on,
            "exit": int(self.exit),
            "counts": dict(self.counts),
            "findings": [finding_json(row) for row in self.findings],
        }


def finding_json(row: Finding) -> dict[str, Any]:
    """One finding, JSON-ready."""
    return {
        "code": row.code,
        "status": row.status.value,
        "subject": row.subject,
        "summary": row.summary,
        "exit": int(row.exit),
        "concerns": list(row.concerns),
        "runbook": row.runbook,
        "accepted": None
        if row.accepted is None
        else {"until": row.accepted.until, "reason": row.accepted.reason},
        "place": None if row.place is None else {"file": row.place.file, "line": row.place.line},
        "values": dict(row.values),
        "limits": dict(row.limits),
        "sources": [{"source": ref.source, "seen_ms": ref.seen_ms} for ref in row.sources],
    }
