"""``organismctl committee``: found a committee, run its nodes, stop them, and see whether they run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from organismctl.cli.changing import Yes
from organismctl.cli.judging import Organism
from organismctl.exits import Exit

app = typer.Typer(
    no_args_is_help=True,
    help="The committee that ships with organismctl: init, serve, start, stop, status, void, relay.",
)

DeploymentFile = Annotated[Path, typer.Option("--deployment", "-D", help="The deployment file.")]
NodeName = Annotated[str, typer.Option("--node", "-n", help="The node's name in the deployment file.")]


class CarrierName(StrEnum):
    """How the nodes' frames travel."""

    LOOPBACK = "loopback"
    MOSAIK = "mosaik"


@app.command()
def init(
    deployment: DeploymentFile = Path("deployment.toml"),
    node: Annotated[
        str | None, typer.Option("--node", "-n", help="Only this node; default: every node.")
    ] = None,
    join: Annotated[
        bool,
        typer.Option("--join", help="A spare for a running committee: its ledger is filled by its peers."),
    ] = False,
    carrier: Annotated[
        CarrierName | None,
        typer.Option(
            "--carrier", help="Write this carrier, and for mosaik missing addresses, into the file."
        ),
    ] = None,
) -> None:
    """Make keys, secrets (mode 0600), the first roster's digest and empty ledgers; what is there stays."""
    from organismctl.committee.node.founding import init as found

    chosen = None if carrier is None else carrier.value
    for line in found(deployment, node, join=join, carrier=chosen).lines:
        typer.echo(line, err=True)


@app.command()
def serve(
    node: NodeName,
    deployment: DeploymentFile = Path("deployment.toml"),
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background; return when the node answers.")
    ] = False,
    bind: Annotated[
        str | None, typer.Option("--bind", help="Address to listen on; default: that of its url.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Certificate file (PEM).")] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            "--tls-key", help="The certificate's key file (PEM); default: the credential organismctl.tls_key."
        ),
    ] = None,
    carrier: Annotated[
        CarrierName | None, typer.Option("--carrier", help="Instead of the deployment file's own.")
    ] = None,
) -> None:
    """Run one node: ledger, machine, driver, surfaces and its API."""
    import os
    from collections.abc import Callable
    from functools import partial

    from organismctl.committee.node.manager import Manager
    from organismctl.committee.node.serve import Listen
    from organismctl.committee.node.serve import detach as run_detached
    from organismctl.committee.node.serve import serve as run

    chosen = None if carrier is None else carrier.value
    listen = Listen(bind, tls_cert and tls_cert.absolute(), _tls_key(tls_cert, tls_key), chosen)
    _log(detach)
    if not detach:
        run(deployment, node, listen, manager=Manager(os.environ))
        return
    deployment = deployment.absolute()
    folder = _folder(deployment, node)
    start: Callable[[Callable[[], None]], None] = partial(run, deployment, node, listen)
    pid = run_detached(folder, start)
    typer.echo(f"node {node} answers (process {pid})", err=True)


@app.command()
def stop(
    node: Annotated[
        str | None, typer.Option("--node", "-n", help="The node's name in the deployment file.")
    ] = None,
    deployment: DeploymentFile = Path("deployment.toml"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Stop nothing: exit 0 when the node is surely off, 2 when it runs."),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every node of the deployment file that has its data here.")
    ] = False,
) -> None:
    """End a node's process on this host, or all of them; exit 0 means that it is surely off."""
    from organismctl.errors import UsageError

    if every == (node is not None):
        raise UsageError("give either --node NAME or --all", advice="organismctl committee stop --help")
    names = [node] if node is not None else _here(deployment)
    running = [name for name in names if _end(deployment, name, check=check)]
    if running:
        raise typer.Exit(Exit.DRIFT)


def _here(deployment: Path) -> list[str]:
    """Nodes whose data folder is on this host."""
    from organismctl.files.deployment import load_deployment

    loaded = load_deployment(deployment)
    return [one.name for one in loaded.nodes if one.data is not None and loaded.resolve(one.data).is_dir()]


def _end(deployment: Path, node: str, *, check: bool) -> bool:
    """Stop one node, or with ``check`` only look; whether it was found running and still is."""
    from organismctl.committee.node.process import look
    from organismctl.committee.node.process import stop as end

    folder = _folder(deployment, node)
    if check:
        found = look(folder)
        typer.echo(f"node {node} {'runs' if found.running else 'is off'}", err=True)
        return found.running
    ran = end(folder)
    typer.echo(f"node {node} {'is stopped' if ran else 'was off already'}", err=True)
    return False


@app.command()
def start(
    node: Annotated[
        list[str] | None,
        typer.Option(
            "--node", "-n", metavar="NAME", help="Only this node; repeatable; default: the roster's."
        ),
    ] = None,
    organism: Organism = None,
    restart: Annotated[bool, typer.Option("--restart", help="Stop it first, when it runs.")] = False,
    wait: Annotated[str, typer.Option("--wait", metavar="DURATION", help="For its answer, at most.")] = "60s",
) -> None:
    """Start nodes by their executors in deployment.toml, on whatever host, and wait until each answers.

    Without --node all that deployment.toml has on the roster are started; one that answers is left alone.
    """
    from organismctl.change.repair import start as begin
    from organismctl.cli.changing import open_wiring, seconds
    from organismctl.cli.output import progress

    wiring = open_wiring(organism)
    for name in node or [one.name for one in wiring.deployment.nodes if one.roster]:
        with progress(f"node {name}") as told:
            said = begin(wiring, name, restart=restart, wait_s=seconds(wait, "--wait"), waiting=told.seconds)
        typer.echo(said, err=True)


@app.command()
def void(
    node: NodeName,
    reason: Annotated[str, typer.Option("--reason", help="Why the evidence is gone; certified with it.")],
    organism: Organism = None,
    yes: Yes = False,
) -> None:
    """Let a node that rejects its replay go on: certify that evidence which is gone upstream may be passed.

    Each pointer that stops it is voided by itself, until it applies again. The events stay in the ledger; that their
    origin can be looked up no more stands there, too, for ever.
    """
    from organismctl.change.repair import void_next
    from organismctl.cli.changing import open_wiring
    from organismctl.cli.output import confirm

    wiring = open_wiring(organism)
    target = wiring.config.name
    confirm(target, f"void the evidence that stops {node}: {reason}", yes=yes, destructive=True)
    voided = 0
    while (told := void_next(wiring, node, reason)) is not None:
        voided += 1
        typer.echo(told, err=True)
    typer.echo(
        f"node {node} applies what is certified; {voided} pointer{'s' if voided != 1 else ''} voided",
        err=True,
    )


@app.command()
def status(deployment: DeploymentFile = Path("deployment.toml")) -> None:
    """Which nodes run on this host, and what each says of itself."""
    from organismctl.committee.node.local import local_status

    rows = local_status(deployment)
    for row in rows:
        typer.echo(row.text())
    if any(not row.running for row in rows):
        raise typer.Exit(Exit.UNKNOWN if any(row.running is None for row in rows) else Exit.UNHEALTHY)


@app.command()
def relay(
    bind: Annotated[
        str, typer.Option("--bind", help="HOST:PORT to listen on; nodes name it as [mosaik] relay.")
    ] = "127.0.0.1:3340",
    data: Annotated[Path, typer.Option("--data", help="Folder of its lock and its log.")] = Path(
        ".organism/relay"
    ),
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background; return when it listens.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the one that runs with that folder.")] = False,
) -> None:
    """Run a relay, where mosaik nodes of a site without internet meet; plain HTTP, their traffic is encrypted."""
    import os
    from functools import partial

    from organismctl.committee.node.manager import Manager
    from organismctl.committee.node.process import stop as end
    from organismctl.committee.node.relay import bound, prepare, run_relay
    from organismctl.committee.node.serve import detach as run_detached

    if stop:
        ran = data.is_dir() and end(data)
        typer.echo(f"the relay {'is stopped' if ran else 'was off already'}", err=True)
        return
    bound(bind)
    prepare(data)
    _log(detach)
    if not detach:
        run_relay(data, bind, manager=Manager(os.environ))
        return
    folder = data.absolute()
    pid = run_detached(folder, partial(run_relay, folder, bind), "relay")
    typer.echo(f"the relay answers at {bind} (process {pid})", err=True)
    typer.echo(f'next: in each deployment.toml, [mosaik] relay = "http://{bind}"', err=True)


def _tls_key(cert: Path | None, key: Path | None) -> Path | None:
    """The key's file: as the command line says, else the service's credential."""
    from organismctl.files.credentials import TLS_KEY, credential
    from organismctl.files.secret import check_private

    if key is not None or cert is None:
        return key and key.absolute()
    given = credential(TLS_KEY)
    if given is not None:
        check_private(given)
    return given


def _folder(deployment: Path, name: str) -> Path:
    """A node's data folder."""
    from organismctl.committee.node.settings import find_node, needed
    from organismctl.files.deployment import load_deployment

    loaded = load_deployment(deployment)
    return needed(loaded, find_node(loaded, name).data, f"the data of node {name}")


def _log(detach: bool) -> None:
    """Narration of a node goes to standard error, which is its log in the background, or a service's journal."""
    import logging
    import os
    import sys

    from organismctl.committee.node.manager import JournalFormatter, in_journal

    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JournalFormatter() if not detach and in_journal(os.environ) else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("uvicorn", "httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
