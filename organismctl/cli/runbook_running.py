"""Connects a run of a runbook: the organism's files, its looks, its records, a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from organismctl.errors import UsageError
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.check.finding import Finding
    from organismctl.cli.judging import Subject
    from organismctl.runbook.library import Library
    from organismctl.runbook.model import Runbook
    from organismctl.runbook.record import Kept, Record, Records
    from organismctl.runbook.redact import Redactor
    from organismctl.runbook.run import Outcome
    from organismctl.runbook.world import World

FORMATS = ("none", "markdown", "json")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    name: str | None
    resume: bool
    set: tuple[str, ...]
    yes: bool
    dry_run: bool
    format: str
    output: Path | None
    organism: str | None
    timeout: str
    no_wire: bool


def run_runbook(options: Options, library: Library) -> int:
    """Run or resume a runbook; returns the exit code.

    Raises:
        OrganismError: A file, an option or the record is wrong.
    """
    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import say
    from organismctl.runbook.redact import Redactor, secrets_of
    from organismctl.runbook.run import LeftError
    from organismctl.runbook.world import world_of

    if options.format not in FORMATS:
        raise UsageError(f"no format {options.format[:40]!r}", advice=f"--format takes {', '.join(FORMATS)}")
    subject = load_subject(options.organism)
    world = world_of(
        subject.organism.config.name, subject.deployment, [span.name for span in subject.organism.config.span]
    )
    redactor = Redactor(secrets_of(subject.deployment))
    values = _values(options.set, redactor)
    records = _records(subject)
    record = _record(options, subject, world, library, records, values)
    try:
        outcome = _run(options, subject, world, records, record, redactor)
    except LeftError:
        say(f"left; next: organismctl runbook run {record.book.name} --resume")
        return Exit.UNKNOWN
    except KeyboardInterrupt:
        say(f"next: organismctl runbook run {record.book.name} --resume")
        raise
    _finish(options, world, records, record, outcome)
    return int(outcome.exit)


def _record(
    options: Options,
    subject: Subject,
    world: World,
    library: Library,
    records: Records,
    values: dict[str, str],
) -> Record:
    """The run that is begun, resumed or only rehearsed."""
    from organismctl.cli.output import say

    if options.resume:
        return _resumed(options, records, values)
    book = library.load(options.name or _chosen(options, subject, library))
    _askable(options, book)
    begin = records.rehearse if options.dry_run else records.begin
    record = begin(book, organism=world.organism, operator=world.operator, values=values)
    if record.folder is not None:
        say(f"run {record.id}, kept in {record.folder}")
    return record


def _resumed(options: Options, records: Records, values: dict[str, str]) -> Record:
    if options.dry_run:
        raise UsageError("--resume and --dry-run contradict each other")
    left = [
        kept for kept in records.all()
        if kept.state != "done" and options.name in (None, kept.book.name, kept.id)
    ]  # fmt: skip
    if not left:
        raise UsageError("no run was left", advice="organismctl runbook list --runs")
    _askable(options, left[-1].book)
    record = records.resume(left[-1].id)
    for name, value in values.items():
        record.append("gave", name=name, value=value)
    return record


def _chosen(options: Options, subject: Subject, library: Library) -> str:
    """The runbook of the worst that is found now."""
    from organismctl.check.run import exit_of
    from organismctl.cli.output import say
    from organismctl.exits import SEVERITY

    rows = [row for row in _look(options, subject) if exit_of([row]) is not Exit.OK and row.runbook]
    rows.sort(key=lambda row: SEVERITY.index(row.exit))
    names = list(dict.fromkeys(str(row.runbook) for row in rows if row.runbook in library.paths()))
    if not names:
        raise UsageError("nothing is found that a runbook answers", advice="organismctl runbook list")
    also = f"; also: {', '.join(names[1:])}" if len(names) > 1 else ""
    say(f"{rows[0].code} {rows[0].subject}: runbook {names[0]}{also}")
    return names[0]


def _askable(options: Options, book: Runbook) -> None:
    """Without a terminal nobody can be asked: that is said before anything is done."""
    from organismctl.cli.output import on_terminal
    from organismctl.runbook.model import Kind

    acts = any(True for _ in book.blocks(Kind.RUN))
    if acts and not (options.yes or options.dry_run or on_terminal()):
        raise UsageError(
            f"runbook {book.name} acts, and this is no terminal, so nobody can be asked",
            advice=f"`organismctl runbook run {book.name} --dry-run` looks; --yes answers every question with yes",
        )


def _run(
    options: Options, subject: Subject, world: World, records: Records, record: Record, redactor: Redactor
) -> Outcome:
    from contextlib import nullcontext

    from organismctl.cli.runbook_showing import Shown
    from organismctl.runbook.execute import Executor
    from organismctl.runbook.run import Runner

    # The report alone is data; then what is shown on the way is narration.
    aside = options.format != "none" and options.output is None
    runner = Runner(
        record=record,
        world=world,
        look=lambda: _look(options, subject),
        executor=Executor(redactor, _environment(options)),
        presenter=Shown(world.organism, yes=options.yes, stream=sys.stderr if aside else sys.stdout),
        dry_run=options.dry_run,
    )
    with nullcontext() if record.folder is None else records.lock(record):
        return runner.run()


def _environment(options: Options) -> dict[str, str]:
    from organismctl.files.context import VARIABLE

    named = options.organism or os.environ.get(VARIABLE)
    return {**({VARIABLE: named} if named else {}), "COLUMNS": "96"}


def _look(options: Options, subject: Subject) -> Sequence[Finding]:
    """Every check over one look; the files are read anew, since an action may have changed them."""
    from organismctl.check.run import CHECKS, kinds_of, load, run_scope
    from organismctl.cli.judging import load_subject, now_ms, take_look, wire_look

    del subject
    names = list(CHECKS)
    fresh = load_subject(options.organism, quiet=True)
    wire = wire_look(fresh, no_wire=options.no_wire, names=names)
    snapshot = take_look(fresh, kinds_of(names), options.timeout, lambda: load(names), wire)
    return run_scope(names, fresh.scope(snapshot, now_ms()))


def _finish(options: Options, world: World, records: Records, record: Record, outcome: Outcome) -> None:
    from organismctl.cli.output import emit, json_text, say
    from organismctl.runbook.report import report_json, report_markdown

    rest = ", ".join(dict.fromkeys(row.code for row in outcome.remaining)) or "nothing is left of it"
    others = ", ".join(dict.fromkeys(row.code for row in outcome.others))
    say(
        f"{record.book.name}: exit {int(outcome.exit)}; {rest}"
        + (f"; open elsewhere: {others}" if others else "")
    )
    if record.folder is None:
        return
    kept = records.read(record.id)
    texts = {"markdown": report_markdown(kept, world), "json": json_text(report_json(kept)) + "\n"}
    record.keep("report.md", texts["markdown"])
    record.keep("report.json", texts["json"])
    wanted = "markdown" if options.format == "none" and options.output is not None else options.format
    if wanted in texts:
        emit(texts[wanted], options.output)


def _values(given: Sequence[str], redactor: Redactor) -> dict[str, str]:
    """``--set``; a value that looks like a secret is refused: it would stand in a journal."""
    from organismctl.runbook.world import SAMPLES

    values: dict[str, str] = {}
    for one in given:
        name, is_pair, value = one.partition("=")
        if not is_pair or not value:
            raise UsageError(f"--set {name[:40]!r}: no value", advice="--set NAME=VALUE")
        if name not in SAMPLES:
            raise UsageError(f"--set: no placeholder {name[:40]!r}", advice=", ".join(SAMPLES))
        if redactor.text(value) != value:
            raise UsageError(
                f"--set {name}: this looks like a secret (not shown)", advice="name the file that holds it"
            )
        values[name] = value
    return values


def _records(subject: Subject) -> Records:
    from organismctl.cli.judging import now_ms
    from organismctl.runbook.record import Records

    deployment = subject.deployment
    root = (
        deployment.resolve(deployment.state)
        if deployment is not None
        else subject.context.organism_path.parent / ".organism"
    )
    return Records(root / "runbooks", now_ms)


def list_runs(organism: str | None, *, as_json: bool) -> None:
    """Print the runs that this machine keeps."""
    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import emit, emit_json, width
    from organismctl.report.text import aligned
    from organismctl.runbook.report import outcome

    runs = list(_records(load_subject(organism, quiet=True)).all())
    if as_json:
        emit_json({"schema": 1, "runs": [_run_json(kept) for kept in runs]})
        return
    cells = [(kept.id, kept.state, str(kept.about["operator"]), outcome(kept.memory.done)) for kept in runs]
    emit(aligned(cells, ("RUN", "STATE", "OPERATOR", "OUTCOME"), width()) if cells else "no runs")


def _run_json(kept: Kept) -> dict[str, object]:
    return {
        "id": kept.id, "runbook": kept.book.name, "state": kept.state, "operator": kept.about["operator"],
        "host": kept.about["host"], "begun": kept.about["begun"],
        "exit": None if kept.memory.done is None else kept.memory.done["exit"],
    }  # fmt: skip


def report_of(run_id: str, format_: str, organism: str | None) -> str:
    """The report of a kept run.

    Raises:
        OrganismError: There is none, or the format is unknown.
    """
    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import json_text
    from organismctl.runbook.report import report_json, report_markdown
    from organismctl.runbook.world import world_of

    if format_ not in FORMATS[1:]:
        raise UsageError(f"no format {format_[:40]!r}", advice="--format takes markdown, json")
    subject = load_subject(organism, quiet=True)
    kept = _records(subject).read(run_id)
    if format_ == "json":
        return json_text(report_json(kept))
    config = subject.organism.config
    return report_markdown(
        kept, world_of(config.name, subject.deployment, [span.name for span in config.span])
    )
