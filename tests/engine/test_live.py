"""Nodes of the engine among themselves, over a relay on 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from organismctl.identity.digest import h
from organismctl.identity.jwt import issue_jwt
from organismctl.identity.map_group import map_group_id
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.peer_entry import read_catalog
from organismctl.identity.surface_item import Fact, RetirementMarker, SurfaceItem, certificate, encode_item
from organismctl.identity.validator import JWT_CLASS
from tests.engine.conftest import NETWORK, Nodes, until
from tests.support.committee import free_ports

SECRET, MACHINE, STREAM = h(b"fake secret"), h(b"machine"), h(b"stream")
JWT_KEY = h(b"a fake key of a test")
MARKER_KEY = 2**64 - 1


def ticket(node: Any, *, seconds: int = 3600, key: bytes = JWT_KEY) -> tuple[bytes, bytes]:
    now = int(time.time())
    return JWT_CLASS, issue_jwt("HS256", key, node.peer_id, issued_at_s=now, expires_at_s=now + seconds)


def test_three_nodes_make_a_group(nodes: Nodes) -> None:
    three = nodes.start_all("group one", "group two", "group three")
    groups = [node.group(SECRET, MACHINE, record=True) for node in three]
    assert len({group.id for group in groups}) == 1
    until(lambda: all(len(group.status().bonds) == 2 for group in groups), "every bond")
    until(lambda: all(group.status().online for group in groups), "the leader")
    until(lambda: len({group.status().leader for group in groups}) == 1, "one leader")
    assert groups[1].execute([b"one", b"two"], 10.0) == 2
    until(lambda: all(group.applied() == [b"one", b"two"] for group in groups), "the commands on every node")
    until(lambda: {group.status().committed for group in groups} == {2}, "their commit index")
    groups[2].leave()
    until(lambda: all(len(group.status().bonds) == 1 for group in groups[:2]), "the farewell")
    with pytest.raises(nodes.engine.EngineError, match="the group is closed"):
        groups[2].status()


def test_a_group_is_joined_once(nodes: Nodes) -> None:
    node = nodes.start("once")
    group = node.group(SECRET, MACHINE)
    with pytest.raises(nodes.engine.EngineError, match="already"):
        node.group(SECRET, MACHINE)
    assert group.status().bonds == []
    group.leave()
    again = node.group(SECRET, MACHINE)
    assert again.id == group.id


def test_the_catalog_is_what_identity_reads(nodes: Nodes) -> None:
    one, two = nodes.start_all("catalog one", "catalog two")
    one.set_tickets([ticket(one)])
    group = one.group(SECRET, MACHINE)
    one.producer(STREAM)

    def seen() -> Any:
        catalog = read_catalog(two.catalog(), max_entries=10)
        assert not catalog.problems
        mine = [signed.entry for signed in catalog.entries if signed.entry.peer_id == one.peer_id]
        return mine[0] if mine and STREAM in mine[0].streams and mine[0].tickets else None

    entry = until(seen, "the entry with its stream and its ticket")
    assert entry.network == NETWORK
    assert group.id in entry.groups
    assert entry.protocol == nodes.engine.MOSAIK_VERSION
    assert one.addresses[0] in entry.addresses
    assert two.peers() == [one.peer_id]


def test_tickets_are_replaced_without_a_gap(nodes: Nodes) -> None:
    one = nodes.start("tickets")
    first, second = ticket(one, seconds=100), ticket(one, seconds=200)

    def held() -> set[bytes]:
        (signed,) = read_catalog(one.catalog(), max_entries=2).entries
        return {held.data for held in signed.entry.tickets}

    one.set_tickets([first])
    assert held() == {first[1]}
    one.set_tickets([first, second])
    assert held() == {first[1], second[1]}
    one.set_tickets([second])
    assert held() == {second[1]}
    one.set_tickets([])
    assert held() == set()


def test_a_group_admits_by_ticket(nodes: Nodes) -> None:
    validator = nodes.engine.Validator.jwt([("HS256", JWT_KEY)])
    one, two, three = nodes.start_all("admission one", "admission two", "admission three")
    for node, key in ((one, JWT_KEY), (two, JWT_KEY), (three, h(b"another fake key"))):
        node.set_tickets([ticket(node, key=key)])
    groups = [node.group(SECRET, MACHINE, validators=[validator]) for node in (one, two, three)]
    until(lambda: groups[0].status().bonds == [two.peer_id], "the bond of those with tickets")
    assert groups[2].status().bonds == []
    three.set_tickets([ticket(three)])
    until(lambda: len(groups[0].status().bonds) == 2, "the bond of the one whose ticket was late")
    three.set_tickets([])
    until(lambda: groups[0].status().bonds == [two.peer_id], "the end of the bond without a ticket")


def test_a_stream_carries_bytes_as_they_are(nodes: Nodes) -> None:
    one, two, three = nodes.start_all("stream one", "stream two", "stream three")
    producer = one.producer(STREAM, only=[two.peer_id])
    assert producer.send(b"nobody") == "offline"
    mine, theirs = two.inbox(), three.inbox()
    subscription = mine.subscribe(STREAM, 7, only=[one.peer_id])
    refused = theirs.subscribe(STREAM, 8)
    until(lambda: producer.consumers() == [two.peer_id], "the subscription")
    items = [b"", b"\x00", bytes(range(256)), b"x" * 500_000]
    assert [producer.send(item) for item in items] == ["sent"] * 4
    got: list[tuple[int, bytes]] = []
    until(lambda: got.extend(mine.recv(0.2)) or len(got) == 4, "the items")
    assert got == [(7, item) for item in items]
    assert (subscription.producers, subscription.received, subscription.dropped) == ([one.peer_id], 4, 0)
    assert refused.producers == []
    assert theirs.recv(0.0) == []
    producer.close()
    assert producer.send(b"late") == "closed"
    until(lambda: subscription.producers == [], "the end of the subscription")
    again = one.producer(STREAM, only=[two.peer_id])
    until(lambda: again.send(b"again") == "sent", "the stream that opened again")
    assert until(lambda: mine.recv(0.2), "its item")[0] == (7, b"again")


def test_a_flood_is_bounded(nodes: Nodes) -> None:
    one, two = nodes.start_all("flood one", "flood two")
    producer, inbox = one.producer(STREAM, buffer=4096), two.inbox()
    subscription = inbox.subscribe(STREAM, 1, limit=10)
    until(producer.consumers, "the subscription")
    for number in range(1000):
        until(lambda number=number: producer.send(b"%d" % number) == "sent", "room in the buffer")
    until(lambda: subscription.received == 1000, "every item")
    assert subscription.dropped == 990
    assert [data for _, data in inbox.recv(0.0)] == [b"%d" % number for number in range(990, 1000)]


def test_an_inbox_ends_its_waits(nodes: Nodes) -> None:
    inbox = nodes.start("inbox").inbox()
    got: list[list[tuple[int, bytes]]] = []
    waiting = threading.Thread(target=lambda: got.append(inbox.recv(300.0)))
    waiting.start()
    inbox.close()
    waiting.join(30)
    assert got == [[]]
    assert inbox.recv(300.0) == []


def test_a_map_holds_items_and_the_marker(nodes: Nodes) -> None:
    one, two = nodes.start_all("map one", "map two")
    writer, reader = one.map_writer(STREAM), two.map_reader(STREAM)
    assert writer.group_id == reader.group_id
    assert writer.group_id == map_group_id(STREAM, "u64", "organismctl_engine::SurfaceItem")
    signatures = {bytes([number]) * 32: bytes([number]) * 64 for number in range(3)}
    fact = encode_item(SurfaceItem(0, 5, Fact(b"a fact"), certificate(1, signatures)))
    marker = encode_item(
        SurfaceItem(1, 6, RetirementMarker("tick:9", "REF", "done"), certificate(1, signatures))
    )
    until(writer.online, "the writer")
    writer.insert(0, fact, 30.0)
    writer.insert(MARKER_KEY, marker, 30.0)
    until(lambda: reader.keys() == [0, MARKER_KEY], "the items at the reader")
    assert (reader.get(0), reader.get(MARKER_KEY), reader.get(1)) == (fact, marker, None)
    with pytest.raises(nodes.engine.EngineError, match="only reads"):
        reader.insert(1, fact, 1.0)
    for bad in (b"", fact + b"\x00", fact[:-1], b"\xff" * 100):
        with pytest.raises(ValueError, match="surface item"):
            writer.insert(1, bad, 1.0)
    writer.close()
    with pytest.raises(nodes.engine.EngineError, match="the map is closed"):
        writer.keys()


def test_a_peer_that_is_not_there_yet_is_found(nodes: Nodes) -> None:
    (port,), seed = free_ports(1), h(b"late")
    early = nodes.start("early", bootstrap=[(peer_id_from_seed(seed), [f"127.0.0.1:{port}"])])
    group, inbox = early.group(SECRET, MACHINE), early.inbox()
    subscription = inbox.subscribe(STREAM, 1, only=[peer_id_from_seed(seed)])
    with pytest.raises(nodes.engine.EngineError, match="catalogs"):
        early.sync_with(peer_id_from_seed(seed), [f"127.0.0.1:{port}"], 0.5)
    late = nodes.start("late", bind=f"127.0.0.1:{port}", strangers=True)
    joined = late.group(SECRET, MACHINE)
    producer = late.producer(STREAM, only=[early.peer_id])
    until(lambda: group.status().bonds == [late.peer_id], "the bond with the late one")
    until(lambda: subscription.producers == [late.peer_id], "the subscription to the late one")
    until(lambda: producer.send(b"here") == "sent", "its first item")
    until(lambda: joined.status().bonds == [early.peer_id], "the bond at the late one")


def test_links_heal_after_a_restart(nodes: Nodes) -> None:
    """One node goes and comes back under its key and port: bonds and both directions work again."""
    (port,) = free_ports(1)
    one = nodes.start("stays")
    group, inbox = one.group(SECRET, MACHINE), one.inbox()
    kept: list[Any] = []

    def other() -> tuple[Any, Any, Any, Any]:
        two = nodes.start("goes", bind=f"127.0.0.1:{port}", bootstrap=[(one.peer_id, one.addresses)])
        incoming = two.inbox()
        kept.append(incoming.subscribe(h(b"one to two"), 1, only=[one.peer_id]))
        return two, two.group(SECRET, MACHINE), two.producer(h(b"two to one"), only=[one.peer_id]), incoming

    two, joined, there, incoming = other()
    here = one.producer(h(b"one to two"), only=[two.peer_id])
    kept.append(inbox.subscribe(h(b"two to one"), 1, only=[two.peer_id]))

    def linked() -> bool:
        here.send(b"ping")
        there.send(b"pong")
        return bool(inbox.recv(0.0)) and bool(incoming.recv(0.0)) and bool(group.status().bonds)

    until(linked, "both directions")
    nodes.close(two)
    until(lambda: not group.status().bonds, "the end of the bond")
    del joined
    two, rejoined, there, incoming = other()
    inbox.recv(0.0)
    until(linked, "both directions again")
    until(lambda: rejoined.status().bonds == [one.peer_id], "the bond at the other end")


def test_what_cannot_be_used_is_named(nodes: Nodes) -> None:
    start, node = nodes.engine.Network.start, nodes.start("arguments")
    for match, wrong in [
        ("network must be 32 bytes, not 3", lambda: start(b"abc", bytes(32))),
        ("secret_key must be 32 bytes", lambda: start(bytes(32), b"")),
        ("timeout_s must be a number", lambda: start(bytes(32), bytes(32), timeout_s=float("nan"))),
        ("ADDRESS:PORT", lambda: nodes.start("x", bind="127.0.0.1")),
        ("HOST:PORT", lambda: nodes.start("x", bootstrap=[(node.peer_id, ["127.0.0.1"])])),
        ("no ed25519 public key", lambda: nodes.start("x", bootstrap=[(b"\x02" + bytes(31), [])])),
        ("relay URL", lambda: start(bytes(32), bytes(32), relay="no url")),
        ("heartbeat", lambda: node.group(SECRET, MACHINE, heartbeat_jitter_ms=0)),
        ("batch", lambda: node.group(SECRET, MACHINE, batch=0)),
        ("buffer", lambda: node.producer(STREAM, buffer=0)),
        ("limit", lambda: node.inbox().subscribe(STREAM, 1, limit=0)),
    ]:
        with pytest.raises(ValueError, match=match):
            wrong()


def test_a_relay_that_does_not_answer_is_an_error(engine: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(engine.EngineError, match="relay"):
            engine.Network.start(NETWORK, bytes(32), relay=url, timeout_s=5.0)


def test_a_taken_port_is_an_error(nodes: Nodes) -> None:
    node = nodes.start("taken")
    with pytest.raises(nodes.engine.EngineError, match="could not be started"):
        nodes.start("taker", bind=node.addresses[0])
    port = int(nodes.relay.url.rsplit(":", 1)[1])
    with pytest.raises(nodes.engine.EngineError, match="could not listen"):
        nodes.engine.Relay.start("127.0.0.1", port)


def test_after_the_close_everything_says_so(nodes: Nodes) -> None:
    node = nodes.start("closed")
    group, producer, inbox = node.group(SECRET, MACHINE), node.producer(STREAM), node.inbox()
    subscription = inbox.subscribe(STREAM, 1)
    node.close()
    node.close()
    for use in (
        group.status,
        lambda: node.group(SECRET, MACHINE),
        lambda: node.producer(h(b"another")),
        lambda: node.set_tickets([]),
        lambda: inbox.subscribe(STREAM, 2),
        lambda: node.map_reader(STREAM),
        lambda: node.sync_with(node.peer_id, []),
    ):
        with pytest.raises(nodes.engine.EngineError, match="closed"):
            use()
    assert producer.send(b"x") == "closed"
    until(lambda: subscription.producers == [], "the end of the subscription")
