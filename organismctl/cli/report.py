"""``organismctl report``: one page on the organism, to keep, to print, to hand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from organismctl.cli.judging import (
    DEFAULT_DEADLINE,
    At,
    Deadline,
    From,
    Listen,
    NoWire,
    Organism,
    Output,
    ViaNode,
)

if TYPE_CHECKING:
    from organismctl.report.interface import Style
    from organismctl.report.page import Page

FORMATS = ("html", "json", "table")

app = typer.Typer(help="One page on the organism, to keep, to print, to hand on.", rich_markup_mode=None)


@app.command()
def report(
    *,
    organism: Organism = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="html (one file, no script), json or table.")
    ] = "html",
    output: Output = None,
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
    listen: Listen = None,
) -> None:
    """Tell who loses quorum when, lag and its history, identities and findings; exit as `check all` would."""
    from organismctl.check.run import CHECKS
    from organismctl.check.span_health import span_health
    from organismctl.cli.judging import load_subject, style, wire_look
    from organismctl.cli.looking import judged, seen
    from organismctl.cli.output import emit, say
    from organismctl.errors import UsageError
    from organismctl.report.page import page_json

    if format_ not in FORMATS:
        raise UsageError(f"no format {format_[:40]!r}", advice=f"--format takes {', '.join(FORMATS)}")
    if from_ is not None and (no_wire or via or listen):
        raise UsageError("--from reports what was seen: --no-wire, --via and --listen go with a look")
    subject = load_subject(organism)
    wire = wire_look(subject, no_wire=no_wire, via=via, listen=listen, names=list(CHECKS))
    snapshot, moment = seen(subject, from_, at, timeout, wire)
    made = judged("report", list(CHECKS), subject, snapshot, moment)
    page = page_json(made.scope, made.report, made.changes, span_health(made.scope))
    emit(_shown(format_)(page, style(output)), output)
    if output is not None:
        say(f"{output}: written; exit {int(made.report.exit)}")
    raise typer.Exit(int(made.report.exit))


def _shown(name: str) -> Callable[[Page, Style], str]:
    """How a page becomes text."""
    from organismctl.report.html_page import page_html
    from organismctl.report.page_text import page_text
    from organismctl.report.text import json_text

    made: dict[str, Callable[[Page, Style], str]] = {
        "html": lambda page, _style: page_html(page),
        "json": lambda page, _style: json_text(page),
        "table": page_text,
    }
    return made[name]
