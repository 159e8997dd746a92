"""``organismctl exporter``: resident and read-only; Prometheus scrapes it, checks ask what it remembers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, NoWire, Organism, ViaNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from organismctl.cli.judging import Subject
    from organismctl.exporter.resident import Exporter, Settings
    from organismctl.observe.sources import WireLook

app = typer.Typer(help="Run the resident exporter that Prometheus scrapes.", rich_markup_mode=None)
LEAST_EVERY_S = 0.2


@app.command()
def exporter(
    *,
    organism: Organism = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where it is scraped.")
    ] = "127.0.0.1:9560",
    every: Annotated[
        str, typer.Option("--every", metavar="DURATION", help="From the beginning of one sweep to the next.")
    ] = "15s",
    memory: Annotated[
        Path | None,
        typer.Option(
            "--memory", metavar="FILE", help="What it remembers; default: exporter.db in the state folder."
        ),
    ] = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    hear: Annotated[
        str | None,
        typer.Option(
            "--hear",
            metavar="DURATION",
            help="In each sweep, subscribe so long to the spanned members' streams, with the observer's tickets.",
        ),
    ] = None,
    no_wire: NoWire = False,
    via: ViaNode = None,
) -> None:
    """Look again and again, remember since when, and tell Prometheus; it acts on nothing.

    /metrics, /v1/memory, /-/healthy. SIGTERM and Ctrl-C end it in order.
    """
    from organismctl.cli.judging import load_subject, seconds
    from organismctl.errors import UsageError
    from organismctl.exporter.resident import Settings
    from organismctl.exporter.server import Address

    every_s = seconds(every, "--every")
    if every_s < LEAST_EVERY_S:
        raise UsageError(f"--every: at least {LEAST_EVERY_S:g} s; every node is asked as often")
    address = Address.parse(listen)
    first = load_subject(organism)
    if first.deployment is None:
        raise UsageError(
            "an exporter needs a deployment.toml: it names whom to ask", advice="organismctl init"
        )
    place = memory or first.deployment.resolve(first.deployment.state) / "exporter.db"
    settings = Settings(address, every_s, seconds(timeout, "--timeout"), place.absolute())

    def wire(subject: Subject) -> WireLook:
        from organismctl.cli.judging import wire_look

        return wire_look(subject, no_wire=no_wire, via=via, listen=hear, names=("identity",))

    wire(first)  # options that contradict each other are found out at once
    _stay(organism, _files(first), settings, wire)


def _files(subject: Subject) -> tuple[Path, ...]:
    """Whose change is looked for."""
    from organismctl.files.credentials import secret_file

    places = [subject.context.organism_path, subject.context.lock_path]
    if (deployment := subject.deployment) is not None:
        secret = secret_file(deployment, "group")
        places += [deployment.path, *([secret] if secret is not None else [])]
    return tuple(places)


def _stay(
    organism: str | None, paths: tuple[Path, ...], settings: Settings, wire: Callable[[Subject], WireLook]
) -> None:
    """Be the exporter until a signal comes."""
    import os

    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import say
    from organismctl.committee.node.manager import Manager
    from organismctl.exporter.resident import Exporter, Files, alone

    with alone(settings.memory):
        manager = Manager(os.environ)
        made = Exporter(Files(lambda: load_subject(organism), paths, say), settings, wire, say, manager)
        if not settings.listen.loopback:
            say(
                f"warning: {settings.listen.host} is reached from other hosts; it tells names and ids, and no secret"
            )
        say(f"exporter of {made.name}: http://{made.server.address}/metrics, every {settings.every_s:g} s")
        _until_told(made)
        say("the exporter has stopped")


def _until_told(made: Exporter[Subject]) -> None:
    """Run it until a signal, and close it."""
    import signal

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: made.stopped.set())
    try:
        made.run()
    finally:
        made.close()
