"""Hosts as network namespaces on one bridge, and what can go wrong between them.

```
root namespace:  bridge GATEWAY.1 (relay, clients, operator)
                   |  port        |  port
                 (cable)        (cable)          a pair of veth; optionally a delay line in it
                   |              |
namespaces:      host .11       host .12  …
```

Faults work on a host's cable and are silent, as on a real network: what a host receives is dropped in its own
input hook, what it sends at the bridge port's ingress hook (a drop in an output hook would tell the sender).
The node API's port stays open between gateway and host at all times, as by a management network, so that
clients go on writing to a node that is cut off.

Names carry the process's id; what dead processes left behind is swept away when the next net is made.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.hosts.shell import NetworkFault, quiet, run

API_PORT = 7101
MOSAIK_PORT = 7111
RELAY_PORT = 3340
PREFIX = "oc"
ROOT = Path(__file__).resolve().parents[2]
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Fault:
    """What is wrong with one host's cable.

    Attributes:
        cut: Nothing passes in either direction.
        deaf_to: Addresses whose packets the host does not receive, while its own arrive there.
        loss: Percentage of packets lost, each for itself, in each direction.
    """

    cut: bool = False
    deaf_to: frozenset[str] = frozenset()
    loss: int = 0

    def rules(self) -> list[str]:
        """Rules for both directions, after the exceptions."""
        lines = ["counter drop"] if self.cut else []
        if self.loss:
            lines.append(f"numgen random mod 100 < {self.loss} counter drop")
        return lines


@dataclass
class Host:
    """One host: a namespace with one interface, whose cable ends in a port of the bridge."""

    net: Net
    number: int
    fault: Fault = field(default_factory=Fault)
    _delay: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return f"{self.net.subnet}.{10 + self.number}"

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return f"{self.net.name}-{self.number}"

    @property
    def outer(self) -> str:
        """The root namespace's end of its cable."""
        return f"{self.net.name}h{self.number}"

    @property
    def port(self) -> str:
        """The interface that is the bridge's port: behind the delay line when there is one."""
        return f"{self.net.name}d{self.number}" if self._delay else self.outer

    def inside(self, *argv: str) -> list[str]:
        """The argument list that runs a command on this host."""
        return ["ip", "netns", "exec", self.namespace, *argv]

    def make(self) -> None:
        """Lay its cable."""
        space, outer, inner = self.namespace, self.outer, f"{self.outer}i"
        run("ip", "netns", "add", space)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", space)
        # One packet is one datagram: else a batch of them is lost or kept as a whole.
        batch = f"link set {inner} name eth0\nlink set lo up\naddr add {self.address}/24 dev eth0\n"
        batch += "link set eth0 addrgenmode none gso_max_segs 1 up\n"
        run("ip", "-n", space, "-batch", "-", given=batch)
        run("ip", "link", "set", outer, "gso_max_segs", "1", "master", self.net.name, "up")

    def set(self, fault: Fault) -> None:
        """Put a fault on the cable in place of the one that is there."""
        gateway = self.net.gateway
        deaf = [f"ip saddr {{ {', '.join(sorted(fault.deaf_to))} }} counter drop"] if fault.deaf_to else []
        run(
            *self.inside("nft", "-f", "-"),
            given=_table(
                "inet cable",
                "receive",
                "type filter hook input priority 0",
                ['iif "lo" accept', f"ip saddr {gateway} tcp dport {API_PORT} accept", *deaf, *fault.rules()],
            ),
        )
        run(
            "nft",
            "-f",
            "-",
            given=_table(
                f"netdev {self.namespace}",
                "send",
                f'type filter hook ingress device "{self.port}" priority 0',
                [
                    "meta protocol arp accept",
                    f"ip daddr {gateway} tcp sport {API_PORT} accept",
                    *fault.rules(),
                ],
            ),
        )
        self.fault = fault

    def cut(self) -> None:
        """Pull the cable."""
        self.set(replace(self.fault, cut=True))

    def heal(self) -> None:
        """Everything passes again; a delay line stays."""
        self.set(Fault())

    def deafen(self, *others: Host) -> None:
        """It no longer hears ``others`` (every host and the gateway, when none is named); they hear it."""
        addresses = [host.address for host in others] or [
            self.net.gateway,
            *(host.address for host in self.net.hosts if host is not self),
        ]
        self.set(replace(self.fault, deaf_to=frozenset(addresses)))

    def lose(self, percent: int) -> None:
        """Lose that share of all packets, in each direction."""
        self.set(replace(self.fault, loss=percent))

    def delay(self, ms: float, jitter_ms: float = 0.0, seed: int = 0) -> None:
        """Put a delay line into the cable: every packet, in each direction, takes that much longer."""
        if self._delay is not None:
            raise NetworkFault(f"{self.namespace} has a delay line already")
        near, far = f"{self.net.name}e{self.number}", f"{self.net.name}d{self.number}"
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        # The kernel's own stack must not answer on the two ends that the delay line holds.
        run("ip", "link", "set", near, "arp", "off", "addrgenmode", "none", "up")
        argv = [sys.executable, "-m", "tests.hosts.delayline", self.outer, near]
        argv += ["--ms", str(ms), "--jitter", str(jitter_ms), "--seed", str(seed)]
        line = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self._delay = line
        if line.stdout is None or line.stdout.readline() != b"ready\n":
            raise NetworkFault(f"the delay line of {self.namespace} ended with {line.wait(5)}")
        # It stands; so the cable itself is open for a moment only.
        run("ip", "link", "set", self.outer, "nomaster", "arp", "off", "addrgenmode", "none")
        run("ip", "link", "set", far, "master", self.net.name, "addrgenmode", "none", "up")
        self.set(self.fault)

    def end(self) -> None:
        """End its delay line."""
        if self._delay is not None:
            self._delay.terminate()
            self._delay.wait(5)
            if self._delay.stdout is not None:
                self._delay.stdout.close()
            self._delay = None


@dataclass
class Net:
    """A bridge and its hosts.

    Attributes:
        name: Of the bridge; also the start of every other name.
        subnet: The first three parts of every address.
        hosts: In the order of their numbers.
    """

    name: str
    subnet: str
    hosts: list[Host] = field(default_factory=list)

    @property
    def gateway(self) -> str:
        """The bridge's own address, in the root namespace."""
        return f"{self.subnet}.1"

    def add(self) -> Host:
        """One more host."""
        host = Host(self, len(self.hosts) + 1)
        self.hosts.append(host)
        host.make()
        host.heal()
        return host

    def close(self) -> None:
        """Remove all of it; what runs in the namespaces is its starter's to end."""
        for host in self.hosts:
            host.end()
        _remove(self.name)


@contextlib.contextmanager
def network(count: int) -> Iterator[Net]:
    """A net of ``count`` hosts, removed afterwards."""
    sweep()
    net = Net(f"{PREFIX}{os.getpid()}n{next(_NUMBERS) % 10}", _free_subnet())
    try:
        run("ip", "link", "add", net.name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        run("ip", "addr", "add", f"{net.gateway}/24", "dev", net.name)
        run("ip", "link", "set", net.name, "addrgenmode", "none", "up")
        for _ in range(count):
            net.add()
        yield net
    finally:
        net.close()


def sweep() -> None:
    """Remove what processes left behind that are no more."""
    for name in sorted({name for name in _ours() if not Path(f"/proc/{_owner(name)}").exists()}):
        _remove(name)


def leftovers(owner: int) -> list[str]:
    """The nets of that process which are still there."""
    return sorted(name for name in _ours() if _owner(name) == owner)


def _ours() -> set[str]:
    """Names of every net of ours, from bridges, namespaces and tables."""
    seen = run("ip", "-o", "link") + run("ip", "netns", "list") + run("nft", "list", "tables")
    return set(re.findall(rf"\b({PREFIX}\d+n\d)(?=[-\s:@hde]|$)", seen))


def _owner(name: str) -> int:
    return int(name.removeprefix(PREFIX).split("n")[0])


def _remove(name: str) -> None:
    for space in re.findall(rf"^({name}-\d+)\b", run("ip", "netns", "list"), re.MULTILINE):
        quiet("ip", "netns", "del", space)
    for table in re.findall(rf"^table netdev ({name}-\d+)$", run("nft", "list", "tables"), re.MULTILINE):
        quiet("nft", "delete", "table", "netdev", table)
    # A pair goes with either end; a namespace's own end goes only when its last process is gone.
    for link in re.findall(rf"^\d+: ({name}(?:[hde]\d+)?)[@:]", run("ip", "-o", "link"), re.MULTILINE):
        quiet("ip", "link", "del", link)


def _free_subnet() -> str:
    """A /24 of 10.128.0.0/9 that no interface here has, sought from one that follows from the process id."""
    taken = {
        found["local"].rpartition(".")[0]
        for link in json.loads(run("ip", "-j", "-4", "addr"))
        for found in link["addr_info"]
    }
    for step in range(1 << 15):
        number = (os.getpid() + step) % (1 << 15)
        subnet = f"10.{128 + (number >> 8)}.{number & 255}"
        if subnet not in taken:
            return subnet
    raise NetworkFault("no free subnet")


def _table(name: str, chain: str, hook: str, rules: list[str]) -> str:
    """A ruleset that replaces a table in one step."""
    body = "".join(f"    {rule}\n" for rule in rules)
    return (
        f"table {name}\ndelete table {name}\ntable {name} {{\n"
        f"  chain {chain} {{\n    {hook}; policy accept;\n{body}  }}\n}}\n"
    )
