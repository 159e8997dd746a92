"""From certified items to publishable ones."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.committee.command import Apply, Roster, Schedule, Tick
from organismctl.committee.machine import PublishFact
from organismctl.committee.moment import Moment
from organismctl.committee.publication import EARLY, Publication
from organismctl.committee.signatures import (
    Missing,
    Published,
    Signature,
    SignatureError,
    Verdict,
    decode_signature,
    encode_signature,
)
from organismctl.identity.digest import derive
from organismctl.identity.peer import sign
from organismctl.identity.roster import Roster as PublicRoster
from organismctl.identity.roster import RosterLink, roster_digest, verify_chain
from organismctl.identity.surface_item import verify_item

from .worlds import FINGERPRINT, FOUNDERS, PEERS, SEED_OF, START_MS, Machine, config

SURFACES = {name: derive(FINGERPRINT, "surface", name) for name in ("facts", "state")}
OUT = next(peer for peer in PEERS if peer not in FOUNDERS)
FOUNDING = PublicRoster(1, FOUNDERS)


def publication(peer, **more):
    return Publication(FINGERPRINT, SURFACES, peer, lambda message: sign(SEED_OF[peer], message), **more)


def certified(count, *, surfaces=("facts",), then=()):
    """Effects with the state after each of ``count`` facts, then of other commands."""
    machine = Machine(config("ticker", surfaces=surfaces))
    machine.do(Tick(unix_ms=START_MS))
    commands = [Apply(through=number) for number in range(count)]
    return [(machine.do(command), machine.state.copy()) for command in [*commands, *then]]


def seqs(complete):
    return [(item.surface, item.item.seq) for item in complete if isinstance(item, Published)]


def feed(node, history):
    return [signature for effects, state in history for signature in node.on_effects(effects, state)[1]]


@settings(max_examples=40)
@given(st.data())
def test_any_order_of_arrival_gives_each_item_once_in_order_with_a_majority(data):
    history = certified(4, surfaces=("facts", "state"))
    own = {peer: feed(publication(peer), history) for peer in FOUNDERS}
    node = publication(FOUNDERS[0])
    node.on_effects((), history[0][1])
    arrivals = [("entry", pair) for pair in history] + [
        ("signature", signature) for peer in FOUNDERS[1:] for signature in own[peer] * 2
    ]
    order = data.draw(st.permutations(arrivals))
    steps = sorted(place for place, (kind, _) in enumerate(order) if kind == "entry")
    for place, pair in zip(steps, history, strict=True):
        order[place] = ("entry", pair)
    given_out = []
    for kind, value in order:
        if kind == "entry":
            node.on_effects(*value)
        else:
            assert node.on_signature(value) in (Verdict.COUNTED, Verdict.REPEAT, Verdict.EARLY)
        given_out += node.take()
    for name, surface_id in SURFACES.items():
        mine = [item.item for item in given_out if item.surface == name]
        assert [item.seq for item in mine] == [0, 1, 2, 3]
        assert all(verify_item(item, FINGERPRINT, surface_id, FOUNDING).verified for item in mine)
    assert node.missing() == []


def test_wrong_signatures_are_dropped_counted_and_do_no_harm():
    history = certified(1)
    node = publication(FOUNDERS[0])
    feed(node, history)
    (good,) = feed(publication(FOUNDERS[1]), history)
    bad = Signature("facts", 0, FOUNDERS[1], b"\0" * 64)
    assert node.on_signature(bad) is Verdict.WRONG
    assert node.on_signature(Signature("facts", 0, FOUNDERS[2], good.signature)) is Verdict.WRONG
    assert node.wrong == {FOUNDERS[1]: 1, FOUNDERS[2]: 1}
    assert node.take() == []
    assert node.on_signature(Signature("facts", 0, OUT, b"\0" * 64)) is Verdict.STRANGER
    assert node.on_signature(Signature("elsewhere", 0, OUT, b"\0" * 64)) is Verdict.STRANGER
    assert node.on_signature(good) is Verdict.COUNTED
    assert seqs(node.take()) == [("facts", 0)]
    assert node.on_signature(good) is Verdict.REPEAT


def test_a_wrong_early_signature_is_found_when_the_item_comes():
    history = certified(1)
    node = publication(FOUNDERS[0])
    assert node.on_signature(Signature("facts", 0, FOUNDERS[1], b"\0" * 64)) is Verdict.DROPPED
    node.on_effects((), history[0][1])
    assert node.on_signature(Signature("facts", 0, FOUNDERS[1], b"\0" * 64)) is Verdict.EARLY
    feed(node, history)
    assert node.take() == []
    assert node.wrong == {FOUNDERS[1]: 1}
    assert node.on_signature(Signature("facts", EARLY + 1, FOUNDERS[1], b"\0" * 64)) is Verdict.DROPPED


def test_an_item_waits_for_the_one_before_it():
    history = certified(2)
    node = publication(FOUNDERS[0])
    feed(node, history)
    first, second = feed(publication(FOUNDERS[1]), history)
    node.on_signature(second)
    assert node.take() == []
    assert node.missing() == [Missing("facts", 0, 1, tuple(sorted(FOUNDERS[1:])))]
    node.on_signature(first)
    assert seqs(node.take()) == [("facts", 0), ("facts", 1)]


def test_a_whole_item_from_another_node_completes_ours():
    history = certified(2)
    done = publication(FOUNDERS[1])
    feed(done, history)
    for signature in feed(publication(FOUNDERS[2]), history):
        done.on_signature(signature)
    complete = done.take()
    node = publication(FOUNDERS[0])
    assert node.on_complete(complete[0]) is Verdict.DROPPED
    feed(node, history[:1])
    assert node.on_complete(complete[0]) is Verdict.COUNTED
    assert seqs(node.take()) == [("facts", 0)]
    assert node.on_complete(complete[0]) is Verdict.REPEAT
    feed(node, history[1:])

    other = replace(complete[1].item, height=99)
    assert node.on_complete(Published("facts", other)) is Verdict.WRONG
    assert node.on_complete(Published("nowhere", other)) is Verdict.STRANGER


def test_the_marker_is_signed_like_any_item():
    then = [Schedule(effective_at=Moment(START_MS + 1), replacement="ref"), Tick(unix_ms=START_MS + 1)]
    history = certified(1, then=then)
    node = publication(FOUNDERS[0])
    feed(node, history)
    for signature in feed(publication(FOUNDERS[1]), history):
        node.on_signature(signature)
    items = [item.item for item in node.take()]
    assert [item.retirement is not None for item in items] == [False, True]
    assert items[1].retirement.replacement == "ref"
    assert verify_item(items[1], FINGERPRINT, SURFACES["facts"], FOUNDING).verified


def test_roster_links_prove_the_roster_and_items_count_for_theirs():
    then = [
        Roster(action="add", peer_id=OUT),
        Roster(action="remove", peer_id=FOUNDERS[0]),
        Apply(through=99),
    ]
    history = certified(1, then=then)
    node = publication(FOUNDERS[1])
    feed(node, history)
    for peer in (FOUNDERS[2], OUT):
        for signature in feed(publication(peer), history):
            assert node.on_signature(signature) is not Verdict.WRONG
    complete = node.take()
    links = [item for item in complete if isinstance(item, RosterLink)]
    assert [link.change.version for link in links] == [2, 3]
    assert node.missing() == []
    rosters = verify_chain(FINGERPRINT, roster_digest(FOUNDERS), FOUNDING, links)
    assert [roster.version for roster in rosters] == [1, 2, 3]
    assert set(rosters[-1].members) == {*FOUNDERS[1:], OUT}
    items = [item.item for item in complete if isinstance(item, Published)]
    assert [(item.seq, item.certificate.roster_version) for item in items] == [(0, 1), (1, 3)]
    for item in items:
        roster = rosters[item.certificate.roster_version - 1]
        assert verify_item(item, FINGERPRINT, SURFACES["facts"], roster).verified


def test_who_is_not_in_the_roster_collects_but_does_not_sign():
    history = certified(1)
    node = publication(OUT)
    assert feed(node, history) == []
    for peer in FOUNDERS[:2]:
        for signature in feed(publication(peer), history):
            node.on_signature(signature)
    assert seqs(node.take()) == [("facts", 0)]


def test_memory_is_bounded_and_what_was_deferred_is_handed_in_again():
    history = certified(10)
    node = publication(FOUNDERS[0], max_open=3)
    store = {}
    own = []
    for effects, state in history:
        things, signatures = node.on_effects(effects, state)
        own += signatures
        store |= {thing.seq: thing for thing in things}
    assert len(own) == 10
    assert [item.number for item in node.missing()] == [0, 1, 2]
    assert node.wanted() == []
    others = {signature.number: signature for signature in feed(publication(FOUNDERS[1]), history)}
    done = []
    while len(done) < 10:
        for item in node.missing():
            node.on_signature(others[item.number])
        done += seqs(node.take())
        for track, first, count in node.wanted():
            for number in range(first, first + count):
                assert track == "facts"
                assert node.hand_in(store[number])
    assert done == [("facts", number) for number in range(10)]
    assert node.hand_in(store[9]) == []


def test_after_a_restart_only_what_is_not_published_is_gathered_again():
    history = certified(5)
    node = publication(FOUNDERS[0])
    things = {}
    for effects, state in history:
        things |= {thing.seq: thing for thing in node.on_effects(effects, state)[0]}
    again = publication(FOUNDERS[0])
    again.start({"facts": 2}, {"facts": 4})
    feed(again, history[3:])
    assert again.wanted() == [("facts", 2, 3)]
    for number in (2, 3, 4):
        again.hand_in(things[number])
    for signature in feed(publication(FOUNDERS[1]), history):
        again.on_signature(signature)
    assert seqs(again.take()) == [("facts", 2), ("facts", 3), ("facts", 4)]


def test_a_node_answers_with_its_own_signature_and_signs_again_from_its_store():
    history = certified(1)
    node = publication(FOUNDERS[0])
    (thing,), (own,) = node.on_effects(*history[0])
    assert node.reply("facts", 0) == own == node.sign_again(thing)
    assert node.reply("facts", 1) is None
    assert publication(OUT).sign_again(thing) is None


def test_both_surfaces_have_their_own_signatures():
    history = certified(1, surfaces=("facts", "state"))
    one, other = feed(publication(FOUNDERS[0]), history)
    assert (one.number, other.number) == (0, 0)
    assert one.signature != other.signature
    assert sum(isinstance(effect, PublishFact) for effect in history[0][0]) == 2


@given(st.binary(max_size=200))
def test_any_bytes_are_a_signature_message_or_refused(data):
    try:
        signature = decode_signature(data)
    except SignatureError:
        return
    assert encode_signature(signature) == data


def test_signature_messages_round_trip():
    signature = Signature("facts", 7, FOUNDERS[0], b"\1" * 64)
    assert decode_signature(encode_signature(signature)) == signature
    with pytest.raises(SignatureError):
        decode_signature(encode_signature(signature) + b"\0")
