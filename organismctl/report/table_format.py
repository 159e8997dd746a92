"""Format ``table``: for a person; plain aligned text, with rich only where a terminal takes colour."""

from __future__ import annotations

from collections.abc import Sequence

from organismctl.check.finding import Finding, Status
from organismctl.report.interface import Style
from organismctl.report.model import Report
from organismctl.report.text import aligned, clean, relative

FOLD_ABOVE = 60
"""With more rows than this, ok rows are counted by code instead of shown."""
_DRIFTS = ("FINGERPRINT-DRIFT", "GROUP-DRIFT")
HEAD = ("STATUS", "CODE", "SUBJECT", "SUMMARY")
_COLOURS = {Status.BAD: "bold red", Status.UNKNOWN: "magenta", Status.WARN: "yellow", Status.OK: "green"}


class TableFormat:
    """See :class:`organismctl.report.interface.Formatter`."""

    def format(self, report: Report, style: Style) -> str:
        """See :meth:`Formatter.format`."""
        rows, folded = _fold(report.sorted())
        parts = [clean(report.organism.line()) + "\n\n"]
        if rows:
            body = [_cells(row, style.base) for row in rows]
            parts.append(_rich(rows, body, style) if style.colour else aligned(body, HEAD, style.width))
        parts += [
            f"ok        {code}: {count} subject{'s' if count > 1 else ''} (--format json lists them)\n"
            for code, count in folded
        ]
        parts.append(("\n" if rows or folded else "") + _foot(report) + "\n")
        return "".join(parts)


def _fold(rows: Sequence[Finding]) -> tuple[list[Finding], list[tuple[str, int]]]:
    """The rows to show, and how many ok rows of which code are not shown."""
    if len(rows) <= FOLD_ABOVE:
        return list(rows), []
    counts: dict[str, int] = {}
    for row in rows:
        if row.status is Status.OK:
            counts[row.code] = counts.get(row.code, 0) + 1
    return [row for row in rows if row.status is not Status.OK], list(counts.items())


def _cells(row: Finding, base: str) -> tuple[str, str, str, str]:
    status = f"{row.status.value}*" if row.accepted else row.status.value
    where = ""
    if row.place is not None and row.status is not Status.OK:
        line = "" if row.place.line is None else f":{row.place.line}"
        where = f" ({relative(row.place.file, base)}{line})"
    accepted = f" [accepted until {row.accepted.until}: {row.accepted.reason}]" if row.accepted else ""
    return status, row.code, row.subject, f"{row.summary}{where}{accepted}"


def _foot(report: Report) -> str:
    counts = report.counts
    said = [f"{counts[key]} {key}" for key in ("bad", "unknown", "warn", "accepted", "ok") if counts[key]]
    failing = [row for row in report.sorted() if report.failing(row) and row.runbook]
    # In the order of the rows: what stands first is what to begin with.
    runbooks = list(dict.fromkeys(str(row.runbook) for row in failing))
    turn = f"; runbooks: {', '.join(runbooks)}" if runbooks else ""
    left_out = sum(1 for row in report.findings if row.status is not Status.OK and not report.decides(row))
    narrowed = f"; {left_out} not counted (--fail-on {report.fail_on})" if left_out else ""
    counted = f"{', '.join(said) or 'nothing to judge'}; exit {int(report.exit)}{narrowed}{turn}"
    return counted + (f"\nnext: {_next(failing, runbooks[0])}" if runbooks else "")


def _next(failing: Sequence[Finding], runbook: str) -> str:
    """The command to run next; a drift of our own config has two ways out, and a person chooses."""
    run = f"organismctl runbook run {runbook}"
    if failing[0].code in _DRIFTS and failing[0].status is Status.BAD:
        return f"revert the edit, or accept it: organismctl lock accept --reason TEXT; or {run}"
    return run


def _rich(rows: Sequence[Finding], body: Sequence[Sequence[str]], style: Style) -> str:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    page = StringIO()
    console = Console(
        file=page, width=style.width, force_terminal=True, highlight=False, color_system="standard"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in HEAD:
        table.add_column(title, overflow="fold", no_wrap=title in ("STATUS", "CODE"))
    for row, line in zip(rows, body, strict=True):
        colour = "dim" if row.accepted else _COLOURS[row.status]
        table.add_row(Text(line[0], style=colour), *(Text(clean(cell)) for cell in line[1:]))
    console.print(table)
    return page.getvalue()


FORMATTER = TableFormat()
