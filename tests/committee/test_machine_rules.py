"""The machine's rules, one by one: folding, roster, drain, lease; its ending stands beside."""

from dataclasses import replace

import pytest

from organismctl.committee.command import (
    Apply,
    Drain,
    Lease,
    Roster,
    Tick,
)
from organismctl.committee.machine import (
    MAX_OPEN,
    LeaseEnded,
    LeaseGranted,
    LeaseRefused,
    MachineConfig,
    Observed,
    PublishFact,
    RosterChanged,
    Skipped,
    decode_fact,
    ready_through,
    refusal,
    upstream_clock_event,
)
from organismctl.errors import InputError
from organismctl.identity.config import Driver, OrganismConfig, ReadSurface, SpannedMember, Surface

from .worlds import CLOCK, FINGERPRINT, FOUNDERS, PEERS, START_MS, A, B, Machine, config, observe

T = START_MS
OUT = [peer for peer in PEERS if peer not in FOUNDERS]


def codes(effects):
    return [getattr(effect, "code", type(effect).__name__) for effect in effects]


def facts(effects):
    return [decode_fact(effect.data) for effect in effects if isinstance(effect, PublishFact)]


# Observe and Apply.


def test_a_join_waits_for_every_input_and_then_is_one_fact():
    machine = Machine(config())
    machine.do(observe(A, 0, 10))
    assert codes(machine.do(Apply(through=10))) == ["nothing-ready"]
    machine.do(Tick(unix_ms=T))
    machine.do(Tick(unix_ms=T + 60_000))
    assert codes(machine.do(Apply(through=10))) == ["nothing-ready"]
    machine.do(observe(B, 4, 10))
    (fact,) = facts(machine.do(Apply(through=10)))
    assert [pointer.position for pointer in fact.observations] == [0, 4]
    assert not fact.degraded
    assert codes(machine.do(Apply(through=10))) == ["nothing-ready"]


def test_partial_lets_a_fact_go_at_its_deadline_in_certified_time():
    machine = Machine(config("join", "partial", deadline=2000))
    machine.do(Tick(unix_ms=T))
    machine.do(observe(A, 0, 10))
    machine.do(Tick(unix_ms=T + 1999))
    assert codes(machine.do(Apply(through=10))) == ["nothing-ready"]
    machine.do(Tick(unix_ms=T + 2000))
    (fact,) = facts(machine.do(Apply(through=10)))
    assert fact.missing == (B,)
    assert fact.degraded
    assert codes(machine.do(observe(B, 0, 10))) == ["late"]


def test_partial_does_not_wait_for_what_cannot_come_any_more():
    machine = Machine(config("join", "partial", deadline=2000))
    machine.do(observe(A, 0, 10))
    machine.do(observe(B, 0, 11))
    (fact,) = facts(machine.do(Apply(through=99)))
    assert (fact.clock_event, fact.missing) == (10, (B,))


def test_wait_makes_no_fact_of_what_an_input_passed_by():
    machine = Machine(config())
    machine.do(observe(A, 0, 10))
    machine.do(observe(A, 1, 11))
    machine.do(observe(B, 0, 11))
    assert codes(machine.do(observe(B, 1, 12))) == ["Observed"]
    effects = machine.do(Apply(through=12))
    assert effects[0] == Skipped(10, (B,))
    assert [fact.clock_event for fact in facts(effects)] == [11]
    assert machine.do(observe(A, 2, 13)) == (Observed(observe(A, 2, 13).pointer),)
    assert codes(machine.do(observe(B, 2, 12))) == ["duplicate"]


def test_an_input_that_comes_back_past_everything_that_waits_for_it_is_heard():
    machine = Machine(config())
    for number in range(MAX_OPEN):
        machine.do(observe(A, number, number, by=FOUNDERS[:2]))
    assert codes(machine.do(observe(A, MAX_OPEN, MAX_OPEN))) == ["too-many-open"]
    effects = machine.do(observe(B, 0, 5000))
    assert isinstance(effects[0], Observed)
    assert len(effects) == 1 + MAX_OPEN
    machine.do(observe(A, MAX_OPEN, 5000))
    assert [fact.clock_event for fact in facts(machine.do(Apply(through=5000)))] == [5000]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (observe(A, 5, 5), "duplicate"),
        (observe(A, 4, 4), "duplicate"),
        (observe(A, 7, 7, after=6), "out-of-order"),
        (observe(A, 6, 4), "clock-back"),
        (observe(A, 6, 5), "duplicate"),
        (observe(CLOCK, 6, 6), "not-spanned"),
        (observe(A, 6, 6, by=FOUNDERS[:1]), "evidence"),
        (observe(A, 6, 6, by=FOUNDERS[:1] * 2), "evidence"),
        (observe(A, 6, 6, by=(FOUNDERS[0], *OUT)), "evidence"),
    ],
)
def test_what_an_observation_must_meet(command, code):
    machine = Machine(config())
    machine.do(observe(A, 5, 5))
    assert codes(machine.do(command)) == [code]


def test_an_event_that_does_not_hash_to_its_pointer_is_refused():
    machine = Machine(config())
    assert codes(machine.do(replace(observe(A, 0, 0), event=b"another"))) == ["evidence"]


def test_fan_in_makes_a_fact_of_each_observation_on_each_surface():
    machine = Machine(config("fan-in", surfaces=("facts", "state")))
    machine.do(observe(A, 0, 1))
    machine.do(observe(B, 0, 7))
    machine.do(observe(A, 1, 1))
    assert ready_through(machine.state, 0) == 7
    effects = machine.do(Apply(through=1))
    assert [(effect.surface, effect.seq) for effect in effects] == [
        ("facts", 0),
        ("state", 0),
        ("facts", 1),
        ("state", 1),
    ]
    assert [fact.clock_event for fact in facts(machine.do(Apply(through=7)))] == [7, 7]


def test_the_ticker_makes_one_fact_a_period_of_certified_time():
    machine = Machine(config("ticker"))
    slot = T // 1000
    assert codes(machine.do(Apply(through=slot))) == ["early"]
    machine.do(Tick(unix_ms=T + 500))
    assert ready_through(machine.state, T + 500) == slot
    assert [fact.clock_event for fact in facts(machine.do(Apply(through=slot)))] == [slot]
    assert codes(machine.do(Apply(through=slot))) == ["late"]
    assert codes(machine.do(Apply(through=slot + 1))) == ["early"]
    assert ready_through(machine.state, T + 999) is None


def test_downstream_reads_the_clock_event_of_our_facts_and_else_the_seq():
    machine = Machine(config("ticker"))
    machine.do(Tick(unix_ms=T))
    (effect,) = machine.do(Apply(through=5))
    assert upstream_clock_event(effect.data, 99) == 5
    assert upstream_clock_event(b"anything", 99) == 99


# Roster and drain.


def test_the_roster_changes_one_at_a_time():
    machine = Machine(config())
    assert machine.do(Roster(action="add", peer_id=OUT[0], incarnation=7, version=2)) == (
        RosterChanged(2, "add", OUT[0], 1),
    )
    assert codes(machine.do(Roster(action="add", peer_id=OUT[1], version=2))) == ["roster-version"]
    assert codes(machine.do(Roster(action="add", peer_id=OUT[0]))) == ["roster"]
    assert codes(machine.do(Roster(action="remove", peer_id=OUT[1]))) == ["roster"]
    for peer in FOUNDERS:
        assert refusal(machine.do(Roster(action="remove", peer_id=peer))) is None
    assert codes(machine.do(Roster(action="remove", peer_id=OUT[0]))) == ["roster"]
    assert dict(machine.state.roster.members) == {OUT[0]: 7}
    assert machine.state.roster_version == 5


def test_the_majority_is_that_of_the_roster_as_it_stands():
    machine = Machine(config())
    machine.do(Roster(action="add", peer_id=OUT[0]))
    assert codes(machine.do(observe(A, 0, 0, by=FOUNDERS[:2]))) == ["evidence"]
    assert codes(machine.do(observe(A, 0, 0, by=(*FOUNDERS[:2], OUT[0])))) == ["Observed"]


def test_a_majority_stays_undrained():
    machine = Machine(config())
    assert codes(machine.do(Drain(peer_id=FOUNDERS[0], drained=True))) == ["DrainChanged"]
    assert codes(machine.do(Drain(peer_id=FOUNDERS[0], drained=True))) == ["DrainChanged"]
    assert codes(machine.do(Drain(peer_id=FOUNDERS[1], drained=True))) == ["drain"]
    assert codes(machine.do(Drain(peer_id=OUT[0], drained=True))) == ["drain"]
    machine.do(Drain(peer_id=FOUNDERS[0], drained=False))
    assert codes(machine.do(Drain(peer_id=FOUNDERS[1], drained=True))) == ["DrainChanged"]
    machine.do(Roster(action="remove", peer_id=FOUNDERS[1]))
    assert machine.state.drained == set()


# Lease.


def lease(action, change="c", holder="alice", ttl_ms=5000, **more):
    return Lease(action=action, change=change, holder=holder, ttl_ms=ttl_ms, **more)


def acquire(change="c", holder="alice", ttl_ms=5000, **more):
    return Lease(action="acquire", change=change, holder=holder, ttl_ms=ttl_ms, **more)


def test_no_lease_before_the_first_tick():
    machine = Machine(config())
    assert isinstance(machine.do(acquire())[0], LeaseRefused)


def test_the_second_runner_is_told_who_and_since_when():
    machine = Machine(config())
    machine.do(Tick(unix_ms=T))
    assert machine.do(acquire()) == (LeaseGranted("c", "alice", 1, T, T + 5000),)
    (told,) = machine.do(acquire("d", "bob"))
    assert (told.change, told.holder, told.fence, told.since_ms) == ("c", "alice", 1, T)


def test_a_lease_expires_by_tick_alone_and_the_next_has_a_higher_fence():
    machine = Machine(config())
    machine.do(Tick(unix_ms=T))
    machine.do(acquire())
    machine.do(Tick(unix_ms=T + 5000))
    assert machine.state.lease is not None
    assert machine.do(Lease(action="renew", change="c", holder="alice", fence=1, ttl_ms=2000)) == (
        LeaseGranted("c", "alice", 1, T, T + 7000),
    )
    assert machine.do(Tick(unix_ms=T + 7001)) == (LeaseEnded("c", "alice", 1, "expired"),)
    assert isinstance(
        machine.do(Lease(action="renew", change="c", holder="alice", fence=1, ttl_ms=1))[0], LeaseRefused
    )
    assert machine.do(acquire("d", "bob"))[0].fence == 2


def test_takeover_fences_the_old_runner_off():
    machine = Machine(config())
    machine.do(Tick(unix_ms=T))
    machine.do(acquire())
    take = Lease(action="takeover", change="c", holder="bob", fence=1, ttl_ms=5000)
    assert isinstance(
        machine.do(Lease(action="takeover", change="d", holder="bob", fence=1, ttl_ms=9))[0], LeaseRefused
    )
    assert machine.do(take)[0].fence == 2
    assert isinstance(machine.do(take)[0], LeaseRefused)
    assert isinstance(
        machine.do(Lease(action="release", change="c", holder="alice", fence=1))[0], LeaseRefused
    )
    assert codes(machine.do(Drain(peer_id=FOUNDERS[0], drained=True, fence=1))) == ["fence"]
    assert codes(machine.do(Drain(peer_id=FOUNDERS[0], drained=True, fence=2))) == ["DrainChanged"]
    assert codes(machine.do(Lease(action="release", change="c", holder="bob", fence=2))) == ["LeaseEnded"]
    assert codes(machine.do(Drain(peer_id=FOUNDERS[0], drained=True, fence=2))) == ["fence"]


# The config's share.


def organism(*members, fold="join"):
    return OrganismConfig(
        name="x",
        network=b"\0" * 32,
        span=members,
        driver=Driver(fold, 2000, "wait", 1000),
        content={},
        surfaces=(Surface("facts", "stream"),),
        acl=(),
    )


def member(source, kind="lattice", decode="surface-item"):
    surface = ReadSurface("s", "stream", source.surface_id, decode)
    return SpannedMember("m", kind, source.stable_id, None, "slot", (surface,))


def test_the_inputs_are_the_surfaces_that_can_be_read():
    made = MachineConfig.of(organism(member(B), member(A), member(CLOCK, "almanac")), FINGERPRINT)
    assert (made.inputs, made.almanacs, made.surfaces) == ((A, B), (CLOCK,), ("facts",))
    made = MachineConfig.of(organism(member(A), member(B, decode=None)), FINGERPRINT)
    assert made.inputs == (A,)
    made = MachineConfig.of(organism(member(CLOCK, "almanac")), FINGERPRINT)
    assert (made.inputs, made.almanacs) == ((CLOCK,), (CLOCK,))
    assert MachineConfig.of(organism(fold="ticker"), FINGERPRINT).inputs == ()
    with pytest.raises(InputError):
        MachineConfig.of(organism(member(B, decode=None)), FINGERPRINT)
