"""Run checks by name over one snapshot, and find the exit code of what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from organismctl.check.accept import apply_accepts
from organismctl.check.finding import Finding, Status
from organismctl.check.scope import Scope
from organismctl.exits import Exit, worst

FAIL_ON = ("any", "committee", "integrators")
"""What ``--fail-on`` may say; ``committee`` includes what integrators must act on."""


_WORSE = (Status.BAD, Status.UNKNOWN, Status.WARN, Status.OK)


def _fingerprint(scope: Scope) -> list[Finding]:
    from organismctl.check.fingerprint import check_fingerprint

    return check_fingerprint(scope)


def _tickets(scope: Scope) -> list[Finding]:
    from organismctl.check.tickets import check_tickets

    return check_tickets(scope)


def _identity(scope: Scope) -> list[Finding]:
    from organismctl.check.identity import check_identity

    return check_identity(scope)


def _committee(scope: Scope) -> list[Finding]:
    from organismctl.check.committee import check_committee

    return check_committee(scope)


def _surfaces(scope: Scope) -> list[Finding]:
    from organismctl.check.surfaces import check_surfaces

    return check_surfaces(scope)


def _subscriptions(scope: Scope) -> list[Finding]:
    from organismctl.check.subscriptions import check_subscriptions

    return check_subscriptions(scope)


def _evidence(scope: Scope) -> list[Finding]:
    from organismctl.check.evidence import check_evidence

    return check_evidence(scope)


WIRE_KINDS = ("wire.catalog", "wire.peer")


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it asks, which facts it needs, and the function."""

    name: str
    question: str
    kinds: tuple[str, ...]
    run: Callable[[Scope], list[Finding]]


CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        Check("fingerprint", "is organism.toml what organism.lock accepts", (), _fingerprint),
        Check(
            "tickets",
            "are our nodes admitted, and until when",
            ("ticket.file", "node.tickets", *WIRE_KINDS),
            _tickets,
        ),
        Check(
            "identity",
            "are the spanned members what we pinned",
            ("span.card", "span.endpoint", "node.subscriptions", *WIRE_KINDS, "wire.stream"),
            _identity,
        ),
        Check(
            "committee",
            "is the committee whole, led and alike",
            ("node.status", "node.digest", *WIRE_KINDS),
            _committee,
        ),
        Check(
            "subscriptions",
            "do our nodes hear each spanned member, and whose side is it",
            (
                "node.subscriptions",
                "node.status",
                "node.tickets",
                "node.facts",
                "ticket.file",
                "span.endpoint",
                "exporter.memory",
                "node.metrics",
                *WIRE_KINDS,
                "wire.stream",
            ),
            _subscriptions,
        ),
        Check(
            "surfaces",
            "are our surfaces served, and by which nodes",
            (
                "node.status",
                "node.surfaces",
                "node.subscriptions",
                "span.endpoint",
                *WIRE_KINDS,
                "wire.stream",
            ),
            _surfaces,
        ),
        Check(
            "evidence",
            "does our evidence resolve upstream, and how long still",
            ("node.evidence", "span.endpoint", "span.evidence"),
            _evidence,
        ),
    )
}
"""Every check by name, in the order of ``check all``."""


def kinds_of(names: Iterable[str]) -> frozenset[str]:
    """The kinds of facts that checks need."""
    return frozenset(kind for name in names for kind in CHECKS[name].kinds)


def load(names: Iterable[str]) -> None:
    """Import what checks need, so that it can be done while the world is waited for."""
    from importlib import import_module

    for name in names:
        import_module(f"organismctl.check.{name}")


def run_scope(names: Sequence[str], scope: Scope) -> list[Finding]:
    """Run checks over one scope; what a person accepted is marked.

    Args:
        names: Keys of :data:`CHECKS`.
        scope: :func:`organismctl.check.scope.make_scope` makes it.
    """
    rows: dict[tuple[str, str], Finding] = {}
    for name in names:
        for row in CHECKS[name].run(scope):
            key = (
                row.code,
                row.subject,
            )  # two checks may ask one question of one node: the worse answer stays
            if key not in rows or _WORSE.index(row.status) < _WORSE.index(rows[key].status):
                rows[key] = row
    return apply_accepts(list(rows.values()), scope.deployment, scope.now_ms)


def exit_of(findings: Iterable[Finding], *, strict: bool = False, fail_on: str = "any") -> Exit:
    """The exit code that the worst finding decides.

    Args:
        findings: Findings, accepted ones included (they never decide).
        strict: A warning counts as drift.
        fail_on: ``integrators`` lets only what integrators must act on decide; ``committee`` and ``any`` all.
    """
    return worst(_exit(row, strict=strict) for row in findings if decides(row, fail_on))


def decides(row: Finding, fail_on: str) -> bool:
    """Whether a finding decides under ``--fail-on``."""
    return fail_on == "any" or fail_on in row.concerns


def _exit(row: Finding, *, strict: bool) -> Exit:
    if strict and row.status is Status.WARN and row.accepted is None:
        return Exit.DRIFT
    return row.exit
