"""The loopback carrier: proofs, batches, bounds, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee.carrier import Channel
from organismctl.committee.carrier.endpoint import PeerEndpoint
from organismctl.committee.carrier.frames import FrameError, pack, unpack
from organismctl.committee.carrier.link import QUEUE_FRAMES, Link
from organismctl.committee.carrier.loopback import LoopbackCarrier
from organismctl.committee.carrier.session import Party, SessionError
from organismctl.committee.carrier.wire import Connection, loopback_address
from organismctl.errors import RefusedError
from organismctl.identity.peer import peer_id_from_seed
from tests.support.committee import free_ports

PIN = b"\x07" * 32


def party(number: int, port: int, token: bytes = b"t" * 32, pin: bytes = PIN) -> Party:
    seed = bytes([number]) * 32
    return Party(peer_id_from_seed(seed), seed, token, pin, f"http://127.0.0.1:{port}")


@contextlib.asynccontextmanager
async def served(carrier: LoopbackCarrier, port: int) -> AsyncIterator[None]:
    """A carrier whose receiving end listens."""
    options = {"lifespan": "off", "ws": "none", "log_config": None, "access_log": False}
    server = uvicorn.Server(uvicorn.Config(PeerEndpoint(carrier), port=port, **options))
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    await carrier.start()
    try:
        yield
    finally:
        await carrier.close()
        server.should_exit = True
        await task


async def until(look: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not look():
            await asyncio.sleep(0.01)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type] # an async function's call is a coroutine


def test_frames_arrive_in_order_with_their_sender() -> None:
    async def work() -> None:
        ports = free_ports(2)
        one, two = party(1, ports[0]), party(2, ports[1])
        a = LoopbackCarrier(one, {two.peer_id: two.url})
        b = LoopbackCarrier(two, {})
        got: list[tuple[bytes, bytes]] = []
        talk: list[bytes] = []
        b.listen(Channel.LEDGER, lambda peer, frame: got.append((peer, frame)))
        b.listen(Channel.TALK, lambda _, frame: talk.append(frame))
        a.listen(Channel.LEDGER, lambda peer, frame: got.append((peer, frame)))
        async with served(a, ports[0]), served(b, ports[1]):
            for number in range(500):
                a.send(two.peer_id, Channel.LEDGER, b"%d" % number)
            a.send(two.peer_id, Channel.TALK, b"x" * 300_000)
            await until(lambda: len(got) == 500 and len(talk) == 1)
            assert got == [(one.peer_id, b"%d" % number) for number in range(500)]
            # B did not know A; it learned the address from A's proof.
            got.clear()
            b.send(one.peer_id, Channel.LEDGER, b"back")
            await until(lambda: got == [(two.peer_id, b"back")])
            assert a.bonds()[two.peer_id].connected
            # Its answer may still be on the way although the frame is here.
            await until(lambda: b.bonds()[one.peer_id].connected)
            a.send(b"s" * 32, Channel.LEDGER, b"to a stranger: dropped")

    run(work)


def test_a_peer_that_comes_back_is_bonded_again() -> None:
    async def work() -> None:
        ports = free_ports(2)
        one, two = party(1, ports[0]), party(2, ports[1])
        a = LoopbackCarrier(one, {two.peer_id: two.url})
        async with served(a, ports[0]):
            for _ in range(2):
                b = LoopbackCarrier(two, {})
                got: list[bytes] = []
                b.listen(Channel.LEDGER, lambda _, frame, got=got: got.append(frame))
                async with served(b, ports[1]):

                    def arrived(got: list[bytes] = got) -> bool:
                        a.send(two.peer_id, Channel.LEDGER, b"hello")
                        return bool(got)

                    await until(arrived)
            a.send(two.peer_id, Channel.LEDGER, b"to nobody")
            await until(lambda: bool(a._links[two.peer_id].reason))

    run(work)


@pytest.mark.parametrize(
    ("token", "pin", "number"), [(b"o" * 32, PIN, 2), (b"t" * 32, b"\x08" * 32, 2), (b"t" * 32, PIN, 3)]
)
def test_a_stranger_proves_nothing(token: bytes, pin: bytes, number: int) -> None:
    """Another group secret, another organism, another key: no bond, in neither direction."""

    async def work() -> None:
        ports = free_ports(2)
        one, two = party(1, ports[0]), party(2, ports[1])
        stranger = party(number, ports[1], token, pin)
        a = LoopbackCarrier(one, {two.peer_id: two.url})
        b = LoopbackCarrier(stranger, {one.peer_id: one.url})
        got: list[bytes] = []
        for carrier in (a, b):
            carrier.listen(Channel.LEDGER, lambda _, frame: got.append(frame))
        expected = number == 3
        async with served(a, ports[0]), served(b, ports[1]):
            a.send(two.peer_id, Channel.LEDGER, b"secret")
            if not expected:
                b.send(one.peer_id, Channel.LEDGER, b"forged")
            await until(
                lambda: "refuses" in a._links[two.peer_id].reason or "secret" in a._links[two.peer_id].reason
            )
            await asyncio.sleep(0.2)
            assert got == []
            assert not a.bonds()[two.peer_id].connected

    run(work)


def test_frames_without_a_session_are_refused() -> None:
    async def work() -> None:
        (port,) = free_ports(1)
        a = LoopbackCarrier(party(1, port), {})
        got: list[bytes] = []
        a.listen(Channel.LEDGER, lambda _, frame: got.append(frame))
        async with served(a, port):
            connection = Connection(loopback_address(a.party.url), None)
            body = pack([(0, b"x")])
            for headers in (
                "",
                f"authorization: Bearer {'0' * 64}\r\n",
                f"authorization: Bearer {a.party.token.hex()}\r\n",
            ):
                assert (await connection.post(headers, body))[0] == 401
            assert (await connection.post("x-organism-step: proof\r\n", b"p" * 200))[0] == 403
            assert (await connection.post("x-organism-step: hello\r\n", b"h" * 96))[0] == 403
            assert (await connection.post("x-organism-step: hello\r\n", b"h" * 10_000))[0] == 413
            await connection.close()
        assert got == []

    run(work)


def test_a_full_queue_drops_the_oldest() -> None:
    async def work() -> None:
        one, two = party(1, 1), party(2, 2)
        link = Link(one, two.peer_id, loopback_address(two.url), None)
        for number in range(QUEUE_FRAMES + 10):
            link.send(0, b"%d" % number)
        assert link.dropped == 10
        assert link._batch()[0] == (0, b"10")
        await link.close()

    run(work)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:7101",
        "http://example.org:80",
        "ftp://127.0.0.1:1",
        "http://:1",
        "http://127.0.0.1:99999",
    ],
)
def test_other_hosts_are_refused(url: str) -> None:
    with pytest.raises(RefusedError, match="only this host"):
        LoopbackCarrier(party(1, 1), {b"p" * 32: url})


def test_loopback_addresses() -> None:
    assert loopback_address("http://localhost:7/").host == "127.0.0.1"
    assert loopback_address("https://[::1]:7").tls


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=200))))
def test_frames_round_trip(frames: list[tuple[int, bytes]]) -> None:
    assert list(unpack(pack(frames))) == frames


@given(st.binary(max_size=200))
def test_any_body_is_frames_or_refused(body: bytes) -> None:
    try:
        frames = list(unpack(body))
    except FrameError:
        return
    assert pack(frames) == body


def test_a_proof_of_another_side_does_not_hold() -> None:
    one = party(1, 1)
    transcript = one.transcript(b"a" * 32, b"b" * 32, b"n" * 32, b"m" * 32)
    one.check(one.peer_id, transcript, b"caller", one.prove(transcript, b"caller"))
    for peer, side in ((one.peer_id, b"callee"), (party(2, 1).peer_id, b"caller")):
        with pytest.raises(SessionError):
            one.check(peer, transcript, side, one.prove(transcript, b"caller"))
    assert "t" * 32 not in repr(one)
