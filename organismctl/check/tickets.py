"""Check ``tickets``: each committee member at each spanned member, and a majority of them at time T."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.quorum import Quorum, quorum_of
from organismctl.check.ticket_matrix import Cell, Matrix, State
from organismctl.check.values import duration, items, listed, moment, plural, source, table

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.deployment import Deployment, Thresholds
    from organismctl.identity.config import Json


def check_tickets(scope: Scope) -> list[Finding]:
    """Horizons, failing steps, what is installed, next issuers, and quorum per spanned member."""
    if scope.deployment is None:
        return [
            finding(
                "CHECK-INCOMPLETE", None, "tickets", "no deployment.toml is here: it names nodes and tickets"
            )
        ]
    matrix = Matrix(scope)
    if not matrix.roster:
        return [
            finding("CHECK-INCOMPLETE", None, "tickets", f"{scope.deployment.file} has no node on the roster")
        ]
    return [*_all(scope, scope.deployment, matrix)]


def _all(scope: Scope, deployment: Deployment, matrix: Matrix) -> Iterator[Finding]:
    limits = deployment.thresholds
    for span in matrix.spans:
        cells = [matrix.cell(node, span) for node in matrix.roster]
        for cell in cells:
            yield from _cell(cell, limits, scope.now_ms)
            yield from _next(matrix, cell.node, span, limits, scope.now_ms)
            yield from _installed(matrix, cell)
        if any(cell.state is not State.FREE for cell in cells):
            yield _quorum(span, quorum_of(cells, scope.now_ms), limits, scope.now_ms)
    for node in matrix.roster:
        yield from _node_seen(scope, node)


def _subject(node: str, span: str) -> str:
    return f"{node} × {span}"


def _limits(limits: Thresholds) -> dict[str, Json]:
    return {"ticket_warn_ms": limits.ticket_warn_ms, "ticket_bad_ms": limits.ticket_bad_ms}


def grade(horizon_ms: int | None, limits: Thresholds, now_ms: int) -> Status:
    """The status of a horizon; ``None`` is never."""
    if horizon_ms is None:
        return Status.OK
    left = horizon_ms - now_ms
    if left <= 0 or left < limits.ticket_bad_ms:
        return Status.BAD
    return Status.WARN if left < limits.ticket_warn_ms else Status.OK


def _values(cell: Cell) -> dict[str, Json]:
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


def _cell(cell: Cell, limits: Thresholds, now_ms: int) -> Iterator[Finding]:
    """The row of one pair, and the flag of a ticket that never ends."""
    code, status, summary = _verdict(cell, limits, now_ms)
    subject, values = _subject(cell.node, cell.span), _values(cell)
    yield finding(code, status, subject, summary, values=values, limits=_limits(limits), sources=cell.sources)
    if cell.state is State.VALID and cell.horizon_ms is None:
        yield finding(
            "TICKET-NEVER-EXPIRES", None, subject, "it has no expiry, and the issuer's policy takes it so",
            values=values, sources=cell.sources,
        )  # fmt: skip


def _verdict(cell: Cell, limits: Thresholds, now_ms: int) -> tuple[str, Status, str]:
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
    return "TICKET-HORIZON", grade(cell.horizon_ms, limits, now_ms), _until(cell, now_ms)


def _until(cell: Cell, now_ms: int) -> str:
    proof = "measurements match; " if cell.kind == "tdx" and not cell.by_node else ""
    word = "; by the node's own word" if cell.by_node else ""
    if cell.horizon_ms is None:
        return f"{proof}never ends{word}"
    return f"{proof}{duration(cell.horizon_ms - now_ms)} left, until {moment(cell.horizon_ms)}{word}"


def _next(matrix: Matrix, node: str, span: str, limits: Thresholds, now_ms: int) -> Iterator[Finding]:
    """A root that is about to take over: the ticket beside the present one."""
    for cell in matrix.by_issuer(node, span, "next"):
        if cell.state is State.VALID:
            status, summary = grade(cell.horizon_ms, limits, now_ms), f"ready: {_until(cell, now_ms)}"
        elif cell.state is State.UNKNOWN:
            status, summary = Status.UNKNOWN, cell.detail
        else:
            why = f": fails at step {cell.step}" if cell.step else ""
            status, summary = Status.WARN, f"no valid ticket from the next issuer yet{why}"
        yield finding(
            "TICKET-NEXT-ISSUER", status, _subject(node, span), summary,
            values=_values(cell), limits=_limits(limits), sources=cell.sources,
        )  # fmt: skip


def _installed(matrix: Matrix, cell: Cell) -> Iterator[Finding]:
    """The files against what the node has installed, where the node was seen."""
    held = matrix.held(cell.node, cell.span)
    files = [table(fact.value) for fact in held.files if fact.seen]
    ids = {str(value["ticket_id"]): value for value in files if "ticket_id" in value}
    if held.installed is None or not ids:
        return
    missing = [str(value.get("file")) for ticket_id, value in ids.items() if ticket_id not in held.installed]
    status = Status.BAD if missing else Status.OK
    summary = f"not on the node: {listed(missing)}" if missing else "the node holds the ticket of the file"
    yield finding(
        "TICKET-INSTALLED", status, _subject(cell.node, cell.span), summary,
        values={"files": list(ids), "installed": list(held.installed)}, sources=cell.sources,
    )  # fmt: skip


def _node_seen(scope: Scope, node: str) -> Iterator[Finding]:
    """Whether the node's own tickets were seen; a node without a url is judged by its files alone."""
    fact = scope.snapshot.get("node.tickets", node)
    if fact is not None and fact.seen:
        if not isinstance(table(fact.value).get("tickets"), list):
            yield finding("ANSWER-MALFORMED", None, node, "its answer lists no tickets", sources=source(fact))
        elif any(not isinstance(one, dict) for one in items(table(fact.value)["tickets"])):
            yield finding(
                "ANSWER-MALFORMED", None, node, "a ticket in its answer is no object", sources=source(fact)
            )
        return
    if fact is None or fact.cause == "not-asked":
        summary = "its installed tickets were not looked at (no url): its files alone are judged"
        yield finding("TICKET-INSTALLED", Status.WARN, node, summary, sources=source(fact))
        return
    refused = fact.cause == "observer"
    code = "OBSERVER-REFUSED" if refused else "TICKET-INSTALLED"
    summary = f"what it has installed is not known: {fact.reason}"
    yield finding(code, Status.UNKNOWN, node, summary, sources=source(fact))


def _quorum(span: str, quorum: Quorum, limits: Thresholds, now_ms: int) -> Finding:
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
    bounds = _limits(limits)
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


def outlives(scope: Scope, nodes: Sequence[str], until_ms: int) -> list[Finding]:
    """Whether each node stays admitted at every spanned member until a change's deadline.

    Args:
        scope: The files, and a snapshot with tickets in it.
        nodes: Nodes that the change needs, spares included.
        until_ms: The deadline, Unix ms.

    Returns:
        A ``TICKET-OUTLIVED`` row a pair: ok, bad (the ticket ends before), or unknown.
    """
    matrix = Matrix(scope)
    return [_outlived(matrix.cell(node, span), until_ms) for span in matrix.spans for node in nodes]


def _outlived(cell: Cell, until_ms: int) -> Finding:
    if cell.state is State.FREE:
        status, summary = Status.OK, cell.detail
    elif cell.state is State.UNKNOWN:
        status, summary = Status.UNKNOWN, cell.detail or "it could not be judged"
    elif cell.state is State.VALID and (cell.horizon_ms is None or cell.horizon_ms > until_ms):
        status, summary = Status.OK, "it outlives the change"
    elif cell.state is State.VALID and cell.horizon_ms is not None:
        early = duration(until_ms - cell.horizon_ms)
        status, summary = Status.BAD, f"ends {moment(cell.horizon_ms)}, {early} before the change's deadline"
    else:
        status, summary = Status.BAD, f"not admitted now: {cell.step or cell.detail}"
    return finding(
        "TICKET-OUTLIVED", status, _subject(cell.node, cell.span), summary,
        values=_values(cell), limits={"until_ms": until_ms}, sources=cell.sources,
    )  # fmt: skip
