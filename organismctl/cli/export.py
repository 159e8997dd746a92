"""``organismctl export``: rules, routes, dashboards and units for other tools; the series are the exporter's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from organismctl.cli.export_systemd import systemd
from organismctl.cli.judging import Organism, Output

if TYPE_CHECKING:
    from organismctl.cli.judging import Subject as Files
    from organismctl.export.alerts import Subject

app = typer.Typer(
    help="Write rules, routes, dashboards and units for other tools.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
DEFAULT_TARGET = "127.0.0.1:9560"
app.command()(systemd)


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
    on, files = subject_of(organism)
    if scrape:
        emit(scraped(target or target_of(files), round(seconds(every, "--every") * 1000)), output)
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
    on, _ = subject_of(organism)
    emit(config(on.organism, Receivers(page, ticket)), output)


@app.command()
def grafana(*, organism: Organism = None, output: Output = None) -> None:
    """Write a Grafana dashboard as JSON, to import or to provision."""
    from organismctl.cli.output import emit
    from organismctl.export.grafana import dashboard
    from organismctl.identity.digest import h

    on, _ = subject_of(organism)
    emit(dashboard(on, f"organism-{h(on.organism.encode()).hex()[:10]}"), output)


def subject_of(organism: str | None) -> tuple[Subject, Files]:
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


def target_of(files: Files) -> str:
    """Where the exporter is scraped: as deployment.toml says."""
    from urllib.parse import urlsplit

    url = files.deployment.exporter.url if files.deployment is not None else None
    return urlsplit(url).netloc if url is not None else DEFAULT_TARGET
