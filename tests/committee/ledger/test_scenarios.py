"""Single stories of the protocol, told on the simulator."""

from __future__ import annotations

import pytest

from organismctl.committee.ledger.core import Role
from organismctl.committee.ledger.effects import Certified, Reason, Refused, Stop, Unknown
from organismctl.committee.ledger.entry import NO_EPOCH, application
from organismctl.committee.ledger.messages import Entries, Propose
from organismctl.committee.ledger.protocol import Node
from organismctl.committee.ledger.roster import Action, RosterChange

from .simulation.world import Violation, World, peer_id

A, B, C, D = (peer_id(n) for n in (1, 2, 3, 4))


def committee(count: int = 3, seed: int = 1, **settings: object) -> World:
    world = World(seed)
    world.settings = {"election": 0.6, "resend": 0.3, "majority": 1.2, **settings}
    world.found(count)
    return world


def elect(world: World) -> bytes:
    for _ in range(100):
        world.run(world.now + 0.1)
        name = world.proposer()
        if name is not None and node(world, name).certified == node(world, name).log.last:
            return name
    raise AssertionError(world.describe())


def node(world: World, name: bytes) -> Node:
    found = world.machines[name].node
    assert found is not None
    return found


def outcome(world: World, number: int | None, wait: float = 1.0) -> object:
    world.run(world.now + wait)
    assert number is not None
    return world.outcomes.get(number)


def test_the_counter_example_of_the_design() -> None:
    """A and B certify 101; C, cut off, takes a higher epoch and writes nothing; on healing, 101 stays."""
    world = committee()
    leading = elect(world)
    number = None
    while node(world, leading).certified < 100:
        number = world.append(leading)
        world.run(world.now + 0.05)
    assert isinstance(outcome(world, number), Certified)
    cut = next(name for name in (A, B, C) if name != leading)
    rest = [name for name in (A, B, C) if name != cut]
    world.partition([[cut], rest])
    number = world.append(leading)
    told = outcome(world, number)
    assert isinstance(told, Certified)
    assert told.height == 101
    # A term of its own, as a Raft whose minority elects itself: far above, promised by nobody else.
    lonely = node(world, cut)
    lonely.seen = 50
    lonely._prepare()
    world.carry_out(world.machines[cut], lonely._take())
    world.run(world.now + 0.2)
    assert lonely.promised.number == 51
    assert lonely.role is Role.CANDIDATE
    assert lonely.log.last == 100
    world.net.cut = set()
    world.run(world.now + 0.01)
    for _ in range(40):
        world.run(world.now + 0.25)
        number = world.append(world.proposer() or leading)
        if isinstance(outcome(world, number, 0.5), Certified) and world.agreed():
            break
    assert world.agreed()
    assert world.certified[101] == told.digest
    for name in (A, B, C):
        assert node(world, name).log.digest(101) == told.digest


def test_a_minority_refuses_and_what_it_proposed_is_unknown_not_failed() -> None:
    world = committee()
    leading = elect(world)
    world.partition([[leading], [name for name in (A, B, C) if name != leading]])
    proposed = world.append(leading, timeout=0.5)
    assert isinstance(outcome(world, proposed, 0.8), Unknown)
    world.run(world.now + 2.0)
    later = world.append(leading)
    refused = outcome(world, later, 0.1)
    assert isinstance(refused, Refused)
    assert refused.reason in (Reason.NO_MAJORITY, Reason.NOT_PROPOSER)


def test_what_a_successor_certified_elsewhere_is_superseded() -> None:
    world = committee()
    leading = elect(world)
    world.partition([[leading], [name for name in (A, B, C) if name != leading]])
    number = world.append(leading, timeout=30.0)
    world.run(world.now + 5.0)
    world.net.cut = set()
    told = outcome(world, number, 5.0)
    assert isinstance(told, Refused)
    assert told.reason is Reason.SUPERSEDED


def test_a_flapping_node_does_not_depose_a_healthy_proposer() -> None:
    world = committee()
    leading = elect(world)
    epoch = node(world, leading).epoch
    flapping = next(name for name in (A, B, C) if name != leading)
    for _ in range(10):
        world.partition([[flapping], [name for name in (A, B, C) if name != flapping]])
        world.run(world.now + 1.5)
        world.net.cut = set()
        world.run(world.now + 0.5)
    assert world.proposer() == leading
    assert node(world, leading).epoch == epoch


def test_a_learner_joins_is_added_and_a_member_is_removed() -> None:
    world = committee()
    leading = elect(world)
    for _ in range(20):
        world.append(leading)
    world.join(D)
    world.run(world.now + 1.0)
    assert node(world, D).role is Role.LEARNER
    assert node(world, D).certified == node(world, leading).certified
    added = world.append(leading, command=RosterChange(Action.ADD, D).command())
    assert isinstance(outcome(world, added), Certified)
    removed = world.append(leading, command=RosterChange(Action.REMOVE, leading).command())
    assert isinstance(outcome(world, removed, 3.0), Certified)
    assert node(world, leading).role is Role.LEARNER
    successor = elect(world)
    assert successor != leading
    status = node(world, successor).status()
    assert set(status.roster.members) == {A, B, C, D} - {leading}
    assert status.roster.version == 3


@pytest.mark.parametrize(
    "change",
    [
        RosterChange(Action.ADD, A),
        RosterChange(Action.ADD, D),
        RosterChange(Action.REMOVE, D),
    ],
)
def test_an_impossible_roster_change_is_refused(change: RosterChange) -> None:
    world = committee()
    number = world.append(elect(world), command=change.command())
    told = outcome(world, number)
    assert isinstance(told, Refused)
    assert told.reason is Reason.INVALID


def test_step_down_hands_over_without_an_election() -> None:
    world = committee()
    leading = elect(world)
    to = next(name for name in (A, B, C) if name != leading)
    world.carry_out(world.machines[leading], node(world, leading).step_down(world.now, to))
    refused = outcome(world, world.append(leading), 0.0)
    assert isinstance(refused, Refused)
    world.run(world.now + 0.3)
    assert world.proposer() == to
    with pytest.raises(ValueError, match="another member"):
        node(world, to).step_down(world.now, D)


def test_a_contradiction_with_a_certified_entry_stops_the_node() -> None:
    world = committee()
    leading = elect(world)
    other = next(name for name in (A, B, C) if name != leading)
    machine = world.machines[other]
    height = node(world, other).certified
    forged = Entries(height + 1, b"?" * 32, (application(b"x"),), NO_EPOCH, height + 1, b"!" * 32)
    with pytest.raises(Violation, match="contradiction"):
        world.carry_out(machine, node(world, other).receive(world.now, leading, forged))
    assert isinstance(node(world, other).stopped, Stop)
    assert node(world, other).tick(world.now + 1) == []
    assert node(world, other).receive(world.now, leading, forged) == []


def test_a_founder_that_lost_its_disk_stops_and_never_votes() -> None:
    world = committee()
    leading = elect(world)
    lost = next(name for name in (A, B, C) if name != leading)
    world.lose_disk(lost)
    world.start(lost)
    world.run(world.now + 1.0)
    assert [(name, stop.code) for name, stop in world.stops] == [(lost, "lost-store")]
    assert "join as a learner" in world.stops[0][1].advice


def test_an_unfit_command_is_refused() -> None:
    world = committee(max_command=100)
    leading = elect(world)
    for command in (b"\x02", b"\x03", application(b"x" * 100)):
        told = outcome(world, world.append(leading, command=command), 0.0)
        assert isinstance(told, Refused)
        assert told.reason is Reason.INVALID


def test_nobody_speaks_in_another_proposers_epoch() -> None:
    world = committee()
    leading = elect(world)
    thief, victim = [name for name in (A, B, C) if name != leading]
    chief = node(world, leading)
    digest = chief.certified_digest
    forged = Propose(chief.epoch, chief.certified, digest, (application(b"stolen"),), chief.certified, digest)
    assert node(world, victim).receive(world.now, thief, forged) == []
    assert node(world, victim).log.last == chief.certified
