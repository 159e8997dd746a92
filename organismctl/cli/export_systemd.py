"""``organismctl export systemd``: units for nodes, relay, exporter and a timed check."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, Organism

if TYPE_CHECKING:
    from organismctl.export.systemd import Made

HOME = "/etc/systemd/system"
ROOT = "they run as root, who needs no key to read every secret of the host: --user NAME names another"
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="KIND",
        help="node, relay, exporter or check; repeatable; default: all that apply here.",
    ),
]
Every = Annotated[str, typer.Option("--every", metavar="DURATION", help="From check to check.")]
Textfiles = Annotated[
    Path, typer.Option("--textfiles", metavar="DIR", help="The node exporter's textfile folder.")
]
User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="Who runs them; default: deployment.toml's owner."),
]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen", metavar="HOST:PORT", help="Where the exporter is scraped; default: [exporter] url."
    ),
]
Bind = Annotated[
    str | None,
    typer.Option("--bind", metavar="HOST:PORT", help="Where the relay listens; default: [mosaik] relay."),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", metavar="FILE", help="The nodes' certificate; {node} is a node's name."),
]
TlsKey = Annotated[
    Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key; {node} is a node's name.")
]
Encrypted = Annotated[
    bool,
    typer.Option(
        "--encrypted",
        help="Secrets from /etc/credstore.encrypted/ORGANISM (systemd-creds), not from their files.",
    ),
]
Units = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Write the units into this folder; it must exist."),
]


def systemd(
    *,
    organism: Organism = None,
    only: Only = None,
    user: User = None,
    listen: Listen = None,
    bind: Bind = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    encrypted: Encrypted = False,
    every: Every = "1m",
    timeout: Deadline = DEFAULT_DEADLINE,
    textfiles: Textfiles = Path("/var/lib/prometheus/node-exporter"),
    folder: Units = None,
) -> None:
    """Write hardened units: nodes (a template), relay, exporter, and a timer that keeps `check all` in the collector.

    Secrets become credentials of the service. Each unit but the check tells systemd when it serves, and is watched.
    """
    from organismctl.cli.export import subject_of, target_of
    from organismctl.cli.judging import seconds
    from organismctl.errors import UsageError
    from organismctl.export.systemd import Asked, by_node, made, site_of, unmet

    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together")
    on, files = subject_of(organism)
    deployment = on.deployment
    site = site_of(
        deployment,
        on.organism,
        _program(),
        user or _owner(deployment.path),
        _interpreter(),
        encrypted=encrypted,
    )
    asked = Asked(
        only=tuple(only or ()),
        listen=listen or target_of(files),
        bind=bind,
        tls_cert=tls_cert and by_node(tls_cert.absolute()),
        tls_key=tls_key and by_node(tls_key.absolute()),
        textfiles=textfiles.absolute(),
        every_ms=round(seconds(every, "--every") * 1000),
        timeout_ms=round(seconds(timeout, "--timeout") * 1000),
    )
    units = made(site, deployment, asked)
    _warn([*unmet(site, deployment, asked, units), *([ROOT] if site.user == "root" else [])])
    _give(units, folder)


def _warn(lines: Iterable[str]) -> None:
    from organismctl.cli.output import say

    for line in lines:
        say(f"warning: {line}")


def _give(units: Made, folder: Path | None) -> None:
    """Write or print them, and say what comes next."""
    from organismctl.cli.output import emit, say
    from organismctl.files.atomic import os_errors, write_atomic

    if folder is None:
        emit("\n".join(f"# {HOME}/{name}\n{text}" for name, text in units.files.items()))
    else:
        for name, text in units.files.items():
            path = folder / name
            if path.parent != folder:  # a unit's own folder of drop-ins; the one that was named must be there
                with os_errors(path.parent, "make"):
                    path.parent.mkdir(exist_ok=True)
            write_atomic(path, text.encode(), 0o644)
            say(f"wrote {path}")
    for line in units.hints:
        say(f"next: {line}")
    say(f"next: systemctl daemon-reload && systemctl enable --now {' '.join(units.starts)}")


def _program() -> Path:
    """Where this command is."""
    import shutil
    import sys

    called, beside = Path(sys.argv[0]), Path(sys.executable).with_name("organismctl")
    if called.name == "organismctl" and called.exists():
        return called.absolute()
    return beside if beside.exists() else Path(shutil.which("organismctl") or beside)


def _interpreter() -> tuple[Path, ...]:
    """The folders that it reads of its interpreter."""
    import sys

    return (Path(sys.prefix), Path(sys.base_prefix))


def _owner(path: Path) -> str:
    """Who owns a file: whoever may read what is beside it."""
    from organismctl.errors import UsageError
    from organismctl.files.atomic import os_errors

    with os_errors(path, "look at"):
        try:
            return path.owner()
        except KeyError as exc:
            raise UsageError(f"{path} belongs to nobody whom this host knows", advice="--user NAME") from exc
