"""A surface followed over real mosaik streams: order, holes, forgers, silence; the node API beside it on real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from organismctl.committee.client import NodeClient
from organismctl.errors import UnreachableError
from organismctl.identity.digest import h, uid
from organismctl.identity.peer_entry import EntryPoint
from organismctl.identity.surface_item import SurfaceItem
from organismctl.observe import surface_wire
from organismctl.observe.surface import Event, HoleError, Prover, Reader
from organismctl.observe.surface_wire import WireReader
from organismctl.observe.wire import Observer
from tests.support.committee import wait_for
from tests.support.mosaik import require_engine
from tests.support.surfaces import MARKER, Committee, Endpoint, dead_url, serving

NETWORK = uid("surface.wire.test")


class Streams:
    """Mosaik nodes that serve the surface's stream, each with its producer."""

    def __init__(self, committee: Committee, count: int, stack: ExitStack) -> None:
        import organismctl_engine as engine

        relay = engine.Relay.start("127.0.0.1", 0)
        stack.callback(relay.close)
        self.networks: list[Any] = []
        for number in range(count):
            network = engine.Network.start(
                NETWORK, h(b"surface wire %d" % number), relay=relay.url, bind=["127.0.0.1:0"], announce_s=1.0
            )
            self.networks.append(network)
            stack.callback(network.close)
        self.producers = [one.producer(committee.surface_id) for one in self.networks]
        self.points = [EntryPoint.parse(f"{one.peer_id.hex()}@{one.addresses[0]}") for one in self.networks]

    def send(self, number: int, datum: bytes) -> None:
        """Publish on one node's stream, once somebody listens."""
        wait_for("somebody listens", lambda: self.producers[number].send(datum) == "sent")


class Following:
    """A reader, what it was told, and its items one by one."""

    def __init__(
        self, committee: Committee, streams: Streams, url: str, stack: ExitStack, patience_s: float
    ) -> None:
        self.events: list[Event] = []
        client = stack.enter_context(NodeClient(url, timeout=2.0))
        self.reader = Reader(
            [client], Prover(committee.pin), patience_s=patience_s, on_event=self.events.append
        )
        self.items: Iterator[SurfaceItem] = WireReader(
            streams.points, NETWORK, Observer(), self.reader
        ).follow()
        stack.callback(self.items.close)  # type: ignore[attr-defined]

    def take(self, count: int) -> list[int]:
        return [next(self.items).seq for _ in range(count)]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


Make = Callable[..., tuple[Streams, Endpoint, Following]]


@pytest.fixture
def committee() -> Committee:
    return Committee()


@pytest.fixture
def make(committee: Committee, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Streams, an endpoint that holds some items, and a reader of both."""
    require_engine()
    with ExitStack() as stack:

        def made(
            held: int,
            nodes: int = 1,
            *,
            url: str | None = None,
            patience_s: float = 20.0,
            quiet_s: float = 0.5,
        ) -> Any:
            monkeypatch.setattr(surface_wire, "QUIET_S", quiet_s)
            streams = Streams(committee, nodes, stack)
            endpoint = Endpoint(committee, committee.items(held))
            (served,) = stack.enter_context(serving(endpoint))
            return streams, endpoint, Following(committee, streams, url or served, stack, patience_s)

        yield made


def test_the_past_comes_from_the_node_and_the_rest_from_the_stream(make: Make, committee: Committee) -> None:
    streams, endpoint, following = make(3)
    assert following.take(3) == [0, 1, 2]
    asked = len(endpoint.asked)
    for seq in (3, 4):
        streams.send(0, committee.item(seq))
    assert following.take(2) == [3, 4]
    streams.send(0, committee.item(4))
    streams.send(0, committee.item(5, MARKER))
    last = list(following.items)
    assert [item.seq for item in last] == [5], "a repeat is dropped, and the marker is the last"
    assert last[0].retirement == MARKER
    assert "connected" in following.kinds()
    assert not [path for path in endpoint.asked[asked:] if "follow" in path], (
        "live items come over the wire alone"
    )


def test_what_the_stream_skipped_is_read_from_the_node(make: Make, committee: Committee) -> None:
    streams, endpoint, following = make(1, quiet_s=300.0)
    assert following.take(1) == [0]
    streams.send(0, committee.item(1))
    assert following.take(1) == [1], "over the wire: what the node held is read to its end"
    endpoint.held = committee.items(4)
    streams.send(0, committee.item(3))
    assert following.take(2) == [2, 3]
    assert "missed" in following.kinds()


def test_a_hole_that_nobody_fills_is_never_skipped(make: Make, committee: Committee) -> None:
    streams, endpoint, following = make(1)
    assert following.take(1) == [0]
    endpoint.held = [*endpoint.held, committee.item(2)]
    streams.send(0, committee.item(2))
    with pytest.raises(HoleError, match="item 1 is missing"):
        next(following.items)


def test_silence_is_checked_against_the_node(make: Make, committee: Committee) -> None:
    """The marker may be the item that was swallowed, and no later one would show it."""
    _, endpoint, following = make(1)
    assert following.take(1) == [0]
    endpoint.held = [*endpoint.held, committee.item(1, MARKER)]
    assert [item.seq for item in following.items] == [1]


def test_who_forges_the_stream_is_said_and_not_believed(make: Make, committee: Committee) -> None:
    streams, _, following = make(1, nodes=2)
    assert following.take(1) == [0]
    for datum in (committee.forged(1), b"no item at all", b""):
        streams.send(1, datum)
    # Behind the forgeries on their own stream: once it is taken, they were judged.
    streams.send(1, committee.item(1))
    assert following.take(1) == [1]
    said = [event.endpoint for event in following.events if event.kind == "unproven"]
    assert said == [str(streams.points[1])] * 3
    streams.send(0, committee.item(2, MARKER))
    assert [item.seq for item in following.items] == [2]
    assert following.kinds().count("unproven") == 3


def test_one_node_that_ends_is_stood_in_for_by_the_other(make: Make, committee: Committee) -> None:
    streams, _, following = make(1, nodes=2)
    assert following.take(1) == [0]
    for number in (0, 1):
        streams.send(number, committee.item(1))
    assert following.take(1) == [1]
    wait_for("both are heard", lambda: following.kinds().count("connected") == 2)
    streams.networks[0].close()
    streams.send(1, committee.item(2, MARKER))
    assert [item.seq for item in following.items] == [2]
    assert "handle-failure" not in following.kinds()


def test_nobody_at_all_is_unreachable(make: Make, committee: Committee) -> None:
    streams, _, following = make(0, url=dead_url(), patience_s=1.0)
    with suppress(Exception):
        streams.networks[0].close()
    with pytest.raises(UnreachableError, match="no peer serves the stream"):
        next(following.items)
