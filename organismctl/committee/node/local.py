"""Which of a deployment's nodes run on this host, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from organismctl.committee.client import NodeClient
from organismctl.committee.node.process import look
from organismctl.errors import OrganismError
from organismctl.files.credentials import secret_file
from organismctl.files.deployment import Deployment, Node, load_deployment
from organismctl.files.secret import read_secret


@dataclass(frozen=True, slots=True)
class LocalNode:
    """One node.

    Attributes:
        name: Its name.
        running: Whether it runs here; ``None`` when that cannot be told.
        detail: What it says, or why it says nothing.
    """

    name: str
    running: bool | None
    detail: str

    def text(self) -> str:
        """One line."""
        word = {True: "runs", False: "off", None: "unknown"}[self.running]
        return f"{self.name}\t{word}\t{self.detail}"


def local_status(deployment_file: Path) -> list[LocalNode]:
    """Look at every node of a deployment.

    Raises:
        InputError: The file holds problems.
    """
    deployment = load_deployment(deployment_file)
    token: str | None = None
    if (path := secret_file(deployment, "read_token")) is not None:
        try:
            token = read_secret(path).reveal()
        except OrganismError:
            token = None
    return list(_rows(deployment, token))


def _rows(deployment: Deployment, token: str | None) -> Iterator[LocalNode]:
    for node in deployment.nodes:
        try:
            running: bool | None = look(deployment.resolve(node.data)).running if node.data else None
        except OrganismError:
            running = None
        yield LocalNode(node.name, running, _said(deployment, node, token) if running is not False else "")


def _said(deployment: Deployment, node: Node, token: str | None) -> str:
    if node.url is None:
        return "its url is not known"
    ca = deployment.resolve(node.ca) if node.ca else None
    try:
        with NodeClient(node.url, token, ca) as client:
            if token is None:
                return "it is well" if client.health().ok else "it stopped loudly"
            status = client.status()
    except OrganismError as exc:
        return exc.message
    ledger = status["ledger"]
    stopped = f", stopped: {status['stopped']}" if status["stopped"] else ""
    host = ", one host: no failure tolerance against losing it" if status["one_host"] else ""
    carrier = status["carrier"] if status["carrier"] in ("loopback", "mosaik") else "unknown"
    return f"{status['role']}, certified {ledger['certified']}, carrier {carrier}{stopped}{host}"
