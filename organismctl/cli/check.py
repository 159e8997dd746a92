"""``organismctl check``: judge tickets, identities, the committee, surfaces, the fingerprint, or all."""

from __future__ import annotations

from collections.abc import Sequence
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

app = typer.Typer(
    help="Judge tickets, identities, the committee, surfaces, the fingerprint, or all.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Examples: organismctl check all; organismctl check tickets --at +7d; "
    "organismctl check fingerprint --format github --fail-on integrators",
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
    _judge(["tickets"], organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via)


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
    _judge(["identity"], organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via, listen)


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
    _judge(["committee"], organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via)


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
    _judge(["surfaces"], organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via, listen)


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
    _judge(["fingerprint"], organism, format_, output, strict, fail_on, None, None, DEFAULT_DEADLINE)


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

    _judge(list(CHECKS), organism, format_, output, strict, fail_on, from_, at, timeout, no_wire, via, listen)


def _judge(
    names: Sequence[str],
    organism: str | None,
    format_: str,
    output: Path | None,
    strict: bool,
    fail_on: str,
    from_: Path | None,
    at: str | None,
    timeout: str,
    no_wire: bool = False,
    via: list[str] | None = None,
    listen: str | None = None,
) -> None:
    """Read, look, judge, show; end with the exit code of the worst finding."""
    judge(
        names,
        organism=organism,
        format_=format_,
        output=output,
        strict=strict,
        fail_on=fail_on,
        from_=from_,
        at=at,
        timeout=timeout,
        no_wire=no_wire,
        via=via,
        listen=listen,
    )


def judge(
    names: Sequence[str],
    *,
    organism: str | None,
    format_: str = "table",
    output: Path | None = None,
    strict: bool = False,
    fail_on: str = "any",
    from_: Path | None = None,
    at: str | None = None,
    timeout: str = DEFAULT_DEADLINE,
    no_wire: bool = False,
    via: list[str] | None = None,
    listen: str | None = None,
    command: str | None = None,
) -> None:
    """Run checks by name and end the command; ``fingerprint check`` is the same judgement.

    Args:
        names: Keys of ``organismctl.check.run.CHECKS``.
        organism: What ``--organism`` gave.
        format_: What ``--format`` gave.
        output: What ``-o`` gave.
        strict: Whether warnings fail.
        fail_on: What ``--fail-on`` gave.
        from_: A snapshot file to judge instead of the world.
        at: The moment of judgement.
        timeout: How long the look may take.
        no_wire: Whether mosaik's own network is left out.
        via: Nodes whose API is asked for its catalog instead of UDP.
        listen: How long to subscribe to the streams that are judged.
        command: How the report names the command; ``check NAME`` when not given.

    Raises:
        typer.Exit: With the exit code, always.
        OrganismError: A file, an option or the snapshot is wrong.
    """
    from organismctl.check.run import run_scope
    from organismctl.cli.judging import load_subject, style, wire_look
    from organismctl.cli.output import emit, say
    from organismctl.errors import UsageError
    from organismctl.report.interface import formatter
    from organismctl.report.model import Named, Report

    form = formatter(format_)
    _known_audience(fail_on)
    subject = load_subject(organism, needs_deployment=list(names) != ["fingerprint"])
    if from_ is not None and (no_wire or via or listen):
        raise UsageError("--from judges what was seen: --no-wire, --via and --listen go with a look")
    wire = wire_look(subject, no_wire=no_wire, via=via, listen=listen, names=names)
    snapshot, moment, looked = _look(names, subject, from_, at, timeout, wire)
    scope = subject.scope(snapshot, moment)
    report = Report(
        command=command or f"check {names[0] if len(names) == 1 else 'all'}",
        organism=Named.of(scope),
        findings=run_scope(names, scope),
        judged_ms=moment,
        seen_ms=snapshot.taken_ms if looked else None,
        strict=strict,
        fail_on=fail_on,
    )
    emit(form.format(report, style(output)), output)
    if output is not None:
        counts = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count)
        say(f"{output}: {counts or 'nothing to judge'}; exit {int(report.exit)}")
    raise typer.Exit(int(report.exit))


def _known_audience(fail_on: str) -> None:
    from organismctl.check.run import FAIL_ON
    from organismctl.errors import UsageError

    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on: {fail_on!r}", advice=f"one of {', '.join(FAIL_ON)}")


def _look(
    names: Sequence[str],
    subject: Subject,
    from_: Path | None,
    at: str | None,
    timeout: str,
    wire: WireLook,
) -> tuple[Snapshot, int, bool]:
    """The snapshot, the moment of judgement, and whether anything was looked at."""
    from organismctl.check.run import kinds_of, load
    from organismctl.cli.judging import now_ms, parse_at, take_look

    if from_ is not None:
        snapshot = kept(from_, subject)
        return snapshot, parse_at(at, snapshot.taken_ms), True
    moment = parse_at(at, 0)
    kinds = kinds_of(names)
    snapshot = take_look(subject, kinds, timeout, lambda: load(names), wire)
    return snapshot, moment if at is not None else now_ms(), bool(kinds)


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
