"""What is read of a spanned member on the wire, whatever its producers send: bounded, in order, and gaps told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from organismctl.committee.carrier.mosaik_network import MosaikNetwork
from organismctl.committee.evidence import Pointer
from organismctl.committee.fold import Resolution
from organismctl.committee.node import mosaik_upstream
from organismctl.committee.node.mosaik_upstream import MAX_DATUM, WAITING, WireReader
from organismctl.committee.node.settings import Upstream
from organismctl.committee.node.store import NodeStore
from organismctl.committee.node.upstream import AwayError, Event, RefusedError, UpstreamReader
from organismctl.identity.config import ReadSurface, SpannedMember
from organismctl.identity.surface_item import (
    Certificate,
    Fact,
    Item,
    RetirementMarker,
    SurfaceItem,
    encode_item,
)
from tests.support.upstream import Lattice, lattices

PEER = b"p" * 32


class Wire:
    """The part of a network that a reader uses, with the test as the only producer."""

    def __init__(self) -> None:
        self.handler: Callable[[bytes], None] = lambda _: None
        self.producers: list[bytes] = [PEER]
        self.only: Sequence[bytes] | None = None
        self.closed = False

    def subscribe(
        self, _stream_id: bytes, handler: Callable[[bytes], None], *, only: Sequence[bytes] | None = None
    ) -> Wire:
        self.handler, self.only = handler, only
        return self

    def peers(self) -> list[bytes]:
        return self.producers

    def close(self) -> None:
        self.closed = True


def item(seq: int, what: Item | None = None) -> bytes:
    return encode_item(SurfaceItem(seq, seq, what or Fact(b"fact %d" % seq), Certificate(1, ())))


def surface(kind: str = "stream", decode: str | None = "surface-item", number: int = 7) -> ReadSurface:
    return ReadSurface("events", kind, number.to_bytes(32, "big"), decode)


class Reading:
    """A reader and what came out of it."""

    def __init__(
        self, folder: Path, wire: Wire, *, endpoints: tuple[str, ...] = (), kind: str = "lattice"
    ) -> None:
        member = SpannedMember("alpha", kind, b"s" * 32, None, "tick", (), ())
        upstream = Upstream(member, endpoints, peers=(PEER,))
        http = UpstreamReader(upstream, NodeStore(folder))
        self.wire = wire
        self.reader = WireReader(upstream, cast("MosaikNetwork", wire), http)

    async def events(self, of: ReadSurface, count: int, start: int = 0) -> list[Event]:
        found: list[Event] = []
        async with asyncio.timeout(20):
            async for event in self.reader.follow(of, start):
                if event is not None:
                    found.append(event)
                if len(found) == count:
                    break
        return found


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def reading(tmp_path: Path, wire: Wire) -> Reading:
    return Reading(tmp_path, wire)


def feed(reading: Reading, of: ReadSurface, datums: Sequence[bytes]) -> None:
    """Subscribe as following does, and send."""
    reading.reader._open(of)
    for data in datums:
        reading.wire.handler(data)


def test_items_of_several_producers_are_each_read_once(reading: Reading, wire: Wire) -> None:
    async def work() -> None:
        feed(reading, surface(), [item(0), item(0), item(2), item(1), item(2), item(1), item(3)])
        events = await reading.events(surface(), 4)
        assert [event.position for event in events] == [0, 1, 2, 3]
        assert [event.data for event in events] == [b"fact %d" % seq for seq in range(4)]
        assert wire.only == [PEER]
        assert reading.reader.note(surface()) == ""
        await reading.reader.close()
        assert wire.closed

    asyncio.run(work())


def test_garbage_is_counted_and_holds_up_nothing(reading: Reading) -> None:
    async def work() -> None:
        feed(reading, surface(), [b"", b"\xff" * 40, bytes(MAX_DATUM + 1), item(0)[:-1], item(0), item(1)])
        events = await reading.events(surface(), 2)
        assert [event.position for event in events] == [0, 1]
        assert "4 items were refused" in reading.reader.note(surface())
        await reading.reader.close()

    asyncio.run(work())


def test_a_flood_costs_no_more_than_what_may_wait(reading: Reading) -> None:
    async def work() -> None:
        total = WAITING + 500
        feed(reading, surface(), [item(seq) for seq in range(total)])
        events = await reading.events(surface(), WAITING)
        assert [event.position for event in events] == list(range(500, total))
        assert "events before seq 500 were not seen: a stream has no replay" in reading.reader.note(surface())
        await reading.reader.close()

    asyncio.run(work())


def test_a_gap_is_passed_over_and_told(reading: Reading) -> None:
    async def work() -> None:
        feed(reading, surface(), [item(0), item(5)])
        events = await reading.events(surface(), 2)
        assert [event.position for event in events] == [0, 5]
        assert "4 events did not come" in reading.reader.note(surface())
        pointer = Pointer(b"s" * 32, surface().id, 3, 3, b"h" * 32)
        assert await reading.reader.resolve(surface(), [pointer]) == {pointer: Resolution.UNKNOWN}
        assert reading.reader.passed(surface(), 3)
        await reading.reader.close()

    asyncio.run(work())


def test_the_marker_ends_it(reading: Reading) -> None:
    async def work() -> None:
        feed(reading, surface(), [item(0), item(1, RetirementMarker("2026-01-01T00:00:00Z")), item(2)])
        events = await reading.events(surface(), 3)
        assert [event.marker is not None for event in events] == [False, True]
        await reading.reader.close()

    asyncio.run(work())


def test_nobody_who_serves_it_is_away_with_the_reason(reading: Reading, wire: Wire) -> None:
    async def work() -> None:
        wire.producers = []
        with pytest.raises(AwayError, match="none of its mosaik peers is in the catalog"):
            await reading.events(surface(), 1)
        with pytest.raises(RefusedError, match="vec"):
            await reading.events(surface("vec"), 1)
        await reading.reader.close()

    asyncio.run(work())


def test_without_a_decoder_events_of_any_make_are_counted(reading: Reading) -> None:
    async def work() -> None:
        feed(reading, surface(decode=None), [b"anything", b"at all", b"\xff\xff"])
        events = await reading.events(surface(decode=None), 3)
        assert [event.data for event in events] == [b"", b"", b""]
        assert reading.reader.note(surface(decode=None)) == ""
        await reading.reader.close()

    asyncio.run(work())


def test_an_organism_that_nothing_proves_is_said_to_be(tmp_path: Path, wire: Wire) -> None:
    async def work() -> None:
        reading = Reading(tmp_path, wire, kind="organism")
        feed(reading, surface(), [item(0)])
        assert len(await reading.events(surface(), 1)) == 1
        assert "not proven" in reading.reader.note(surface())
        await reading.reader.close()

    asyncio.run(work())


@pytest.fixture
def alpha() -> Iterator[Lattice]:
    with lattices("alpha") as (one,):
        yield one


def test_what_the_stream_did_not_bring_is_fetched(tmp_path: Path, wire: Wire, alpha: Lattice) -> None:
    async def work() -> None:
        reading = Reading(tmp_path, wire, endpoints=(alpha.url,))
        alpha.emit(6)
        served: list[Any] = [data for data in alpha.items if data is not None]
        of = ReadSurface("events", "stream", bytes.fromhex(alpha.surface_id), "surface-item")
        feed(reading, of, [served[5]])
        events = await reading.events(of, 6)
        assert [event.position for event in events] == list(range(6))
        assert reading.reader.note(of) == ""
        assert not reading.reader.passed(of, 2)
        await reading.reader.close()

    asyncio.run(work())


def test_an_endpoint_that_is_away_is_asked_again_before_a_gap_is_passed_over(
    tmp_path: Path, wire: Wire, alpha: Lattice
) -> None:
    async def work() -> None:
        reading = Reading(tmp_path, wire, endpoints=(alpha.url,))
        alpha.emit(6)
        served: list[Any] = [data for data in alpha.items if data is not None]
        of = ReadSurface("events", "stream", bytes.fromhex(alpha.surface_id), "surface-item")
        alpha.silent = True
        feed(reading, of, [served[5]])
        following = asyncio.create_task(reading.events(of, 6))
        async with asyncio.timeout(20):
            while not reading.reader._streams[of.id].tries:
                await asyncio.sleep(0.01)
        alpha.silent = False
        assert [event.position for event in await following] == list(range(6))
        assert reading.reader.note(of) == ""
        await reading.reader.close()

    asyncio.run(work())


def test_a_gap_whose_endpoint_stays_away_is_passed_over_and_told(
    tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        reading = Reading(tmp_path, wire, endpoints=("http://127.0.0.1:1",))
        feed(reading, surface(), [item(0), item(5)])
        assert [event.position for event in await reading.events(surface(), 2)] == [0, 5]
        assert "4 events did not come" in reading.reader.note(surface())
        await reading.reader.close()

    monkeypatch.setattr(mosaik_upstream, "FILL_TRIES", 2)
    asyncio.run(work())
