"""The words of ticket findings: what a judged pair, a horizon and a quorum come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.quorum import Quorum
from organismctl.check.ticket_matrix import Cell, State
from organismctl.check.values import duration, moment, plural

if TYPE_CHECKING:
    from organismctl.files.deployment import Thresholds
    from organismctl.identity.config import Json


def bounds_of(limits: Thresholds) -> dict[str, Json]:
    """The limits of a horizon, as findings carry them."""
    return {"ticket_warn_ms": limits.ticket_warn_ms, "ticket_bad_ms": limits.ticket_bad_ms}


def grade(horizon_ms: int | None, limits: Thresholds, now_ms: int) -> Status:
    """The status of a horizon; ``None`` is never."""
    if horizon_ms is None:
        return Status.OK
    left = horizon_ms - now_ms
    if left <= 0 or left < limits.ticket_bad_ms:
        return Status.BAD
    return Status.WARN if left < limits.ticket_warn_ms else Status.OK


def cell_values(cell: Cell) -> dict[str, Json]:
    """A cell, as findings carry it."""
    return {
        "node": cell.node,
        "span": cell.span,
        "state": cell.state.value,
        "horizon_ms": cell.horizon_ms,
        "failing_step": cell.step,
        "type": cell.kind or None,
        "issuer": cell.issuer,
        "ticket_id": cell.ticket_id,
        "by_node": cell.by_node,
    }


def verdict(cell: Cell, limits: Thresholds, now_ms: int) -> tuple[str, Status, str]:
    """Code, status and line of a pair."""
    if cell.state is State.FREE:
        return "TICKET-HORIZON", Status.OK, cell.detail
    if cell.state is State.UNKNOWN:
        return "TICKET-UNSEEN", Status.UNKNOWN, cell.detail or "it could not be judged"
    if cell.state is State.MISSING:
        return "TICKET-MISSING", Status.BAD, f"{cell.detail} ({cell.kind})" if cell.kind else cell.detail
    if cell.state is State.INVALID and cell.expired and cell.horizon_ms is not None:
        ago = duration(now_ms - cell.horizon_ms)
        return "TICKET-HORIZON", Status.BAD, f"ended {ago} ago, {moment(cell.horizon_ms)} (step {cell.step})"
    if cell.state is State.INVALID:
        return "TICKET-INVALID", Status.BAD, f"fails at step {cell.step or 'unnamed'}: {cell.detail}"
    return "TICKET-HORIZON", grade(cell.horizon_ms, limits, now_ms), until_text(cell, now_ms)


def until_text(cell: Cell, now_ms: int) -> str:
    """How long a valid ticket admits."""
    proof = "measurements match; " if cell.kind == "tdx" and not cell.by_node else ""
    word = "; by the node's own word" if cell.by_node else ""
    if cell.horizon_ms is None:
        return f"{proof}never ends{word}"
    return f"{proof}{duration(cell.horizon_ms - now_ms)} left, until {moment(cell.horizon_ms)}{word}"


def quorum_row(span: str, quorum: Quorum, limits: Thresholds, now_ms: int) -> Finding:
    """When fewer than a majority will be admitted at a spanned member."""
    values: dict[str, Json] = {
        "span": span,
        "committee": quorum.size,
        "needed": quorum.needed,
        "valid_now": quorum.valid,
        "unknown": quorum.unknown,
        "horizon_ms": quorum.surely_until_ms,
        "never_lost": quorum.surely_never_lost,
    }
    bounds = bounds_of(limits)
    held = f"{quorum.valid} of {quorum.size} admitted now, {quorum.needed} needed"
    if quorum.lost(now_ms):
        return finding("TICKET-QUORUM-LOST", None, span, held, values=values, limits=bounds)
    low, high = (grade(one, limits, now_ms) for one in (quorum.surely_until_ms, quorum.perhaps_until_ms))
    if low is not high:
        summary = f"{held}; {plural(quorum.unknown, 'node')} could not be judged"
        return finding("TICKET-QUORUM", Status.UNKNOWN, span, summary, values=values, limits=bounds)
    if quorum.surely_until_ms is None:
        return finding("TICKET-QUORUM", low, span, f"{held}; it does not end", values=values, limits=bounds)
    left = duration(quorum.surely_until_ms - now_ms)
    summary = f"{held}; fewer than a majority from {moment(quorum.surely_until_ms)} on (in {left})"
    return finding("TICKET-QUORUM", low, span, summary, values=values, limits=bounds)
