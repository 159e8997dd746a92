"""The fold: replay, checkpoints, digests, resolution."""

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee.command import Apply, Observe, Schedule, Tick, VoidEvidence, encode_command
from organismctl.committee.evidence import CachedVerifier, Vouch, point, trust_certified
from organismctl.committee.fold import (
    Anchor,
    AnchorError,
    Checkpoint,
    EvidenceUnresolvedError,
    Fold,
    Resolution,
    voids,
)
from organismctl.committee.machine import StateError, state_digest
from organismctl.committee.moment import Moment

from .worlds import FOUNDERS, GENESIS, START_MS, A, B, config, configs, histories, observe

VERIFIER = CachedVerifier(100_000)


def entries_of(commands):
    return list(enumerate(encode_command(command) for command in [GENESIS, *commands]))


def fold_of(machine_config, entries, **more):
    fold = Fold(machine_config, verifier=VERIFIER, **more)
    return fold, list(fold.replay(entries))


@given(configs, histories, st.data())
def test_chunked_and_restored_folds_are_the_whole(machine_config, commands, data):
    entries = entries_of(commands)
    kept: list[Checkpoint] = []
    whole, applied = fold_of(machine_config, entries, checkpoint_every=7, on_checkpoint=kept.append)
    cut = data.draw(st.integers(0, len(entries)))
    chunked, first = fold_of(machine_config, entries[:cut])
    assert first + list(chunked.replay(entries[cut:])) == applied
    for height in range(len(entries)):
        assert chunked.digest_at(height) == whole.digest_at(height) is not None
    for checkpoint in [*kept, whole.checkpoint()]:
        restored = Fold(machine_config, verifier=VERIFIER)
        restored.restore(checkpoint)
        rest = list(restored.replay(entries[checkpoint.height + 1 :]))
        assert rest == applied[checkpoint.height + 1 :]
        assert restored.checkpoint() == whole.checkpoint()


@given(configs, histories, st.data())
def test_a_trusted_replay_proves_itself_at_the_anchor(machine_config, commands, data):
    entries = entries_of(commands)
    checked, applied = fold_of(machine_config, entries)
    height = data.draw(st.integers(0, len(entries) - 1))
    anchor = Anchor(height, checked.digest_at(height))
    trusting = Fold(machine_config, verifier=VERIFIER, anchor=anchor)
    try:
        assert list(trusting.replay(entries)) == applied
    except AnchorError:
        refused = [
            effect for item in applied for effect in item.effects if getattr(effect, "code", "") == "evidence"
        ]
        assert refused, "only a false vouch can make the difference"


def test_a_false_vouch_below_the_anchor_is_found():
    bad = observe(A, 0, 0, by=())
    bad = Observe(
        pointer=bad.pointer, event=bad.event, vouches=tuple(Vouch(peer, b"\0" * 64) for peer in FOUNDERS)
    )
    entries = entries_of([bad])
    checked, _ = fold_of(config(), entries)
    trusting = Fold(config(), anchor=Anchor(1, checked.digest_at(1)))
    with pytest.raises(AnchorError):
        list(trusting.replay(entries))


def test_digests_are_kept_for_the_last_heights_only():
    entries = entries_of([Tick(unix_ms=START_MS + number) for number in range(20)])
    fold, _ = fold_of(config(), entries, keep_digests=5)
    assert [height for height in range(21) if fold.digest_at(height)] == list(range(16, 21))
    sparse = Fold(config())
    list(sparse.replay(entries, digests_from=19))
    assert [height for height in range(21) if sparse.digest_at(height)] == [19, 20]
    assert sparse.digest_at(20) == fold.digest_at(20) == state_digest(fold.state)
    assert sparse.digest_at(21) is None


def test_a_damaged_or_foreign_checkpoint_is_refused():
    fold, _ = fold_of(config(), entries_of([Tick(unix_ms=START_MS)]))
    good = fold.checkpoint()
    with pytest.raises(AnchorError):
        Fold(config()).restore(Checkpoint(good.height, good.state, b"\0" * 32))
    with pytest.raises(AnchorError):
        Fold(config()).restore(Checkpoint(good.height + 1, good.state, good.digest))
    with pytest.raises(StateError):
        Fold(config()).restore(Checkpoint(good.height, good.state[:-1], good.digest))


def test_heights_go_on_after_the_seal_and_the_digest_stays():
    commands = [Schedule(effective_at=Moment(START_MS)), Tick(unix_ms=START_MS), Tick(unix_ms=START_MS + 1)]
    fold, applied = fold_of(config(), [*entries_of(commands), (4, b"\x00junk")])
    assert (fold.height, fold.state.height) == (4, 2)
    assert [item.effects[0].code for item in applied[3:]] == ["sealed", "sealed"]
    assert fold.digest_at(4) == fold.digest_at(2)
    restored = Fold(config())
    restored.restore(fold.checkpoint())
    assert restored.height == 4


def test_gone_evidence_stops_the_fold_before_the_entry_until_it_is_voided():
    gone = observe(A, 1, 1)
    void = VoidEvidence(height=2, pointer=gone.pointer, reason="pruned upstream")
    other = VoidEvidence(height=2, pointer=observe(B, 1, 1).pointer, reason="another")
    commands = [observe(A, 0, 0), gone, observe(A, 2, 2), other, void]
    entries = entries_of(commands)
    straight, _ = fold_of(config(), entries)

    def resolver(height, pointer):
        return Resolution.GONE if pointer == gone.pointer else Resolution.UNKNOWN

    fold = Fold(config(), resolver=resolver)
    with pytest.raises(EvidenceUnresolvedError) as caught:
        list(fold.replay(entries))
    assert (caught.value.height, caught.value.pointer, fold.height) == (2, gone.pointer, 1)
    assert fold.stopped is caught.value
    assert fold.digest_at(1) == straight.digest_at(1)
    with pytest.raises(EvidenceUnresolvedError):
        fold.apply(*entries[2])
    found = [command for _, command in voids(entries)]
    assert [fold.void(command) for command in found] == [False, True]
    assert fold.stopped is None
    list(fold.replay(entries[2:]))
    assert fold.checkpoint() == straight.checkpoint()
    assert not fold.void(void)


def test_an_upstream_that_is_back_lets_the_fold_go_on():
    answers = [Resolution.GONE, Resolution.RESOLVED]
    fold = Fold(config(), resolver=lambda *_: answers.pop(0))
    entries = entries_of([observe(A, 0, 0)])
    with pytest.raises(EvidenceUnresolvedError):
        list(fold.replay(entries))
    fold.apply(*entries[1])
    assert fold.stopped is None


def test_a_height_that_does_not_follow_is_the_callers_defect():
    fold = Fold(config())
    with pytest.raises(ValueError, match="does not follow"):
        fold.apply(1, b"")


def long_log(count):
    vouches = (Vouch(FOUNDERS[0], b"\1" * 64), Vouch(FOUNDERS[1], b"\1" * 64))
    yield 0, encode_command(GENESIS)
    for number in range(1, count):
        which = number % 4
        if which == 3:
            command = Apply(through=number) if number % 8 == 3 else Tick(unix_ms=START_MS + number)
        else:
            source = (A, B)[which % 2]
            event = b"event"
            pointer = point(source.stable_id, source.surface_id, number // 4, number, event)
            command = Observe(pointer=pointer, event=event, vouches=vouches, request_id=f"r{number}")
        yield number, encode_command(command)


def test_the_memory_of_a_replay_does_not_grow_with_the_log():
    fold = Fold(config(), verifier=trust_certified, keep_digests=16)
    held = {}
    tracemalloc.start()
    try:
        for applied in fold.replay(long_log(12_001), digests_from=12_000):
            if applied.height in (3_000, 12_000):
                gc.collect()
                held[applied.height] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held[12_000] < 1.1 * held[3_000]
