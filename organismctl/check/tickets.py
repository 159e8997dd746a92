"""Check ``tickets``: each committee member at each spanned member, and a majority of them at time T."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.quorum import quorum_of
from organismctl.check.ticket_matrix import Cell, Matrix, State, matrix_of
from organismctl.check.ticket_rows import bounds_of, cell_values, grade, quorum_row, until_text, verdict
from organismctl.check.ticket_wire import admission_rows, wire_row
from organismctl.check.values import duration, items, listed, moment, source, table

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.deployment import Deployment, Thresholds


def check_tickets(scope: Scope) -> list[Finding]:
    """Horizons, failing steps, what is installed, next issuers, and quorum per spanned member."""
    if scope.deployment is None:
        return [
            finding(
                "CHECK-INCOMPLETE", None, "tickets", "no deployment.toml is here: it names nodes and tickets"
            )
        ]
    matrix = matrix_of(scope)
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
            yield from wire_row(matrix, cell)
        if any(cell.state is not State.FREE for cell in cells):
            yield quorum_row(span, quorum_of(cells, scope.now_ms), limits, scope.now_ms)
    yield from admission_rows(matrix, scope.now_ms, limits)
    for node in matrix.roster:
        yield from _node_seen(scope, node)


def _subject(node: str, span: str) -> str:
    return f"{node} × {span}"


def _cell(cell: Cell, limits: Thresholds, now_ms: int) -> Iterator[Finding]:
    """The row of one pair, and the flag of a ticket that never ends."""
    code, status, summary = verdict(cell, limits, now_ms)
    subject, values = _subject(cell.node, cell.span), cell_values(cell)
    yield finding(
        code, status, subject, summary, values=values, limits=bounds_of(limits), sources=cell.sources
    )
    if cell.state is State.VALID and cell.horizon_ms is None:
        yield finding(
            "TICKET-NEVER-EXPIRES", None, subject, "it has no expiry, and the issuer's policy takes it so",
            values=values, sources=cell.sources,
        )  # fmt: skip


def _next(matrix: Matrix, node: str, span: str, limits: Thresholds, now_ms: int) -> Iterator[Finding]:
    """A root that is about to take over: the ticket beside the present one."""
    for cell in matrix.by_issuer(node, span, "next"):
        if cell.state is State.VALID:
            status, summary = grade(cell.horizon_ms, limits, now_ms), f"ready: {until_text(cell, now_ms)}"
        elif cell.state is State.UNKNOWN:
            status, summary = Status.UNKNOWN, cell.detail
        else:
            why = f": fails at step {cell.step}" if cell.step else ""
            status, summary = Status.WARN, f"no valid ticket from the next issuer yet{why}"
        yield finding(
            "TICKET-NEXT-ISSUER", status, _subject(node, span), summary,
            values=cell_values(cell), limits=bounds_of(limits), sources=cell.sources,
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


def outlives(scope: Scope, nodes: Sequence[str], until_ms: int) -> list[Finding]:
    """Whether each node stays admitted at every spanned member until a change's deadline.

    Args:
        scope: The files, and a snapshot with tickets in it.
        nodes: Nodes that the change needs, spares included.
        until_ms: The deadline, Unix ms.

    Returns:
        A ``TICKET-OUTLIVED`` row a pair: ok, bad (the ticket ends before), or unknown.
    """
    matrix = matrix_of(scope)
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
        values=cell_values(cell), limits={"until_ms": until_ms}, sources=cell.sources,
    )  # fmt: skip
