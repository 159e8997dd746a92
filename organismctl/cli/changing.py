"""What ``rotate``, ``retire`` and ``change`` share: options, narration, prompts, and how a change's end is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.output import clean, emit, json_text, on_terminal, prompt, say
from organismctl.cli.output import confirm as ask_first
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.change.desk import Desk
    from organismctl.change.plan import Plan
    from organismctl.change.state import View
    from organismctl.change.wiring import Wiring

Yes = Annotated[
    bool, typer.Option("--yes", help="Answer every confirmation with yes; needed without a terminal.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan and stop; exit 2 when there is something to do.")
]
PlanOut = Annotated[Path | None, typer.Option("--plan-out", metavar="FILE", help="Write the plan and stop.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands in plan and journal.")]
Risk = Annotated[
    list[str] | None,
    typer.Option("--accept-risk", metavar="CODE", help="Go on although this is not shown; journalled."),
]
Wait = Annotated[
    str,
    typer.Option(
        "--wait", metavar="DURATION", help="Wait for a date that is at most this far off; else park."
    ),
]
Format = Annotated[str, typer.Option("--format", help="table or json.")]
DEFAULT_WAIT = "60s"
QUIET_S = 1.0
"""Progress is told on what takes longer than this."""


class Teller:
    """Narrates on standard error; see :class:`~organismctl.change.runner.Narrator`."""

    def __init__(self) -> None:
        self._told: tuple[str, float] = ("", 0.0)

    def step(self, number: int, count: int, title: str) -> None:
        """See :meth:`Narrator.step`."""
        say(_one_line(f"[{number}/{count}] {title}"))

    def say(self, text: str) -> None:
        """See :meth:`Narrator.say`."""
        say(_one_line(f"      {text}"))

    def waiting(self, what: str, since_s: float, until_s: float, blocker: str | None) -> None:
        """See :meth:`Narrator.waiting`: after a second, then whenever it changes, and every five seconds."""
        now = time.monotonic()
        last, at = self._told
        if since_s < QUIET_S or (now - at < QUIET_S or (what == last and now - at < 5)):
            return
        self._told = (what, now)
        who = f"; blocked by {blocker}" if blocker else ""
        say(_one_line(f"      waiting for {what}; {since_s:.0f} s already, at most {until_s:.0f} s{who}"))


def _one_line(text: str) -> str:
    """Narration may quote what a node said; it never looks like a line of ours."""
    return " ⏎ ".join(text.splitlines())


def show(text: str) -> None:
    """Data, on standard output, free of control characters."""
    emit(clean(text))


def open_desk(
    organism: str | None, *, wait: str = DEFAULT_WAIT, risks: list[str] | None = None, yes: bool = False
) -> Desk:
    """The desk of the organism that the options name.

    Raises:
        OrganismError: Which organism is meant is not clear, or a file holds problems.
    """
    import os

    from organismctl.change.wiring import Asked
    from organismctl.change.wiring import open_desk as wired
    from organismctl.files.context import resolve_context

    context = resolve_context(organism, env=os.environ, cwd=Path.cwd())
    return wired(
        context,
        Asked(
            narrator=Teller(),
            ask=ask_done if on_terminal() and not yes else None,
            accepted_risks=frozenset(risks or ()),
            wait_s=seconds(wait, "--wait"),
        ),
    )


def open_wiring(organism: str | None) -> Wiring:
    """The parts for what acts on single nodes; errors as :func:`open_desk`."""
    import os

    from organismctl.change.wiring import Asked, wire
    from organismctl.files.context import resolve_context

    context = resolve_context(organism, env=os.environ, cwd=Path.cwd())
    return wire(context, Asked(narrator=Teller(), ask=ask_done if on_terminal() else None))


def seconds(text: str, option: str) -> float:
    """A duration of the command line, in seconds.

    Raises:
        UsageError: It is none.
    """
    from organismctl.errors import UsageError
    from organismctl.identity.durations import parse_duration

    try:
        return parse_duration(text) / 1000
    except ValueError as exc:
        raise UsageError(f"{option} {text[:40]!r}: {exc}", advice="for example 500ms, 90s, 10m, 2d") from exc


def ask_done(question: str) -> bool:
    """Ask a person whether something has been done."""
    prompt(f"{question}\n  yes or no: ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def confirm(desk: Desk, what: str, *, yes: bool, destructive: bool) -> None:
    """Ask before acting, see :func:`organismctl.cli.output.confirm`; the target is the desk's organism."""
    ask_first(desk.organism, what, yes=yes, destructive=destructive)


def tell_plan(plan: Plan, *, as_json: bool) -> None:
    """Print a plan: JSON on standard output, or a person's view of it."""
    if as_json:
        show(json_text(plan.as_json()))
        return
    moves = plan.moves
    moved = f"fingerprint {moves.fingerprint}, group id {moves.group_id}, integrators {moves.integrators}"
    lines = [
        f"plan {plan.id}",
        f"  organism    {plan.organism}",
        f"  what        {plan.what}",
        *([f"  why         {plan.why}"] if plan.why else []),
        f"  moves       {moved}",
        f"  hash        {plan.hash[:10]}, over snapshot {plan.snapshot[:10]}",
        *[f"  note        {note}" for note in plan.notes],
        *_findings(plan.findings),
        "  steps",
    ]
    for number, step in enumerate(plan.steps, 1):
        marks = [
            "acts" if step.acts else "looks",
            *(["may park"] if step.may_park else []),
            *(["no way back from here"] if step.point_of_no_return else []),
            *([f"no undo: {step.undo}"] if step.undo and step.acts else []),
        ]
        lines.append(f"  {number:3} {step.title} ({', '.join(marks)})")
    show("\n".join(lines))


def _findings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What does not stand well, row by row; what does, as a number: JSON has them all."""
    others = [row for row in rows if row["status"] != "ok"]
    told = [f"  finding     {row['code']} {row['status']}: {row['summary']}" for row in others]
    fine = len(rows) - len(others)
    return [*told, *([f"  findings    {fine} ok (--format json lists them)"] if fine else [])]


def run_plan(
    desk: Desk,
    plan: Plan,
    *,
    yes: bool,
    dry_run: bool,
    plan_out: Path | None,
    destructive: bool,
    as_json: bool = False,
) -> None:
    """Print, write or apply a plan, as the options say; ends the command.

    Raises:
        typer.Exit: Always, with the command's exit code.
    """
    if plan_out is not None:
        from organismctl.change.plan import write_plan

        write_plan(plan_out, plan)
        say(f"plan written to {plan_out}; `organismctl change apply {plan_out}` applies it")
    if dry_run:
        tell_plan(plan, as_json=as_json)
        raise typer.Exit(Exit.DRIFT)
    if plan_out is not None:
        raise typer.Exit(Exit.OK)
    if not yes:
        tell_plan(plan, as_json=False)
    confirm(desk, plan.what, yes=yes, destructive=destructive)
    tell_end(desk, lambda: desk.apply(plan), as_json=as_json)


def tell_end(desk: Desk, run: Callable[[], View], *, as_json: bool) -> None:
    """Run a change and tell how it stands; ends the command.

    Raises:
        typer.Exit: With 0 when it is done, aborted as asked, or parked.
        OrganismError: As the run.
    """
    from organismctl.change.errors import ParkedError

    try:
        view = run()
    except ParkedError as parked:
        say(f"{desk.organism}: {parked.message}; no lease is held")
        if parked.advice:
            say(f"  next: {parked.advice}")
        raise typer.Exit(parked.exit) from parked
    say(f"{desk.organism}: {view.plan.what}: {view.state.value}")
    if as_json:
        show(json_text(view.as_json()))
    raise typer.Exit(Exit.OK)


def json_lines(value: Any) -> str:
    """JSON for standard output."""
    return json_text(value)
