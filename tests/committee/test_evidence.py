"""Pointers, vouches and their majority."""

from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee.codec import FieldError
from organismctl.committee.command import POINTER
from organismctl.committee.evidence import (
    CachedVerifier,
    Vouch,
    majority,
    make_vouch,
    point,
    pointer_bytes,
    trust_certified,
    verify_signature,
    verify_vouches,
    vouch_message,
)
from organismctl.committee.ledger.wire import Writer

from .worlds import FINGERPRINT, FOUNDERS, PEERS, SEED_OF, A, pointers

POINTER_ = point(A.stable_id, A.surface_id, 5, 3, b"event")


def vouch(peer, pointer=POINTER_, fingerprint=FINGERPRINT):
    return make_vouch(SEED_OF[peer], peer, fingerprint, pointer)


def judge(vouches, event=b"event", roster=FOUNDERS, **more):
    return verify_vouches(POINTER_, event, vouches, set(roster), FINGERPRINT, **more)


@given(pointers)
def test_a_pointer_is_signed_in_its_canonical_form(pointer):
    writer = Writer()
    POINTER.put(writer, pointer)
    assert pointer_bytes(pointer) == writer.done()


@given(pointers, pointers, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_messages_differ_when_anything_differs(one, other, fingerprint, other_fingerprint):
    same = (one, fingerprint) == (other, other_fingerprint)
    assert (vouch_message(fingerprint, one) == vouch_message(other_fingerprint, other)) == same


@given(st.integers(1, 300))
def test_two_majorities_meet(count):
    assert 2 * majority(count) > count >= majority(count)


@given(st.lists(st.sampled_from(PEERS), max_size=8), st.sets(st.sampled_from(PEERS), min_size=1))
def test_a_majority_of_the_roster_decides_and_each_counts_once(signers, roster):
    result = judge([vouch(peer) for peer in signers], roster=roster)
    valid = set(signers) & roster
    assert bool(result) == (len(valid) >= majority(len(roster)))
    assert result.missing == max(0, majority(len(roster)) - len(valid))
    assert result.valid <= valid
    assert result.reason == "" if result else str(len(valid)) in result.reason


def test_vouches_of_something_else_do_not_count():
    other = point(A.stable_id, A.surface_id, 5, 4, b"event")
    result = judge(
        [vouch(FOUNDERS[0]), vouch(FOUNDERS[1], other), vouch(FOUNDERS[2], fingerprint=b"\0" * 32)]
    )
    assert not result
    assert (result.valid, result.invalid) == ({FOUNDERS[0]}, set(FOUNDERS[1:]))


def test_a_bad_signature_beside_a_good_one_does_no_harm():
    bad = Vouch(FOUNDERS[0], b"\0" * 64)
    assert judge([bad, vouch(FOUNDERS[0]), vouch(FOUNDERS[1])])
    assert judge([vouch(FOUNDERS[0]), bad, vouch(FOUNDERS[1])])


def test_a_stolen_signature_does_not_count():
    assert not judge([vouch(FOUNDERS[0]), Vouch(FOUNDERS[1], vouch(FOUNDERS[0]).signature)])


def test_another_event_does_not_stand_whatever_the_vouches():
    result = judge([vouch(peer) for peer in FOUNDERS], event=b"another", verifier=trust_certified)
    assert not result
    assert result.reason == "the event does not hash to its pointer"


def test_the_cache_gives_the_same_answers_is_bounded_and_keeps_no_refusal():
    asked = []

    def verifier(*triple):
        asked.append(triple)
        return verify_signature(*triple)

    cache = CachedVerifier(2, verifier)
    message = vouch_message(FINGERPRINT, POINTER_)
    triples = [(peer, message, vouch(peer).signature) for peer in FOUNDERS]
    assert [cache(*triple) for triple in triples + triples[1:]] == [True] * 5
    assert len(asked) == 3
    assert len(cache) == 2
    false = (FOUNDERS[0], message, b"\0" * 64)
    assert [cache(*false), cache(*false)] == [False, False]
    assert len(asked) == 5


def test_field_errors_name_the_field():
    try:
        POINTER.load({"stable_id": "zz"}, "pointer")
    except FieldError as error:
        assert "pointer.stable_id" in str(error)
    else:
        raise AssertionError("it was read")
