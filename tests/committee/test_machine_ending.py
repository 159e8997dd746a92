"""The machine's rules of ending: retirement, handover, succession, void."""

from organismctl.committee.command import (
    Amend,
    Apply,
    Cancel,
    CutPoint,
    Genesis,
    Handover,
    Lease,
    Schedule,
    Succession,
    Tick,
    VoidEvidence,
)
from organismctl.committee.machine import (
    HandedOver,
    PublishFact,
    PublishMarker,
    Sealed,
    decode_fact,
    initial_state,
    step,
)
from organismctl.committee.moment import Moment

from .worlds import CLOCK, FINGERPRINT, FOUNDERS, START_MS, A, B, Machine, config, observe

T = START_MS


def codes(effects):
    return [getattr(effect, "code", type(effect).__name__) for effect in effects]


def facts(effects):
    return [decode_fact(effect.data) for effect in effects if isinstance(effect, PublishFact)]


def acquire(change="c", holder="alice", ttl_ms=5000, **more):
    return Lease(action="acquire", change=change, holder=holder, ttl_ms=ttl_ms, **more)


# Retirement.


def schedule(moment, cls=Schedule, **more):
    return cls(effective_at=moment, reason="moved", **more)


def test_the_first_tick_at_or_past_the_time_seals():
    machine = Machine(config("join", surfaces=("facts", "state")))
    machine.do(Tick(unix_ms=T))
    machine.do(acquire())
    assert codes(machine.do(schedule(Moment(T + 500), replacement="next"))) == ["RetirementChanged"]
    assert codes(machine.do(schedule(Moment(T + 900)))) == ["retirement"]
    assert machine.do(Tick(unix_ms=T + 499)) == ()
    effects = machine.do(Tick(unix_ms=T + 500))
    assert codes(effects) == ["PublishMarker", "PublishMarker", "LeaseEnded", "Sealed"]
    assert effects[2].cause == "sealed"
    assert [(effect.surface, effect.seq) for effect in effects[:2]] == [("facts", 0), ("state", 0)]
    assert machine.state.marker == effects[0].marker
    assert codes(machine.do(Tick(unix_ms=T + 501))) == ["sealed"]


def test_amend_and_cancel_until_the_seal():
    machine = Machine(config())
    machine.do(Tick(unix_ms=T))
    assert codes(machine.do(schedule(Moment(T + 1), Amend))) == ["retirement"]
    assert codes(machine.do(Cancel())) == ["retirement"]
    machine.do(schedule(Moment(T + 1)))
    machine.do(schedule(Moment(T + 1000), Amend))
    assert machine.do(Tick(unix_ms=T + 999)) == ()
    assert machine.do(Cancel(reason="no"))[0].action == "cancelled"
    assert machine.do(Tick(unix_ms=T + 5000)) == ()
    assert not machine.state.sealed


def test_a_tick_number_counts_certified_ticks_when_no_almanac_is_spanned():
    machine = Machine(config())
    machine.do(schedule(Moment(None, 2)))
    assert machine.do(Tick(unix_ms=T)) == ()
    assert isinstance(machine.do(Tick(unix_ms=T + 1))[-1], Sealed)


def test_a_tick_number_is_the_almanacs_where_one_is_spanned_with_a_time_to_fall_back_on():
    machine = Machine(config(almanac=True))
    machine.do(Tick(unix_ms=T))
    assert codes(machine.do(schedule(Moment(None, 40)))) == ["retirement"]
    machine.do(schedule(Moment(T + 10_000, 40)))
    machine.do(observe(CLOCK, 0, 39))
    assert machine.do(Tick(unix_ms=T + 1)) == ()
    machine.do(observe(CLOCK, 1, 40))
    assert isinstance(machine.do(Tick(unix_ms=T + 2))[0], PublishMarker)


def test_the_fall_back_seals_when_the_almanacs_tick_stops_coming():
    machine = Machine(config(almanac=True))
    machine.do(Tick(unix_ms=T))
    machine.do(schedule(Moment(T + 10_000, 40)))
    assert isinstance(machine.do(Tick(unix_ms=T + 10_000))[-1], Sealed)


def test_time_never_goes_back():
    machine = Machine(config())
    machine.do(Tick(unix_ms=T))
    assert codes(machine.do(Tick(unix_ms=T))) == ["tick"]
    assert codes(machine.do(Tick(unix_ms=T - 1))) == ["tick"]
    assert codes(machine.do(Tick(unix_ms=2**60))) == ["tick"]


# Handover, succession, void.

CUT = (CutPoint(A.stable_id, 10), CutPoint(B.stable_id, 10))
NEXT = b"\x77" * 32


def test_old_serves_up_to_the_cut_and_new_after_it():
    old = Machine(config())
    new = Machine(
        config(),
        Genesis(fingerprint=FINGERPRINT, members=FOUNDERS, succession=Succession(NEXT, 9, NEXT, CUT)),
    )
    for event in range(8, 13):
        for source in (A, B):
            command = observe(source, event, event)
            if event == 11 and source is A:
                assert codes(old.do(Handover(fingerprint=NEXT, cut=CUT))) == ["HandedOver"]
            old.do(command)
            new.do(command)
    published = {
        name: [fact.clock_event for fact in facts(machine.do(Apply(through=99)))]
        for name, machine in (("old", old), ("new", new))
    }
    assert published == {"old": [8, 9, 10], "new": [11, 12]}
    assert codes(old.do(observe(A, 13, 13))) == ["past-cut"]


def test_handover_is_checked_and_cannot_be_taken_back():
    machine = Machine(config())
    machine.do(Tick(unix_ms=T))
    for source in (A, B):
        machine.do(observe(source, 10, 10))
        machine.do(observe(source, 11, 11))
    machine.do(Apply(through=10))
    refused = [
        Handover(fingerprint=FINGERPRINT, cut=CUT),
        Handover(fingerprint=NEXT, cut=CUT[:1]),
        Handover(fingerprint=NEXT, cut=CUT + CUT[:1]),
        Handover(fingerprint=NEXT, cut=(CUT[0], CutPoint(B.stable_id, 12))),
        Handover(fingerprint=NEXT, cut=tuple(CutPoint(c.stable_id, 9) for c in CUT)),
    ]
    assert [codes(machine.do(command)) for command in refused] == [["handover"]] * 5
    machine.do(schedule(Moment(T + 60_000)))
    assert isinstance(machine.do(Handover(fingerprint=NEXT, cut=CUT))[0], HandedOver)
    assert codes(machine.do(Handover(fingerprint=NEXT, cut=CUT))) == ["handover"]
    assert codes(machine.do(Cancel())) == ["retirement"]
    assert codes(machine.do(schedule(Moment(T + 1000), Amend))) == ["RetirementChanged"]
    assert codes(machine.do(Apply(through=99))) == ["nothing-ready"]


def test_void_evidence_names_an_earlier_entry():
    machine = Machine(config())
    pointer = observe(A, 0, 0).pointer
    machine.do(observe(A, 0, 0))
    assert codes(machine.do(VoidEvidence(height=1, pointer=pointer, reason="gone"))) == ["EvidenceVoided"]
    assert codes(machine.do(VoidEvidence(height=99, pointer=pointer, reason="gone"))) == ["void"]


def test_genesis_must_be_ours():
    state = initial_state(config())
    state, effects = step(state, 0, Genesis(fingerprint=NEXT, members=FOUNDERS))
    assert codes(effects) == ["genesis"]
    machine = Machine(config())
    assert codes(machine.do(Genesis(fingerprint=FINGERPRINT, members=FOUNDERS))) == ["started"]
