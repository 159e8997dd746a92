"""``organismctl retire``: end an organism in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    confirm,
    json_lines,
    open_desk,
    run_plan,
    show,
    tell_end,
)
from organismctl.cli.judging import Organism
from organismctl.cli.output import wants_json
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.change.site import Ending, Site

app = typer.Typer(help="End an organism in order.", invoke_without_command=True)

At = Annotated[
    str | None,
    typer.Option(
        "--effective-at",
        metavar="TIME|tick:N",
        help="When: a time with its zone (2026-12-01T00:00Z), or a tick number (tick:123456).",
    ),
]
Fallback = Annotated[
    str | None,
    typer.Option(
        "--fallback",
        metavar="TIME",
        help="For tick:N: when the seal comes even if ticks stop; default a day after.",
    ),
]
Replacement = Annotated[
    str | None, typer.Option("--replacement", metavar="REF", help="The reference of the organism to move to.")
]


@app.callback(invoke_without_command=True)
def retire(
    context: typer.Context,
    *,
    at: At = None,
    fallback: Fallback = None,
    replacement: Replacement = None,
    organism: Organism = None,
    reason: Reason = "",
    risk: Risk = None,
    dry_run: DryRun = False,
    plan_out: PlanOut = None,
    wait: Wait = DEFAULT_WAIT,
    yes: Yes = False,
    output: Format = "table",
) -> None:
    """Retire the organism: announce, schedule, seal, prove the marker from outside, stop the nodes.

    Until the seal it can be amended and cancelled; after it the organism is over for ever.
    """
    if context.invoked_subcommand is not None:
        return
    from organismctl.change.plan import Moves
    from organismctl.errors import UsageError

    if at is None:
        raise UsageError("retire needs --effective-at", advice="for example --effective-at 2026-12-01T00:00Z")
    as_json, reason = wants_json(output), _printable(reason)
    desk = open_desk(organism, wait=wait, risks=risk, yes=yes)
    site = desk.site()
    moment, ticks = _moment(site, at, fallback, desk.clock.now_ms())
    replacement = _reference(replacement)
    plan = desk.plan(
        "retire",
        {
            "effective_at": moment,
            "replacement": replacement,
            "reason": reason,
            "nodes": _nodes_to_stop(site),
            "ticks_now": ticks,
        },
        what=f"retire {desk.organism} at {moment}" + (f", replaced by {replacement}" if replacement else ""),
        why=reason,
        moves=Moves("none", "none", "rebind" if replacement else "rebuild"),
        notes=_notes(site, moment),
    )
    run_plan(desk, plan, yes=yes, dry_run=dry_run, plan_out=plan_out, destructive=True, as_json=as_json)


@app.command()
def amend(
    *,
    at: At = None,
    fallback: Fallback = None,
    replacement: Replacement = None,
    organism: Organism = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    plan_out: PlanOut = None,
    yes: Yes = False,
    output: Format = "table",
) -> None:
    """Replace the scheduled retirement as a whole; possible until the seal, an earlier date needs fresh notice."""
    from organismctl.change.plan import Moves
    from organismctl.errors import UsageError

    if at is None:
        raise UsageError(
            "retire amend needs --effective-at", advice="give all of it: what is left out is dropped"
        )
    as_json, reason = wants_json(output), _printable(reason)
    desk = open_desk(organism, yes=yes)
    site = desk.site()
    moment, ticks = _moment(site, at, fallback, desk.clock.now_ms())
    replacement = _reference(replacement)
    plan = desk.plan(
        "retire amend",
        {"effective_at": moment, "replacement": replacement, "reason": reason, "ticks_now": ticks},
        what=f"amend the retirement of {desk.organism} to {moment}",
        why=reason,
        moves=Moves("none", "none", "rebind" if replacement else "rebuild"),
        notes=_notes(site, moment),
    )
    run_plan(desk, plan, yes=yes, dry_run=dry_run, plan_out=plan_out, destructive=True, as_json=as_json)


@app.command()
def cancel(organism: Organism = None, *, yes: Yes = False, output: Format = "table") -> None:
    """Cancel the scheduled retirement; possible until the seal."""
    from organismctl.errors import InputError

    as_json = wants_json(output)
    desk = open_desk(organism, yes=yes)
    found = [item for item in desk.unfinished() if item.view.plan.procedure == "retire"]
    if not found:
        raise InputError(
            f"{desk.organism}: no retirement is under way here or on any node",
            advice="`organismctl change list` tells all changes",
        )
    item = found[-1]
    confirm(desk, f"cancel its retirement ({item.view.plan.what})", yes=yes, destructive=False)
    run = desk.abort if item.local is not None else desk.abort_elsewhere
    tell_end(desk, lambda: run(item.id), as_json=as_json)


@app.command()
def verify(organism: Organism = None, *, output: Format = "table") -> None:
    """Prove from outside that the marker is the last item of every surface, as an integrator would."""
    as_json = wants_json(output)
    desk = open_desk(organism)
    site = desk.site()
    spares = {member.name for member in site.members if not member.roster}
    # A spare that is off serves nobody; one that answers is held to its word like the others.
    endings = [one for one in site.eyes.endings() if one.seen or one.node not in spares]
    code = _verdict(endings)
    if as_json:
        rows = [
            {
                "node": item.node,
                "surface": item.surface,
                "ok": item.ok,
                "seen": item.seen,
                "detail": item.detail,
                "items": item.items,
                "last_seq": item.last_seq,
            }
            for item in endings
        ]
        show(json_lines({"schema": 1, "organism": desk.organism, "ok": code is Exit.OK, "endings": rows}))
    else:
        for item in endings:
            state = "ok" if item.ok else "bad" if item.seen else "unknown"
            show(f"{state:<8} {item.node:<16} {item.surface:<16} {item.detail}")
    raise typer.Exit(code)


def _verdict(endings: list[Ending]) -> Exit:
    """6 when a surface that was read does not end with the marker, 5 when one could not be read, else 0."""
    if any(item.seen and not item.ok for item in endings):
        return Exit.UNHEALTHY
    return Exit.OK if endings and all(item.seen for item in endings) else Exit.UNKNOWN


def _moment(site: Site, at: str, fallback: str | None, now_ms: int) -> tuple[str, int | None]:
    """The moment in full, and the present tick number when it is known."""
    from organismctl.change.procedure._retirement import with_fallback

    latest = site.fleet.survey().latest if at.startswith("tick:") else None
    ticks = latest.ticks if latest is not None else None
    moment = with_fallback(
        at, fallback=fallback, ticks=ticks or 0, period_s=site.limits.period_s, now_ms=now_ms
    )
    return moment, ticks


def _printable(reason: str) -> str:
    """The reason, as the ledger and the marker can hold it.

    Raises:
        UsageError: It is too long, or holds control characters or bytes that are no UTF-8.
    """
    from organismctl.committee.codec import FieldError
    from organismctl.committee.command import REASON
    from organismctl.errors import UsageError

    try:
        return REASON.load(reason, "--reason")
    except FieldError as exc:
        raise UsageError(
            f"it does not fit into the ledger: {exc}", advice="one line, without control characters"
        ) from exc


def _reference(text: str | None) -> str | None:
    """A reference in its canonical form.

    Raises:
        InputError: It is none.
    """
    if text is None:
        return None
    from organismctl.errors import InputError
    from organismctl.identity.reference import parse_ref

    try:
        return str(parse_ref(text))
    except ValueError as exc:
        raise InputError(
            f"--replacement {text[:80]!r}: {exc}", advice="`organismctl fingerprint show --as-ref` prints one"
        ) from exc


def _nodes_to_stop(site: Site) -> list[Any]:
    """Every node that answers now, and whoever is on the roster by the file."""
    survey = site.fleet.survey()
    return [member.name for member in site.members if member.roster or member.name in survey.seen]


def _notes(site: Site, moment: str) -> list[str]:
    from organismctl.identity.durations import format_duration

    notes = [
        f"publish the announcement on {site.channel}" if site.channel else "no [change_channel] to publish on"
    ]
    if " or " in moment:
        notes.append(f"a tick that stops coming: the seal comes at {moment.split(' or ')[1]} at the latest")
    linger = format_duration(round(site.limits.linger_s * 1000))
    notes.append(f"nodes serve latecomers for {linger} after it, then they are stopped")
    return notes
