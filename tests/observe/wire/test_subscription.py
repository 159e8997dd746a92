"""Subscriptions to producers that behave, and to those that do not: real QUIC on loopback."""

import asyncio
import base64
import time

import pytest

from organismctl.identity.digest import h
from organismctl.identity.peer_entry import PeerTicket, read_catalog
from organismctl.identity.surface_item import (
    RetirementMarker,
    decode_item,
)
from organismctl.observe.look import now_ms, observe
from organismctl.observe.snapshot import MALFORMED, OBSERVER, UNREACHABLE
from organismctl.observe.wire import STREAM, Observer, StreamSource
from organismctl.observe.wire.faults import CLOSE_CODES
from organismctl.observe.wire.frames import MAX_DATUM
from organismctl.observe.wire.observer import OBSERVER_TAG
from tests.identity.entries import NETWORK, peer, seed, signed
from tests.observe.wire.peers import (
    STREAMS,
    SYNC,
    Peer,
    Visit,
    closing,
    flood,
    item,
    running,
    saying,
    streaming,
    telling,
)

STREAM_ID = h(b"a stream")


def producer(behaviour):
    return running("p", {SYNC: telling(signed("p")), STREAMS: behaviour})


def hear(point, *, observer=None, listen_s=0.3, timeout_s=5.0):
    begun = time.monotonic()
    source = StreamSource(
        point, NETWORK, STREAM_ID, observer or Observer(), listen_s=listen_s, timeout_s=timeout_s
    )
    (fact,) = source.look()
    assert time.monotonic() - begun < timeout_s + listen_s + 3
    assert (fact.kind, fact.subject) == (STREAM, f"{STREAM_ID.hex()}@{point.peer_id.hex()}")
    return fact


def test_items_are_counted_and_the_marker_is_kept_to_be_checked():
    marker = RetirementMarker("2126-12-01T00:00:00Z", None, "done")
    data = [item(7), item(8), item(8), item(9, marker)]
    with producer(streaming(data, close=204)) as p:
        value = hear(p.point, listen_s=20).value
    assert (value["items"], value["bytes"], value["decoded"]) == (4, sum(map(len, data)), 4)
    assert (value["first_seq"], value["last_seq"]) == (7, 9)
    assert value["first_ms"] <= value["last_ms"]
    assert (value["marker"]["effective_at"], value["marker"]["seq"]) == (marker.effective_at, 9)
    whole = decode_item(base64.urlsafe_b64decode(value["marker"]["item"] + "=="))
    assert whole.retirement == marker
    assert value["ended"] == {
        "code": 204,
        "cause": UNREACHABLE,
        "what": "it is shutting down (close code 204)",
    }


def test_an_admitted_observer_that_is_turned_away_hears_why():
    with producer(streaming([item(1)], close=10403)) as p:
        value = hear(p.point, listen_s=20).value
    assert value["last_seq"] == 1
    assert (value["ended"]["code"], value["ended"]["cause"]) == (10403, OBSERVER)
    assert value["ended"]["what"].startswith("it no longer admits the observer")


def test_data_of_others_are_counted_and_not_read():
    with producer(streaming([b"\xff" * 9] * 40)) as p:
        value = hear(p.point, listen_s=3).value
    assert value["items"] == 40
    assert "last_seq" not in value
    assert "ended" not in value
    assert value["listened_ms"] >= 2950


def test_silence_is_heard_as_silence():
    with producer(streaming([])) as p:
        value = hear(p.point).value
    assert (value["items"], value["first_ms"], value["rate_per_s"]) == (0, None, 0.0)


def test_the_observer_publishes_its_own_signed_entry_with_its_tickets():
    ticket = PeerTicket(h(b"kind"), b"fake ticket")
    begun = now_ms()
    with producer(streaming([])) as p:
        hear(p.point, observer=Observer(seed("me"), (ticket,)))
    (one,) = read_catalog(p.received[0]).entries
    assert one.entry.peer_id == peer("me")
    assert one.entry.network == NETWORK
    assert one.entry.tickets == (ticket,)
    assert one.entry.tags == (OBSERVER_TAG,)
    assert begun <= one.entry.updated_ms <= now_ms()
    assert p.received[1] == NETWORK + STREAM_ID
    assert p.visitors == [peer("me"), peer("me")]


@pytest.mark.parametrize("code", sorted(set(CLOSE_CODES) - {401}))
def test_a_refusal_says_whose_side_it_is(code):
    with producer(closing(code)) as p:
        fact = hear(p.point)
    cause, what = CLOSE_CODES[code]
    assert (fact.cause, fact.reason) == (cause, f"{what} (close code {code})")


def test_a_producer_that_takes_its_time_to_know_us_is_told_again():
    visits = []

    async def late(visit: Visit) -> None:
        visits.append(visit)
        await (streaming([item(1)]) if len(visits) == 3 else closing(401))(visit)

    with producer(late) as p:
        assert hear(p.point, listen_s=3, timeout_s=30).value["last_seq"] == 1
    versions = [read_catalog(one).entries[0].entry.version for one in p.received if len(one) != 64]
    assert len(versions) == 3
    assert versions == sorted(set(versions))


def test_a_producer_that_never_knows_us_is_left():
    with producer(closing(401)) as p:
        fact = hear(p.point, timeout_s=30)
    assert (fact.cause, len(p.received)) == (OBSERVER, 10)
    assert "close code 401" in fact.reason


def test_a_producer_of_another_network_is_named_as_such():
    own = signed("p", network=h(b"another network"))
    with running("p", {SYNC: telling(own), STREAMS: closing(401)}) as p:
        fact = hear(p.point, timeout_s=30)
    assert fact.cause == OBSERVER
    assert fact.reason == (
        f"it is on network {h(b'another network').hex()[:10]}, not on {NETWORK.hex()[:10]}, which was asked for"
    )


async def trickle(visit: Visit) -> None:
    await visit.send(visit.first)
    await visit.raw((5000).to_bytes(4, "big"))
    while True:
        await visit.raw(b"\x01")
        await asyncio.sleep(0.001)


def test_a_flood_ends_with_the_time_and_keeps_nothing():
    with producer(flood) as p:
        value = hear(p.point, listen_s=3, timeout_s=20).value
    assert value["items"] >= 500
    assert value["last_seq"] == 1
    assert value["listened_ms"] < 10_000


def test_a_datum_that_never_ends_is_no_item():
    with producer(trickle) as p:
        assert hear(p.point).value["items"] == 0


async def too_long(visit: Visit) -> None:
    await visit.send(visit.first)
    await visit.send(item(4))
    await visit.raw((MAX_DATUM + 1).to_bytes(4, "big"))


def test_a_datum_that_is_too_long_ends_the_subscription_with_a_reason():
    with producer(too_long) as p:
        value = hear(p.point, listen_s=20).value
    assert value["last_seq"] == 4
    assert value["ended"]["cause"] == MALFORMED
    assert "at most" in value["ended"]["what"]


def test_another_stream_than_asked_for():
    with producer(saying(NETWORK + h(b"another stream"))) as p:
        fact = hear(p.point)
    assert (fact.cause, fact.reason) == (MALFORMED, "it opened another stream than the one asked for")


def test_a_handshake_that_is_never_answered():
    with producer(saying()) as p:
        fact = hear(p.point, timeout_s=0.5)
    assert fact.cause == UNREACHABLE
    assert fact.reason == f"{p.point.address} did not open the stream within 0.5 s"


def test_one_identity_listens_to_several_producers_at_once():
    me = Observer(seed("me"))
    with (
        producer(streaming([item(1)])) as p,
        running("q", {SYNC: telling(signed("q")), STREAMS: streaming([item(2)])}) as q,
    ):

        def at(one: Peer, name: bytes) -> StreamSource:
            return StreamSource(one.point, NETWORK, h(name), me, listen_s=3, timeout_s=20)

        sources = [at(p, b"1"), at(p, b"2"), at(q, b"3")]
        snapshot = observe(sources, deadline_s=40)
    assert [snapshot.get(STREAM, one.subject).value["last_seq"] for one in sources] == [1, 1, 2]
    assert set(p.visitors) | set(q.visitors) == {peer("me")}
