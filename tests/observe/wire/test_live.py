"""Three real mosaik nodes, seen from outside by the wheel alone."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import pytest

from organismctl.identity.consensus import consensus_digest
from organismctl.identity.digest import h, uid
from organismctl.identity.group_id import group_id
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.peer_entry import (
    EntryPoint,
    PeerTicket,
    encode_catalog,
    encode_entry,
    read_catalog,
)
from organismctl.identity.sync import LogReplaySync
from organismctl.identity.validator import JWT_CLASS
from organismctl.observe.look import now_ms, observe
from organismctl.observe.snapshot import OBSERVER, UNREACHABLE, Snapshot
from organismctl.observe.wire import (
    CATALOG,
    PEER,
    STREAM,
    Observer,
    StreamSource,
    Telling,
    WireSource,
    facts_of,
)
from tests.identity.entries import seed
from tests.observe.wire.peers import item
from tests.support.committee import wait_for
from tests.support.mosaik import require_engine

NETWORK, MACHINE, SECRET = uid("wire.test"), uid("machine"), uid("a fake group secret")
OPEN, GUARDED = h(b"an open stream"), h(b"a guarded stream")
ISSUER = h(b"the fake issuer of the guarded stream")


@dataclass
class Nodes:
    """Three nodes of one network: all in one group, the first with two streams."""

    relay: str
    networks: list[Any]
    group_ids: list[bytes]
    ticket: PeerTicket
    producers: dict[bytes, Any]

    def point(self, number: int) -> EntryPoint:
        network = self.networks[number]
        return EntryPoint.parse(f"{network.peer_id.hex()}@{network.addresses[0]}")


def issued(peer_id: bytes) -> PeerTicket:
    now = int(time.time())
    return PeerTicket(
        JWT_CLASS,
        issue_jwt("EdDSA", ISSUER, peer_id, issued_at_s=now, expires_at_s=now + 3600, issuer="acme"),
    )


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    require_engine()
    import organismctl_engine as engine

    with ExitStack() as stack:
        relay = engine.Relay.start("127.0.0.1", 0)
        stack.callback(relay.close)
        ticket = issued(peer_id_from_seed(seed("node 0")))
        networks: list[Any] = []
        for number in range(3):
            network = engine.Network.start(
                NETWORK,
                seed(f"node {number}"),
                relay=relay.url,
                bind=["127.0.0.1:0"],
                bootstrap=[(one.peer_id, one.addresses) for one in networks],
                tickets=[(ticket.kind, ticket.data)] if number == 0 else [],
                announce_s=1.0,
            )
            networks.append(network)
            stack.callback(network.close)
        groups = [network.group(SECRET, MACHINE) for network in networks]
        guard = engine.Validator.jwt([("EdDSA", public_key("EdDSA", ISSUER))], issuers=["acme"])
        producers = {
            OPEN: networks[0].producer(OPEN),
            GUARDED: networks[0].producer(GUARDED, validators=[guard]),
        }
        yield Nodes(relay.url, networks, [group.id for group in groups], ticket, producers)


@contextmanager
def sending(producer: Any, data: list[bytes]) -> Iterator[None]:
    """Send as soon as somebody listens."""
    over = Event()

    def send() -> None:
        for datum in data:
            while producer.send(datum) != "sent" and not over.wait(0.02):
                pass

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def look(nodes: Nodes, *numbers: int) -> Snapshot:
    return observe([WireSource([nodes.point(number) for number in numbers], NETWORK)], deadline_s=20)


def complete(nodes: Nodes) -> Snapshot | None:
    """A look through the last node that has everything of all three."""
    snapshot = look(nodes, 2)
    peers = [snapshot.get(PEER, network.peer_id.hex()) for network in nodes.networks]
    if not all(fact and fact.seen and fact.value["groups"] for fact in peers):
        return None
    return snapshot if len(peers[0].value["streams"]) == 2 else None


def test_a_network_never_seen_is_seen_through_one_node(nodes):
    snapshot = wait_for("the whole network", lambda: complete(nodes), 60)
    (catalog,) = snapshot.of(CATALOG)
    assert catalog.value["network"] == NETWORK.hex()
    assert catalog.value["problems"] == []
    expected = group_id(
        h(SECRET), consensus_digest(), MACHINE, LogReplaySync("organismctl_engine::Machine").signature()
    )
    for number, network in enumerate(nodes.networks):
        value = snapshot.get(PEER, network.peer_id.hex()).value
        assert value["protocol"] == "0.3.18"
        assert value["groups"] == [expected.hex()] == [nodes.group_ids[number].hex()]
        assert value["addresses"] == network.addresses
        assert value["told_by"] == [str(nodes.point(2))]
        assert abs(value["started_ms"] - now_ms()) < 10 * 60_000
        assert value["observer"] is False
    first = snapshot.get(PEER, nodes.networks[0].peer_id.hex()).value
    assert first["streams"] == sorted([OPEN.hex(), GUARDED.hex()])
    assert [one["ticket_id"] for one in first["tickets"]] == [nodes.ticket.id.hex()]


def test_several_nodes_tell_of_each_other(nodes):
    wait_for("the whole network", lambda: complete(nodes), 60)

    def by_all() -> Snapshot | None:
        snapshot = look(nodes, 0, 1, 2)
        facts = [snapshot.get(PEER, network.peer_id.hex()) for network in nodes.networks]
        return snapshot if all(fact.seen and len(fact.value["told_by"]) == 3 for fact in facts) else None

    snapshot = wait_for("all known to all", by_all, 60)
    assert [fact.value["problems"] for fact in snapshot.of(CATALOG)] == [[], [], []]


def test_what_mosaik_writes_is_read_and_written_the_same(nodes):
    raw = nodes.networks[0].catalog()
    catalog = read_catalog(raw)
    assert catalog.problems == ()
    assert encode_catalog(encode_entry(one.entry) + one.signature for one in catalog.entries) == raw
    facts = facts_of(
        [Telling(nodes.point(0), "node-api http://127.0.0.1:1", raw, now_ms(), 1)], NETWORK, now_ms()
    )
    assert facts[0].value["entries"] == len(catalog.entries)


def heard(
    nodes: Nodes,
    stream: bytes,
    observer: Observer | None = None,
    network: bytes = NETWORK,
    listen_s: float = 5.0,
):
    source = StreamSource(
        nodes.point(0), network, stream, observer or Observer(), listen_s=listen_s, timeout_s=20
    )
    return observe([source], deadline_s=40).get(STREAM, source.subject)


def test_a_stream_is_heard(nodes):
    with sending(nodes.producers[OPEN], [item(seq) for seq in range(3, 8)]):
        value = heard(nodes, OPEN, Observer(seed("observer"))).value
    assert (value["items"], value["first_seq"], value["last_seq"]) == (5, 3, 7)
    assert "ended" not in value


def test_a_guarded_stream_refuses_without_a_ticket_and_admits_with_one(nodes):
    fact = heard(nodes, GUARDED)
    assert fact.cause == OBSERVER
    assert fact.reason.startswith("it does not admit the observer")
    mine = seed("an observer with a ticket")
    with sending(nodes.producers[GUARDED], [item(1)]):
        assert (
            heard(nodes, GUARDED, Observer(mine, (issued(peer_id_from_seed(mine)),))).value["last_seq"] == 1
        )
    others = issued(peer_id_from_seed(seed("somebody else")))
    assert heard(nodes, GUARDED, Observer(seed("a thief"), (others,))).cause == OBSERVER


def test_a_stream_that_is_not_served_and_a_network_that_is_not_theirs(nodes):
    fact = heard(nodes, h(b"no such stream"))
    assert (fact.cause, fact.reason) == (UNREACHABLE, "it does not serve this stream (close code 10404)")
    other = heard(nodes, OPEN, network=h(b"another network"))
    assert other.cause == OBSERVER
    assert other.reason.startswith(f"it is on network {NETWORK.hex()[:10]}, not on")


def test_an_observer_is_seen_as_one(nodes):
    me = Observer(seed("a lasting observer"))
    heard(nodes, OPEN, me, listen_s=0.1)
    snapshot = look(nodes, 0)
    assert snapshot.get(PEER, me.peer_id.hex()).value["observer"] is True


@contextmanager
def listening(source: StreamSource, producer: Any) -> Iterator[list[Any]]:
    """A subscription in the background, from when the producer has it."""
    found: list[Any] = []
    listener = Thread(target=lambda: found.extend(source.look()))
    listener.start()
    wait_for("a consumer", producer.consumers, 15)
    yield found
    listener.join(30)
    assert found[0].seen, found[0].reason


def test_a_stream_that_is_closed_and_a_node_that_stops_say_so(nodes):
    import organismctl_engine as engine

    network = engine.Network.start(
        NETWORK, seed("node 3"), relay=nodes.relay, bind=["127.0.0.1:0"], announce_s=1.0
    )
    point = EntryPoint.parse(f"{network.peer_id.hex()}@{network.addresses[0]}")
    one, other = network.producer(h(b"1")), network.producer(h(b"2"))
    with listening(StreamSource(point, NETWORK, h(b"1"), listen_s=60), one) as closed:
        one.close()
    assert closed[0].value["ended"]["what"].startswith("it no longer admits the observer")
    with listening(StreamSource(point, NETWORK, h(b"2"), listen_s=60), other) as stopped:
        network.close()
    # A node that stops drops its streams and its connections at once: either word may come first.
    assert stopped[0].value["ended"]["cause"] in (UNREACHABLE, OBSERVER)
    gone = observe([WireSource([point], NETWORK, timeout_s=1.0)], deadline_s=20)
    assert [fact.cause for fact in gone.facts] == [UNREACHABLE, UNREACHABLE]
