"""Looks at entry points that behave, and at those that do not: real QUIC on loopback."""

import asyncio
import random
import socket
import time
from dataclasses import replace

import pytest

from organismctl.identity.digest import h
from organismctl.identity.peer_entry import EntryPoint, encode_catalog
from organismctl.observe.look import observe
from organismctl.observe.snapshot import MALFORMED, OBSERVER, UNREACHABLE
from organismctl.observe.wire import CATALOG, PEER, Observer, WireSource, look_catalogs
from organismctl.observe.wire.frames import MAX_CATALOG
from tests.identity.entries import NETWORK, STARTED, peer, seed, signed
from tests.observe.wire.peers import STREAMS, SYNC, Visit, closing, running, saying, telling

ME = Observer()


def look(*points, seconds=5.0, **more):
    return look_catalogs(points, NETWORK, ME, seconds, **more)


def only(facts, kind):
    (fact,) = [fact for fact in facts if fact.kind == kind]
    return fact


def refusal(point, seconds=5.0):
    """The one catalog fact of an entry point that gives none, within the time that it was given and a little."""
    begun = time.monotonic()
    facts = look(point, seconds=seconds)
    assert time.monotonic() - begun < seconds + 3
    assert not only(facts, PEER).seen
    return only(facts, CATALOG)


def test_a_look_sends_an_empty_catalog_and_a_fresh_identity():
    with running("a", {SYNC: telling(signed("a"))}) as a:
        look(a.point)
        look(a.point)
    assert a.received == [b"\x00", b"\x00"]
    assert len(set(a.visitors)) == 2


def test_several_entry_points_are_merged_and_the_silent_one_is_named():
    with (
        running("a", {SYNC: telling(signed("a"), signed("c"))}) as a,
        running("b", {SYNC: telling(signed("b"), signed("c", updated_ms=STARTED + 9000))}) as b,
        running("silent", {SYNC: saying()}) as silent,
    ):
        source = WireSource(
            [a.point, b.point, silent.point, a.point], NETWORK, timeout_s=5.0, expected=[peer("x")]
        )
        snapshot = observe([source], deadline_s=20)
    assert snapshot.get(CATALOG, str(a.point)).value["entries"] == 2
    assert snapshot.get(PEER, peer("c").hex()).value["updated_ms"] == STARTED + 9000
    assert snapshot.get(PEER, peer("c").hex()).value["told_by"] == [str(a.point), str(b.point)]
    fact = snapshot.get(CATALOG, str(silent.point))
    assert (fact.cause, fact.reason) == (UNREACHABLE, f"no catalog from {silent.point.address} within 5 s")
    assert snapshot.get(PEER, peer("silent").hex()).reason == "no entry point that answered tells of it"
    assert not snapshot.get(PEER, peer("x").hex()).seen
    assert {want.subject for want in source.wants()} <= {fact.subject for fact in snapshot.facts}


def test_a_name_is_resolved():
    with running("a", {SYNC: telling(signed("a"))}) as a:
        assert only(look(replace(a.point, host="localhost")), CATALOG).seen


def test_a_lie_is_a_problem_with_whoever_told_it():
    lie = signed("c")[:-64] + bytes(64)
    with running("liar", {SYNC: telling(signed("liar"), lie)}) as liar:
        facts = look(liar.point)
    assert only(facts, PEER).subject == peer("liar").hex()
    assert only(facts, CATALOG).value["problems"] == [{"peer_id": peer("c").hex(), "what": "unsigned"}]


def test_nobody_at_all():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        fact = refusal(EntryPoint(peer("a"), *deaf.getsockname()), seconds=0.5)
    assert fact.cause == UNREACHABLE


def test_another_peer_at_that_address():
    with running("b", {SYNC: telling(signed("b"))}) as b:
        fact = refusal(EntryPoint(peer("a"), b.point.host, b.point.port))
    assert (fact.cause, fact.reason) == (MALFORMED, f"another peer answers at {b.point.address}")


def test_a_peer_id_that_is_no_key():
    fact = refusal(EntryPoint(b"\x02" + bytes(31), "127.0.0.1", 9))
    assert fact.cause == OBSERVER
    assert "not a point of the curve" in fact.reason


def test_a_peer_that_does_not_speak_mosaik():
    with running("a", {b"/other": saying()}) as a:
        assert "does not speak" in refusal(a.point).reason


async def trickle(visit: Visit) -> None:
    await visit.raw((1 << 20).to_bytes(4, "big"))
    while True:
        await visit.raw(b"\x01")
        await asyncio.sleep(0.001)


async def flood(visit: Visit) -> None:
    while True:
        await visit.raw(b"\x09" * 65536)


async def cut(visit: Visit) -> None:
    await visit.raw((100).to_bytes(4, "big") + b"only this")
    await visit.finish()


async def finish(visit: Visit) -> None:
    await visit.finish()


async def reset(visit: Visit) -> None:
    await visit.stream.send().reset(7)


async def too_long(visit: Visit) -> None:
    await visit.raw((MAX_CATALOG + 1).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("behaviour", "seconds", "cause", "what"),
    [
        (saying(), 0.5, UNREACHABLE, "within 0.5 s"),
        (trickle, 0.5, UNREACHABLE, "within 0.5 s"),
        (flood, 5.0, MALFORMED, "it announces a frame of 151587081 bytes"),
        (too_long, 5.0, MALFORMED, f"it announces a frame of {MAX_CATALOG + 1} bytes; at most {MAX_CATALOG}"),
        (cut, 5.0, MALFORMED, "it ended the stream 13 bytes into a frame"),
        (finish, 5.0, MALFORMED, "it ended the stream without an answer"),
        (reset, 5.0, MALFORMED, "it broke off the stream"),
        (closing(204), 5.0, UNREACHABLE, "it is shutting down (close code 204)"),
        (closing(400), 5.0, MALFORMED, "(close code 400)"),
        (closing(2**62 - 1), 5.0, UNREACHABLE, f"it closed the connection (close code {2**62 - 1})"),
    ],
)
def test_a_peer_that_misbehaves_is_a_reason(behaviour, seconds, cause, what):
    with running("a", {SYNC: behaviour}) as a:
        fact = refusal(a.point, seconds)
    assert what in fact.reason
    assert fact.cause == cause


@pytest.mark.parametrize(
    "body", [b"", b"\xff" * 20, b"\x05", b"\x01" + bytes(500), encode_catalog([signed("a")])[:-1]]
)
def test_a_catalog_that_is_none_is_a_problem_not_an_error(body):
    with running("a", {SYNC: saying(body)}) as a:
        facts = look(a.point)
    assert only(facts, CATALOG).value["entries"] == 0
    assert only(facts, CATALOG).value["problems"]
    assert not only(facts, PEER).seen


def test_whatever_bytes_come_there_is_a_fact():
    chance = random.Random(7)
    answers = [chance.randbytes(chance.choice([1, 3, 4, 5, 40, 4000])) for _ in range(30)]
    answers += [len(body).to_bytes(4, "big") + body for body in answers[:15]]
    waiting = iter(answers)

    async def anything(visit: Visit) -> None:
        await visit.raw(next(waiting))
        await visit.finish()

    with running("a", {SYNC: anything}) as a:
        for _ in answers:
            facts = look(a.point)
            assert not only(facts, PEER).seen
            told = only(facts, CATALOG)
            assert told.cause == MALFORMED or told.value["problems"]


def test_a_catalog_in_pieces_and_more_behind_it():
    async def pieces(visit: Visit) -> None:
        body = encode_catalog([signed("a")])
        for byte in len(body).to_bytes(4, "big") + body:
            await visit.raw(bytes((byte,)))
        await visit.raw(b"more that nobody asked for")

    with running("a", {SYNC: pieces}) as a:
        assert only(look(a.point), CATALOG).value["problems"] == []


def test_a_network_of_another_name():
    with running("a", {SYNC: telling(signed("a", network=h(b"other"))), STREAMS: closing(101)}) as a:
        fact = only(look(a.point), CATALOG)
    assert fact.value["network"] == h(b"other").hex()
    assert "another network" in fact.value["problems"][0]["what"]


def test_no_entry_point_is_no_fact():
    assert look() == []
    assert [fact.reason for fact in look(expected=(peer("a"),))] == ["no entry point gave its catalog"]


def test_an_identity_stays_out_of_reprs():
    assert repr(Observer(seed("me"))) == "Observer()"
