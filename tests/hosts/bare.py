"""The baseline: bare mosaik Groups under the same cuts, what they acknowledge, lose and disagree on.

A node is ``python -m tests.hosts.bare SETTINGS`` in a namespace: one Network, one Group that keeps what its machine
applied. It reads words from standard input, one a line, and answers each with a line of JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organismctl.identity.digest import h, uid
from organismctl.identity.peer import peer_id_from_seed
from tests.hosts.fleet import relay
from tests.hosts.load import PACE_S, Ack, Record
from tests.hosts.net import MOSAIK_PORT, RELAY_PORT, ROOT, Host, Net, network
from tests.support.committee import wait_for

NETWORK = uid("acme.hosts.bare")
SECRET = uid("an obviously fake group secret")
SIGNATURE = uid("acme.hosts.bare.machine.v1")
EXECUTE_S = 3.0


class Served:
    """One node's Group, and a client beside it; runs in the namespace."""

    def __init__(self, settings: dict[str, Any]) -> None:
        engine = importlib.import_module("organismctl_engine")  # there where it was built only

        self._refusals = engine.EngineError
        self._name = str(settings["name"])
        self._network = engine.Network.start(
            NETWORK,
            bytes.fromhex(settings["seed"]),
            relay=settings["relay"],
            bind=[settings["bind"]],
            bootstrap=[(bytes.fromhex(peer), [address]) for peer, address in settings["bootstrap"]],
        )
        self._group = self._network.group(SECRET, SIGNATURE, record=True)
        self._acks: list[tuple[str, int, float]] = []
        self._refused = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def answer(self, word: str) -> Any:
        """Do what a word asks for."""
        return getattr(self, f"on_{word}")()

    def on_status(self) -> dict[str, Any]:
        """How the group stands."""
        status = self._group.status()
        return {
            "leader": None if status.leader is None else bytes(status.leader).hex(),
            "bonds": sorted(bytes(peer).hex() for peer in status.bonds),
            "committed": status.committed,
        }

    def on_load(self) -> bool:
        """Begin to write."""
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        return True

    def on_rest(self) -> bool:
        """Stop writing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
        return True

    def on_count(self) -> int:
        """How many writes are acknowledged so far."""
        return len(self._acks)

    def on_record(self) -> dict[str, Any]:
        """Every acknowledgement; monotonic time is one for all processes of a machine."""
        return {"acks": list(self._acks), "refused": self._refused}

    def on_applied(self) -> list[str]:
        """What the machine applied, in order."""
        return [bytes(one).decode() for one in self._group.applied()]

    def on_quit(self) -> bool:
        """Leave in order."""
        self.on_rest()
        self._network.close()
        return True

    def _write(self) -> None:
        number = 0
        while not self._stop.is_set():
            request = f"{self._name}/{number}"
            number += 1
            try:
                index = self._group.execute([request.encode()], EXECUTE_S)
                self._acks.append((request, index, time.monotonic()))
            except self._refusals:
                self._refused += 1
            self._stop.wait(PACE_S)


@dataclass
class BareNode:
    """A node's process, asked from the test."""

    name: str
    host: Host
    seed: bytes
    process: subprocess.Popen[str]

    @property
    def peer_id(self) -> str:
        """In hex."""
        return peer_id_from_seed(self.seed).hex()

    def ask(self, word: str) -> Any:
        """Ask a word; its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"{self.name} ended with {self.process.wait(5)}"
        return json.loads(line)


@dataclass(frozen=True)
class Judged:
    """The end of a cut on a bare Group.

    Attributes:
        lost: Acknowledged writes that the machine of one node or more never applied.
        lost_by_most: Those that no majority of the nodes applied.
        diverged: Places at which the nodes' applied sequences differ.
    """

    lost: int
    lost_by_most: int
    diverged: int


@dataclass
class Bare:
    """A bare Group across hosts."""

    net: Net
    nodes: list[BareNode] = field(default_factory=list)

    def leader(self) -> BareNode:
        """The node that all others agree on as leader, once there is one."""

        def look() -> BareNode | None:
            named = {node.ask("status")["leader"] for node in self.nodes}
            return next((node for node in self.nodes if named == {node.peer_id}), None)

        return wait_for("one leader of the bare group", look, 60)

    def bonded(self, timeout: float = 90.0) -> None:
        """Wait until every node is bonded to every other."""

        def look() -> bool:
            return all(len(node.ask("status")["bonds"]) == len(self.nodes) - 1 for node in self.nodes)

        wait_for("the bare group is bonded", look, timeout)

    def settled(self) -> None:
        """Wait until it is bonded, has one leader, and one commit index everywhere."""
        self.bonded()
        self.leader()
        wait_for(
            "one commit index",
            lambda: len({node.ask("status")["committed"] for node in self.nodes}) == 1,
            60,
        )

    def record(self, began: float, ended: float) -> Record:
        """What all clients saw."""
        record = Record(began=began, ended=ended)
        for node in self.nodes:
            seen = node.ask("record")
            record.acks += [Ack(node.name, request, index, at) for request, index, at in seen["acks"]]
            record.faults["refused"] += seen["refused"]
        record.acks.sort(key=lambda ack: ack.at)
        return record

    def judge(self, record: Record) -> Judged:
        """Compare what the machines applied with what was acknowledged, and with each other."""
        applied = [node.ask("applied") for node in self.nodes]
        holders = Counter(request for one in applied for request in set(one))
        have = [holders[ack.request_id] for ack in record.acks]
        longest = max(len(one) for one in applied)
        padded = [one + [""] * (longest - len(one)) for one in applied]
        return Judged(
            lost=sum(count < len(applied) for count in have),
            lost_by_most=sum(2 * count <= len(applied) for count in have),
            diverged=sum(len(set(place)) > 1 for place in zip(*padded, strict=True)),
        )


@contextlib.contextmanager
def bare_group(folder: Path, count: int = 3) -> Iterator[Bare]:
    """A bare Group of ``count`` nodes, bonded and led."""
    with network(count) as net, relay(net, folder), contextlib.ExitStack() as ends:
        made = Bare(net)
        seeds = [h(f"an obviously fake seed {host.number}".encode()) for host in net.hosts]
        peers = [
            (peer_id_from_seed(seed).hex(), f"{host.address}:{MOSAIK_PORT}")
            for seed, host in zip(seeds, net.hosts, strict=True)
        ]
        for host, seed, (own, address) in zip(net.hosts, seeds, peers, strict=True):
            settings = {
                "name": f"bare-{host.number}",
                "seed": seed.hex(),
                "relay": f"http://{net.gateway}:{RELAY_PORT}",
                "bind": address,
                "bootstrap": [peer for peer in peers if peer[0] != own],
            }
            node = _started(settings, host, seed, folder)
            made.nodes.append(node)
            ends.callback(_end, node)
        made.bonded()
        made.leader()
        yield made


def _started(settings: dict[str, Any], host: Host, seed: bytes, folder: Path) -> BareNode:
    argv = host.inside(sys.executable, "-m", "tests.hosts.bare", json.dumps(settings))
    with (folder / f"{settings['name']}.log").open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    return BareNode(settings["name"], host, seed, process)


def _end(node: BareNode) -> None:
    """Ask it to leave, and see it gone."""
    process = node.process
    with contextlib.suppress(OSError, AssertionError, ValueError):
        node.ask("quit")
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def main() -> None:
    """Serve until told to quit, or until standard input ends."""
    served = Served(json.loads(sys.argv[1]))
    for line in sys.stdin:
        word = line.strip()
        print(json.dumps(served.answer(word)), flush=True)
        if word == "quit":
            return
    served.on_quit()


if __name__ == "__main__":
    main()
