"""Three nodes on real files, over a carrier in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from organismctl.committee.ledger.codec import pack, unpack
from organismctl.committee.ledger.core import LedgerConfig, Role
from organismctl.committee.ledger.effects import Certified, Reason, Refused, Stop
from organismctl.committee.ledger.entry import Kind
from organismctl.committee.ledger.messages import Forward, Forwarded, Message
from organismctl.committee.ledger.roster import Action, GenesisRecord, RosterChange
from organismctl.committee.ledger.runner import LedgerRunner
from organismctl.committee.ledger.store import create_founder, create_learner, open_store

IDS = [bytes([n]) * 32 for n in (1, 2, 3, 4)]
CALM = {"heartbeat": 0.1, "election": 1.0, "majority": 2.0, "resend": 0.2}
"""Times of a committee whose proposer stays, also when the machine is busy."""
HASTY = {"heartbeat": 0.05, "election": 0.3, "majority": 0.6}
"""Times where the silence after a cut is what is awaited."""


class Wire:
    """Carries frames within the process; a peer that is not there cannot be reached."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, LedgerRunner] = {}
        self.cut: set[bytes] = set()
        self.loses: Callable[[Message], bool] = lambda _: False

    def carrier(self, me: bytes) -> Port:
        return Port(self, me)


class Port:
    def __init__(self, wire: Wire, me: bytes) -> None:
        self.wire, self.me = wire, me

    def send(self, peer: bytes, data: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._arrive, peer, data)

    def _arrive(self, peer: bytes, data: bytes) -> None:
        node = self.wire.nodes.get(peer)
        data = pack([message for message in unpack(data) if not self.wire.loses(message)])
        if node is not None and peer not in self.wire.cut and self.me not in self.wire.cut:
            node.receive(self.me, data)


async def boot(
    wire: Wire, folder: Path, me: bytes, stops: list[Stop] | None = None, **settings: object
) -> LedgerRunner:
    config = LedgerConfig(me, seeds=tuple(IDS), **{**CALM, **settings})  # type: ignore[arg-type]
    stop = stops.append if stops is not None else None
    runner = LedgerRunner(open_store(folder), wire.carrier(me), config, rng=Random(me[0]), on_stop=stop)
    wire.nodes[me] = runner
    await runner.start()
    return runner


@asynccontextmanager
async def committee(tmp: Path, **settings: object) -> AsyncIterator[Wire]:
    """Three founders, one of which proposes."""
    wire = Wire()
    genesis = GenesisRecord(b"f" * 32, tuple(IDS[:3]))
    for me in IDS[:3]:
        create_founder(tmp / str(me[0]), genesis)
        await boot(wire, tmp / str(me[0]), me, **settings)
    try:
        await proposer(wire)
        yield wire
    finally:
        for node in wire.nodes.values():
            await node.close()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.01)


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))  # type: ignore[arg-type]


def proposing(wire: Wire) -> LedgerRunner | None:
    return next((node for node in wire.nodes.values() if node.status().role is Role.PROPOSER), None)


async def proposer(wire: Wire) -> LedgerRunner:
    """The node that proposes, once there is one."""
    await until(lambda: proposing(wire) is not None)
    found = proposing(wire)
    assert found is not None
    return found


async def another(wire: Wire) -> LedgerRunner:
    """A node that does not propose."""
    leading = await proposer(wire)
    return next(node for node in wire.nodes.values() if node is not leading)


async def certify(node: LedgerRunner, payload: bytes) -> None:
    """Append until it is certified: with hasty times the proposer may change in between."""
    async with asyncio.timeout(20):
        while not isinstance(await node.append(payload), Certified):
            await asyncio.sleep(0.01)


def test_appends_on_any_node_are_certified_everywhere_and_survive_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with committee(tmp_path, keep=4) as wire:
            nodes = list(wire.nodes.values())
            outcomes = await asyncio.gather(*[nodes[n % 3].append(b"%d" % n) for n in range(90)])
            assert all(isinstance(outcome, Certified) for outcome in outcomes)
            heights = [outcome.height for outcome in outcomes if isinstance(outcome, Certified)]
            assert len(set(heights)) == 90
            top = max(heights)
            for node in nodes:
                await node.wait_certified(top)
            logs = [
                [(e.digest, e.payload) for e in node.read(0) if e.kind is Kind.APPLICATION] for node in nodes
            ]
            assert logs[0] == logs[1] == logs[2]
            assert {payload for _, payload in logs[0]} == {b"%d" % n for n in range(90)}
            victim = await another(wire)
            me = victim.config.me
            del wire.nodes[me]
            await victim.close()
            assert isinstance(
                await nodes[0].append(b"late") if nodes[0] is not victim else 0, Certified | int
            )
            again = await boot(wire, tmp_path / str(me[0]), me)
            assert again.certified >= 0
            assert isinstance(await again.append(b"back"), Certified)
            await again.close()
            assert isinstance(await again.append(b"closed"), Refused)

    run(story)


def test_following_replays_and_then_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with committee(tmp_path, keep=2) as wire:
            node = wire.nodes[IDS[0]]
            for n in range(300):
                if n % 50 == 0:
                    await node.append(b"wait %d" % n)
                else:
                    task = asyncio.ensure_future(node.append(b"%d" % n))
            await task
            seen: list[int] = []
            async for batch in node.follow(0):
                seen += [entry.height for entry in batch]
                if seen[-1] == node.certified:
                    break
            assert seen == list(range(seen[-1] + 1))
            coming = aiter(node.follow(seen[-1] + 1))
            waiting = asyncio.ensure_future(anext(coming))
            told = await node.append(b"new")
            assert isinstance(told, Certified)
            assert (await waiting)[0].height == seen[-1] + 1
            await coming.aclose()  # type: ignore[attr-defined]

    run(story)


def test_a_learner_catches_up_from_disk_is_added_and_takes_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with committee(tmp_path, keep=2, batch=16) as wire:
            await asyncio.gather(*[wire.nodes[IDS[0]].append(b"%d" % n) for n in range(200)])
            create_learner(tmp_path / "4")
            learner = await boot(wire, tmp_path / "4", IDS[3])

            def caught_up() -> bool:
                leading = proposing(wire)
                return learner.certified >= 200 and leading is not None and IDS[3] in leading.status().peers

            await until(caught_up)
            assert learner.status().role is Role.LEARNER
            told = await learner.change_roster(RosterChange(Action.ADD, IDS[3]))
            assert isinstance(told, Certified)
            await until(lambda: learner.status().role is Role.ACCEPTOR)
            assert await (await proposer(wire)).step_down(IDS[3]) == IDS[3]
            await until(lambda: learner.status().role is Role.PROPOSER)
            assert isinstance(await learner.append(b"mine"), Certified)

    run(story)


def test_without_a_majority_appends_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with committee(tmp_path, **HASTY) as wire:
            node = wire.nodes[IDS[0]]
            await certify(node, b"x")
            wire.cut = {IDS[1], IDS[2]}
            await until(
                lambda: node.status().role is not Role.PROPOSER and node.status().proposer in (None, IDS[0])
            )
            told = await node.append(b"y", timeout=20)
            assert isinstance(told, Refused)
            assert told.reason is Reason.NO_MAJORITY

    run(story)


def test_a_follower_that_is_left_alone_refuses_instead_of_asking_the_dead_proposer(tmp_path: Path) -> None:
    async def story() -> None:
        async with committee(tmp_path, **HASTY) as wire:
            await certify(wire.nodes[IDS[0]], b"x")
            node = await another(wire)
            await until(lambda: node.status().proposer is not None)
            wire.cut = set(IDS[:3]) - {node.config.me}
            await until(lambda: node.status().proposer is None)
            told = await node.append(b"y", timeout=20)
            assert isinstance(told, Refused)
            assert told.reason is Reason.NO_MAJORITY

    run(story)


def test_a_disk_that_fails_stops_the_node_and_the_rest_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with committee(tmp_path) as wire:
            node = wire.nodes[IDS[0]]
            assert isinstance(await node.append(b"x"), Certified)
            node._store._writer.execute("PRAGMA query_only = ON")
            other = wire.nodes[IDS[1]]
            await other.append(b"y", timeout=10)
            await until(lambda: node.stopped is not None)
            assert node.stopped is not None
            assert node.stopped.code == "disk"
            told = await node.append(b"z")
            assert isinstance(told, Refused)
            assert told.reason is Reason.STOPPED
            await proposer(wire)
            assert isinstance(await other.append(b"on", timeout=10), Certified)

    run(story)


def test_frames_that_cannot_be_read_are_dropped(tmp_path: Path) -> None:
    async def story() -> None:
        async with committee(tmp_path) as wire:
            node = wire.nodes[IDS[0]]
            rng = Random(5)
            for _ in range(500):
                node.receive(IDS[1], rng.randbytes(rng.randint(0, 60)))
            assert node.malformed > 400
            node.receive(IDS[1], pack([Forwarded(999, 7, "?", "", -1, bytes(32), bytes(32))]))
            assert isinstance(await node.append(b"x"), Certified)

    run(story)


@pytest.mark.parametrize("lost", [Forward, Forwarded], ids=["the request", "the answer"])
def test_a_forwarded_append_outlives_lost_frames_and_is_run_once(tmp_path: Path, lost: type[Message]) -> None:
    async def story() -> None:
        async with committee(tmp_path) as wire:
            assert isinstance(await wire.nodes[IDS[0]].append(b"x"), Certified)
            node = await another(wire)
            await until(lambda: node.status().proposer is not None)
            left = 3

            def loses(message: Message) -> bool:
                nonlocal left
                if not isinstance(message, lost) or left == 0:
                    return False
                left -= 1
                return True

            wire.loses = loses
            outcome = await node.append(b"y", timeout=20)
            assert isinstance(outcome, Certified)
            assert left == 0
            await node.wait_certified(outcome.height)
            assert [e.payload for e in node.read(0) if e.kind is Kind.APPLICATION].count(b"y") == 1

    run(story)
