"""One committee member's node: ledger, fold, driver, subscriptions and surfaces on one asyncio loop.

Invariants:

1. What leaves as published was certified, applied by this node's own fold, and signed by a majority.
2. A loud stop never ends the process: it is reported, and what is safe goes on (the ledger while only the fold stands
   still; reading while the ledger has stopped).
3. Nothing waits for an upstream: not the ledger, not the API, not another upstream.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Coroutine
from typing import Any

from organismctl.committee.carrier import Carrier, Channel
from organismctl.committee.carrier.loopback import LoopbackCarrier
from organismctl.committee.command import Command
from organismctl.committee.driver import Driver
from organismctl.committee.evidence import CachedVerifier
from organismctl.committee.ledger.core import LedgerConfig, Role
from organismctl.committee.ledger.effects import Outcome, Stop
from organismctl.committee.ledger.entry import Entry
from organismctl.committee.ledger.runner import LedgerRunner
from organismctl.committee.ledger.store import open_store
from organismctl.committee.ledger.wire import MalformedError
from organismctl.committee.machine import Effects, State
from organismctl.committee.node import talk
from organismctl.committee.node.applying import Applier
from organismctl.committee.node.change_store import ChangeStore
from organismctl.committee.node.door import APPEND_S, Declined, Done, Door
from organismctl.committee.node.driving import DriverLoop
from organismctl.committee.node.mosaik_side import MosaikSide
from organismctl.committee.node.publishing import Publisher
from organismctl.committee.node.settings import NodeSettings, Upstream
from organismctl.committee.node.store import NodeStore
from organismctl.committee.node.subscriptions import Reader, Subscription
from organismctl.committee.node.tickets import TicketStore
from organismctl.committee.node.upstream import UpstreamReader
from organismctl.committee.node.vouching import Vouching
from organismctl.errors import OrganismError

WATCH_S = 0.1
log = logging.getLogger(__name__)


class _LedgerCarrier:
    """The ledger's view of a carrier: one of its channels."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def send(self, peer: bytes, data: bytes) -> None:
        """See the runner's ``Carrier``."""
        self._carrier.send(peer, Channel.LEDGER, data)


def wall_ms() -> int:
    """The wall clock, Unix ms."""
    return time.time_ns() // 1_000_000


class CommitteeNode:
    """See the module.

    Args:
        settings: What it is told.
        timing: The ledger's times; ``me`` and ``seeds`` are filled in.

    Raises:
        RefusedError: Another process has the ledger open.
        OrganismError: The data cannot be used.
    """

    def __init__(self, settings: NodeSettings, timing: LedgerConfig | None = None) -> None:
        self.settings = settings
        self.started_ms = wall_ms()
        self.stop_asked = asyncio.Event()
        self.sealed_at_ms: int | None = None
        self.streams = 0
        self.turns = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop: Stop | None = None
        self._fault: str | None = None
        ledger = open_store(settings.data)
        try:
            self.store = NodeStore(settings.data)
            self.changes = ChangeStore(settings.data)
            self.tickets = TicketStore(
                settings.data, settings.peer_id, settings.config.network, settings.upstreams
            )
            self.mosaik = (
                None if settings.mosaik is None else MosaikSide(settings, settings.mosaik, self.tickets)
            )
            self.carrier: Carrier = (
                LoopbackCarrier(settings.party, settings.addresses, tls=_tls(settings))
                if self.mosaik is None
                else self.mosaik.carrier
            )
            self.runner = LedgerRunner(
                ledger, _LedgerCarrier(self.carrier), self._config(timing), on_stop=self._on_stop
            )
        except BaseException:
            ledger.close()
            raise
        self._assemble()

    def _config(self, timing: LedgerConfig | None) -> LedgerConfig:
        from dataclasses import replace

        me = self.settings.peer_id
        seeds = tuple(self.settings.addresses) if self.mosaik is None else self.settings.peers
        return LedgerConfig(me, seeds) if timing is None else replace(timing, me=me, seeds=seeds)

    def _assemble(self) -> None:
        settings = self.settings
        verifier = CachedVerifier()
        self.driver = Driver(settings.machine, verifier=verifier)
        self.readers = [self._reader(upstream) for upstream in settings.upstreams]
        self.subscriptions = [
            Subscription(reader, surface, self.driver, self._wake, wall_ms)
            for reader in self.readers
            for surface in reader.upstream.member.surfaces
        ]
        by_source = {subscription.source: subscription for subscription in self.subscriptions}
        self.vouching = Vouching(
            settings, self.store, self.driver, by_source, send=self._say, wake=self._wake
        )
        self.publisher = Publisher(settings, self.store, verifier, self._say_all, wall_ms)
        self.applier = Applier(
            settings,
            self.store,
            self.runner,
            publisher=self.publisher,
            vouching=self.vouching,
            verifier=verifier,
            heard=self._heard,
            on_fault=self._lead,
            started_ms=self.started_ms,
        )
        self.door = Door(self.runner, self.applier)
        self.driving = DriverLoop(self.driver, self.runner, self.applier, self.vouching, wall_ms)
        self.carrier.listen(Channel.LEDGER, self.runner.receive)
        self.carrier.listen(Channel.TALK, self._on_talk)

    def _reader(self, upstream: Upstream) -> Reader:
        http = UpstreamReader(upstream, self.store)
        on_wire = self.mosaik is not None and self.mosaik.reads(upstream)
        return self.mosaik.reader(upstream, http) if self.mosaik is not None and on_wire else http

    # Life.

    async def start(self) -> None:
        """Begin to take part.

        Raises:
            OrganismError: The carrier cannot be started; says why.
        """
        self.applier.restore()
        self.publisher.load(self.state)
        if self.mosaik is not None:
            await self.mosaik.start()
        await self.carrier.start()
        await self.runner.start()
        if self.mosaik is not None:
            self._spawn(self.mosaik.renew(), "tickets")
            for name, run in self.mosaik.surfaces(self.publisher, self._proposes).items():
                self._spawn(run, f"surface {name}")
        self._spawn(self.applier.run(), "fold")
        self._spawn(self.driving.run(), "driver")
        self._spawn(self._watch(), "watch")
        for subscription in self.subscriptions:
            self._spawn(subscription.run(), f"subscription {subscription.seen.surface.name}")

    async def hand_over(self) -> None:
        """Before stopping: let another member propose, when there is one."""
        if self.runner.status().role is Role.PROPOSER and self._successor() is not None:
            self.runner.prefer(leading=False)
            await self.runner.step_down(self._successor(), timeout=2.0)

    async def close(self) -> None:
        """Stop in order: keep the checkpoint, close."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.driving.close()
        await self.vouching.close()
        if self._fault is None:
            self.applier.checkpoint()
        for reader in self.readers:
            await reader.close()
        await self.runner.close()
        await self.carrier.close()
        if self.mosaik is not None:
            await self.mosaik.close()
        self.store.close()
        self.changes.close()

    def _spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work, what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """A part that fails stops the node loudly, but leaves it readable."""
        try:
            await work
        except OrganismError as exc:
            self._fail(f"{what}: {exc.message}")
        except Exception as exc:
            log.exception("the %s failed", what)
            self._fail(f"{what}: {type(exc).__name__}, see the node's log")

    def _fail(self, text: str) -> None:
        log.error("stopped: %s", text)
        self._fault = self._fault or text
        self._lead()

    def _on_stop(self, stop: Stop) -> None:
        log.error("the ledger stopped: %s: %s (%s)", stop.code, stop.reason, stop.advice)
        self._stop = stop

    async def _watch(self) -> None:
        """What is due by time alone: signatures to ask for, leading as a drained or faulty node, the linger's end."""
        while True:
            self.publisher.poll(time.monotonic())
            if self.sealed_at_ms is None and self._retired():
                self._note_seal()
            if self.sealed_at_ms is not None and wall_ms() - self.sealed_at_ms > self.settings.linger_ms:
                log.info("the linger period after the seal is over")
                self.stop_asked.set()
            await self._leave_lead()
            self.turns += 1
            await asyncio.sleep(WATCH_S)

    def _retired(self) -> bool:
        """Whether the marker is out on every surface: the linger period counts from there."""
        lanes = range(len(self.settings.machine.surfaces))
        return self.state.sealed and all(self.publisher.sealed(lane) for lane in lanes)

    def _note_seal(self) -> None:
        known = self.store.get("sealed_at_ms")
        self.sealed_at_ms = int(known) if known is not None else wall_ms()
        self.store.put("sealed_at_ms", b"%d" % self.sealed_at_ms)

    # Leading.

    @property
    def fit_to_lead(self) -> bool:
        """Whether this node may propose: not drained, and its fold goes on."""
        return self.stopped is None and self.settings.peer_id not in self.state.drained

    def _proposes(self) -> bool:
        return self.runner.status().role is Role.PROPOSER

    def _lead(self) -> None:
        self.runner.prefer(leading=self.fit_to_lead)

    async def _leave_lead(self) -> None:
        self._lead()
        if not self.fit_to_lead and self.runner.status().role is Role.PROPOSER:
            await self.step_down()

    async def step_down(self) -> bytes | None:
        """Hand over to a member that is caught up and not drained; returns the proposer afterwards."""
        status = self.runner.status()
        if status.role is not Role.PROPOSER:
            return status.proposer
        await self.runner.step_down(self._successor(), timeout=5.0)
        return self.runner.status().proposer

    def _successor(self) -> bytes | None:
        status = self.runner.status()
        fit = [
            peer
            for peer, report in status.peers.items()
            if peer in status.roster.members
            and peer not in self.state.drained
            and peer != self.settings.peer_id
            and self.carrier.bonds().get(peer) is not None
            and self.carrier.bonds()[peer].connected
            and status.certified - report.certified <= self.runner.config.batch
        ]
        return max(fit, key=lambda peer: status.peers[peer].certified, default=None)

    # Talk.

    def _say(self, peer: bytes, message: talk.Talk) -> None:
        self.carrier.send(peer, Channel.TALK, talk.encode(message))

    def _say_all(self, message: talk.Talk) -> None:
        frame = talk.encode(message)
        for peer in self.carrier.bonds():
            self.carrier.send(peer, Channel.TALK, frame)

    def _on_talk(self, sender: bytes, frame: bytes) -> None:
        try:
            message = talk.decode(frame)
        except MalformedError:
            return
        try:
            self._take_talk(sender, message)
        except OrganismError as exc:
            self._fail(f"talk: {exc.message}")

    def _take_talk(self, sender: bytes, message: talk.Talk) -> None:
        match message:
            case talk.VouchAsk():
                self.vouching.on_ask(sender, message)
            case talk.Vouched():
                self.vouching.on_vouched(sender, message)
            case talk.Denied():
                self.vouching.on_denied(sender, message)
            case talk.Marks(marks):
                self.publisher.on_marks(marks)
            case talk.MarksAsk():
                self._say(sender, self.publisher.on_ask(message))

    def _wake(self) -> None:
        self.driving.wake()

    def _heard(self, effects: Effects) -> None:  # noqa: ARG002 # an Applier's signature
        self.driving.moved()

    # What the API asks.

    @property
    def state(self) -> State:
        """The state as applied here."""
        return self.applier.state

    @property
    def stopped(self) -> str | None:
        """The reason of a loud stop, or ``None``."""
        if self._stop is not None:
            return f"{self._stop.code}: {self._stop.reason}"
        return self.applier.fault or self._fault

    async def append(self, command: Command, timeout: float = APPEND_S) -> Done | Declined | Outcome:
        """Certify a command; see :meth:`Door.append`."""
        return await self.door.append(command, timeout)

    async def entries(self, start: int, limit: int) -> list[Entry]:
        """Certified entries, from disk."""
        if start > self.runner.certified:
            return []
        return await asyncio.to_thread(lambda: list(self.runner.read(start, limit)))


def _tls(settings: NodeSettings) -> ssl.SSLContext | None:
    if all(url.startswith("http:") for url in settings.addresses.values()):
        return None
    return ssl.create_default_context(cafile=None if settings.ca is None else str(settings.ca))
