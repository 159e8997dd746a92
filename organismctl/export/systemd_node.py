"""systemd: a template unit for an organism's nodes, whose instance is the node's name.

The executor ``systemd`` starts and stops its instances: ``unit = "organismctl-node-ORGANISM@NODE.service"``. Where the
nodes' folders and keys follow their names, one file is all; else each node has a drop-in with its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePath

from organismctl.errors import InputError
from organismctl.export.unit import INSTANCE, Site, credentials, hardening, head, resident, text, writes
from organismctl.files.credentials import KEYS, PREFIX, TLS_KEY, key_name

WATCHDOG_S = 30
FILES = 8192
"""Connections of peers, clients and readers, and the ledger's files."""
DROP_IN = "organismctl.conf"


@dataclass(frozen=True, slots=True)
class Placed:
    """A node that this host can run: its name, its folder, its key's file (``None``: a credential from elsewhere)."""

    name: str
    data: PurePath
    key: PurePath | None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of one organism on one host.

    Attributes:
        site: Where they run.
        placed: They.
        tls_cert: The API's certificate; :data:`~organismctl.export.unit.INSTANCE` in it is the node's name.
        tls_key: Its key, likewise.
        after: Units that start before them when both do.
    """

    site: Site
    placed: tuple[Placed, ...]
    tls_cert: PurePath | None = None
    tls_key: PurePath | None = None
    after: tuple[str, ...] = ()

    @property
    def template(self) -> str:
        """The template's name up to the ``@``: as deployment.toml names the units, else ours.

        Raises:
            InputError: It names them in a way that no one template has.
        """
        named = {node.name: node.unit for node in self.placed if node.unit is not None}
        stems = {unit.removesuffix(f"@{name}.service") for name, unit in named.items()}
        wrong = [name for name, unit in named.items() if not unit.endswith(f"@{name}.service")]
        if wrong or len(stems) > 1:
            shown = ", ".join(f"{name}: {unit[:60]}" for name, unit in named.items())
            raise InputError(
                f"the nodes' units are no instances of one template ({shown})",
                advice=f'in deployment.toml, unit = "{self._ours}@NODE.service"',
            )
        return stems.pop() if stems else self._ours

    @property
    def _ours(self) -> str:
        return f"organismctl-node-{self.site.label}"

    def unit(self, node: str) -> str:
        """The unit of a node."""
        return f"{self.template}@{node}.service"


def units(nodes: Nodes) -> dict[str, str]:
    """File name to text: the template, and a drop-in for each node where they differ by more than their names.

    Raises:
        InputError: Something cannot stand in a unit.
    """
    own = {node.name: _own(nodes.site, node) for node in nodes.placed}
    shared = next(iter(own.values()), []) if len({tuple(lines) for lines in own.values()}) == 1 else None
    made = {f"{nodes.template}@.service": _template(nodes, shared or [])}
    if shared is None:
        made |= {
            f"{nodes.unit(name)}.d/{DROP_IN}": text("node", {"Service": lines}) for name, lines in own.items()
        }
    return made


def _template(nodes: Nodes, own: list[str]) -> str:
    site = nodes.site
    command = [
        str(site.program),
        "committee",
        "serve",
        "--deployment",
        str(site.deployment),
        "--node",
        INSTANCE,
    ]
    if nodes.tls_cert is not None:
        command += ["--tls-cert", str(nodes.tls_cert)]
    service = resident(site, "node", command, watchdog_s=WATCHDOG_S, node=INSTANCE)
    service += credentials(
        _with(site, TLS_KEY, nodes.tls_key), [*(PREFIX + key for key in KEYS), *_tls(nodes)]
    )
    return text(
        "node",
        {
            "Unit": head(f"Node {INSTANCE} of {site.organism}", nodes.after),
            "Service": [*service, *own, f"LimitNOFILE={FILES}", *hardening(site, local=site.local)],
            "Install": ["WantedBy=multi-user.target"],
        },
    )


def _tls(nodes: Nodes) -> list[str]:
    return [TLS_KEY] if nodes.tls_cert is not None else []


def _own(site: Site, node: Placed) -> list[str]:
    """What is a node's own, by its name where that says it."""
    name = key_name(INSTANCE)
    key = None if node.key is None else _by_name(node.key, node.name)
    return [*credentials(_with(site, name, key), [name]), *writes(_by_name(node.data, node.name))]


def _with(site: Site, name: str, file: PurePath | None) -> Site:
    return site if file is None else replace(site, secrets={**(site.secrets or {}), name: file})


def _by_name(path: PurePath, node: str) -> PurePath:
    """A path with the node's name, where it stands as a word of its own, as a placeholder."""
    return PurePath(re.sub(rf"(?<![A-Za-z0-9]){re.escape(node)}(?![A-Za-z0-9])", INSTANCE, str(path)))
