"""``organismctl change``: look at changes, resume, take over, abort, apply a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.changing import (
    DEFAULT_WAIT,
    DryRun,
    Format,
    Risk,
    Wait,
    Yes,
    confirm,
    json_lines,
    open_desk,
    run_plan,
    show,
    tell_end,
)
from organismctl.cli.judging import Organism
from organismctl.cli.output import say, wants_json

if TYPE_CHECKING:
    from organismctl.change.desk import Desk
    from organismctl.change.store import Change

app = typer.Typer(help="Look at changes, resume, take over, abort, apply a plan.", no_args_is_help=True)

Id = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The change; without one, the only unfinished one.")
]


@app.callback()
def change() -> None:
    """Look at changes, resume, take over, abort, apply a plan."""


@app.command("list")
def list_(organism: Organism = None, output: Format = "table") -> None:
    """List every change that is known here, on the nodes or in the shared folder."""
    as_json = wants_json(output)
    desk = open_desk(organism)
    found = desk.changes()
    if as_json:
        show(
            json_lines(
                {"schema": 1, "organism": desk.organism, "changes": [_summary(item) for item in found]}
            )
        )
        return
    if not found:
        say(f"{desk.organism}: no changes")
    for item in found:
        view = item.view
        waits = f" (waits for {view.waits_for})" if view.waits_for else ""
        step = "" if view.state.final or view.current is None else f" at {view.current}"
        show(f"{item.id}  {view.state.value:<11}  {view.plan.what}{step}{waits}")
        for fault in item.faults:
            say(f"  {fault}")


@app.command("show")
def show_(
    id_: Id = None,
    organism: Organism = None,
    output: Format = "table",
) -> None:
    """Show one change: its plan, its state, every step."""
    as_json = wants_json(output)
    desk = open_desk(organism)
    found = _pick(desk, id_, any_state=True)
    if as_json:
        show(json_lines({**found.view.as_json(), "copies": _copies(found), "faults": list(found.faults)}))
        return
    _tell(found)


@app.command()
def history(id_: Id = None, organism: Organism = None, output: Format = "table") -> None:
    """Print a change's journal, line by line, with every copy that was seen."""
    as_json = wants_json(output)
    desk = open_desk(organism)
    found = _pick(desk, id_, any_state=True)
    lines = found.best.lines
    if as_json:
        view = found.view.as_json(lines)
        show(json_lines({**view, "copies": _copies(found), "faults": list(found.faults)}))
        return
    from organismctl.change.canonical import canonical, clean, iso

    for line in lines:
        step = f" {line.step}" if line.step else ""
        data = "" if not line.data else " " + clean(canonical(dict(line.data)).decode(), 300)
        show(f"{line.seq:4} {iso(line.at_ms)} f{line.fence} {line.kind}{step}{data}")
    for fault in found.faults:
        say(fault)


@app.command()
def resume(
    *,
    id_: Id = None,
    organism: Organism = None,
    risk: Risk = None,
    wait: Wait = DEFAULT_WAIT,
    yes: Yes = False,
    output: Format = "table",
) -> None:
    """Go on with an interrupted or parked change of this machine.

    The next step's preconditions are looked at anew; what was done is not done again.
    """
    as_json = wants_json(output)
    desk = open_desk(organism, wait=wait, risks=risk, yes=yes)
    found = _pick(desk, id_)
    tell_end(desk, lambda: desk.resume(found.id), as_json=as_json)


@app.command()
def takeover(
    *,
    id_: Id = None,
    organism: Organism = None,
    risk: Risk = None,
    wait: Wait = DEFAULT_WAIT,
    yes: Yes = False,
    output: Format = "table",
) -> None:
    """Go on with another operator's change, also on another machine; its runner stops before its next action."""
    as_json = wants_json(output)
    desk = open_desk(organism, wait=wait, risks=risk, yes=yes)
    found = _pick(desk, id_)
    runner = found.view.runner
    who = f"{runner.get('operator', 'unknown')} on {runner.get('host', 'unknown')}"
    confirm(desk, f"take {found.id} ({found.view.plan.what}) over from {who}", yes=yes, destructive=False)
    tell_end(desk, lambda: desk.takeover(found.id), as_json=as_json)


@app.command()
def abort(id_: Id = None, organism: Organism = None, yes: Yes = False, output: Format = "table") -> None:
    """Take a change back, last step first; refused after its point of no return."""
    as_json = wants_json(output)
    desk = open_desk(organism, yes=yes)
    found = _pick(desk, id_)
    confirm(desk, f"take {found.id} ({found.view.plan.what}) back", yes=yes, destructive=False)
    tell_end(desk, lambda: desk.abort(found.id), as_json=as_json)


@app.command()
def apply(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plan, as --plan-out wrote it.")],
    organism: Organism = None,
    risk: Risk = None,
    dry_run: DryRun = False,
    wait: Wait = DEFAULT_WAIT,
    yes: Yes = False,
    output: Format = "table",
) -> None:
    """Apply a plan that was written before; refused when the world has moved since."""
    from organismctl.change.plan import read_plan

    as_json = wants_json(output)
    plan = read_plan(file)
    desk = open_desk(organism, wait=wait, risks=risk, yes=yes)
    destructive = plan.procedure == "retire" or plan.parameters.get("dead") is True
    run_plan(desk, plan, yes=yes, dry_run=dry_run, plan_out=None, destructive=destructive, as_json=as_json)


def _pick(desk: Desk, id_: str | None, *, any_state: bool = False) -> Change:
    """The change that is meant: by id or its beginning, else the only unfinished one (else the latest)."""
    from organismctl.errors import InputError, UsageError

    if id_ is not None:
        known = desk.store.ids()
        near = [item for item in known if item.startswith(id_)]
        return desk.show(near[0] if len(near) == 1 and id_ not in known else id_)
    found = desk.unfinished()
    if not found and any_state:
        everything = desk.changes()
        if everything:
            return everything[-1]
    if not found:
        raise InputError(
            f"{desk.organism}: no unfinished change", advice="`organismctl change list` tells all"
        )
    if len(found) > 1:
        told = ", ".join(f"{item.id} ({item.view.state.value})" for item in found)
        raise UsageError(f"{desk.organism}: which one: {told}?", advice="give its id")
    return found[0]


def _summary(item: Change) -> dict[str, Any]:
    view = item.view.as_json()
    keys = (
        "id",
        "procedure",
        "what",
        "state",
        "waits_for",
        "until",
        "problem",
        "runner",
        "fence",
        "created",
        "updated",
    )
    return {**{key: view[key] for key in keys}, "current": item.view.current, "faults": list(item.faults)}


def _copies(item: Change) -> list[dict[str, Any]]:
    return [
        {"origin": copy.origin, "lines": len(copy.lines), "fence": copy.rank[0], "fault": copy.fault}
        for copy in item.copies
    ]


def _tell(item: Change) -> None:
    from organismctl.change.canonical import clean, iso

    view = item.view
    plan = view.plan
    rows = [
        f"change {item.id}",
        f"  organism  {plan.organism}",
        f"  what      {plan.what}",
        *([f"  why       {clean(plan.why)}"] if plan.why else []),
        f"  state     {view.state.value}{' (on the way back)' if view.aborting else ''}",
    ]
    if view.waits_for:
        until = f", until {iso(view.until_ms)}" if view.until_ms is not None else ""
        rows.append(f"  waits for {clean(view.waits_for)}{until}")
    if view.problem:
        rows.append(f"  problem   {clean(view.problem)}")
    if view.advice and not view.state.final:
        rows.append(f"  next      {clean(view.advice)}")
    if view.runner:
        told = {key: clean(str(value), 120) for key, value in view.runner.items()}
        rows.append(
            f"  runner    {told.get('operator')} on {told.get('host')} since {told.get('since')}, fence {view.fence}"
        )
    titles = {step.name: step.title for step in plan.steps}
    for number, (name, step) in enumerate(view.steps.items(), 1):
        detail = f": {clean(step.detail, 200)}" if step.detail else ""
        rows.append(f"  {number:3} {step.state.value:<8} {titles.get(name, name)}{detail}")
    rows += [f"  note      {clean(note)}" for note in view.notes]
    rows += [f"  copy      {copy.origin}: {len(copy.lines)} lines" for copy in item.copies]
    rows += [f"  fault     {fault}" for fault in item.faults]
    show("\n".join(rows))
