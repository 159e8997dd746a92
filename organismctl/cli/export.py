"""``organismctl export``: rules, routes and dashboards for other tools, over exactly the exporter's series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, Organism, Output

if TYPE_CHECKING:
    from organismctl.cli.judging import Subject as Files
    from organismctl.export.alerts import Subject

app = typer.Typer(
    help="Write rules, routes and dashboards for other tools.", no_args_is_help=True, rich_markup_mode=None
)
DEFAULT_TARGET = "127.0.0.1:9560"


@app.command()
def prometheus(
    *,
    organism: Organism = None,
    hold: Annotated[
        str,
        typer.Option("--hold", metavar="DURATION", help="How long a condition lasts before its alert fires."),
    ] = "1m",
    scrape: Annotated[
        bool, typer.Option("--scrape", help="The scrape configuration instead of the rule file.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="HOST:PORT", help="With --scrape: the exporter; default: [exporter] url."
        ),
    ] = None,
    every: Annotated[
        str,
        typer.Option("--every", metavar="DURATION", help="With --scrape: as often as the exporter sweeps."),
    ] = "15s",
    output: Output = None,
) -> None:
    """Write the alerts as a Prometheus rule file; `promtool check rules FILE` proves it."""
    from organismctl.cli.judging import empty, seconds
    from organismctl.cli.output import emit
    from organismctl.errors import UsageError
    from organismctl.export.prometheus import rules
    from organismctl.export.prometheus import scrape as scraped

    if target is not None and not scrape:
        raise UsageError("--target goes with --scrape")
    on, files = _subject(organism)
    if scrape:
        emit(scraped(target or _target(files), round(seconds(every, "--every") * 1000)), output)
        return
    identity = files.scope(empty(), 0).identity
    emit(rules(on, round(seconds(hold, "--hold") * 1000), identity), output)


@app.command()
def alertmanager(
    *,
    organism: Organism = None,
    page: Annotated[
        str | None,
        typer.Option("--page", metavar="URL", help="Webhook of whom to wake; default: nobody yet."),
    ] = None,
    ticket: Annotated[
        str | None, typer.Option("--ticket", metavar="URL", help="Webhook of the queue; default: nobody yet.")
    ] = None,
    output: Output = None,
) -> None:
    """Write routes by severity, and what silences what; `amtool check-config FILE` proves it."""
    from organismctl.cli.output import emit
    from organismctl.errors import UsageError
    from organismctl.export.alertmanager import Receivers, config
    from organismctl.files.deployment_shape import usable_url

    for name, url in (("--page", page), ("--ticket", ticket)):
        if url is not None and not (url.startswith(("http://", "https://")) and usable_url(url)):
            raise UsageError(f"{name}: {url[:80]!r} is no http or https URL")
    on, _ = _subject(organism)
    emit(config(on.organism, Receivers(page, ticket)), output)


@app.command()
def grafana(*, organism: Organism = None, output: Output = None) -> None:
    """Write a Grafana dashboard as JSON, to import or to provision."""
    from organismctl.cli.output import emit
    from organismctl.export.grafana import dashboard
    from organismctl.identity.digest import h

    on, _ = _subject(organism)
    emit(dashboard(on, f"organism-{h(on.organism.encode()).hex()[:10]}"), output)


Every = Annotated[str, typer.Option("--every", metavar="DURATION", help="From run to run.")]
Textfiles = Annotated[
    Path, typer.Option("--textfiles", metavar="DIR", help="The node exporter's textfile folder.")
]
User = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="Who runs it; default: deployment.toml's owner.")
]
Units = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Write both units into this folder; it must exist."),
]
Only = Annotated[str, typer.Option("--only", metavar="WHAT", help="check: a timer that runs `check all`.")]


@app.command()
def systemd(
    *,
    organism: Organism = None,
    only: Only = "check",
    every: Every = "1m",
    timeout: Deadline = DEFAULT_DEADLINE,
    textfiles: Textfiles = Path("/var/lib/prometheus/node-exporter"),
    user: User = None,
    folder: Units = None,
) -> None:
    """Write a service and its timer that keep `check all` in the textfile collector."""
    from organismctl.cli.judging import seconds
    from organismctl.cli.output import emit, say
    from organismctl.errors import UsageError
    from organismctl.export.systemd_check import Timed, units
    from organismctl.files.atomic import write_atomic

    if only != "check":
        raise UsageError(f"--only {only[:40]!r}", advice="there is one so far: check")
    on, _ = _subject(organism)
    timed = Timed(
        organism=on.organism,
        deployment=on.deployment.path,
        program=_program(),
        textfiles=textfiles.absolute(),
        user=user or _owner(on.deployment.path),
        every_ms=round(seconds(every, "--every") * 1000),
        timeout_ms=round(seconds(timeout, "--timeout") * 1000),
    )
    made = units(timed)
    if folder is None:
        emit("\n".join(f"# /etc/systemd/system/{name}\n{text}" for name, text in made.items()))
        return
    for name, text in made.items():
        write_atomic(folder / name, text.encode(), 0o644)
        say(f"wrote {folder / name}")
    say(f"next: systemctl daemon-reload && systemctl enable --now {timed.unit}.timer")


def _program() -> Path:
    """Where this command is."""
    import shutil
    import sys

    called = Path(sys.argv[0])
    found = called if called.name == "organismctl" and called.exists() else shutil.which("organismctl")
    return Path(found or Path(sys.executable).with_name("organismctl")).absolute()


def _owner(path: Path) -> str:
    """Who owns a file: whoever may read the secrets beside it."""
    from organismctl.errors import UsageError
    from organismctl.files.atomic import os_errors

    with os_errors(path, "look at"):
        try:
            return path.owner()
        except KeyError as exc:
            raise UsageError(f"{path} belongs to nobody whom this host knows", advice="--user NAME") from exc


def _subject(organism: str | None) -> tuple[Subject, Files]:
    """Whose files, and how commands name it."""
    from organismctl.cli.judging import load_subject
    from organismctl.errors import UsageError
    from organismctl.export.alerts import Subject

    files = load_subject(organism)
    if files.deployment is None:
        raise UsageError("this needs a deployment.toml: it has the thresholds", advice="organismctl init")
    # A name is the same everywhere; a path is one of this machine.
    named = organism if organism is not None and "/" not in organism and "." not in organism else None
    return Subject(files.organism.config.name, files.deployment, named), files


def _target(files: Files) -> str:
    from urllib.parse import urlsplit

    url = files.deployment.exporter.url if files.deployment is not None else None
    return urlsplit(url).netloc if url is not None else DEFAULT_TARGET
