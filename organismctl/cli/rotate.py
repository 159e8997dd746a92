"""``organismctl rotate``: change the committee without losing anything."""

from __future__ import annotations

from typing import Annotated

import typer

from organismctl.cli.changing import (
    DEFAULT_WAIT,
    DryRun,
    Format,
    PlanOut,
    Reason,
    Risk,
    Wait,
    Yes,
    open_desk,
    run_plan,
)
from organismctl.cli.judging import Organism
from organismctl.cli.output import wants_json

app = typer.Typer(help="Change the committee step by step, without losing anything.", no_args_is_help=True)


@app.callback()
def rotate() -> None:
    """Change the committee step by step, without losing anything."""


@app.command()
def member(
    *,
    out: Annotated[
        str | None, typer.Option("--out", metavar="NODE", help="The committee member to take out.")
    ] = None,
    into: Annotated[
        str | None, typer.Option("--in", metavar="NODE", help="The spare node to take in.")
    ] = None,
    dead: Annotated[
        str | None,
        typer.Option(
            "--dead", metavar="NODE", help="The node to take out is dead: no drain; it must be fenced."
        ),
    ] = None,
    organism: Organism = None,
    reason: Reason = "",
    risk: Risk = None,
    dry_run: DryRun = False,
    plan_out: PlanOut = None,
    wait: Wait = DEFAULT_WAIT,
    yes: Yes = False,
    output: Format = "table",
) -> None:
    """Rotate a committee member: one node out, another in, under the same config.

    Both identities stay: integrators notice nothing. Never below a majority of the certified roster.
    """
    from organismctl.change.plan import Moves
    from organismctl.errors import UsageError

    leaving = out or dead
    if leaving is None or into is None:
        raise UsageError("rotate member needs --out NODE and --in NODE", advice="see `rotate member --help`")
    if dead is not None and out is not None and dead != out:
        raise UsageError(f"--dead {dead} and --out {out} name different nodes", advice="name the same one")
    as_json = wants_json(output)
    desk = open_desk(organism, wait=wait, risks=risk, yes=yes)
    plan = desk.plan(
        "rotate member",
        {"out": leaving, "in": into, "dead": dead is not None},
        what=f"rotate {leaving} out{' (dead)' if dead else ''} and {into} in",
        why=reason,
        moves=Moves(),
        notes=[
            "fingerprint and group id stay; that is proven again at the end",
            *(["watch for MEMBER-ZOMBIE afterwards: a dead node may come back"] if dead else []),
        ],
    )
    run_plan(
        desk, plan, yes=yes, dry_run=dry_run, plan_out=plan_out, destructive=dead is not None, as_json=as_json
    )
