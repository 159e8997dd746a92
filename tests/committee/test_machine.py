"""The machine: its invariants under any commands."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.committee.command import Apply, CommandError, Observe, Tick, decode_command, encode_command
from organismctl.committee.evidence import CachedVerifier
from organismctl.committee.machine import (
    MAX_OPEN,
    MAX_REQUESTS,
    REFUSALS,
    Ignored,
    LeaseEnded,
    LeaseGranted,
    PublishFact,
    PublishMarker,
    Refused,
    Sealed,
    StateError,
    decode_fact,
    decode_state,
    dry_run,
    effect_to_json,
    encode_fact,
    encode_state,
    initial_state,
    refusal,
    state_digest,
    step,
    step_bytes,
)

from .worlds import GENESIS, START_MS, A, B, Machine, config, configs, histories, observe

VERIFIER = CachedVerifier(100_000)


def run(machine_config, commands):
    """States' digests and all effects of a history that begins with Genesis."""
    state = initial_state(machine_config)
    digests, outcomes = [], []
    for height, command in enumerate([GENESIS, *commands]):
        state, effects = step(state, height, command, VERIFIER)
        digests.append(state_digest(state))
        outcomes.append(effects)
    return state, digests, outcomes


@given(configs, histories)
def test_two_folds_of_the_same_entries_are_equal_and_total(machine_config, commands):
    one = run(machine_config, commands)
    state = initial_state(machine_config)
    for height, command in enumerate([GENESIS, *commands]):
        state, effects = step_bytes(state, height, encode_command(command), VERIFIER)
        assert effects == one[2][height]
        assert state_digest(state) == one[1][height]
        for effect in effects:
            assert effect_to_json(effect)["type"]


@given(configs, histories)
def test_a_refused_or_ignored_command_changes_only_the_height(machine_config, commands):
    state = initial_state(machine_config)
    for height, command in enumerate([GENESIS, *commands]):
        before = state.copy()
        state, effects = step(state, height, command, VERIFIER)
        refused = refusal(effects)
        if refused is not None:
            assert effects == (refused,)
            assert not isinstance(refused, Refused) or refused.code in REFUSALS
            if not before.sealed:
                before.height = height
            assert encode_state(before) == encode_state(state)


@given(configs, histories)
def test_seqs_have_no_gap_and_no_repeat_and_the_marker_is_last(machine_config, commands):
    state, _, outcomes = run(machine_config, commands)
    for name in machine_config.surfaces:
        items = [
            effect
            for effects in outcomes
            for effect in effects
            if isinstance(effect, PublishFact | PublishMarker) and effect.surface == name
        ]
        assert [item.seq for item in items] == list(range(state.next_seq))
        assert [item.height for item in items] == sorted(item.height for item in items)
        assert [isinstance(item, PublishMarker) for item in items[:-1]] == [False] * len(items[:-1])
        assert state.sealed == (bool(items) and isinstance(items[-1], PublishMarker))


@given(configs, histories)
def test_no_observation_is_in_two_facts_and_facts_are_in_order(machine_config, commands):
    _, _, outcomes = run(machine_config, commands)
    facts = [
        decode_fact(effect.data)
        for effects in outcomes
        for effect in effects
        if isinstance(effect, PublishFact) and effect.surface == "facts"
    ]
    pointers = [pointer for fact in facts for pointer in fact.observations]
    assert len(pointers) == len(set(pointers))
    if machine_config.fold != "fan-in":
        events = [fact.clock_event for fact in facts]
        assert events == sorted(set(events))
    for fact in facts:
        assert fact.degraded <= (machine_config.stall == "partial")
        assert len(fact.observations) + len(fact.missing) == {"join": 2, "fan-in": 1, "ticker": 0}[fact.fold]


@given(configs, histories, histories)
def test_after_the_seal_nothing_changes(machine_config, commands, later):
    state, digests, outcomes = run(machine_config, commands)
    if not state.sealed:
        state, _ = step(state, state.height + 1, Tick(unix_ms=START_MS + 40_000), VERIFIER)
    digest, height = state_digest(state), len(commands) + 5
    if state.sealed:
        for command in later:
            height += 1
            state, effects = step(state, height, command, VERIFIER)
            assert [effect.code for effect in effects] == ["sealed"]
            assert state_digest(state) == digest
        first = next(
            (n for n, effects in enumerate(outcomes) if any(isinstance(e, Sealed) for e in effects)), None
        )
        if first is not None:
            assert set(digests[first:]) == {digest}
            assert state.lease is None


@given(histories)
def test_leases_exclude_each_other_and_fences_only_grow(commands):
    state = initial_state(config())
    held, greatest = None, 0
    for height, command in enumerate([GENESIS, Tick(unix_ms=START_MS - 1000), *commands]):
        state, effects = step(state, height, command, VERIFIER)
        for effect in effects:
            if isinstance(effect, LeaseEnded):
                assert held == effect.fence
                held = None
            elif isinstance(effect, LeaseGranted):
                if effect.fence == greatest:
                    assert held == greatest, "a renewal of a lease that nobody holds"
                else:
                    assert effect.fence == greatest + 1
                    assert held is None or command.action == "takeover"
                    greatest = effect.fence
                held = effect.fence
        assert (state.lease is not None) == (held is not None)
        assert state.fence == greatest
        if state.lease is not None:
            assert state.lease.until_ms >= state.tick_ms


@given(configs, histories, st.data())
def test_a_checkpoint_goes_on_like_the_straight_replay(machine_config, commands, data):
    cut = data.draw(st.integers(0, len(commands)))
    state, digests, _ = run(machine_config, commands[:cut])
    encoded = encode_state(state)
    restored = decode_state(machine_config, encoded)
    assert restored == state
    straight = run(machine_config, commands)
    for height, command in enumerate(commands[cut:], cut + 1):
        restored, effects = step(restored, height, command, VERIFIER)
        assert effects == straight[2][height]
        assert state_digest(restored) == straight[1][height]
    assert digests == straight[1][: cut + 1]


@given(configs, histories)
def test_a_dry_run_tells_what_the_step_does_and_changes_nothing(machine_config, commands):
    state = initial_state(machine_config)
    state, _ = step(state, 0, GENESIS)
    for height, command in enumerate(commands, 1):
        before = encode_state(state)
        told = dry_run(state, command, VERIFIER)
        assert encode_state(state) == before
        state, effects = step(state, height, command, VERIFIER)
        assert told == effects


@given(configs, histories, st.data())
def test_a_damaged_checkpoint_is_refused_or_another_state(machine_config, commands, data):
    state, _, _ = run(machine_config, commands)
    encoded = bytearray(encode_state(state))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(StateError):
        assert encode_state(decode_state(machine_config, bytes(encoded))) == encoded
    with pytest.raises(StateError):
        decode_state(machine_config, bytes(encoded[:-1]))


@settings(max_examples=50)
@given(st.binary(max_size=80), st.integers(1, 3))
def test_bytes_that_are_no_command_are_refused_everywhere(data, repeat):
    machine = Machine(config())
    for _ in range(repeat):
        height = machine.state.height + 1
        _, effects = step_bytes(machine.state, height, b"\x00" + data)
        try:
            decode_command(b"\x00" + data)
        except CommandError:
            assert effects[0].code == "malformed"
        assert machine.state.height == height


def test_the_size_of_the_state_is_bounded():
    """One input runs ahead of another for ever, with a request id on each: nothing grows past its bound."""
    machine_config = config("join", "wait")
    state, _ = step(initial_state(machine_config), 0, GENESIS)
    sizes = []
    for number in range(3 * MAX_OPEN):
        command = observe(A, number, number, request_id=f"request {number:06}", by=())
        trusted = Observe(
            pointer=command.pointer,
            event=command.event,
            vouches=_VOUCHES,
            request_id=command.request_id,
        )
        state, effects = step(state, number + 1, trusted, lambda *_: True)
        assert refusal(effects) is None or effects[0].code == "too-many-open"
        if number % 256 == 0:
            sizes.append(len(encode_state(state)))
    assert len(state.joins) == MAX_OPEN
    assert len(state.requests) <= MAX_REQUESTS
    assert sizes[-1] == sizes[MAX_OPEN // 256 + 1]


_VOUCHES = observe(A).vouches


def test_facts_round_trip_and_are_strict():
    machine = Machine(config())
    machine.do(Tick(unix_ms=START_MS))
    machine.do(observe(A, 3, 7))
    machine.do(observe(B, 5, 7))
    (effect,) = machine.do(Apply(through=7))
    fact = decode_fact(effect.data)
    assert encode_fact(fact) == effect.data
    assert (fact.clock_event, fact.tick_ms, fact.missing) == (7, START_MS, ())
    assert [pointer.position for pointer in fact.observations] == [3, 5]


def test_height_must_follow():
    state = initial_state(config())
    with pytest.raises(ValueError, match="does not follow"):
        step(state, 1, GENESIS)
    with pytest.raises(ValueError, match="does not follow"):
        step_bytes(state, 5, b"\x00garbage")


def test_before_genesis_only_genesis_and_barriers_count():
    state = initial_state(config())
    state, effects = step(state, 0, Tick(unix_ms=START_MS))
    assert effects[0].code == "not-started"


def test_a_request_is_applied_once():
    machine = Machine(config())
    machine.do(Tick(unix_ms=START_MS, request_id="r"))
    assert machine.do(Tick(unix_ms=START_MS + 1, request_id="r")) == (
        Ignored("request", "applied at height 1"),
    )
    assert machine.state.tick_ms == START_MS


def test_a_refused_request_may_be_made_again():
    machine = Machine(config())
    refused = machine.do(observe(A, 0, 0, by=(), request_id="r"))
    assert refused[0].code == "evidence"
    assert refusal(machine.do(observe(A, 0, 0, request_id="r"))) is None
