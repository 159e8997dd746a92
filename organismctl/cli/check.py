"""``organismctl check``: judge tickets, identities, the committee, subscriptions, surfaces, evidence, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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
    from organismctl.cli.judging import Subject
    from organismctl.observe.snapshot import Snapshot
    from organismctl.observe.sources import WireLook
    from organismctl.report.model import Report

app = typer.Typer(
    help="Judge tickets, identities, the committee, subscriptions, surfaces, evidence, the fingerprint, or all.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Format = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="table, json, junit, github or prometheus.")
]
Strict = Annotated[bool, typer.Option("--strict", help="A warning fails too (exit 2).")]
FailOn = Annotated[
    str,
    typer.Option(
        "--fail-on", metavar="WHOM", help="Fail on what any, the committee or the integrators must act on."
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of a check say.

    Attributes:
        organism: What ``--organism`` gave.
        format: What ``--format`` gave.
        output: What ``-o`` gave.
        strict: Whether warnings fail.
        fail_on: What ``--fail-on`` gave.
        from_: A snapshot file to judge instead of the world.
        at: The moment of judgement.
        timeout: How long the look may take.
        no_wire: Whether mosaik's own network is left out.
        via: Nodes whose API is asked for its catalog instead of UDP.
        listen: How long to subscribe to the streams that are judged.
    """

    organism: str | None
    format: str = "table"
    output: Path | None = None
    strict: bool = False
    fail_on: str = "any"
    from_: Path | None = None
    at: str | None = None
    timeout: str = DEFAULT_DEADLINE
    no_wire: bool = False
    via: list[str] | None = None
    listen: str | None = None


@app.command()
def tickets(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
) -> None:
    """Judge each node's ticket at each spanned member: horizon, failing step, quorum at time T."""
    asked = Asked(organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via)
    judge(["tickets"], asked)


@app.command()
def identity(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
    listen: Listen = None,
) -> None:
    """Judge each spanned member's published card against what organism.toml pins of it."""
    asked = Asked(organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via, listen)
    judge(["identity"], asked)


@app.command()
def committee(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
) -> None:
    """Judge our committee: whole, bonded, led by one, alike in ledger and identity."""
    asked = Asked(organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via)
    judge(["committee"], asked)


@app.command()
def subscriptions(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
    listen: Listen = None,
) -> None:
    """Judge how each node hears each spanned member: lag, silence, retirement, and whose side it is."""
    asked = Asked(organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via, listen)
    judge(["subscriptions"], asked)


@app.command()
def surfaces(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
    listen: Listen = None,
) -> None:
    """Judge our surfaces: served by which nodes, by which not; with --listen, what a subscriber hears."""
    asked = Asked(organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via, listen)
    judge(["surfaces"], asked)


@app.command()
def evidence(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
) -> None:
    """Judge whether the ledger's evidence resolves upstream, and how long the oldest still will."""
    asked = Asked(organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via)
    judge(["evidence"], asked)


@app.command()
def fingerprint(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
) -> None:
    """Judge organism.toml against organism.lock; needs neither network nor deployment."""
    asked = Asked(organism, format_, output, strict, fail_on)
    judge(["fingerprint"], asked)


@app.command(name="all")
def all_(
    *,
    organism: Organism = None,
    format_: Format = "table",
    output: Output = None,
    strict: Strict = False,
    fail_on: FailOn = "any",
    from_: From = None,
    at: At = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
    listen: Listen = None,
) -> None:
    """Run every check over one look at the world."""
    from organismctl.check.run import CHECKS

    asked = Asked(organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via, listen)
    judge(list(CHECKS), asked)


def judge(names: Sequence[str], asked: Asked, *, command: str | None = None) -> None:
    """Run checks by name and end the command; ``fingerprint check`` is the same judgement.

    Args:
        names: Keys of ``organismctl.check.run.CHECKS``.
        asked: What the options say.
        command: How the report names the command; ``check NAME`` when not given.

    Raises:
        typer.Exit: With the exit code, always.
        OrganismError: A file, an option or the snapshot is wrong.
    """
    from organismctl.check.run import run_scope
    from organismctl.cli.judging import load_subject, style, wire_look
    from organismctl.cli.output import emit
    from organismctl.errors import InputError
    from organismctl.report.interface import formatter
    from organismctl.report.model import Named, Report
    from organismctl.report.problems import problems_page

    form = formatter(asked.format)
    _understood(asked)
    named = command or f"check {names[0] if len(names) == 1 else 'all'}"
    try:
        subject = load_subject(asked.organism, needs_deployment=list(names) != ["fingerprint"])
    except InputError as error:
        page = problems_page(error, asked.format, named, style(asked.output).base)
        if page is not None:
            emit(page, asked.output)
        raise
    wire = wire_look(subject, no_wire=asked.no_wire, via=asked.via, listen=asked.listen, names=names)
    snapshot, moment, looked = _look(names, subject, asked, wire)
    scope = subject.scope(snapshot, moment)
    report = Report(
        command=named,
        organism=Named.of(scope),
        findings=run_scope(names, scope),
        judged_ms=moment,
        seen_ms=snapshot.taken_ms if looked else None,
        strict=asked.strict,
        fail_on=asked.fail_on,
    )
    _show(report, form.format(report, style(asked.output)), asked.output)
    raise typer.Exit(int(report.exit))


def _understood(asked: Asked) -> None:
    """Options that contradict each other, or say what is not known, are errors before anything is looked at."""
    from organismctl.check.run import FAIL_ON
    from organismctl.errors import UsageError

    if asked.fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on: {asked.fail_on!r}", advice=f"one of {', '.join(FAIL_ON)}")
    if asked.from_ is not None and (asked.no_wire or asked.via or asked.listen):
        raise UsageError("--from judges what was seen: --no-wire, --via and --listen go with a look")


def _show(report: Report, page: str, output: Path | None) -> None:
    """The page where it is wanted; of one that went into a file, a line on standard error."""
    from organismctl.cli.output import emit, say

    emit(page, output)
    if output is not None:
        counts = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count)
        say(f"{output}: {counts or 'nothing to judge'}; exit {int(report.exit)}")


def _look(
    names: Sequence[str],
    subject: Subject,
    asked: Asked,
    wire: WireLook,
) -> tuple[Snapshot, int, bool]:
    """The snapshot, the moment of judgement, and whether anything was looked at."""
    from organismctl.check.run import kinds_of, load
    from organismctl.cli.judging import now_ms, parse_at, take_look

    if asked.from_ is not None:
        snapshot = kept(asked.from_, subject)
        return snapshot, parse_at(asked.at, snapshot.taken_ms), True
    moment = parse_at(asked.at, 0)
    kinds = kinds_of(names)
    snapshot = take_look(subject, kinds, asked.timeout, lambda: load(names), wire)
    return snapshot, moment if asked.at is not None else now_ms(), bool(kinds)


def kept(path: Path, subject: Subject) -> Snapshot:
    """The snapshot of a file, which must be about this organism.

    Raises:
        InputError: It is about another one, or no snapshot.
        PathError: The system refused.
    """
    from organismctl.check.values import moment
    from organismctl.cli.output import say
    from organismctl.errors import InputError
    from organismctl.observe.snapshot_file import load_snapshot

    snapshot, about = load_snapshot(path)
    name = subject.organism.config.name
    if about.get("name") != name:
        raise InputError(
            f"{path} is a look at {about.get('name')!s:.80}, not at {name}", advice="name its organism"
        )
    say(f"judging what was seen at {moment(snapshot.taken_ms)}")
    return snapshot
