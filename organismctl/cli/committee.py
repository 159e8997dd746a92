"""``organismctl committee``: found a committee, run its nodes, stop them, and see whether they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="The committee that ships with organismctl: init, serve, stop, status."
)

DeploymentFile = Annotated[Path, typer.Option("--deployment", "-D", help="The deployment file.")]
NodeName = Annotated[str, typer.Option("--node", "-n", help="The node's name in the deployment file.")]


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
) -> None:
    """Make keys, secrets (mode 0600), the first roster's digest and empty ledgers; what is there stays."""
    from organismctl.committee.node.founding import init as found

    for line in found(deployment, node, join=join).lines:
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
        Path | None, typer.Option("--tls-key", help="The certificate's key file (PEM).")
    ] = None,
) -> None:
    """Run one node: ledger, machine, driver, surfaces and its API."""
    from collections.abc import Callable
    from functools import partial

    from organismctl.committee.node.serve import Listen
    from organismctl.committee.node.serve import detach as run_detached
    from organismctl.committee.node.serve import serve as run

    listen = Listen(bind, tls_cert and tls_cert.absolute(), tls_key and tls_key.absolute())
    _log()
    if not detach:
        run(deployment, node, listen)
        return
    deployment = deployment.absolute()
    folder = _folder(deployment, node)
    start: Callable[[Callable[[], None]], None] = partial(run, deployment, node, listen)
    pid = run_detached(folder, start)
    typer.echo(f"node {node} answers (process {pid})", err=True)


@app.command()
def stop(
    node: NodeName,
    deployment: DeploymentFile = Path("deployment.toml"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Stop nothing: exit 0 when the node is surely off, 2 when it runs."),
    ] = False,
) -> None:
    """End a node's process on this host; exit 0 means that it is surely off."""
    from organismctl.committee.node.process import look
    from organismctl.committee.node.process import stop as end
    from organismctl.exits import Exit

    folder = _folder(deployment, node)
    if check:
        found = look(folder)
        typer.echo(f"node {node} {'runs' if found.running else 'is off'}", err=True)
        raise typer.Exit(Exit.DRIFT if found.running else Exit.OK)
    ran = end(folder)
    typer.echo(f"node {node} {'is stopped' if ran else 'was off already'}", err=True)


@app.command()
def status(deployment: DeploymentFile = Path("deployment.toml")) -> None:
    """Which nodes run on this host, and what each says of itself."""
    from organismctl.committee.node.local import local_status
    from organismctl.exits import Exit

    rows = local_status(deployment)
    for row in rows:
        typer.echo(row.text())
    if any(not row.running for row in rows):
        raise typer.Exit(Exit.UNKNOWN if any(row.running is None for row in rows) else Exit.UNHEALTHY)


def _folder(deployment: Path, name: str) -> Path:
    """A node's data folder."""
    from organismctl.committee.node.settings import find_node, needed
    from organismctl.files.deployment import load_deployment

    loaded = load_deployment(deployment)
    return needed(loaded, find_node(loaded, name).data, f"the data of node {name}")


def _log() -> None:
    """Narration of a node goes to standard error, which is its log in the background."""
    import logging
    import sys

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for noisy in ("uvicorn", "httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
