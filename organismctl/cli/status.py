"""``organismctl status``: the organism on one screen."""

from __future__ import annotations

from typing import Annotated

import typer

from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, From, NoWire, Organism, Output, ViaNode

app = typer.Typer(
    help="Show the organism on one screen.",
    rich_markup_mode=None,
)


@app.command()
def status(
    *,
    organism: Organism = None,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json.")] = "table",
    output: Output = None,
    from_: From = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
) -> None:
    """Show identities, nodes, ledger, tickets, cards, changes under way; exit as `check all` would."""
    from organismctl.check.run import CHECKS, kinds_of
    from organismctl.cli.check import kept
    from organismctl.cli.judging import load_subject, now_ms, style, take_look, wire_look
    from organismctl.cli.looking import judged
    from organismctl.cli.output import emit
    from organismctl.errors import UsageError
    from organismctl.report.status import status_json, status_text
    from organismctl.report.text import json_text

    if format_ not in ("table", "json"):
        raise UsageError(f"no format {format_!r}", advice="--format takes table or json")
    subject = load_subject(organism)
    names = list(CHECKS)
    if from_ is not None and (no_wire or via):
        raise UsageError("--from shows what was seen: --no-wire and --via go with a look")
    wire = wire_look(subject, no_wire=no_wire, via=via)
    snapshot = kept(from_, subject) if from_ else take_look(subject, kinds_of(names), timeout, wire=wire)
    moment = snapshot.taken_ms if from_ else now_ms()
    made = judged("status", names, subject, snapshot, moment)
    value = status_json(made.scope, made.report, made.changes)
    page = json_text(value) if format_ == "json" else status_text(value, made.report, style(output))
    emit(page, output)
    raise typer.Exit(int(made.report.exit))
