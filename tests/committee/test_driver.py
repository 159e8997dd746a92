"""The driver's core: order, retries, stalls, bounds; against the real machine and a ledger that loses things."""

from random import Random

import pytest

from organismctl.committee.command import Apply, CutPoint, Handover, Observe, Roster, Schedule, Tick
from organismctl.committee.driver import OUTCOME_MS, PAUSE_MS, Driver, Propose, RequestVouches
from organismctl.committee.evidence import Vouch, make_vouch
from organismctl.committee.lane import MAX_BUFFERED, MAX_KNOWN, Link, UpstreamEvent
from organismctl.committee.machine import PublishFact, decode_fact, refusal
from organismctl.committee.moment import Moment

from .worlds import CLOCK, FINGERPRINT, FOUNDERS, PEERS, SEED_OF, START_MS, A, B, Machine, config, event_of

OUT = next(peer for peer in PEERS if peer not in FOUNDERS)


class World:
    """One driver, the machine, and everything around them: who vouches, what the ledger loses."""

    def __init__(self, machine_config, *, vouching=FOUNDERS[:2], seed=0, loss=0.0) -> None:
        self.machine = Machine(machine_config)
        self.driver = Driver(machine_config)
        self.driver.on_state(self.machine.state, proposer=True)
        self.now = START_MS
        self.vouching = vouching
        self.random = Random(seed)
        self.loss = loss
        self.facts = []
        self.asked = []
        self.proposed = []

    def feed(self, source, position, clock_event=None):
        clock_event = position if clock_event is None else clock_event
        event = UpstreamEvent(position, clock_event, event_of(source, position, clock_event))
        return self.driver.on_event(source, event, self.now)

    def poll(self):
        actions = self.driver.poll(self.machine.state, self.now)
        for action in actions:
            if isinstance(action, RequestVouches):
                self.asked.append(action.pointer)
                self.vouch(action.pointer)
            else:
                self.proposed.append(action.command)
                self.append(action)
        return actions

    def vouch(self, pointer):
        for peer in self.vouching:
            if self.random.random() >= self.loss:
                self.driver.on_vouch(pointer, make_vouch(SEED_OF[peer], peer, FINGERPRINT, pointer))

    def append(self, action: Propose):
        fate = self.random.random()
        if fate < self.loss:
            return (
                None
                if fate < self.loss / 2
                else self.driver.on_outcome(action.token, "no_majority", self.now)
            )
        effects = self.machine.do(action.command)
        self.facts += [decode_fact(e.data) for e in effects if isinstance(e, PublishFact)]
        self.driver.on_state(self.machine.state, proposer=True)
        if self.random.random() < self.loss:
            return None
        refused = refusal(effects)
        return self.driver.on_outcome(action.token, refused.code if refused else None, self.now)

    def run(self, seconds, step_ms=100):
        for _ in range(seconds * 1000 // step_ms):
            self.now += step_ms
            self.poll()

    def events(self):
        return [fact.clock_event for fact in self.facts]


def test_events_become_facts_in_order():
    world = World(config())
    for number in range(50):
        for source in (A, B):
            assert world.feed(source, number)
    world.run(3)
    assert world.events() == list(range(50))
    lanes = world.driver.status(world.machine.state).lanes
    assert [(lane.observed, lane.buffered, lane.in_flight, lane.vouches) for lane in lanes] == [
        (50, 0, 0, None)
    ] * 2


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_lost_nothing_is_left_out_or_doubled(seed):
    world = World(config("fan-in"), seed=seed, loss=0.3)
    sent = {A: 0, B: 0}
    for _ in range(40):
        for source in (A, B):
            for _ in range(3):
                if world.feed(source, sent[source]):
                    sent[source] += 1
        world.run(1, step_ms=250)
    world.loss = 0.0
    world.run(40, step_ms=500)
    for source in (A, B):
        seen = [
            fact.observations[0].position
            for fact in world.facts
            if fact.observations[0].stable_id == source.stable_id
        ]
        assert seen == list(range(sent[source]))


def test_a_new_proposer_goes_on_where_the_certified_mark_is():
    world = World(config("fan-in"), loss=0.0)
    for number in range(10):
        world.feed(A, number)
    world.run(1)
    successor = Driver(world.machine.state.config)
    for number in range(5, 15):
        successor.on_event(A, UpstreamEvent(number, number, event_of(A, number, number)), world.now)
    successor.on_state(world.machine.state, proposer=False)
    assert successor.poll(world.machine.state, world.now) == []
    assert successor.next_position(A) == 15
    world.driver = successor
    successor.on_state(world.machine.state, proposer=True)
    world.run(2)
    assert world.events() == list(range(15))


def test_wait_says_for_whom_and_since_when():
    world = World(config())
    world.run(1)
    world.feed(A, 0, 7)
    world.run(60)
    assert world.facts == []
    (stall,) = world.driver.status(world.machine.state).waiting_for
    assert (stall.source, stall.clock_event) == (B, 7)
    assert START_MS + 1000 <= stall.since_ms <= START_MS + 2000
    world.feed(B, 0, 7)
    world.run(2)
    assert world.events() == [7]
    assert world.driver.status(world.machine.state).waiting_for == ()


def test_under_partial_a_silent_upstream_holds_up_nothing():
    world = World(config("join", "partial", deadline=2000))
    for number in range(20):
        world.feed(A, number)
        world.run(1)
    world.run(4)
    assert world.events() == list(range(20))
    assert all(fact.missing == (B,) for fact in world.facts)


def test_a_lane_without_vouches_holds_up_only_itself():
    world = World(config("fan-in"))
    asked = []

    def vouch(pointer):
        asked.append(pointer)
        if pointer.stable_id == A.stable_id:
            World.vouch(world, pointer)

    world.vouch = vouch
    for number in range(5):
        world.feed(A, number)
        world.feed(B, number)
    world.run(20)
    assert [fact.observations[0].stable_id for fact in world.facts] == [A.stable_id] * 5
    lane = next(lane for lane in world.driver.status(world.machine.state).lanes if lane.source == B)
    assert (lane.vouches, lane.buffered, lane.in_flight) == ((0, 2), 5, 0)
    assert 3 <= sum(pointer.stable_id == B.stable_id and pointer.position == 0 for pointer in asked) <= 8


def test_false_and_foreign_vouches_do_not_count():
    world = World(config("fan-in"), vouching=())
    world.feed(A, 0)
    world.poll()
    (pointer,) = world.asked
    assert not world.driver.on_vouch(pointer, Vouch(FOUNDERS[0], b"\0" * 64))
    assert not world.driver.on_vouch(pointer, make_vouch(SEED_OF[OUT], OUT, FINGERPRINT, pointer))
    assert world.driver.bad_vouches == {FOUNDERS[0]: 1}
    world.run(3)
    assert world.machine.state.marks[A].position is None


def test_an_event_that_nobody_can_vouch_for_is_given_up_and_counted():
    world = World(config("fan-in"), vouching=())
    world.feed(A, 0)
    world.feed(A, 1)
    world.poll()
    pointer = world.asked[0]
    world.driver.on_denied(pointer, OUT)
    world.driver.on_denied(pointer, FOUNDERS[0])
    world.driver.on_denied(pointer, FOUNDERS[0])
    assert world.driver.status(world.machine.state).lanes[0].buffered == 2
    world.driver.on_denied(pointer, FOUNDERS[1])
    lane = world.driver.status(world.machine.state).lanes[0]
    assert (lane.buffered, lane.unvouchable) == (1, 1)
    world.vouching = FOUNDERS[:2]
    world.run(10)
    assert world.machine.state.marks[A].position == 1


def test_a_rewritten_event_replaces_the_one_that_is_not_proposed():
    world = World(config("fan-in"), vouching=())
    world.feed(A, 0)
    world.poll()
    world.driver.on_event(A, UpstreamEvent(0, 3, b"another"), world.now)
    assert not world.driver.knows(world.asked[0])
    world.vouching = FOUNDERS[:2]
    world.run(2)
    assert [fact.clock_event for fact in world.facts] == [3]
    assert world.driver.status(world.machine.state).lanes[0].rewritten == 1


def test_buffers_are_bounded_and_reading_goes_on_where_it_stopped():
    world = World(config("fan-in"), vouching=())
    taken = [world.feed(A, number) for number in range(MAX_BUFFERED + 5)]
    assert taken == [True] * MAX_BUFFERED + [False] * 5
    assert (world.driver.room(A), world.driver.next_position(A)) == (0, MAX_BUFFERED)
    for number in range(3 * MAX_KNOWN):
        world.feed(A, number)
    assert len(world.driver.lanes[A].known) == MAX_KNOWN
    world.vouching = FOUNDERS[:2]
    world.run(60)
    assert world.driver.room(A) == MAX_BUFFERED
    assert world.driver._flights == {}


def test_ticks_come_each_period_and_one_at_a_time():
    world = World(config("ticker"))
    world.run(10)
    ticks = [command.unix_ms for command in world.proposed if isinstance(command, Tick)]
    assert ticks == [START_MS + 100, *range(START_MS + 1000, START_MS + 10_001, 1000)]
    assert world.events() == [START_MS // 1000 + number for number in range(11)]
    world.append = lambda action: None
    world.proposed.clear()
    world.run(5)
    assert sum(isinstance(command, Tick) for command in world.proposed) == 1
    world.run(OUTCOME_MS // 1000)
    assert sum(isinstance(command, Tick) for command in world.proposed) == 2


def test_a_clock_that_is_behind_certified_time_says_so_and_waits():
    world = World(config())
    world.run(5)
    world.proposed.clear()
    world.now -= 60_000
    world.run(3)
    assert not any(isinstance(command, Tick) for command in world.proposed)
    assert world.driver.status(world.machine.state).clock_behind_ms > 50_000
    world.run(70)
    assert any(isinstance(command, Tick) for command in world.proposed)


def test_a_lane_that_must_wait_for_room_goes_on_by_itself():
    world = World(config())
    for number in range(3):
        world.feed(A, number)
    refused = iter(["too-many-open"] * 3)
    real = world.append

    def append(action):
        if isinstance(action.command, Observe):
            code = next(refused, None)
            if code is not None:
                return world.driver.on_outcome(action.token, code, world.now)
        return real(action)

    world.append = append
    world.poll()
    world.poll()
    before = len(world.proposed)
    world.now += PAUSE_MS - 1
    world.poll()
    assert not any(isinstance(command, Observe) for command in world.proposed[before:])
    world.run(3)
    assert world.machine.state.marks[A].position == 2


def test_the_end_of_a_lane_and_of_the_organism():
    world = World(config())
    world.feed(A, 0, 5)
    cut = (CutPoint(A.stable_id, 3), CutPoint(B.stable_id, 3))
    world.machine.do(Handover(fingerprint=b"\1" * 32, cut=cut))
    world.run(1)
    assert world.driver.status(world.machine.state).lanes[0].halted == "past-cut"
    world.machine.do(Schedule(effective_at=Moment(START_MS)))
    world.run(2)
    assert world.machine.state.sealed
    assert world.driver.poll(world.machine.state, world.now + 10_000) == []


def test_a_change_of_the_roster_asks_for_the_vouches_that_lack_now():
    world = World(config("fan-in"))
    world.feed(A, 0)
    world.driver.poll(world.machine.state, world.now)
    pointer = world.driver.lanes[A].queue[0].pointer
    world.vouch(pointer)
    world.machine.do(Roster(action="add", peer_id=OUT))
    world.driver.on_state(world.machine.state, proposer=True)
    world.run(2)
    assert world.facts == []
    world.vouching = (*FOUNDERS[:2], OUT)
    world.run(5)
    assert len(world.facts) == 1


def test_links_are_seen_and_who_knows_may_vouch():
    world = World(config("join", almanac=True))
    world.driver.on_link(B, Link.REFUSED, "ticket expired")
    world.feed(A, 0)
    status = {lane.source: lane for lane in world.driver.status(world.machine.state).lanes}
    assert (status[A].link, status[B].link, status[CLOCK].link) == (Link.LIVE, Link.REFUSED, Link.CONNECTING)
    assert status[B].reason == "ticket expired"
    pointer = world.driver.lanes[A].queue[0].pointer
    assert world.driver.knows(pointer)
    assert world.driver.wake_ms(world.now) >= 0


def test_apply_is_not_repeated_when_nothing_is_ready():
    world = World(config())
    world.feed(A, 0)
    world.run(5)
    assert not any(isinstance(command, Apply) for command in world.proposed)
