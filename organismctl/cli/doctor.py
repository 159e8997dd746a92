"""``organismctl doctor``: the tool's own surroundings, so that a finding is the organism's and not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.judging import Organism, Output

if TYPE_CHECKING:
    from organismctl.observe.surroundings import Surrounding

app = typer.Typer(help="Check the tool's own surroundings.", rich_markup_mode=None)


@app.command()
def doctor(
    *,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json.")] = "table",
    output: Output = None,
    organism: Organism = None,
) -> None:
    """Check versions, files, secrets, disk, clocks and reachability; each problem with its next step.

    Exit codes: 0 well (warnings too); 1 something must be mended here; 5 something could not be seen.
    """
    from organismctl.cli.output import emit, emit_json, progress, table, wants_json
    from organismctl.exits import Exit
    from organismctl.observe.surroundings import BAD, UNKNOWN, examine

    as_json = wants_json(format_)
    context, trouble = _context(organism)
    with progress("looking around") as told:
        rows = examine(context, trouble, on_row=told.step)
    states = {row.status for row in rows}
    code = Exit.ERROR if BAD in states else Exit.UNKNOWN if UNKNOWN in states else Exit.OK
    if as_json:
        emit_json({"schema": 1, "exit": int(code), "rows": [_json(row) for row in rows]}, output)
    else:
        cells = [[row.status, row.subject, row.detail] for row in rows]
        steps = [f"  next: {row.subject}: {row.advice}" for row in rows if row.advice]
        emit("\n".join([table(cells, ["STATUS", "WHAT", "SEEN"]), *steps, f"exit {int(code)}"]), output)
    raise typer.Exit(code)


def _context(organism: str | None) -> tuple[Any, str | None]:
    """The organism, or why none can be examined: doctor has something to say without one too."""
    import os
    from pathlib import Path

    from organismctl.errors import OrganismError
    from organismctl.files.context import resolve_context

    try:
        return resolve_context(organism, env=os.environ, cwd=Path.cwd()), None
    except OrganismError as error:
        if organism is not None:
            raise
        return None, error.message


def _json(row: Surrounding) -> dict[str, Any]:
    return {"status": row.status, "subject": row.subject, "detail": row.detail, "advice": row.advice}
