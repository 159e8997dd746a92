"""``organismctl runbook``: list, show, run, prove and begin runbooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.changing import Yes
from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, NoWire, Organism, Output
from organismctl.cli.output import wants_json
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.runbook.library import Library
    from organismctl.runbook.model import Runbook

app = typer.Typer(help="Runbooks that probe: list, show, run, check, new.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--runbooks", metavar="FOLDER", help="Runbooks of our own; default: as deployment.toml says."
    ),
]
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A runbook's name, or a finding's code.")]


@app.callback()
def runbook() -> None:
    """Runbooks that probe: list, show, run, check, new."""


@app.command("list")
def list_(
    *,
    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="Only those that answer this finding.")
    ] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="List the runs that this machine keeps instead.")
    ] = False,
    folder: Folder = None,
    organism: Organism = None,
    output: Format = "table",
) -> None:
    """List the runbooks, our own and those that ship; or the runs, left ones resumable."""
    as_json = wants_json(output)
    if runs:
        from organismctl.cli.runbook_running import list_runs

        list_runs(organism, as_json=as_json)
        return
    library = library_of(folder, organism)
    wanted = _code(code)
    books = [book for book in library.all() if wanted is None or wanted in book.front.codes]
    _listed(books, library, as_json=as_json)


def _code(code: str | None) -> str | None:
    from organismctl.check.codes import CODES, nearest
    from organismctl.errors import UsageError

    if code is not None and code.upper() not in CODES:
        near = nearest(code)
        raise UsageError(
            f"there is no code {code[:80]!r}",
            advice=f"did you mean {near}?" if near else "organismctl explain --list",
        )
    return code.upper() if code is not None else None


def _listed(books: list[Runbook], library: Library, *, as_json: bool) -> None:
    from organismctl.cli.output import emit, emit_json, width
    from organismctl.report.text import aligned

    own = {name: library.is_own(path) for name, path in library.paths().items()}
    if as_json:
        rows = [
            {"name": book.name, "title": book.front.title, "severity": book.front.severity, "takes": book.front.takes,
             "roles": list(book.front.roles), "codes": list(book.front.codes), "file": book.file, "own": own[book.name]}
            for book in books
        ]  # fmt: skip
        emit_json({"schema": 1, "runbooks": rows})
        return
    cells = [
        (
            book.name,
            book.front.severity,
            book.front.takes,
            book.front.title + (" (our own)" if own[book.name] else ""),
        )
        for book in books
    ]
    emit(aligned(cells, ("NAME", "SEVERITY", "TAKES", "TITLE"), width()) if cells else "no runbooks")


@app.command()
def show(
    name: Name,
    *,
    folder: Folder = None,
    organism: Organism = None,
) -> None:
    """Show a runbook: rendered on a terminal, as Markdown in a pipe. Nothing is looked at, nothing is run."""
    from organismctl.cli.output import colour, emit
    from organismctl.cli.runbook_showing import body, rendered

    text = body(library_of(folder, organism).load(name))
    if colour():
        rendered(text)
    else:
        emit(text)


@app.command()
def run(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="A runbook, or a finding's code; without one, what is found decides."
        ),
    ] = None,
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that was left (the last one of NAME).")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What a placeholder stands for; repeatable."),
    ] = None,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look and probe; no action is run, nothing is kept.")
    ] = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="At the end: none, markdown or json.")
    ] = "none",
    output: Output = None,
    folder: Folder = None,
    organism: Organism = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
) -> None:
    """Run a runbook: what applies is shown, probes are done, each action is asked for; all of it is journalled.

    The report stays in .organism/runbooks/ID. Exit codes: 0 the findings that it answers are well, and so is what was
    planned; 2 to 6 by the worst of them that is left; 1 an error; 5 also when it was left, or an action was left out;
    64 usage; 130 interrupted.
    """
    from organismctl.cli.runbook_running import Options, run_runbook

    options = Options(
        name, resume, tuple(set_ or ()), yes, dry_run, format_, output, organism, timeout, no_wire
    )
    raise typer.Exit(run_runbook(options, library_of(folder, organism)))


@app.command()
def report(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, or the beginning of it.")],
    *,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="markdown or json.")
    ] = "markdown",
    output: Output = None,
    organism: Organism = None,
) -> None:
    """Print the report of a run, fit for the incident's record; also of one that was left."""
    from organismctl.cli.output import emit
    from organismctl.cli.runbook_running import report_of

    emit(report_of(run_id, format_, organism), output)


@app.command()
def check(
    *,
    folder: Folder = None,
    organism: Organism = None,
    output: Format = "table",
) -> None:
    """Prove that every command line, finding code, link and anchor in every runbook exists; for CI."""
    from organismctl.cli.output import emit, emit_json
    from organismctl.cli.proving import prove
    from organismctl.runbook.check import check_library

    as_json = wants_json(output)
    books, problems = check_library(library_of(folder, organism), prove)
    if as_json:
        emit_json(
            {
                "schema": 1,
                "runbooks": [book.name for book in books],
                "problems": [_problem(one) for one in problems],
            }
        )
    else:
        emit("".join(f"{problem}\n" for problem in problems))
        from organismctl.cli.output import say

        say(f"{len(books)} runbooks, {len(problems)} problems")
    raise typer.Exit(Exit.ERROR if problems else Exit.OK)


def _problem(problem: Any) -> dict[str, Any]:
    return {key: getattr(problem, key) for key in ("file", "line", "key", "found", "allowed", "hint")}


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and dashes: disk-full.")],
    *,
    title: Annotated[str, typer.Option("--title", help="Its title.")] = "",
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the one of that name that ships, to change it.")
    ] = False,
    folder: Folder = None,
    organism: Organism = None,
) -> None:
    """Begin a runbook of our own, or copy one that ships: ours go before those of the same name."""
    from organismctl.cli.output import say
    from organismctl.runbook import library as books

    configured = own_folder(folder, organism)
    own = configured or Path("runbooks")
    made = books.copy(books.Library().path(name), own) if copy else books.draft(own, name, title)
    named = f" --runbooks {own}"
    if configured and folder is None:  # the deployment says where they are
        named = f" --organism {organism}" if organism else ""
    say(f"{made}: written\nnext: edit it, then `organismctl runbook check{named}`")


def library_of(folder: Path | None, organism: str | None) -> Library:
    """The runbooks by the options.

    Raises:
        OrganismError: A file that says where they are holds problems.
    """
    from organismctl.runbook.library import Library

    return Library(own_folder(folder, organism))


def own_folder(folder: Path | None, organism: str | None) -> Path | None:
    """The operator's own folder: the option's, else that of deployment.toml, when an organism is named or here."""
    import os

    if folder is not None:
        return folder
    from organismctl.errors import UsageError
    from organismctl.files.context import VARIABLE, resolve_context
    from organismctl.files.deployment import load_deployment

    try:
        context = resolve_context(organism, env=os.environ, cwd=Path.cwd())
    except UsageError:
        if organism is not None or os.environ.get(VARIABLE):
            raise
        return None
    if context.deployment_path is None:
        return None
    deployment = load_deployment(context.deployment_path)
    own = deployment.runbooks.folder
    return deployment.resolve(own) if own is not None else None
