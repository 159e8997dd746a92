"""Small organisms, and commands about them, for the tests of the machine."""

from hypothesis import strategies as st

from organismctl.committee.command import (
    Amend,
    Apply,
    Barrier,
    Cancel,
    CutPoint,
    Drain,
    Genesis,
    Handover,
    Lease,
    Observe,
    Roster,
    Schedule,
    Succession,
    Tick,
    VoidEvidence,
)
from organismctl.committee.evidence import Pointer, Vouch, make_vouch, point
from organismctl.committee.machine import Input, MachineConfig, State, initial_state, step
from organismctl.committee.moment import MAX_MS, Moment
from organismctl.identity.peer import peer_id_from_seed

FINGERPRINT = bytes(range(32))
SEEDS = [bytes([number]) * 32 for number in range(1, 6)]
PEERS = [peer_id_from_seed(seed) for seed in SEEDS]
FOUNDERS = tuple(sorted(PEERS[:3]))
SEED_OF = dict(zip(PEERS, SEEDS, strict=True))
A = Input(b"\xaa" * 32, b"\x01" * 32)
B = Input(b"\xbb" * 32, b"\x02" * 32)
CLOCK = Input(b"\xcc" * 32, b"\x03" * 32)
START_MS = 1_800_000_000_000


def config(fold="join", stall="wait", *, almanac=False, surfaces=("facts",), deadline=2000) -> MachineConfig:
    return MachineConfig(
        fingerprint=FINGERPRINT,
        inputs=() if fold == "ticker" else (A, B),
        almanacs=(CLOCK,) if almanac else (),
        fold=fold,
        stall=stall,
        apply_deadline_ms=deadline,
        period_ms=1000,
        surfaces=surfaces,
    )


GENESIS = Genesis(fingerprint=FINGERPRINT, members=FOUNDERS)


def event_of(source: Input, position: int, clock_event: int) -> bytes:
    return b"event %d %d " % (position, clock_event) + source.stable_id[:1]


def observe(
    source=A, position=0, clock_event=0, *, by=FOUNDERS[:2], after=None, event=None, **more
) -> Observe:
    event = event_of(source, position, clock_event) if event is None else event
    pointer = point(source.stable_id, source.surface_id, clock_event, position, event)
    vouches = tuple(make_vouch(SEED_OF[peer], peer, FINGERPRINT, pointer) for peer in by)
    return Observe(pointer=pointer, event=event, vouches=vouches, after=after, **more)


class Machine:
    """A started machine that counts heights; ``do`` gives the effects."""

    def __init__(self, machine_config: MachineConfig, genesis: Genesis = GENESIS) -> None:
        self.state: State = initial_state(machine_config)
        self.log = []
        self.do(genesis)

    def do(self, command):
        height = len(self.log)
        self.log.append(command)
        self.state, effects = step(self.state, height, command)
        return effects


# Commands in general: any fields, for the codecs.
ids = st.binary(min_size=32, max_size=32)
u64 = st.integers(0, 2**64 - 1)
times = st.integers(0, MAX_MS)
words = st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=40)
labels = words.filter(bool)
request_ids = st.none() | labels.filter(lambda text: len(text.encode()) <= 128)
pointers = st.builds(Pointer, ids, ids, u64, u64, ids)
vouches = st.lists(st.builds(Vouch, ids, st.binary(min_size=64, max_size=64)), max_size=4).map(tuple)
cuts = st.lists(st.builds(CutPoint, ids, u64), max_size=3).map(tuple)
fences = st.none() | u64
moments = st.builds(Moment, times) | st.builds(Moment, st.none() | times, u64)
members = st.lists(ids, min_size=1, max_size=5, unique=True).map(sorted).map(tuple)
retirement = {"effective_at": moments, "replacement": st.none() | labels, "reason": words, "fence": fences}

any_command = st.one_of(
    st.builds(
        Genesis,
        fingerprint=ids,
        members=members,
        succession=st.none() | st.builds(Succession, ids, u64, ids, cuts),
    ),
    st.builds(Barrier),
    st.builds(Roster, action=st.just("add"), peer_id=ids, incarnation=u64),
    st.builds(Roster, action=st.just("remove"), peer_id=ids),
    st.builds(
        Observe,
        pointer=pointers,
        event=st.binary(max_size=50),
        vouches=vouches,
        after=st.none() | u64,
        request_id=request_ids,
    ),
    st.builds(Apply, through=u64, request_id=request_ids),
    st.builds(Tick, unix_ms=times, request_id=request_ids),
    st.builds(
        Lease,
        action=st.sampled_from(["acquire", "renew", "release", "takeover"]),
        change=labels,
        holder=labels,
        fence=u64,
        ttl_ms=st.integers(0, 3_600_000),
        request_id=request_ids,
    ),
    st.builds(Drain, peer_id=ids, drained=st.booleans(), fence=fences, request_id=request_ids),
    st.builds(Schedule, **retirement, request_id=request_ids),
    st.builds(Amend, **retirement, request_id=request_ids),
    st.builds(Cancel, reason=words, fence=fences, request_id=request_ids),
    st.builds(Handover, fingerprint=ids, cut=cuts, fence=fences, request_id=request_ids),
    st.builds(VoidEvidence, height=u64, pointer=pointers, reason=words, fence=fences, request_id=request_ids),
)

# Commands that have something to do with the small organism: any order, often valid, often not.
_small = st.integers(0, 12)
_requests = st.sampled_from([None, None, None, "r1", "r2", "r3"])
_fences = st.none() | st.integers(0, 4)


def _observation(source, position, clock_event, signers, after, request_id):
    return observe(source, position, clock_event, by=signers, after=after, request_id=request_id)


observations = st.builds(
    _observation,
    st.sampled_from([A, B, A, B, CLOCK, Input(b"\xdd" * 32, b"\x04" * 32)]),
    _small,
    _small,
    st.sampled_from([FOUNDERS[:2], FOUNDERS[1:], FOUNDERS, tuple(PEERS[:4]), FOUNDERS[:1], (PEERS[4],)]),
    st.none() | _small,
    _requests,
)
ticks = st.builds(
    Tick, unix_ms=st.integers(0, 30).map(lambda second: START_MS + 1000 * second), request_id=_requests
)
leases = st.builds(
    Lease,
    action=st.sampled_from(["acquire", "renew", "release", "takeover"]),
    change=st.sampled_from(["c1", "c2"]),
    holder=st.sampled_from(["alice", "bob"]),
    fence=st.integers(0, 5),
    ttl_ms=st.sampled_from([0, 1, 1500, 5000]),
    request_id=_requests,
)
_moments = st.sampled_from(
    [Moment(START_MS + 25_000), Moment(None, 9), Moment(START_MS + 28_000, 11), Moment(START_MS)]
)
_schedules = {
    "effective_at": _moments,
    "replacement": st.sampled_from([None, "ref"]),
    "reason": st.just("why"),
    "fence": _fences,
    "request_id": _requests,
}
rare = st.one_of(
    st.builds(Schedule, **_schedules),
    st.builds(Amend, **_schedules),
    st.builds(Cancel, fence=_fences, request_id=_requests),
    st.builds(Genesis, fingerprint=st.sampled_from([FINGERPRINT, b"\0" * 32]), members=st.just(FOUNDERS)),
    st.builds(
        Handover,
        fingerprint=st.just(b"\x99" * 32),
        cut=st.integers(0, 14).map(
            lambda event: (CutPoint(A.stable_id, event), CutPoint(B.stable_id, event))
        ),
        fence=_fences,
    ),
    st.builds(
        VoidEvidence,
        height=_small,
        pointer=st.just(observe().pointer),
        reason=st.just("gone"),
        fence=_fences,
    ),
)
usual = st.one_of(
    observations,
    observations,
    st.builds(Apply, through=st.integers(0, 14) | st.just(START_MS // 1000 + 3), request_id=_requests),
    ticks,
    leases,
    st.builds(Drain, peer_id=st.sampled_from(PEERS), drained=st.booleans(), fence=_fences),
    st.builds(Roster, action=st.sampled_from(["add", "remove"]), peer_id=st.sampled_from(PEERS)),
    st.just(Barrier()),
    rare,
)
histories = st.lists(usual, max_size=60)
configs = st.sampled_from(
    [
        config("join", "wait"),
        config("join", "partial"),
        config("fan-in", "wait", surfaces=("facts", "state")),
        config("ticker"),
        config("join", "partial", almanac=True),
    ]
)
