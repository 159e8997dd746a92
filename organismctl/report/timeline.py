"""Who loses quorum when: every node's admission at every spanned member, on one line of time.

A majority is lost when the ticket that it hangs on ends: the needed-th latest horizon. What could not be judged
makes that a span of time, from "if they are shut out" to "if they are admitted for ever", and both ends are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from organismctl.check.quorum import Quorum, quorum_of
from organismctl.check.ticket_matrix import Cell, State, matrix_of
from organismctl.check.values import duration, listed, moment, plural

if TYPE_CHECKING:
    from organismctl.check.scope import Scope

DAY_MS = 86_400_000
SHORTEST_MS = DAY_MS
"""A line of time covers at least a day."""
EMPTY_MS = 30 * DAY_MS
"""What it covers where nothing ends."""
STRETCH = 3
"""It covers at most so many times the way to the last majority that is lost: one far horizon squeezes nothing."""

Line = dict[str, Any]
"""One spanned member's admissions, JSON-ready."""


def timeline_json(scope: Scope) -> dict[str, Any]:
    """The line of time, JSON-ready: its window, and a line per spanned member, the first to lose its majority first.

    Our own committee's admission stands among them, where it could be judged at all.
    """
    matrix = matrix_of(scope)
    lines = [
        _line(name, [matrix.cell(node, name) for node in matrix.roster], scope.now_ms)
        for name in matrix.spans
        if matrix.roster
    ]
    if matrix.admits and matrix.roster:
        own = [matrix.admission(node) for node in matrix.roster]
        lines.append({**_line(matrix.own, own, scope.now_ms), "own": True})
    lines.sort(key=lambda line: (_first(line), line["own"]))
    return {"from_ms": scope.now_ms, "until_ms": _until(lines, scope.now_ms), "spans": lines}


def _line(name: str, cells: list[Cell], now_ms: int) -> Line:
    quorum = quorum_of(cells, now_ms)
    return {
        "name": name,
        "own": False,
        "committee": quorum.size,
        "needed": quorum.needed,
        "admitted": quorum.valid,
        "unknown": quorum.unknown,
        "surely_until_ms": quorum.surely_until_ms,
        "perhaps_until_ms": quorum.perhaps_until_ms,
        "lost_with": _lost_with(cells, quorum, now_ms),
        "nodes": [_node(cell) for cell in cells],
    }


def _lost_with(cells: list[Cell], quorum: Quorum, now_ms: int) -> list[str]:
    """Whose tickets' end takes the majority away."""
    at = quorum.surely_until_ms
    if at is None or at <= now_ms:
        return []
    return [cell.node for cell in cells if cell.state is State.VALID and cell.horizon_ms == at]


def _node(cell: Cell) -> dict[str, Any]:
    return {
        "node": cell.node,
        "state": cell.state.value,
        "horizon_ms": cell.horizon_ms,
        "failing_step": cell.step,
        "issuer": cell.issuer,
        "detail": cell.detail,
    }


def _first(line: Line) -> float:
    return float("inf") if line["surely_until_ms"] is None else line["surely_until_ms"]


def _until(lines: list[Line], now_ms: int) -> int:
    ends = [node["horizon_ms"] for line in lines for node in line["nodes"] if node["state"] == "valid"]
    known = [end for end in ends if end is not None and end > now_ms]
    if not known:
        return now_ms + EMPTY_MS
    last = max(known) - now_ms
    lost = [line["surely_until_ms"] for line in lines if line["surely_until_ms"] is not None]
    if lost and max(lost) > now_ms:
        last = min(last, STRETCH * (max(lost) - now_ms))
    until: int = now_ms + max(last + last // 20, SHORTEST_MS)
    return until


def majority_text(line: Line, now_ms: int) -> str:
    """One sentence: until when a majority is admitted at a spanned member."""
    held = f"{line['admitted']} of {line['committee']} admitted now, {line['needed']} needed"
    low, high = line["surely_until_ms"], line["perhaps_until_ms"]
    if high is not None and high <= now_ms:
        return f"no majority now; {held}"
    if low != high:
        return f"{_between(low, high, now_ms)}; {plural(line['unknown'], 'node')} could not be judged; {held}"
    if low is None:
        return f"the majority does not end; {held}"
    whose = _whose(line["lost_with"])
    return f"fewer than a majority from {moment(low)}, in {duration(low - now_ms)}{whose}; {held}"


def _whose(nodes: list[str]) -> str:
    if not nodes:
        return ""
    tickets = "ticket" if len(nodes) == 1 else "tickets"
    return f", when the {tickets} of {listed(nodes)} {'ends' if len(nodes) == 1 else 'end'}"


def _between(low: int | None, high: int | None, now_ms: int) -> str:
    early = "now" if low is None or low <= now_ms else moment(low)
    late = "never" if high is None else moment(high)
    return f"the majority ends between {early} and {late}"


def admission_text(node: dict[str, Any], now_ms: int) -> str:
    """One node's admission, in words."""
    state, horizon = node["state"], node["horizon_ms"]
    if state == "free":
        return "no ticket is demanded"
    if state == "valid":
        if horizon is None:
            return "admitted, never ends"
        return f"admitted until {moment(horizon)}, in {duration(horizon - now_ms)}"
    if state == "invalid" and horizon is not None and horizon <= now_ms:
        return f"not admitted: ended {moment(horizon)}, {duration(now_ms - horizon)} ago"
    if state == "invalid":
        return f"not admitted: fails at step {node['failing_step'] or 'unnamed'}"
    return "not admitted: no ticket" if state == "missing" else f"not known: {node['detail']}"
