"""One seed: a schedule of faults, then healing, then what must hold."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from organismctl.committee.ledger.candidacy import Stage
from organismctl.committee.ledger.core import Role
from organismctl.committee.ledger.effects import Certified, Origin
from organismctl.committee.ledger.protocol import Node
from organismctl.committee.ledger.roster import Action, RosterChange

from .parts import Disk
from .world import Violation, World, peer_id

HEAL = 40.0
"""Seconds of simulated time within which a healed committee must go on; it takes about 2."""


@dataclass(frozen=True, slots=True)
class Result:
    seed: int
    height: int
    acknowledged: int
    epoch: int
    roster_version: int
    healed_in: float


@dataclass(slots=True)
class Schedule:
    """Draws faults from the seed's own generator, so that a change of the protocol does not shift them."""

    world: World
    rng: Random
    founders: int
    next_peer: int
    lost: bool = False

    def step(self) -> None:
        rng, world = self.rng, self.world
        action = rng.choices(
            [getattr(self, name) for name in ACTIONS],
            WEIGHTS[world.flavour],
        )[0]
        action()
        pause = rng.choice((0.01, 0.03, 0.1, 0.3, 0.8))
        world.run(world.now + pause * rng.random())

    def up(self) -> list[bytes]:
        return [m.id for m in self.world.machines.values() if m.node is not None]

    def load(self) -> None:
        for _ in range(self.rng.choice((1, 2, 5))):
            for name in self.world.proposers() or self.up()[:1]:
                self.world.append(name, timeout=self.rng.choice((0.3, 3.0)))
            if self.rng.random() < 0.3:
                self.world.run(self.world.now + 0.01)

    def crash(self) -> None:
        up = self.up()
        leading = self.world.proposer()
        if up:
            self.world.crash(leading if leading and self.rng.random() < 0.5 else self.rng.choice(up))

    def restart(self) -> None:
        for name in self.world.machines:
            if self.rng.random() < 0.6:
                self.world.start(name)

    def all_down(self) -> None:
        for name in self.world.machines:
            self.world.crash(name)
        for name in self.world.machines:
            if self.rng.random() < 0.7:
                self.world.start(name)

    def split(self) -> None:
        names = list(self.world.machines)
        self.rng.shuffle(names)
        leading = self.world.proposer()
        if leading and self.rng.random() < 0.4:
            names.remove(leading)
            self.world.partition([[leading], names])
            return
        cut = self.rng.randint(1, len(names))
        groups = [names[:cut], names[cut:]]
        self.world.partition(groups if self.rng.random() < 0.8 else [[name] for name in names])
        if self.rng.random() < 0.2:  # one-way trouble
            self.world.net.cut = {pair for pair in sorted(self.world.net.cut) if self.rng.random() < 0.6}

    def unseat(self) -> None:
        """Force an election: everybody up, everybody heard, but for the proposer, which goes away."""
        world, rng = self.world, self.rng
        leading = world.proposer()
        self.mend()
        for name in world.machines:
            if rng.random() < 0.8:
                world.start(name)
        if leading is None:
            return
        if rng.random() < 0.25:
            world.crash(leading)
            return
        others = [name for name in world.machines if name != leading]
        rng.shuffle(others)
        kept = rng.choice((0, 0, 1))
        world.partition([[leading, *others[:kept]], others[kept:]])

    def await_stage(self, stage: Stage) -> list[bytes]:
        """Until some node reaches a stage in a newer epoch; nobody, when it takes too long."""
        world = self.world
        epoch = world.top_epoch()
        end = world.now + 2.0
        while world.now < end:
            world.run(world.now + 0.004)
            found = world.in_stage(stage, epoch)
            if found:
                return found
        return []

    def strike(self) -> None:
        """Unseat the proposer; let the next one be heard by some only, in the middle of its first words."""
        world, rng = self.world, self.rng
        self.unseat()
        found = self.await_stage(Stage.PROPOSE)
        if not found:
            return
        leading = found[0]
        deaf = [name for name in world.machines if name != leading and rng.random() < 0.5]
        world.net.cut |= {pair for name in deaf for pair in ((leading, name), (name, leading))}
        for _ in range(rng.randint(0, 2)):
            world.append(leading, timeout=3.0)
        world.run(world.now + rng.random() * rng.choice((2, 4, 12)) * world.net.delay)

    def ambush(self) -> None:
        """While the next proposer collects promises, let some who gave one blink, and an old one talk."""
        world, rng = self.world, self.rng
        self.unseat()
        found = self.await_stage(Stage.PREPARE)
        if not found:
            return
        world.run(world.now + rng.random() * 3 * world.net.delay)
        others = [name for name in world.machines if name not in found]
        for name in others:
            if name not in world.proposers() and rng.random() < 0.6:
                world.crash(name)
                world.start(name)
        self.mend()
        world.net.cut = {pair for a in found for b in others for pair in ((a, b), (b, a))}
        for name in world.proposers():
            world.append(name, timeout=3.0)
        world.run(world.now + rng.random() * 20 * world.net.delay)
        self.mend()

    def sever(self) -> None:
        """Each pair of nodes hears each other, or not, by a coin."""
        names = list(self.world.machines)
        chance = self.rng.choice((0.2, 0.5))
        pairs = [(a, b) for a in names for b in names if a < b and self.rng.random() < chance]
        self.world.net.cut = {pair for a, b in pairs for pair in ((a, b), (b, a))}

    def mend(self) -> None:
        self.world.net.cut = set()

    def weather(self) -> None:
        net, rng = self.world.net, self.rng
        net.loss = rng.choice((0.0, 0.0, 0.05, 0.3))
        net.double = rng.choice((0.0, 0.1, 0.4))
        net.delay = rng.choice((0.002, 0.01, 0.1))
        net.late = rng.choice((0.0, 0.05, 0.2))
        net.late_by = rng.choice((0.5, 3.0))

    def introduced(self) -> bool:
        """A founder that comes late to a committee whose roster has changed must stop: not a fault to find."""
        return all(machine.disk.introduced for machine in self.world.machines.values())

    def add(self) -> None:
        leading = self.world.proposer()
        if leading is None or not self.introduced():
            return
        node = self.world.machines[leading].node
        assert node is not None
        members = node.log.roster(node.certified).members
        outside = [name for name in self.world.machines if name not in members]
        if outside and len(members) < 6:
            change = RosterChange(Action.ADD, self.rng.choice(outside))
            self.world.append(leading, command=change.command())
            if self.rng.random() < 0.5:
                self.world.run(self.world.now + 0.3)

    def remove(self) -> None:
        for leading in self.world.proposers() if self.introduced() else ():
            node = self.world.machines[leading].node
            assert node is not None
            members = sorted(node.log.roster(node.certified).members)
            lost = self.world.expected_stops
            who = self.rng.choice(members)
            if len(members) > 2 and (not lost or who in lost):
                self.world.append(leading, command=RosterChange(Action.REMOVE, who).command())

    def join(self) -> None:
        if len(self.world.machines) < self.founders + 3:
            self.world.join(peer_id(self.next_peer))
            self.next_peer += 1

    def step_down(self) -> None:
        leading = self.world.proposer()
        if leading is not None:
            machine = self.world.machines[leading]
            assert machine.node is not None
            self.world.carry_out(machine, machine.node.step_down(self.world.now))

    def slow_disk(self) -> None:
        machine = self.world.machines[self.rng.choice(list(self.world.machines))]
        machine.slow = self.rng.choice((0.1, 1.0, 1.0, 10.0))

    def lose_disk(self) -> None:
        """One member, once, of a committee that can spare it."""
        world = self.world
        leading = world.proposer()
        if self.lost or leading is None or not world.settled:
            return
        node = world.machines[leading].node
        assert node is not None
        members = node.log.roster(node.certified).members
        introduced = self.introduced()
        quiet = node.log.next_change(node.certified) is None
        if len(members) < 3 or not introduced or not quiet or not set(members) <= set(self.up()):
            return
        if self.founders == 1 and (world.net.cut or world.net.loss or world.net.late):
            return  # nobody whom a sole founder must hear: it has to be able to hear somebody
        self.lost = True
        name = self.rng.choice(sorted(members))
        if world.machines[name].disk.origin is Origin.FOUNDER:
            world.lose_disk(name)
        else:
            world.crash(name)
            world.machines[name].disk = Disk(world.incarnation(), Origin.LEARNER, True)
            world.expected_stops.add(name)
        world.start(name)
        world.run(world.now + 1.0)

    def wait(self) -> None:
        self.world.run(self.world.now + self.rng.random() * 2)


ACTIONS = (
    *("load", "crash", "restart", "all_down", "split", "mend", "weather", "add", "remove", "join"),
    *("step_down", "slow_disk", "lose_disk", "wait", "strike", "sever", "ambush"),
)
WEIGHTS = {
    #            load crash restart down split mend weather add remove join step slow lose wait strike sever ambush
    "calm": (10, 1, 2, 0, 1, 2, 1, 1, 1, 1, 1, 1, 0, 3, 0, 0, 0),
    "crashing": (8, 6, 8, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 2, 1, 0, 1),
    "splitting": (8, 2, 3, 0, 6, 3, 2, 1, 1, 1, 2, 1, 0, 3, 1, 3, 1),
    "changing": (8, 1, 4, 0, 4, 4, 1, 9, 3, 2, 1, 1, 1, 4, 1, 1, 0),
    "stormy": (6, 4, 6, 1, 5, 5, 5, 3, 3, 2, 2, 2, 1, 3, 1, 2, 1),
    "duelling": (6, 1, 3, 0, 3, 2, 1, 0, 0, 0, 0, 1, 0, 1, 9, 4, 7),
}


SIZES = {"duelling": (0, 0, 4, 1, 12), "changing": (4, 4, 6, 1, 1)}
"""How often a committee has 1 to 5 founders."""


def run_seed(seed: int, node_class: type[Node] = Node) -> Result:
    """Run one schedule; raises :class:`Violation` when anything that must hold does not."""
    rng = Random(seed ^ 0x5EED)
    world = World(seed, node_class)
    world.flavour = rng.choice((*WEIGHTS, "duelling"))
    sizes = SIZES.get(world.flavour, (1, 2, 10, 2, 4))
    founders = rng.choices((1, 2, 3, 4, 5), sizes)[0]
    world.settings = {
        "window": rng.choice((4, 16, 1024)),
        "batch": rng.choice((2, 8, 512)),
        "keep": rng.choice((1, 8, 1024)),
        "majority": rng.choice((0.8, 1.2, 6.0)),
        "election": 0.6,
        "resend": 0.3,
    }
    world.found(founders, introduced=rng.random() < 0.8)
    schedule = Schedule(world, rng, founders, founders + 1)
    world.run(2.0 * rng.random())
    world.net.delay = rng.choice((0.005, 0.005, 0.03))
    for _ in range(3 if world.flavour == "changing" else rng.choice((0, 0, 1))):
        schedule.join()
    for _ in range(rng.choice((20, 40)) * (2 if world.flavour == "duelling" else 1)):
        schedule.step()
    return heal(seed, world)


def heal(seed: int, world: World) -> Result:
    """End every fault; the ledger must go on, and all nodes agree (S1 to S4)."""
    world.net.cut, world.net.loss, world.net.late = set(), 0.0, 0.0
    world.net.delay, world.net.double = 0.005, 0.0
    for machine in world.machines.values():
        machine.slow = 1.0
        world.start(machine.id)
    start, number, told = world.now, None, None
    while world.now < start + HEAL:
        world.run(world.now + 0.25)
        leading = world.proposer()
        if number is None or (number in world.outcomes and not isinstance(world.outcomes[number], Certified)):
            number = world.append(leading, timeout=5.0) if leading else None
        told = world.outcomes.get(number) if number is not None else None
        if isinstance(told, Certified) and world.agreed():
            world.check_end()
            return result(seed, world, world.now - start)
    raise Violation(f"the ledger does not go on after healing: {world.describe()}")


def result(seed: int, world: World, healed_in: float) -> Result:
    nodes = [m.node for m in world.machines.values() if m.node is not None]
    top = max(nodes, key=lambda node: (node.role is Role.PROPOSER, node.epoch))
    version = top.log.roster(top.certified).version
    return Result(
        seed, len(world.certified) - 1, len(world.acknowledged), top.epoch.number, version, healed_in
    )
