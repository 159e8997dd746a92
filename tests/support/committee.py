"""Real committees for tests: processes of `organismctl committee serve` on loopback, ended by their ids."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organismctl.committee.client import NodeClient
from organismctl.committee.node.founding import init
from organismctl.committee.node.process import look
from organismctl.observe.node_api import told_height
from tests.support.mosaik import admit, end_process, require_engine, start_relay
from tests.support.waiting import wait_for

SERVE = [sys.executable, "-m", "organismctl", "committee", "serve"]
NAMES = ("node-a", "node-b", "node-c")
ADMISSION = "cd866a5879bee75294fb9aba313d160f6855263ac60c20d7cf71142aef063a23"


def free_ports(count: int) -> list[int]:
    """Ports below those that the kernel gives out, from a range of this worker's own: nobody takes them meanwhile."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(_PORTS)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
            with socket.socket(type=socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


def _own_range() -> Iterator[int]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    low = 10_000 + 2_500 * (int(worker) % 8 if worker.isdigit() else 0)
    offset = os.getpid() * 37
    while True:
        yield low + offset % 2_500
        offset += 1


_PORTS = _own_range()


@dataclass(frozen=True)
class Span:
    """A spanned member for a test: one surface, decoded as surface items unless told otherwise."""

    name: str
    stable_id: str
    surface_id: str
    endpoints: tuple[str, ...]
    kind: str = "lattice"
    content_hash: str | None = None
    extra: str = ""

    def organism(self) -> str:
        """Its part of organism.toml."""
        pin = f'content_hash = "{self.content_hash}"\n' if self.content_hash else ""
        return (
            f'[[span]]\nname = "{self.name}"\nkind = "{self.kind}"\nstable_id = "{self.stable_id}"\n{pin}'
            f'clock = "tick"\n[[span.surface]]\nname = "events"\ntype = "stream"\nid = "{self.surface_id}"\n'
            f'decode = "surface-item"\n{self.extra}'
        )

    def deployment(self) -> str:
        """Its part of deployment.toml."""
        ends = ", ".join(f'"{one}"' for one in self.endpoints)
        return f'[[span]]\nname = "{self.name}"\nendpoints = [{ends}]\nperiod = "1s"\n'


@dataclass
class Committee:
    """A committee in a folder; nodes run as processes of this test.

    Attributes:
        folder: Holds organism.toml, deployment.toml and everything else.
        ports: Node name to port.
        processes: Node name to its process, when it was started.
        scheme: Of the nodes' URLs.
        serve: Further options of `serve`.
        ca: The authority of their certificates, when they have some.
        relay_port: Where the relay of a committee on mosaik listens; ``None`` on loopback.
        relay: The relay's process.
    """

    folder: Path
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    scheme: str = "http"
    serve: tuple[str, ...] = ()
    ca: Path | None = None
    relay_port: int | None = None
    relay: subprocess.Popen[bytes] | None = None

    @property
    def deployment(self) -> Path:
        """The deployment file."""
        return self.folder / "deployment.toml"

    @property
    def names(self) -> list[str]:
        """Every node of the deployment file."""
        return list(self.ports)

    def url(self, name: str) -> str:
        """A node's URL."""
        return f"{self.scheme}://127.0.0.1:{self.ports[name]}"

    def token(self, scope: str = "operate") -> str:
        """A token's text."""
        return (self.folder / "secrets" / f"{scope}.token").read_text().strip()

    def data(self, name: str) -> Path:
        """A node's data folder."""
        return self.folder / "nodes" / name

    def client(self, name: str, scope: str | None = "operate", timeout: float = 5.0) -> NodeClient:
        """A client of one node."""
        return NodeClient(self.url(name), None if scope is None else self.token(scope), self.ca, timeout)

    def start_relay(self) -> None:
        """Start the relay, when this committee has one, and wait until it listens."""
        if self.relay_port is None or (self.relay is not None and self.relay.poll() is None):
            return
        self.relay = start_relay(self.folder / "relay", self.relay_port)

    def start(self, *names: str, wait: bool = True) -> None:
        """Start nodes (all that do not run, by default) at once."""
        self.start_relay()
        for name in names or self.names:
            # One whose lock is free is on its way out (or has not taken it yet): it is not there to stay.
            wait_for(
                f"{name} runs, or has ended", lambda name=name: not self.runs(name) or self._locked(name)
            )
        chosen = [name for name in names or self.names if not self.runs(name)]
        for name in chosen:
            with (self.data(name) / "node.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [*SERVE, "--node", name, "--deployment", str(self.deployment), *self.serve],
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                )
        for name in chosen if wait else ():
            self.wait_up(name)

    def wait_up(self, name: str) -> None:
        """Wait until a node answers."""

        def up() -> bool:
            process = self.processes[name]
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.log(name)}"
            with self.client(name, None) as client:
                client.health()
            return True

        wait_for(f"{name} answers", up)

    def _locked(self, name: str) -> bool:
        return look(self.data(name)).running

    def runs(self, name: str) -> bool:
        """Whether a node's process lives."""
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def kill(self, *names: str) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL, names or tuple(self.names))

    def stop(self, *names: str) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM, names or tuple(self.names))

    def _end(self, sign: signal.Signals, names: Sequence[str], patience: float = 20) -> None:
        running = [self.processes[name] for name in names if self.runs(name)]
        for process in running:
            process.send_signal(sign)
        for process in running:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)

    def close(self) -> None:
        """End everything that was started, in order where it goes quickly."""
        self._end(signal.SIGTERM, self.names, patience=5)
        if self.relay is not None:
            end_process(self.relay)

    def log(self, name: str) -> str:
        """The end of a node's log."""
        return (self.data(name) / "node.log").read_text(errors="replace")[-4000:]

    # What tests look at.

    def status(self, name: str) -> dict[str, Any]:
        """NodeStatus of one node."""
        with self.client(name, "read") as client:
            return dict(client.status())

    def proposer(self) -> str:
        """The name of the node that proposes, once there is one."""

        def look() -> str | None:
            for name in self.names:
                if self.runs(name) and self.status(name)["role"] == "proposer":
                    return name
            return None

        return wait_for("a proposer", look)

    def append(self, name: str, command: dict[str, Any], request_id: str | None = None) -> Any:
        """Certify a command by one node."""
        with self.client(name) as client:
            return client.append(command, request_id)

    def bonded(self, *names: str) -> None:
        """Wait until nodes are connected to each other."""
        chosen = list(names or [name for name in self.names if self.runs(name)])

        def look() -> bool:
            return all(
                bond["connected"]
                for name in chosen
                for bond in self.status(name)["bonds"]
                if bond["name"] in chosen
            )

        wait_for(f"{chosen} are bonded", look)

    def common_heights(self, names: Sequence[str]) -> tuple[int, int]:
        """Heights at which nodes may tell their states: one that has gone on tells multiples of the stride alone."""
        lowest = min(self.status(name)["ledger"]["applied"] for name in names)
        return lowest, told_height(lowest)

    def _alike(self, names: Sequence[str], height: int) -> bool:
        """Whether nodes tell one state at a height; that they tell two, or two ledgers, is a failure."""
        digests = set()
        for name in names:
            with self.client(name, "read") as client:
                found = client.log_digest(height)
            digests.add((found.digest, found.state_digest))
        assert len({one for one, _ in digests}) == 1, f"the ledgers differ at {height}"
        states = {state for _, state in digests}
        assert len(states - {None}) <= 1, f"the states differ at {height}"
        return None not in states

    def agree(self, *names: str, at_least: int = 0) -> int:
        """Wait until nodes have one ledger and one state at one height; gives the height."""
        chosen = list(names or [name for name in self.names if self.runs(name)])

        def look() -> int | None:
            heights = self.common_heights(chosen)
            return next((at for at in heights if at >= at_least and self._alike(chosen, at)), None)

        return wait_for(f"{chosen} agree", look)


def make_committee(
    folder: Path,
    *,
    names: Sequence[str] = NAMES,
    spares: Sequence[str] = (),
    spans: Sequence[Span] = (),
    fold: str = "ticker",
    period: str = "200ms",
    stall: str = "wait",
    apply_deadline: str = "1s",
    organism: str = "acme.test",
    extra: str = "",
    carrier: str = "loopback",
    surface: str = "stream",
) -> Committee:
    """Write the files of a committee and found it; nothing is started.

    Args:
        folder: An empty folder.
        names: Founders.
        spares: Nodes that stand in the file with ``roster = false``; their ledgers are empty.
        spans: Spanned members (then ``fold`` is not ``ticker``).
        fold: The driver's fold.
        period: How often Tick is certified.
        stall: The driver's stall policy.
        apply_deadline: The driver's, after which a fact that waits is late.
        organism: Its name.
        extra: More of deployment.toml.
        carrier: ``loopback`` or ``mosaik``; the latter has a relay of its own and tickets for every node.
        surface: The type of its surface ``facts``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    everybody = [*names, *spares]
    ports = dict(zip(everybody, free_ports(len(everybody)), strict=True))
    (folder / "organism.toml").write_text(
        f'schema = 1\nname = "{organism}"\nnetwork = "mosaik.universe"\n'
        + "".join(span.organism() for span in spans)
        + f'[driver]\nfold = "{fold}"\nperiod = "{period}"\n'
        f'apply_deadline = "{apply_deadline}"\nstall = "{stall}"\n[content]\n'
        f'[[surface]]\nname = "facts"\ntype = "{surface}"\n[[acl]]\ntype = "jwt"\nissuers = ["acme-admission"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{ADMISSION}" }}]\nmax_lifetime = "30d"\n'
    )
    mosaik = carrier == "mosaik"
    wires = free_ports(len(everybody) + 1) if mosaik else []
    nodes = "".join(
        _node(name, port, number, name in spares, wires[number] if mosaik else None)
        for number, (name, port) in enumerate(ports.items())
    )
    relay = f'[mosaik]\nrelay = "http://127.0.0.1:{wires[-1]}"\n' if mosaik else ""
    (folder / "deployment.toml").write_text(
        f'schema = 1\ncarrier = "{carrier}"\n{relay}[secrets]\ngroup = "secrets/group.secret"\n'
        'read_token = "secrets/read.token"\noperate_token = "secrets/operate.token"\n'
        + nodes
        + "".join(span.deployment() for span in spans)
        + extra
    )
    init(folder / "deployment.toml")
    committee = Committee(folder, ports, relay_port=wires[-1] if mosaik else None)
    if mosaik:
        admit(committee.deployment, *everybody)
    return committee


def _node(name: str, port: int, number: int, spare: bool, wire: int | None) -> str:
    serve = f'"{sys.executable}", "-m", "organismctl", "committee"'
    rest = '"--deployment", "{deployment}", "--node", "{node}"'
    return (
        f'[[node]]\nname = "{name}"\npeer_id = "{number + 1:064x}"\nkey = "secrets/{name}.key"\n'
        f'url = "http://127.0.0.1:{port}"\ndata = "nodes/{name}"\nexecutor = "command"\n'
        f'start = [{serve}, "serve", {rest}, "--detach"]\nstop = [{serve}, "stop", {rest}]\n'
        f'fenced = [{serve}, "stop", {rest}, "--check"]\n'
        + ("roster = false\n" if spare else "")
        + (
            ""
            if wire is None
            else f'address = "127.0.0.1:{wire}"\ntickets = ["tickets/{name}.admission.ticket"]\n'
        )
    )


@contextlib.contextmanager
def running_committee(folder: Path, **options: Any) -> Iterator[Committee]:
    """A founded committee whose founders run; everything is ended afterwards, also what was detached.

    With ``carrier="mosaik"`` the test is skipped where the extension is not built.
    """
    if options.get("carrier") == "mosaik":
        require_engine()
    committee = make_committee(folder, **options)
    try:
        spares = options.get("spares", ())
        committee.start(*[name for name in committee.names if name not in spares])
        yield committee
    finally:
        committee.close()
        from organismctl.committee.node.process import stop

        for name in committee.names:
            if committee.data(name).is_dir():
                stop(committee.data(name), patience=1.0)


def quicken(committee: Committee) -> None:
    """A clock of 200 ms, so that silence is proven in a second."""
    text = committee.deployment.read_text()
    committee.deployment.write_text(text.replace('period = "1s"', 'period = "200ms"'))
