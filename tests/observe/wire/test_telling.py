"""The rules by which tellings become facts, on bytes alone."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.identity.digest import h, short
from organismctl.identity.peer_entry import (
    EntryPoint,
    PeerTicket,
    encode_catalog,
    encode_entry,
    read_catalog,
    sign_entry,
)
from organismctl.observe.snapshot import MALFORMED, UNREACHABLE, Snapshot
from organismctl.observe.wire.faults import WireError
from organismctl.observe.wire.observer import own_entry
from organismctl.observe.wire.telling import CATALOG, MAX_PROBLEMS, PEER, Telling, facts_of
from tests.identity.entries import NETWORK, STARTED, entries, entry, peer, seed, signed

NOW = STARTED + 60_000


def point(name: str) -> EntryPoint:
    return EntryPoint(peer(name), "127.0.0.1", 7301)


def told(name: str, *some: bytes) -> Telling:
    return Telling(point(name), f"wire {point(name)}", encode_catalog(some), NOW, 5)


def unheard(name: str, message: str = "nobody answers") -> Telling:
    return Telling(point(name), f"wire {point(name)}", WireError(message), NOW, 5)


def look(*tellings: Telling, network: bytes | None = NETWORK, **more: object) -> Snapshot:
    return Snapshot(NOW, tuple(facts_of(tellings, network, NOW, **more)))


def problems(snapshot: Snapshot, name: str) -> list[tuple[str | None, str]]:
    fact = snapshot.get(CATALOG, str(point(name)))
    return [(one["peer_id"], one["what"]) for one in fact.value["problems"]]


def told_of(snapshot: Snapshot, name: str):
    return snapshot.get(PEER, peer(name).hex())


def test_a_peer_is_told_whole():
    ticket = PeerTicket(h(b"kind"), b"fake ticket")
    raw = signed(
        "a",
        streams=(h(b"s"),),
        groups=(h(b"g"),),
        addresses=("127.0.0.1:1",),
        relays=("http://r/",),
        tickets=(ticket,),
    )
    value = told_of(look(told("a", raw)), "a").value
    assert value == {
        "network": NETWORK.hex(), "protocol": "0.3.18", "started_ms": STARTED, "updated_ms": STARTED + 1000,
        "addresses": ["127.0.0.1:1"], "relays": ["http://r/"], "tags": [], "streams": [h(b"s").hex()],
        "groups": [h(b"g").hex()], "told_by": [str(point("a"))], "observer": False,
        "tickets": [{
            "class": h(b"kind").hex(), "ticket_id": ticket.id.hex(),
            "data": base64.urlsafe_b64encode(b"fake ticket").rstrip(b"=").decode(),
        }],
    }  # fmt: skip


def test_the_newest_entry_counts_whoever_told_it():
    old, new = signed("c", updated_ms=STARTED + 1), signed("c", updated_ms=STARTED + 2, protocol="0.4.0")
    restarted = signed("c", started_ms=STARTED + 5, updated_ms=STARTED + 5, protocol="0.5.0")
    both = look(told("a", signed("a"), new), told("b", signed("b"), old))
    assert told_of(both, "c").value["protocol"] == "0.4.0"
    assert told_of(both, "c").value["told_by"] == [str(point("a")), str(point("b"))]
    three = look(told("a", signed("a"), new), told("b", signed("b"), restarted))
    assert told_of(three, "c").value["protocol"] == "0.5.0"


def test_a_peer_known_to_one_entry_point_alone_says_so():
    snapshot = look(told("a", signed("a"), signed("c")), told("b", signed("b")))
    assert told_of(snapshot, "c").value["told_by"] == [str(point("a"))]


def test_two_entries_of_one_version_are_a_problem_and_not_believed():
    one, other = signed("c", groups=(h(b"1"),)), signed("c", groups=(h(b"2"),))
    snapshot = look(told("a", signed("a"), one), told("b", signed("b"), other))
    fact = told_of(snapshot, "c")
    assert (fact.seen, fact.cause) == (False, MALFORMED)
    what = (peer("c").hex(), "it signed two different entries of one version")
    assert problems(snapshot, "a") == [what]
    assert problems(snapshot, "b") == [what]


def test_a_newer_entry_ends_the_doubt_about_an_older_version():
    one, other = signed("c", groups=(h(b"1"),)), signed("c", groups=(h(b"2"),))
    new = signed("c", updated_ms=STARTED + 5000)
    snapshot = look(told("a", signed("a"), one), told("b", signed("b"), other), told("d", signed("d"), new))
    assert told_of(snapshot, "c").seen


def test_what_is_not_signed_is_a_problem_of_the_teller_and_never_a_fact():
    lie = signed("c")[:-64] + bytes(64)
    snapshot = look(told("a", signed("a"), lie), expected=(peer("c"),))
    assert problems(snapshot, "a") == [(peer("c").hex(), "unsigned")]
    assert told_of(snapshot, "c").cause == MALFORMED


def test_an_entry_point_that_does_not_sign_its_own_entry_is_not_believed():
    forged = signed("a")[:-64] + signed("b")[-64:]
    snapshot = look(told("a", forged, signed("b")))
    assert problems(snapshot, "a") == [
        (peer("a").hex(), "its signature does not verify"),
        (peer("a").hex(), "it tells an entry of its own that it did not sign"),
    ]
    assert told_of(snapshot, "a").cause == MALFORMED
    assert told_of(snapshot, "b").seen


def test_an_entry_point_that_tells_nothing_of_itself_says_so():
    assert problems(look(told("a")), "a") == [(peer("a").hex(), "it tells no entry of its own")]


def test_another_network_is_a_problem_and_counted_not_listed():
    other = h(b"another network")
    strangers = [signed(f"s{i}", network=other) for i in range(300)]
    snapshot = look(told("a", signed("a"), *strangers))
    assert problems(snapshot, "a") == [(None, f"300 entries of another network, {short(other)}")]
    assert len(list(snapshot.of(PEER))) == 1


def test_an_entry_point_of_another_network_shows_which():
    other = h(b"another network")
    snapshot = look(told("a", signed("a", network=other)))
    assert snapshot.get(CATALOG, str(point("a"))).value["network"] == other.hex()
    assert not told_of(snapshot, "a").seen
    assert look(told("a", signed("a", network=other)), network=None).get(PEER, peer("a").hex()).seen


@pytest.mark.parametrize("fields", [{"updated_ms": NOW + 51_000}, {"started_ms": NOW + 51_000}])
def test_what_is_dated_ahead_is_not_believed(fields):
    snapshot = look(told("a", signed("a"), signed("c", **fields)), expected=(peer("c"),))
    assert problems(snapshot, "a") == [(peer("c").hex(), "dated 51 s ahead of this clock")]
    assert not told_of(snapshot, "c").seen
    assert told_of(look(told("a", signed("a"), signed("c", updated_ms=NOW + 50_000))), "c").seen


def test_an_entry_told_twice_is_a_problem_and_the_newest_counts():
    snapshot = look(told("a", signed("a"), signed("c"), signed("c", updated_ms=STARTED + 9000)))
    assert problems(snapshot, "a") == [(peer("c").hex(), "it tells two entries of one peer")]
    assert told_of(snapshot, "c").value["updated_ms"] == STARTED + 9000


def test_who_did_not_answer_has_facts_with_the_reason():
    snapshot = look(unheard("a"), expected=(peer("c"),))
    assert snapshot.get(CATALOG, str(point("a"))).reason == "nobody answers"
    assert told_of(snapshot, "a").reason == "no entry point gave its catalog"
    assert told_of(snapshot, "c").cause == UNREACHABLE
    some = look(unheard("a"), told("b", signed("b")), expected=(peer("c"),))
    assert told_of(some, "c").reason == "no entry point that answered tells of it"


def test_observers_are_marked():
    mine = own_entry(seed("me"), (), NETWORK, NOW)
    plain = signed("old me")
    snapshot = look(told("a", signed("a"), mine, plain), observer=peer("old me"))
    assert told_of(snapshot, "me").value["observer"] is True
    assert told_of(snapshot, "old me").value["observer"] is True
    assert told_of(snapshot, "a").value["observer"] is False


def test_many_problems_are_counted_not_listed():
    lies = [signed(f"l{i}")[:-64] + bytes(64) for i in range(MAX_PROBLEMS + 7)]
    listed = problems(look(told("a", signed("a"), *lies)), "a")
    assert len(listed) == MAX_PROBLEMS + 1
    assert listed[-1] == (None, "7 more problems")


def test_a_catalog_that_there_is_no_time_for_is_not_seen():
    snapshot = look(told("a", signed("a")), unheard("b"), seconds=0.0)
    assert "was not checked" in snapshot.get(CATALOG, str(point("a"))).reason
    assert snapshot.get(CATALOG, str(point("b"))).reason == "nobody answers"
    assert not told_of(snapshot, "a").seen


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_facts(data):
    telling = Telling(point("a"), "wire", data, NOW, 1)
    snapshot = look(telling)
    assert problems(snapshot, "a")
    assert not told_of(snapshot, "a").seen


@settings(max_examples=50, deadline=None)
@given(st.lists(entries(), max_size=4), st.data())
def test_a_changed_catalog_tells_nothing_that_was_not_signed(some, data):
    raw = bytearray(encode_catalog([sign_entry(*one) for one in some]))
    true = {sign_entry(*one)[:-64] for one in some}
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    for one in read_catalog(bytes(raw)).entries:
        assert encode_entry(one.entry) in true
    facts_of([Telling(point("a"), "wire", bytes(raw), NOW, 1)], None, 2**62)


def test_the_order_of_tellings_does_not_change_what_is_believed():
    tellings = [
        told("a", signed("a"), signed("c")),
        told("b", signed("b"), signed("c", updated_ms=STARTED + 3000)),
    ]
    one, other = look(*tellings), look(*reversed(tellings))
    assert {f.subject: f.value["updated_ms"] for f in one.of(PEER)} == {
        f.subject: f.value["updated_ms"] for f in other.of(PEER)
    }
    assert entry("c").peer_id == peer("c")
