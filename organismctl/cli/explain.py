"""``organismctl explain``: what a finding's code means, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from organismctl.check.codes import Code

app = typer.Typer(
    help="What a finding's code means, and what to do.",
    rich_markup_mode=None,
)


@app.command()
def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="A code, as it stands in a report.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--list", help="List all codes.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json.")] = "table",
) -> None:
    """Explain a code: its meaning, what to do, its exit code and its runbook."""
    from organismctl.check.codes import CODES, exit_of, nearest
    from organismctl.cli.output import emit, width
    from organismctl.errors import UsageError
    from organismctl.report.text import aligned, json_text

    if format_ not in ("table", "json"):
        raise UsageError(f"no format {format_!r}", advice="--format takes table or json")
    if every == (code is not None):
        raise UsageError("name one code, or give --list", advice="organismctl explain --list")
    row = CODES.get((code or "").upper())
    if row is None and code is not None:
        near = nearest(code)
        advice = f"did you mean {near}?" if near else "organismctl explain --list"
        raise UsageError(f"there is no code {code[:80]!r}", advice=advice)
    chosen = list(CODES.values()) if row is None else [row]
    if format_ == "json":
        emit(json_text({"schema": 1, "codes": [_json(one) for one in chosen]}))
    elif row is None:
        rows = [(one.code, one.default.value, str(int(exit_of(one))), one.title) for one in chosen]
        emit(aligned(rows, ("CODE", "STATUS", "EXIT", "TITLE"), width()))
    else:
        emit(_page(row, width()))


def _json(row: Code) -> dict[str, Any]:
    return {
        "code": row.code,
        "title": row.title,
        "meaning": row.meaning,
        "action": row.action,
        "status": row.default.value,
        "exit": int(row.exit),
        "runbook": row.runbook,
        "concerns": list(row.concerns),
    }


def _page(row: Code, width: int) -> str:
    """One code as a page to read."""
    from organismctl.report.text import wrap

    lines = [f"{row.code}: {row.title}", ""]
    for title, text in (("It means", row.meaning), ("To do", row.action)):
        lines += [f"{title}:", *(f"  {line}" for line in wrap(text, width - 2)), ""]
    acting = " and ".join(row.concerns)
    lines.append(f"bad: exit {int(row.exit)}; concerns the {acting}; runbook: {row.runbook}")
    lines.append(f"next: organismctl runbook run {row.runbook}")
    return "\n".join(lines) + "\n"
