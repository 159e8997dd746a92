"""Tickets on the wire: against the files, and as admission to the committee itself.

What a node publishes in its signed entry is what the other side judges. A ticket may be in the file only, on the
wire only, on both, or another one on the wire than in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.quorum import quorum_of
from organismctl.check.ticket_matrix import Cell, Matrix, State
from organismctl.check.ticket_rows import bounds_of, cell_values, quorum_row, verdict
from organismctl.check.values import listed, short, table

if TYPE_CHECKING:
    from organismctl.files.deployment import Thresholds
    from organismctl.identity.config import Json


def wire_row(matrix: Matrix, cell: Cell) -> Iterator[Finding]:
    """Where a pair's ticket is; nothing for a spanned member that is not reached by the wire."""
    if not matrix.wired(cell.span):
        return
    subject = f"{cell.node} × {cell.span}"
    held = matrix.held(cell.node, cell.span)
    files = {
        str(value["ticket_id"]): str(value.get("file"))
        for fact in held.files
        if fact.seen and "ticket_id" in (value := table(fact.value))
    }
    if held.wire is None:
        if files or cell.state is not State.FREE:
            yield finding("TICKET-WIRE", Status.UNKNOWN, subject, matrix.unseen, sources=cell.sources)
        return
    both = [ticket_id for ticket_id in files if ticket_id in held.wire]
    only_file = [ticket_id for ticket_id in files if ticket_id not in held.wire]
    only_wire = [one for one in matrix.published(cell.node, cell.span) if one not in files]
    if not (files or only_wire):
        return
    where, status, summary = _where(both, only_file, only_wire, files)
    values: dict[str, Json] = {
        "where": where,
        "both": [*both],
        "file_only": [*only_file],
        "wire_only": [*only_wire],
    }
    yield finding("TICKET-WIRE", status, subject, summary, values=values, sources=cell.sources)


def _where(
    both: list[str], only_file: list[str], only_wire: list[str], files: dict[str, str]
) -> tuple[str, Status, str]:
    """The state of a pair in one word, its status and its line."""
    names = listed([files[one] for one in only_file])
    ids = listed([short(one) for one in only_wire])
    if only_file and only_wire:
        return "other", Status.BAD, f"another ticket on the wire ({ids}) than in the file ({names})"
    if only_file:
        beside = "; the others are published" if both else ""
        return "file", Status.BAD, f"in the file only, not published: {names}{beside}"
    if both:
        more = f"; {ids} on the wire beside it" if only_wire else ""
        return "both", Status.OK, f"the wire carries the ticket of the file{more}"
    return "wire", Status.WARN, f"on the wire only: {ids}; no file of it is here"


def admission_rows(matrix: Matrix, now_ms: int, limits: Thresholds) -> Iterator[Finding]:
    """Each node's own admission to the committee, and until when a majority is admitted."""
    if not matrix.admits:
        return
    cells = [matrix.admission(node) for node in matrix.roster]
    for cell in cells:
        _, status, summary = verdict(cell, limits, now_ms)
        yield finding(
            "TICKET-ADMISSION", status, cell.node, summary,
            values=cell_values(cell), limits=bounds_of(limits), sources=cell.sources,
        )  # fmt: skip
        yield from wire_row(matrix, cell)
    if any(cell.state is not State.FREE for cell in cells):
        yield quorum_row(matrix.own, quorum_of(cells, now_ms), limits, now_ms)
