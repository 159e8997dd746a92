"""A committee across hosts: one node a namespace, on the mosaik carrier; the relay on the bridge's address.

The node APIs speak TLS and are asked from the root namespace; what goes on between the nodes goes through mosaik.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organismctl.committee.node.founding import init
from organismctl.committee.node.process import look, stop
from organismctl.files.deployment import load_deployment
from tests.hosts.net import API_PORT, MOSAIK_PORT, RELAY_PORT, Host, Net, network
from tests.hosts.papers import ISSUER, ISSUER_KEY, Tls, admission, certificate
from tests.support.committee import SERVE, Committee, wait_for

ORGANISMCTL = [sys.executable, "-m", "organismctl"]
LETTERS = "abcdefgh"


@dataclass
class Fleet(Committee):
    """A committee whose nodes are processes in namespaces.

    Attributes:
        net: The hosts.
        spares: Nodes that the first roster does not have.
        tls: Their certificate.
        environment: Node name to more of its environment.
        detached: Nodes that the tool started, not this test.
    """

    net: Net = field(kw_only=True)
    tls: Tls = field(kw_only=True)
    spares: tuple[str, ...] = ()
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    detached: set[str] = field(default_factory=set)

    def host(self, name: str) -> Host:
        """The host that a node runs on."""
        return self.net.hosts[self.names.index(name)]

    def url(self, name: str) -> str:
        """See the base."""
        return f"https://{self.host(name).address}:{API_PORT}"

    @property
    def founders(self) -> list[str]:
        """The first roster."""
        return [name for name in self.names if name not in self.spares]

    def start(self, *names: str, wait: bool = True) -> None:
        """Start nodes (the founders that do not run, by default) at once, each on its host."""
        chosen = [name for name in names or self.founders if not self.runs(name)]
        for name in chosen:
            argv = [*SERVE, "--node", name, "--deployment", str(self.deployment), *self.serve]
            with (self.data(name) / "node.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self.host(name).inside(*argv),
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env=os.environ | self.environment.get(name, {}),
                )
        for name in chosen if wait else ():
            self.wait_up(name)

    def wait_up(self, name: str, timeout: float = 60.0) -> None:
        """See the base; mosaik takes some seconds to come up."""

        def up() -> bool:
            process = self.processes[name]
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.log(name)}"
            with self.client(name, None) as client:
                client.health()
            return True

        wait_for(f"{name} answers", up, timeout)

    def peer_id(self, name: str) -> bytes:
        """A node's peer id."""
        node = load_deployment(self.deployment).node(name)
        assert node is not None
        return node.peer_id

    def ticket_file(self, name: str) -> Path:
        """The file of a node's ticket for this committee."""
        return self.folder / "tickets" / f"{name}.admission.ticket"

    def admit(self, name: str, lasts_s: float | None = None) -> None:
        """Write a node's ticket anew."""
        ticket = admission(self.peer_id(name)) if lasts_s is None else admission(self.peer_id(name), lasts_s)
        path = self.ticket_file(name)
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(ticket)
        fresh.replace(path)

    def skew(self, name: str, seconds: float) -> None:
        """Let a node's wall clock be that far ahead from its next start on; its monotonic clock stays."""
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        assert library is not None, "libfaketime is not installed (Debian: libfaketime)"
        self.environment[name] = {
            "LD_PRELOAD": str(library),
            "FAKETIME": f"{seconds:+g}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }

    def bonded(self, *names: str, timeout: float = 90.0) -> None:
        """Wait until each of these nodes (all that run, by default) is bonded to each other."""
        chosen = list(names or [name for name in self.names if self.runs(name)])

        def look() -> bool:
            for name in chosen:
                up = {bond["name"] for bond in self.status(name)["bonds"] if bond["connected"]}
                if not up.issuperset(set(chosen) - {name}):
                    return False
            return True

        wait_for(f"{chosen} are bonded", look, timeout)

    def leads_alone(self, name: str) -> bool:
        """Whether a node has no bond left and mosaik, on it, calls the node itself the leader."""
        status = self.status(name)
        alone = not any(bond["connected"] for bond in status["bonds"])
        return alone and status["mosaik"]["leader"] == status["peer_id"]

    def rotate(self, *argv: str) -> None:
        """Rotate a member as the operator does, to its end."""
        done = self.tool("rotate", "member", *argv, "--yes", timeout=280.0)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        # The tool has started the spare itself; it is ours to end (see :func:`fleet`).
        for name in self.names:
            if not self.runs(name) and look(self.data(name)).running:
                self.detached.add(name)

    def runs(self, name: str) -> bool:
        """See the base; a node that the tool started counts too."""
        return super().runs(name) or (name in self.detached and bool(look(self.data(name)).running))

    def _end(self, sign: signal.Signals, names: Sequence[str], patience: float = 20) -> None:
        for name in self.detached & set(names):
            stop(self.data(name), patience=patience)
        self.detached -= set(names)
        super()._end(sign, [name for name in names if name in self.processes], patience)

    def tool(self, *argv: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run the command-line tool as the operator does, from the root namespace."""
        return subprocess.run(
            [*ORGANISMCTL, *argv],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@contextlib.contextmanager
def fleet(folder: Path, count: int = 3, spares: int = 0) -> Iterator[Fleet]:
    """A founded committee of ``count`` founders that run and are bonded; everything is ended afterwards."""
    with network(count + spares) as net, relay(net, folder):
        made = _found(folder / "acme", net, count)
        try:
            made.start()
            made.bonded()
            made.agree(at_least=3)
            yield made
        finally:
            try:
                made.close()
            finally:
                for name in made.names:
                    if made.data(name).is_dir():
                        stop(made.data(name), patience=1.0)


@contextlib.contextmanager
def relay(net: Net, folder: Path) -> Iterator[None]:
    """mosaik's relay for the net, on the bridge's own address."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [*ORGANISMCTL, "committee", "relay", "--bind", f"{net.gateway}:{RELAY_PORT}"]
    argv += ["--data", str(folder / "relay")]
    with (folder / "relay.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:

        def up() -> bool:
            assert process.poll() is None, (folder / "relay.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection((net.gateway, RELAY_PORT), 1):
                return True
            return False

        wait_for("the relay listens", up)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _found(folder: Path, net: Net, count: int) -> Fleet:
    folder.mkdir(parents=True)
    names = [f"node-{LETTERS[number]}" for number in range(len(net.hosts))]
    tls = certificate(folder, [host.address for host in net.hosts])
    (folder / "organism.toml").write_text(
        'schema = 1\nname = "acme.hosts"\nnetwork = "acme.hosts.test"\n'
        '[driver]\nfold = "ticker"\nperiod = "500ms"\napply_deadline = "2s"\nstall = "wait"\n[content]\n'
        f'[[surface]]\nname = "facts"\ntype = "stream"\n[[acl]]\ntype = "jwt"\nissuers = ["{ISSUER}"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{ISSUER_KEY.hex()}" }}]\nmax_lifetime = "30d"\n'
    )
    deployment = folder / "deployment.toml"
    deployment.write_text(
        'schema = 1\ncarrier = "mosaik"\n[secrets]\ngroup = "secrets/group.secret"\n'
        'read_token = "secrets/read.token"\noperate_token = "secrets/operate.token"\n'
        f'[mosaik]\nrelay = "http://{net.gateway}:{RELAY_PORT}"\n'
        + "".join(
            _node(name, host, tls, number >= count)
            for number, (name, host) in enumerate(zip(names, net.hosts, strict=True))
        )
    )
    init(deployment)
    made = Fleet(
        folder,
        dict.fromkeys(names, API_PORT),
        scheme="https",
        serve=("--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)),
        ca=tls.certificate,
        net=net,
        tls=tls,
        spares=tuple(names[count:]),
    )
    for name in names:
        made.admit(name)
    return made


def _node(name: str, host: Host, tls: Tls, spare: bool) -> str:
    """A node's part of deployment.toml; its executor starts it in its namespace."""
    serve = [*host.inside(*ORGANISMCTL), "committee"]
    rest = ["--deployment", "{deployment}", "--node", "{node}"]
    secure = ["--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)]
    argvs: Mapping[str, Sequence[str]] = {
        "start": [*serve, "serve", *rest, "--detach", *secure],
        "stop": [*serve, "stop", *rest],
        "fenced": [*serve, "stop", *rest, "--check"],
    }
    keys: dict[str, Any] = {
        "name": name,
        "peer_id": f"{host.number:064x}",
        "key": f"secrets/{name}.key",
        "url": f"https://{host.address}:{API_PORT}",
        "ca": str(tls.certificate),
        "address": f"{host.address}:{MOSAIK_PORT}",
        "tickets": [f"tickets/{name}.admission.ticket"],
        "data": f"nodes/{name}",
        "executor": "command",
        **argvs,
    }
    if spare:
        keys["roster"] = False
    # JSON's texts, lists of texts and booleans are TOML's.
    return "[[node]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
