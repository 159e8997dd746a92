"""A surface as an integrator reads it from nodes that fail, lag and lie, over real HTTP with real signatures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from organismctl.committee import client as client_module
from organismctl.committee.client import NodeClient, NodeError
from organismctl.errors import OrganismError, UnreachableError
from organismctl.identity.surface_item import SurfaceItem
from organismctl.observe import surface as surface_module
from organismctl.observe.surface import (
    Event,
    HoleError,
    Prover,
    Reader,
    UnprovenError,
    proven_rosters,
    unbase64,
)
from tests.support.surfaces import MARKER, PEERS, Committee, Endpoint, b64, dead_url, serving


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses and time-outs of tests."""
    monkeypatch.setattr(surface_module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(surface_module, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(client_module, "BEAT_TIMEOUT_S", 5.0)


@pytest.fixture
def committee() -> Committee:
    return Committee()


class Reading:
    """A reader over endpoints, and what it was told."""

    def __init__(self, committee: Committee, urls: Sequence[str], stack: ExitStack, **how: Any) -> None:
        self.events: list[Event] = []
        clients = [stack.enter_context(NodeClient(url, timeout=2.0)) for url in urls]
        options = {"patience_s": 0.2, "on_event": self.events.append, **how}
        self.reader = Reader(clients, Prover(committee.pin), **options)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def reading(stack: ExitStack, committee: Committee, *endpoints: Endpoint | str, **how: Any) -> Reading:
    """Serve the endpoints (a text is a URL as it is) and make a reader of them."""
    served = [one for one in endpoints if isinstance(one, Endpoint)]
    stack.enter_context(serving(*served))
    return Reading(committee, [one if isinstance(one, str) else one.url for one in endpoints], stack, **how)


def seqs(items: Sequence[SurfaceItem] | Iterator[SurfaceItem]) -> list[int]:
    return [item.seq for item in items]


def test_items_come_in_order_once_and_the_marker_is_the_last(stack: ExitStack, committee: Committee) -> None:
    made = reading(stack, committee, Endpoint(committee, committee.items(5, marker=True)))
    found = list(made.reader.follow())
    assert seqs(found) == [0, 1, 2, 3, 4, 5]
    assert found[-1].retirement == MARKER
    assert made.kinds() == ["connected"]


def test_a_replay_goes_page_by_page_to_the_present_end(
    stack: ExitStack, committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surface_module, "PAGE", 2)
    endpoint = Endpoint(committee, committee.items(5))
    assert seqs(reading(stack, committee, endpoint, start=1).reader.read()) == [1, 2, 3, 4]
    assert [path for path in endpoint.asked if "items" in path] == [
        f"/v1/surfaces/facts/items?from={start}&limit=2" for start in (1, 3, 5)
    ]


def test_repeats_are_dropped(stack: ExitStack, committee: Committee) -> None:
    made = committee.items(3, marker=True)
    repeated = [made[0], made[0], made[1], made[0], made[2], made[2], made[3], made[3]]
    endpoint = Endpoint(committee, repeated)
    assert seqs(reading(stack, committee, endpoint).reader.follow()) == [0, 1, 2, 3]
    again = Endpoint(committee, [], page=lambda start, _limit: page(repeated[:5] if start == 0 else []))
    assert seqs(reading(stack, committee, again).reader.read()) == [0, 1, 2]


def page(items: Sequence[bytes]) -> dict[str, Any]:
    return {"items": [b64(one) for one in items], "next": 0, "sealed": False}


def test_an_endpoint_that_serves_the_past_for_ever_does_not_hold_the_reader(
    stack: ExitStack, committee: Committee
) -> None:
    made = committee.items(2)
    endpoint = Endpoint(committee, [], page=lambda _start, _limit: page(made))
    with pytest.raises(UnprovenError, match="only earlier ones"):
        list(reading(stack, committee, endpoint).reader.read())


@pytest.mark.parametrize("follow", [True, False])
def test_a_hole_is_never_skipped(stack: ExitStack, committee: Committee, follow: bool) -> None:
    made = committee.items(4)
    holed = [made[0], made[1], made[3]]
    endpoint = Endpoint(committee, holed, page=lambda start, _limit: page(holed[start:]))
    reader = reading(stack, committee, endpoint).reader
    found: list[int] = []
    with pytest.raises(HoleError, match="item 3, item 2 is missing") as caught:
        for item in reader.follow() if follow else reader.read():
            found.append(item.seq)
    assert found == [0, 1]
    assert caught.value.exit == 6


@pytest.mark.parametrize("follow", [True, False])
def test_a_hole_of_one_endpoint_is_filled_by_another(
    stack: ExitStack, committee: Committee, follow: bool
) -> None:
    made = committee.items(4, marker=True)
    holed = Endpoint(committee, made[:1] + made[2:], page=lambda _s, _l: page(made[:1] + made[2:]))
    both = reading(stack, committee, holed, Endpoint(committee, made))
    assert seqs(both.reader.follow() if follow else both.reader.read()) == [0, 1, 2, 3, 4]
    assert "switched" in both.kinds()


@pytest.mark.parametrize("follow", [True, False])
def test_a_forged_marker_is_not_believed_and_an_honest_endpoint_goes_on(
    stack: ExitStack, committee: Committee, follow: bool
) -> None:
    made = committee.items(4, marker=True)
    liar = Endpoint(committee, [made[0], committee.forged(1)])
    both = reading(stack, committee, liar, Endpoint(committee, made))
    found = list(both.reader.follow() if follow else both.reader.read())
    assert seqs(found) == [0, 1, 2, 3, 4]
    assert [item.seq for item in found if item.retirement] == [4]
    assert any("0 of 2 needed signatures" in event.detail for event in both.events)
    alone = reading(stack, committee, liar)
    with pytest.raises(UnprovenError, match="0 of 2 needed signatures") as caught:
        list(alone.reader.follow() if follow else alone.reader.read())
    assert caught.value.exit == 6


def test_what_lacks_a_majority_or_is_for_another_place_does_not_prove(
    stack: ExitStack, committee: Committee
) -> None:
    other = Committee(surface_id=b"\x09" * 32)
    for item in (
        committee.item(0, signers=PEERS[:1]), committee.item(0, signers=PEERS[3:5]), other.item(0),
        committee.item(0, version=7), b"", b"\xff" * 40,
    ):  # fmt: skip
        with pytest.raises(UnprovenError):
            list(reading(stack, committee, Endpoint(committee, [item])).reader.read())


def test_endpoints_take_each_others_place_in_the_middle_without_loss(
    stack: ExitStack, committee: Committee
) -> None:
    made = committee.items(9, marker=True)
    first, second, third = (Endpoint(committee, made) for _ in range(3))
    first.follow = lambda start: first.lines(start, 3) if start == 0 else iter([b'{"seq": 3, "it'])
    second.follow = lambda start: second.lines(start, 6) if start < 6 else iter([])
    both = reading(stack, committee, first, second, third)
    assert seqs(both.reader.follow()) == list(range(10))
    assert both.kinds().count("switched") >= 3


def test_a_roster_change_in_the_middle_is_followed(stack: ExitStack, committee: Committee) -> None:
    endpoint = Endpoint(committee, committee.items(2))

    def grow(start: int) -> Iterator[bytes]:
        yield from endpoint.lines(start)
        committee.change(20, PEERS[3], add=True)
        committee.change(21, PEERS[0], add=False)
        endpoint.held += [committee.item(2), committee.item(3, MARKER)]
        yield from endpoint.lines(2)

    endpoint.follow = grow
    found = list(reading(stack, committee, endpoint).reader.follow())
    assert [item.certificate.roster_version for item in found] == [1, 1, 3, 3]
    assert endpoint.asked.count("/v1/roster") == 2


def test_signatures_of_the_roster_before_do_not_count_for_the_next(
    stack: ExitStack, committee: Committee
) -> None:
    committee.change(20, PEERS[0], add=False)
    committee.change(21, PEERS[1], add=False)
    old = committee.item(0, signers=PEERS[:2])
    with pytest.raises(UnprovenError, match="0 of 1 needed"):
        list(reading(stack, committee, Endpoint(committee, [old])).reader.read())


def test_a_chain_that_does_not_lead_from_genesis_is_not_believed(
    stack: ExitStack, committee: Committee
) -> None:
    usurper = Committee()
    usurper.rosters[0] = type(usurper.rosters[0])(1, tuple(PEERS[2:]))
    endpoint = Endpoint(usurper, usurper.items(1, marker=True))
    with pytest.raises(UnprovenError, match=r"\[genesis\]"):
        list(reading(stack, committee, endpoint).reader.follow())


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"genesis": {"members": "x"}, "links": []}, {"genesis": {"members": []}, "links": ["%%"]},
     {"genesis": {"members": [{"peer_id": "zz"}]}, "links": []}, {"genesis": None, "links": None},
     {"genesis": {"members": [{"peer_id": 5}]}, "links": []}],
)  # fmt: skip
def test_a_malformed_chain_is_unproven(committee: Committee, answer: Any) -> None:
    with pytest.raises(UnprovenError):
        proven_rosters(answer, committee.fingerprint, committee.pin.genesis)
    roster = committee.roster()
    roster["links"] = [b64(b"no link")]
    with pytest.raises(UnprovenError, match="malformed"):
        proven_rosters(roster, committee.fingerprint, committee.pin.genesis)
    with pytest.raises(ValueError, match="base64"):
        unbase64("a")


def test_another_fingerprint_is_not_read_and_says_what_to_do(stack: ExitStack, committee: Committee) -> None:
    moved = Endpoint(committee, committee.items(1), fingerprint=b"\x05" * 32)
    with pytest.raises(UnprovenError, match="serves fingerprint 0505050505") as caught:
        list(reading(stack, committee, moved).reader.follow())
    assert "new reference" in (caught.value.advice or "")
    both = reading(stack, committee, moved, Endpoint(committee, committee.items(1, marker=True)))
    assert seqs(both.reader.follow()) == [0, 1]


def test_dead_endpoints_fail_after_patience_and_not_before(stack: ExitStack, committee: Committee) -> None:
    made = reading(stack, committee, dead_url(), dead_url(), patience_s=0.3)
    began = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        list(made.reader.follow())
    assert 0.3 <= time.monotonic() - began < 5
    assert caught.value.exit == 5
    assert "handle-failure" in made.kinds()
    with pytest.raises(UnreachableError):
        list(made.reader.read())


def test_an_endpoint_that_comes_back_in_time_is_gone_on_with(stack: ExitStack, committee: Committee) -> None:
    endpoint = Endpoint(committee, committee.items(2))
    tries: list[int] = []

    def flaky(start: int) -> Iterator[bytes]:
        tries.append(start)
        if len(tries) == 4:
            endpoint.held.append(committee.item(2, MARKER))
        yield from endpoint.lines(start)

    endpoint.follow = flaky
    made = reading(stack, committee, endpoint, patience_s=10.0)
    assert seqs(made.reader.follow()) == [0, 1, 2]
    assert tries == [0, 2, 2, 2]
    assert made.kinds().count("handle-failure") == 2


def test_a_fault_that_tells_more_than_silence_is_the_one_that_is_told(
    stack: ExitStack, committee: Committee
) -> None:
    liar = Endpoint(committee, [committee.forged(0)])
    with pytest.raises(UnprovenError):
        list(reading(stack, committee, liar, dead_url()).reader.follow())


def test_a_slow_trickle_and_a_silent_stream_are_left(
    stack: ExitStack, committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BEAT_TIMEOUT_S", 0.4)
    ending = threading.Event()
    stack.callback(ending.set)

    def trickle(_start: int) -> Iterator[bytes]:
        yield b'{"seq": 0, "item": "'
        while not ending.wait(0.05):
            yield b"A"

    def silent(_start: int) -> Iterator[bytes]:
        ending.wait(60)
        yield b""

    honest = Endpoint(committee, committee.items(1, marker=True))
    for bad in (trickle, silent):
        began = time.monotonic()
        both = reading(stack, committee, Endpoint(committee, [], follow=bad), honest, patience_s=10.0)
        assert seqs(both.reader.follow()) == [0, 1]
        assert time.monotonic() - began < 20
        assert "in time" in both.events[1].detail


def test_lines_that_are_no_lines_are_a_fault_of_the_endpoint(stack: ExitStack, committee: Committee) -> None:
    honest = Endpoint(committee, committee.items(1, marker=True))
    for junk in (
        b"junk\n",
        b"[]\n",
        b'{"seq": 0}\n',
        b'{"seq": 0, "item": 5}\n',
        b'{"seq": 0, "item": "%"}\n',
    ):
        both = reading(stack, committee, Endpoint(committee, [], follow=lambda _s, junk=junk: [junk]), honest)
        assert seqs(both.reader.follow()) == [0, 1]
        with pytest.raises(NodeError):
            list(reading(stack, committee, both.reader.clients[0].url).reader.follow())


def test_items_after_the_marker_are_not_given_out(stack: ExitStack, committee: Committee) -> None:
    made = [*committee.items(1, marker=True), committee.item(2)]
    followed = reading(stack, committee, Endpoint(committee, made))
    assert seqs(followed.reader.follow()) == [0, 1]
    found: list[int] = []
    with pytest.raises(UnprovenError, match="item 2 after the marker"):
        for item in reading(stack, committee, followed.reader.clients[0].url).reader.read():
            found.append(item.seq)
    assert found == [0, 1]


def test_a_reader_stops_when_it_is_told_to(stack: ExitStack, committee: Committee) -> None:
    ending, stop = threading.Event(), threading.Event()
    stack.callback(ending.set)
    endpoint = Endpoint(committee, committee.items(2))

    def beating(start: int) -> Iterator[bytes]:
        yield from endpoint.lines(start)
        while not ending.wait(0.05):
            stop.set()
            yield b"\n"

    endpoint.follow = beating
    made = reading(stack, committee, endpoint, should_stop=stop.is_set)
    assert seqs(made.reader.follow()) == [0, 1]
    assert seqs(reading(stack, committee, endpoint.url, should_stop=lambda: True).reader.follow()) == []
    few: list[int] = []
    several = reading(stack, committee, endpoint.url, should_stop=lambda: len(few) > 0)
    for item in several.reader.follow():
        few.append(item.seq)
    assert few == [0]


def test_no_answer_of_an_endpoint_raises_anything_else(stack: ExitStack, committee: Committee) -> None:
    junk: list[Any] = [
        b"",
        b"junk",
        b"[1]",
        b"{",
        {"items": 5},
        {"items": ["%"], "next": 0, "sealed": False},
        None,
    ]
    for path in ("/v1/surfaces", "/v1/roster", "/v1/surfaces/facts/items"):
        for code, value in [(200, one) for one in junk] + [(500, b"oops"), (503, {"error": {}}), (302, b"")]:
            endpoint = Endpoint(committee, committee.items(1), answers={path: (code, value)})
            with serving(endpoint) as (url,), pytest.raises(OrganismError):
                list(reading(stack, committee, url).reader.read())
            assert json.dumps(endpoint.asked)
