"""What the units of an organism are made from: its deployment.toml, and where and as whom they run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from organismctl.committee.node.relay import bound
from organismctl.errors import UsageError
from organismctl.export import systemd_check, systemd_node, systemd_resident
from organismctl.export.systemd_node import Nodes, Placed
from organismctl.export.unit import INSTANCE, Site
from organismctl.exporter.server import Address
from organismctl.files.credentials import KEYS, OBSERVER_KEY, PREFIX
from organismctl.files.hosts import is_loopback

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment

KINDS = ("relay", "node", "exporter", "check")
_TEMPORARY = (PurePath("/tmp"), PurePath("/var/tmp"))  # noqa: S108 # what a service does not see of the host's


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants of the units.

    Attributes:
        only: Kinds; none: all that apply to this host.
        listen: Where the exporter is scraped.
        bind: Where the relay listens; ``None``: as deployment.toml says.
        tls_cert: The nodes' certificate, or ``None``.
        tls_key: Its key.
        textfiles: The folder that the check writes to.
        every_ms: From check to check.
        timeout_ms: For one look of a check.
    """

    only: tuple[str, ...]
    listen: str
    textfiles: PurePath
    bind: str | None = None
    tls_cert: PurePath | None = None
    tls_key: PurePath | None = None
    every_ms: int = 60_000
    timeout_ms: int = 10_000


@dataclass(slots=True)
class Made:
    """Units: file name to text, what is to be enabled, and what else is to be done before."""

    files: dict[str, str] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


def made(site: Site, deployment: Deployment, asked: Asked) -> Made:
    """The units.

    Args:
        site: Where they run; see :func:`site_of`.
        deployment: Its deployment.toml.
        asked: Which, and how.

    Raises:
        UsageError: A kind is none, or does not apply here.
        InputError: Something cannot stand in a unit.
    """
    units = Made()
    nodes = placed(deployment, encrypted=site.encrypted)
    bind = asked.bind or (relay_bind(deployment) if asked.only else relay_here(deployment))
    for kind in _kinds(asked.only, nodes=bool(nodes), relay=bind is not None):
        if kind == "relay" and bind is not None:
            units.files |= systemd_resident.relay(site, bind, local=is_loopback(bound(bind)[0]))
            units.starts.append(systemd_resident.relay_unit(site))
        elif kind == "node":
            group = Nodes(site, nodes, asked.tls_cert, asked.tls_key, tuple(units.starts))
            units.files |= systemd_node.units(group)
            spares = {node.name for node in deployment.nodes if not node.roster}
            units.starts += [group.unit(node.name) for node in nodes if node.name not in spares]
            units.hints += _executors(deployment, group)
        elif kind == "exporter":
            local = Address.parse(asked.listen).loopback
            units.files |= systemd_resident.exporter(site, asked.listen, local=local)
            units.starts.append(systemd_resident.exporter_unit(site))
        else:
            timed = systemd_check.Timed(site, asked.textfiles, asked.every_ms, asked.timeout_ms)
            units.files |= systemd_check.units(timed)
            units.starts.append(f"{timed.unit}.timer")
    return units


def _kinds(only: tuple[str, ...], *, nodes: bool, relay: bool) -> list[str]:
    """Which kinds, in the order in which they start."""
    unknown = [kind for kind in only if kind not in KINDS]
    if unknown:
        raise UsageError(f"--only {unknown[0][:40]!r}", advice=f"one of {', '.join(KINDS)}")
    if "node" in only and not nodes:
        raise UsageError(
            "this host runs no node: deployment.toml tells url, data and key of none",
            advice="write the node's units on its own host, where these are known",
        )
    if "relay" in only and not relay:
        raise UsageError(
            "where the relay listens is not told",
            advice="--bind HOST:PORT, or [mosaik] relay in deployment.toml",
        )
    applies = {"node": nodes, "relay": relay, "exporter": True, "check": True}
    return [kind for kind in KINDS if (kind in only if only else applies[kind])]


def _executors(deployment: Deployment, group: Nodes) -> list[str]:
    """What deployment.toml lacks for the nodes to be started and stopped by their units."""
    told = []
    for one in group.placed:
        node = deployment.node(one.name)
        if node is not None and (node.executor, node.unit) != ("systemd", group.unit(one.name)):
            told.append(
                f'in deployment.toml, for {one.name}: executor = "systemd", unit = "{group.unit(one.name)}"'
            )
    return told


def unmet(site: Site, deployment: Deployment, asked: Asked, units: Made) -> list[str]:
    """What would keep a service from starting, in words."""
    nodes = placed(deployment, encrypted=site.encrypted) if any("@." in name for name in units.files) else ()
    keys = [node.key for node in nodes if node.key is not None]
    files = [] if site.encrypted else [*(site.secrets or {}).values(), *keys]
    told = [
        f"{path} is not here, and a unit that names it does not start"
        for path in files
        if not Path(path).exists()
    ]
    seen = [site.deployment, site.program, *(node.data for node in nodes)]
    told += [
        f"{path} is in a folder for temporary files, and a service has its own of these"
        for path in seen
        if any(path.is_relative_to(folder) for folder in _TEMPORARY)
    ]
    if any(name.endswith(".timer") for name in units.files) and not Path(asked.textfiles).is_dir():
        told.append(
            f"{asked.textfiles} is not here, and a check that writes there does not start: --textfiles DIR"
        )
    for one in nodes if asked.tls_cert is None else ():
        node = deployment.node(one.name)
        host = urlsplit(node.url or "").hostname if node is not None else None
        if host is not None and not is_loopback(host):
            told.append(f"{one.name} listens on {host}, where it needs --tls-cert and --tls-key")
    return told


def site_of(
    deployment: Deployment,
    organism: str,
    program: Path,
    user: str,
    reads: tuple[Path, ...],
    *,
    encrypted: bool,
) -> Site:
    """Where an organism's services run.

    Args:
        deployment: Its deployment.toml.
        organism: Its name.
        program: organismctl.
        user: Who runs them.
        reads: Further folders that they read.
        encrypted: Whether secrets come encrypted, from systemd's store.
    """
    named = {f"{PREFIX}{key}": getattr(deployment.secrets, key) for key in KEYS}
    named[OBSERVER_KEY] = deployment.observer.key
    return Site(
        organism=organism,
        deployment=_normal(deployment.path),
        program=_normal(program),
        user=user,
        reads=tuple(map(_normal, reads)),
        local=local_only(deployment),
        secrets={name: _normal(deployment.resolve(path)) for name, path in named.items() if path},
        encrypted=encrypted,
    )


def placed(deployment: Deployment, *, encrypted: bool) -> tuple[Placed, ...]:
    """The nodes that this host can run: those whose data or key is here; all that are named where none is yet."""
    named = tuple(
        Placed(
            node.name,
            _normal(deployment.resolve(node.data)),
            _normal(deployment.resolve(node.key)) if node.key else None,
            node.unit,
        )
        for node in deployment.nodes
        if node.data and node.url and (node.key or encrypted)
    )
    here = [
        one for one in named if Path(one.data).exists() or (one.key is not None and Path(one.key).exists())
    ]
    return tuple(here) or named


def local_only(deployment: Deployment) -> bool:
    """Whether everything that deployment.toml names is on this host; on mosaik nobody knows who will come."""
    return deployment.carrier == "loopback" and all(is_loopback(host) for host in _hosts(deployment))


def relay_here(deployment: Deployment) -> str | None:
    """``HOST:PORT`` of the relay that deployment.toml names when it is on this host, as far as the file tells."""
    where = relay_bind(deployment)
    if where is None:
        return None
    host = _host(where)
    ours = {_host(node.address) for node in deployment.nodes if node.address and node.data and node.key}
    return where if is_loopback(host) or host in ours else None


def relay_bind(deployment: Deployment) -> str | None:
    """``HOST:PORT`` of the relay that deployment.toml names."""
    parts = urlsplit(deployment.mosaik.relay or "")
    return parts.netloc if parts.scheme == "http" and parts.port is not None else None


def by_node(path: PurePath) -> PurePath:
    """A path in which ``{node}`` is the node's name."""
    return PurePath(str(path).replace("{node}", INSTANCE))


def _hosts(deployment: Deployment) -> Iterator[str]:
    urls = [url for node in deployment.nodes for url in (node.url, node.metrics) if url]
    pairs = [node.address for node in deployment.nodes if node.address]
    for span in deployment.spans:
        urls += [*span.endpoints, *([span.card] if span.card else [])]
        pairs += span.peers
    for coalition in deployment.coalitions:
        urls += [url for url in (coalition.chronicle, coalition.atlas) if url]
    for url in urls:
        if url.startswith("map:"):
            pairs.append(url)
        elif "://" in url:  # a file is here
            yield urlsplit(url).hostname or ""
    for pair in pairs:
        yield _host(pair.rpartition("@")[2])


def _host(address: str) -> str:
    return address.rpartition(":")[0].removeprefix("[").removesuffix("]")


def _normal(path: Path) -> PurePath:
    """As systemd wants it: whole, without ``..``; links stay, since they may be what is moved on purpose."""
    return PurePath(os.path.normpath(path.absolute()))
