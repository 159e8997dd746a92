"""The mosaik carrier over a real network: whom it bonds with, whose frames count, and what it says of the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from organismctl.committee.carrier import Channel, mosaik_network
from organismctl.committee.carrier.mosaik import GroupOptions, MosaikCarrier
from organismctl.committee.carrier.mosaik_link import link_id
from organismctl.committee.carrier.mosaik_network import MosaikNetwork, NetworkOptions
from organismctl.committee.carrier.mosaik_validators import mosaik_validators
from organismctl.errors import InputError, OrganismError
from organismctl.identity.consensus import consensus_digest
from organismctl.identity.digest import h, uid
from organismctl.identity.group_id import group_id
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.sync import LogReplaySync
from organismctl.identity.validator import JWT_CLASS, JwtKey, JwtValidator, TdxCriteria, TdxValidator
from tests.support.committee import free_ports
from tests.support.mosaik import end_process, require_engine, start_relay

NETWORK, SECRET, SIGNATURE = uid("carrier.test"), uid("a secret of a test"), uid("machine")
ISSUER = b"\x09" * 32
ACL = (JwtValidator(keys=(JwtKey("EdDSA", public_key("EdDSA", ISSUER)),), issuers=("acme",)),)
TYPE = "organismctl_engine::Machine"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A relay's URL."""
    require_engine()
    (port,) = free_ports(1)
    process = start_relay(tmp_path_factory.mktemp("relay"), port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end_process(process)


class Peer:
    """A peer of the test's network."""

    def __init__(self, number: int) -> None:
        self.seed = bytes([number]) * 32
        self.peer_id = peer_id_from_seed(self.seed)
        (self.port,) = free_ports(1)
        self.got: list[tuple[bytes, bytes]] = []

    @property
    def entry(self) -> tuple[bytes, tuple[str, ...]]:
        return self.peer_id, (f"127.0.0.1:{self.port}",)

    def ticket(self, issuer: str = "acme") -> tuple[bytes, bytes]:
        now = int(time.time())
        return JWT_CLASS, issue_jwt(
            "EdDSA", ISSUER, self.peer_id, issued_at_s=now, expires_at_s=now + 3600, issuer=issuer
        )


def options(secret: bytes = SECRET, machine: str = TYPE) -> GroupOptions:
    expected = group_id(
        h(secret),
        consensus_digest(500, 150, 10),
        SIGNATURE,
        LogReplaySync(machine).signature(),
        [one.signature() for one in ACL],
    )
    return GroupOptions(secret, SIGNATURE, expected, (500, 150, 10), (2000, 25), machine)


@asynccontextmanager
async def joined(
    relay: str, me: Peer, others: list[Peer], group: GroupOptions | None = None, issuer: str = "acme"
) -> AsyncIterator[MosaikCarrier]:
    """A carrier that has joined, and leaves."""
    seen = NetworkOptions(NETWORK, me.seed, f"127.0.0.1:{me.port}", relay, tuple(one.entry for one in others))
    network = MosaikNetwork(seen)
    carrier = MosaikCarrier(
        me.peer_id,
        network,
        group or options(),
        lambda: mosaik_validators(ACL, "[[acl]]"),
        [one.peer_id for one in others],
    )
    carrier.listen(Channel.LEDGER, lambda peer, frame: me.got.append((peer, frame)))
    try:
        await network.start([me.ticket(issuer)])
        await carrier.start()
        yield carrier
    finally:
        await carrier.close()
        await network.close()


async def until(what: str, look: Callable[[], object], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        await asyncio.sleep(0.02)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type] # an async function's call is a coroutine


def test_frames_go_both_ways_in_order_and_a_stranger_learns_of_the_group(relay: str) -> None:
    async def work() -> None:
        one, two = Peer(1), Peer(2)
        # Two does not know one: it learns of it when they bond.
        async with joined(relay, one, [two]) as a, joined(relay, two, []) as b:
            await until("bonded", lambda: all(bond.connected for bond in a.bonds().values()))
            await until("bonded", lambda: one.peer_id in b.bonds() and b.bonds()[one.peer_id].connected)
            frames = [b"%d" % number for number in range(500)] + [bytes(3 << 20)]
            for frame in frames:
                a.send(two.peer_id, Channel.LEDGER, frame)
            await until("all frames", lambda: len(two.got) == len(frames))
            assert two.got == [(one.peer_id, frame) for frame in frames]
            b.send(one.peer_id, Channel.LEDGER, b"back")
            b.send(one.peer_id, Channel.TALK, b"nobody listens on this channel")
            await until("an answer", lambda: one.got == [(two.peer_id, b"back")])
            assert a.view is not None
            assert a.view.id == options().expected
            await until("the bond in its view", lambda: a.view.bonds == (two.peer_id,))
            assert a.dropped == a.unproven == 0

    run(work)


def test_a_peer_that_does_not_know_the_secret_is_not_heard(relay: str) -> None:
    async def work() -> None:
        one, two = Peer(3), Peer(4)
        other = options(uid("another secret"))
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(joined(relay, one, [two]))
            b = await stack.enter_async_context(joined(relay, two, [one], other))
            # It has a ticket, and learnt the group's id from the catalog: it may subscribe and serve.
            network = b._network
            stream = network.producer(
                link_id(options().expected, two.peer_id, one.peer_id), only=[one.peer_id]
            )
            await until("subscribed", lambda: one.peer_id in stream.consumers())

            def heard() -> bool:
                # A stream is a network's: what is sent while a link is made anew is lost.
                stream.send(bytes([Channel.LEDGER]) + b"believe me")
                return a.unproven > 0

            await until("it came", heard)
            assert one.got == []
            bond = a.bonds()[two.peer_id]
            assert not bond.connected
            assert "not bonded" in bond.reason

    run(work)


def test_a_peer_without_an_admitting_ticket_is_not_bonded(relay: str) -> None:
    async def work() -> None:
        one, two = Peer(5), Peer(6)
        async with joined(relay, one, [two]) as a, joined(relay, two, [one], issuer="mallory"):
            await until("known", lambda: two.peer_id in a._known)
            reason = a.bonds()[two.peer_id].reason
            assert "ticket" in reason
            assert not a._proven

    run(work)


def test_a_peer_that_is_away_is_said_to_be(relay: str) -> None:
    async def work() -> None:
        one, two = Peer(7), Peer(8)
        async with joined(relay, one, [two]) as a:
            assert "not in the catalog" in a.bonds()[two.peer_id].reason
            a.send(two.peer_id, Channel.LEDGER, b"lost")
            a.send(b"x" * 32, Channel.LEDGER, b"to nobody")

    run(work)


def test_another_machine_type_stops_the_node_with_both_ids(relay: str) -> None:
    async def work() -> None:
        wrong = options(machine="acme::Machine")
        with pytest.raises(OrganismError) as caught:
            async with joined(relay, Peer(9), [], wrong):
                pass
        assert wrong.expected.hex() in caught.value.message
        assert options().expected.hex() in caught.value.message
        assert "acme::Machine" in (caught.value.advice or "")

    run(work)


def test_a_relay_that_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_engine()
    monkeypatch.setattr(mosaik_network, "START_S", 5.0)

    async def work() -> None:
        (port,) = free_ports(1)
        network = MosaikNetwork(
            NetworkOptions(NETWORK, b"\x0a" * 32, "127.0.0.1:0", f"http://127.0.0.1:{port}", ())
        )
        with pytest.raises(OrganismError) as caught:
            await network.start([])
        assert str(port) in caught.value.message + (caught.value.advice or "")
        await network.close()

    run(work)


def test_validators_have_mosaiks_own_signatures() -> None:
    require_engine()
    jwt = JwtValidator(
        keys=(JwtKey("EdDSA", public_key("EdDSA", ISSUER)), JwtKey("ES256", public_key("ES256", ISSUER))),
        issuers=("acme", "beta"),
        audiences=("committee",),
        subject="somebody",
        max_lifetime_s=60,
        max_age_s=30,
        allow_non_expiring=True,
        claims={"zone": "zürich", "rank": 3, "active": True, "none": None},
    )
    tdx = TdxValidator(
        TdxCriteria(mrtd=b"\x07" * 48, rtmr2=b"\x08" * 48),
        (TdxCriteria(rtmr0=b"\x05" * 48),),
        60,
        1_700_000_000,
        90,
    )
    made = mosaik_validators([jwt, tdx], "[[acl]]")
    assert [bytes(one.signature) for one in made] == [jwt.signature(), tdx.signature()]
    secret = JwtValidator(keys=(JwtKey("HS256", fingerprint=b"f" * 32),))
    with pytest.raises(InputError, match="fingerprint alone"):
        mosaik_validators([secret], "[[acl]]")
