"""The simulated world: nodes with disks, a network and a clock, all drawn from one seed."""

from __future__ import annotations

import heapq
from random import Random
from typing import Any

from organismctl.committee.ledger.candidacy import Stage
from organismctl.committee.ledger.codec import decode, encode
from organismctl.committee.ledger.core import LedgerConfig, Role
from organismctl.committee.ledger.effects import (
    Advanced,
    Certified,
    Origin,
    Resolve,
    Send,
    Serve,
    Stop,
    Write,
)
from organismctl.committee.ledger.entry import NO_DIGEST, NO_EPOCH, Epoch, Kind, application, link
from organismctl.committee.ledger.protocol import Node
from organismctl.committee.ledger.requests import Request
from organismctl.committee.ledger.roster import GenesisRecord

from .parts import Disk, Machine, Network

FINGERPRINT = b"f" * 32
TICK = 0.05


class Violation(AssertionError):
    """An invariant of the protocol does not hold."""


def peer_id(number: int) -> bytes:
    return bytes([number]) * 32


class World:
    """Runs events in order of time; checks invariants on every certification."""

    def __init__(self, seed: int, node_class: type[Node] = Node) -> None:
        self.rng = Random(seed)
        self.node_class = node_class
        self.now = 0.0
        self.net = Network()
        self.machines: dict[bytes, Machine] = {}
        self.settings: dict[str, Any] = {}
        self.certified: list[bytes] = []
        """The digest at each height, as first certified by anybody."""
        self.commands: list[bytes] = []
        self.acknowledged: dict[bytes, int] = {}
        self.outcomes: dict[int, object] = {}
        self.asked: dict[int, bytes] = {}
        self.refused: set[bytes] = set()
        self.stops: list[tuple[bytes, Stop]] = []
        self.expected_stops: set[bytes] = set()
        self.roundtrip = seed % 16 == 0
        self._events: list[tuple[float, int, int, Any]] = []
        self._order = 0
        self._incarnations = 1000
        self._request = 0
        self.flavour = "calm"

    # Building.

    def found(self, count: int, *, introduced: bool = True) -> None:
        ids = [peer_id(n + 1) for n in range(count)]
        for name in ids:
            self.machines[name] = Machine(name, self.founder_disk(tuple(ids), introduced=introduced))
        if introduced:
            known = {name: machine.disk.incarnation for name, machine in self.machines.items()}
            for name, machine in self.machines.items():
                machine.disk.incarnations = {peer: number for peer, number in known.items() if peer != name}
        for name in ids:
            self.start(name)

    def founder_disk(self, ids: tuple[bytes, ...], *, introduced: bool) -> Disk:
        disk = Disk(self.incarnation(), Origin.FOUNDER, introduced)
        genesis = link(NO_DIGEST, 0, (GenesisRecord(FINGERPRINT, ids).command(),), NO_EPOCH)
        disk.apply(Write(0, entries=tuple(genesis), certified=0))
        return disk

    def join(self, name: bytes) -> None:
        self.machines[name] = Machine(name, Disk(self.incarnation(), Origin.LEARNER, True))
        self.start(name)

    def incarnation(self) -> int:
        self._incarnations += 1
        return self._incarnations

    # Events.

    def at(self, when: float, kind: int, what: Any) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, kind, what))

    def run(self, until: float) -> None:
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, kind, what = heapq.heappop(events)
            if kind == 0:
                self._deliver(what)
            elif kind == 1:
                self._finish(what)
            elif kind == 2:
                self._tick(what)
            else:
                what()
        self.now = until

    def _deliver(self, what: tuple[bytes, bytes, Any]) -> None:
        sender, to, message = what
        machine = self.machines.get(to)
        if machine is not None and machine.node is not None and (sender, to) not in self.net.cut:
            self.carry_out(machine, machine.node.receive(self.now, sender, message))

    def _finish(self, what: tuple[bytes, int, int]) -> None:
        name, run, token = what
        machine = self.machines[name]
        if machine.run != run or machine.node is None:
            return
        while machine.pending and machine.pending[0].token <= token:
            machine.disk.apply(machine.pending.pop(0))
        self.carry_out(machine, machine.node.written(self.now, token))

    def _tick(self, what: tuple[bytes, int]) -> None:
        name, run = what
        machine = self.machines[name]
        if machine.run == run and machine.node is not None:
            self.at(self.now + TICK, 2, what)
            self.carry_out(machine, machine.node.tick(self.now))

    # Nodes.

    def start(self, name: bytes) -> None:
        machine = self.machines[name]
        if machine.node is not None or name in {stopped for stopped, _ in self.stops}:
            return
        machine.run += 1
        machine.busy_until = self.now
        seeds = tuple(peer for peer in self.machines if peer != name)
        config = LedgerConfig(name, seeds=seeds, **self.settings)
        machine.node = self.node_class(
            config, machine.disk.state(), Random(self.rng.getrandbits(32)), self.now
        )
        self.at(self.now + self.rng.random() * TICK, 2, (name, machine.run))

    def crash(self, name: bytes) -> None:
        """Die between any two writes: a random prefix of the unfinished ones is on disk."""
        machine = self.machines[name]
        if machine.node is None:
            return
        machine.node = None
        machine.run += 1
        done = self.rng.randint(0, len(machine.pending))
        for write in machine.pending[:done]:
            machine.disk.apply(write)
        machine.pending.clear()

    def lose_disk(self, name: bytes) -> None:
        """The disk is gone, and somebody makes the founder's store anew."""
        self.crash(name)
        genesis = GenesisRecord.parse(self.machines[name].disk.entries[0].command)
        self.machines[name].disk = self.founder_disk(genesis.roster, introduced=False)
        self.expected_stops.add(name)

    def carry_out(self, machine: Machine, effects: list[Any]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                self.send(machine.id, effect.to, effect.message)
            elif kind is Write:
                machine.pending.append(effect)
                took = self.rng.random() * 0.01 * machine.slow
                machine.busy_until = max(machine.busy_until, self.now) + took
                self.at(machine.busy_until, 1, (machine.id, machine.run, effect.token))
            elif kind is Serve:
                self._serve(machine, effect)
            elif kind is Advanced:
                self._advanced(machine, effect)
            elif kind is Resolve:
                self._resolved(effect)
            elif kind is Stop:
                self._stopped(machine, effect)

    def _serve(self, machine: Machine, serve: Serve) -> None:
        entries = machine.disk.entries[serve.start : serve.start + serve.limit]
        previous = machine.disk.entries[serve.start - 1].digest if serve.start else NO_DIGEST
        send = serve.reply(previous, tuple(entry.command for entry in entries))
        self.send(machine.id, send.to, send.message)

    def _stopped(self, machine: Machine, stop: Stop) -> None:
        self.stops.append((machine.id, stop))
        if machine.id not in self.expected_stops or stop.code != "lost-store":
            raise Violation(f"node {machine.id[0]} stopped: {stop.code}: {stop.reason}")
        machine.node = None
        machine.run += 1

    # Network.

    def send(self, sender: bytes, to: bytes, message: Any) -> None:
        net, rng = self.net, self.rng
        if (sender, to) in net.cut or (net.loss and rng.random() < net.loss):
            return
        if self.roundtrip:
            message = decode(encode(message))
        for _ in range(2 if net.double and rng.random() < net.double else 1):
            delay = net.delay * (0.2 + rng.random())
            if net.late and rng.random() < net.late:
                delay += rng.random() * net.late_by
            self.at(self.now + delay, 0, (sender, to, message))

    def partition(self, groups: list[list[bytes]]) -> None:
        where = {name: index for index, group in enumerate(groups) for name in group}
        names = list(self.machines)
        self.net.cut = {
            (a, b) for a in names for b in names if a != b and where.get(a, -1) != where.get(b, -1)
        }

    # Clients.

    def append(self, name: bytes, timeout: float = 2.0, command: bytes | None = None) -> int | None:
        machine = self.machines[name]
        if machine.node is None:
            return None
        self._request += 1
        number = self._request
        command = command or application(b"append %d" % number)
        self.asked[number] = command
        request = Request(number, command, self.now + timeout)
        self.carry_out(machine, machine.node.append(self.now, [request]))
        return number

    @property
    def settled(self) -> bool:
        """Whether every running node holds the same certified entries."""
        return self.agreed()

    def agreed(self) -> bool:
        """Whether every running node stands at one certified height, the highest one."""
        top = len(self.certified) - 1
        nodes = [
            m.node for m in self.machines.values() if m.node is not None and m.id not in self.expected_stops
        ]
        return all(node.certified == node.notified == top == node.log.last for node in nodes)

    def describe(self) -> str:
        return "; ".join(
            f"{m.id[0]}: "
            + (
                f"{m.node.role} {m.node.stage} promised {m.node.promised.number} "
                f"accepted {m.node.accepted.number} certified {m.node.certified}/{m.node.log.last} "
                f"roster {[p[0] for p in m.node.log.rosters()[-1].members]}"
                if m.node
                else "down"
            )
            for m in self.machines.values()
        )

    def check_end(self) -> None:
        """S2, S3: nothing acknowledged is missing, and every disk folds to one digest."""
        for digest, height in self.acknowledged.items():
            if height >= len(self.certified) or self.certified[height] != digest:
                raise Violation(f"the append acknowledged at height {height} is missing")
        for machine in self.machines.values():
            if machine.id in self.expected_stops:
                if machine.node is not None and machine.node.votes and machine.disk.origin is Origin.FOUNDER:
                    raise Violation(f"node {machine.id[0]} lost its disk, and votes")
                continue
            commands = tuple(entry.command for entry in machine.disk.entries[: len(self.certified)])
            if link(NO_DIGEST, 0, commands, NO_EPOCH)[-1].digest != self.certified[-1]:
                raise Violation(f"node {machine.id[0]} folds to another digest")

    def top_epoch(self) -> Epoch:
        """The highest epoch that any running node promised."""
        return max([m.node.promised for m in self.machines.values() if m.node is not None], default=NO_EPOCH)

    def in_stage(self, stage: Stage, above: Epoch) -> list[bytes]:
        """The running nodes that stand at a stage, in an epoch above one."""
        nodes = [m.node for m in self.machines.values() if m.node is not None]
        return [node.me for node in nodes if node.stage is stage and node.promised > above]

    def proposers(self) -> list[bytes]:
        """Every node that believes to be the proposer."""
        return [m.id for m in self.machines.values() if m.node is not None and m.node.role is Role.PROPOSER]

    def proposer(self) -> bytes | None:
        """The node that proposes in the highest epoch, if any."""
        best = None
        for machine in self.machines.values():
            node = machine.node
            if node is not None and node.role is Role.PROPOSER and (best is None or node.epoch > best.epoch):
                best = node
        return best.me if best else None

    # Invariants, checked as they can first be broken.

    def _advanced(self, machine: Machine, advanced: Advanced) -> None:
        """S1: one entry at one height. The disk must hold what is said to be certified and durable."""
        entries = machine.disk.entries
        if advanced.height >= len(entries) or entries[advanced.height].digest != advanced.digest:
            raise Violation(f"node {machine.id[0]} certified {advanced.height}, which is not on its disk")
        self.note_certified(machine.id, advanced.height)

    def note_certified(self, name: bytes, height: int) -> None:
        entries = self.machines[name].disk.entries
        known = len(self.certified)
        if height < known:
            if entries[height].digest != self.certified[height]:
                raise Violation(f"node {name[0]} certified another entry at height {height}")
            return
        if known and entries[known - 1].digest != self.certified[known - 1]:
            raise Violation(f"node {name[0]} certified another history below height {known}")
        for entry in entries[known : height + 1]:
            if entry.command in self.refused and entry.command[0] == Kind.APPLICATION:
                raise Violation(f"a refused append was certified at height {entry.height}")
            self.certified.append(entry.digest)
            self.commands.append(entry.command)

    def _resolved(self, resolve: Resolve) -> None:
        if resolve.request in self.outcomes:
            raise Violation(f"request {resolve.request} was answered twice")
        self.outcomes[resolve.request] = resolve.outcome
        command = self.asked[resolve.request]
        if isinstance(resolve.outcome, Certified):
            height = resolve.outcome.height
            self.acknowledged[resolve.outcome.digest] = height
            holders = sum(
                height < len(m.disk.entries) and m.disk.entries[height].digest == resolve.outcome.digest
                for m in self.machines.values()
            )
            if not holders:
                raise Violation(f"height {height} was acknowledged, and is on no disk")
        elif type(resolve.outcome).__name__ == "Refused":
            self.refused.add(command)
            if command[0] == Kind.APPLICATION and command in self.commands:
                raise Violation("a certified append was answered as refused")
