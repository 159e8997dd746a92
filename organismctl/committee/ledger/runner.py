"""Runs a node of the ledger: the protocol over a store and a carrier, on one asyncio loop.

The loop owns the protocol; one thread writes to the store and one reads from it. While a write is on its way to the
disk, whatever else is asked for gathers and shares the next transaction and the next message (group commit).

The interface to the layer above: :meth:`LedgerRunner.append`, :meth:`LedgerRunner.read` and
:meth:`LedgerRunner.follow`, :meth:`LedgerRunner.status`, :meth:`LedgerRunner.close`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

from organismctl.committee.ledger.codec import unpack
from organismctl.committee.ledger.core import LedgerConfig, Role
from organismctl.committee.ledger.disk import Disk
from organismctl.committee.ledger.effects import (
    Advanced,
    Effect,
    Outcome,
    Reason,
    Refused,
    Resolve,
    Send,
    Serve,
    Stop,
    Unknown,
    Write,
)
from organismctl.committee.ledger.entry import NO_DIGEST, NO_EPOCH, Entry, application
from organismctl.committee.ledger.forwarding import Served, elsewhere, heard
from organismctl.committee.ledger.lanes import Carrier, Lane
from organismctl.committee.ledger.messages import (
    Forward,
    Forwarded,
    Message,
)
from organismctl.committee.ledger.protocol import Node, Status
from organismctl.committee.ledger.requests import Request
from organismctl.committee.ledger.roster import RosterChange
from organismctl.committee.ledger.store import Store
from organismctl.committee.ledger.wire import MalformedError
from organismctl.errors import OrganismError

FOLLOW = 256
"""At most this many entries come at once from :meth:`LedgerRunner.follow`."""
RETRY = 0.05


class LedgerRunner:
    """One running node.

    Args:
        store: Opened by :func:`~organismctl.committee.ledger.store.open_store`; closed by :meth:`close`.
        carrier: How messages leave; what arrives is handed to :meth:`receive`.
        config: Who this node is, and its times and sizes.
        rng: For election timeouts; by default seeded by the system.
        on_stop: Called once, when the node stops for good.
    """

    def __init__(
        self,
        store: Store,
        carrier: Carrier,
        config: LedgerConfig,
        *,
        rng: Random | None = None,
        on_stop: Callable[[Stop], None] | None = None,
    ) -> None:
        self.config = config
        self._store = store
        self._carrier = carrier
        self._node = Node(config, store.load(), rng or Random(), time.monotonic())  # noqa: S311 (not a secret)
        self._on_stop = on_stop
        self._disk = Disk(store, self._written, self._failed)
        self._reading = ThreadPoolExecutor(1, "ledger-read")
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes: dict[bytes, Lane] = {}
        self._writes: list[Write] = []
        self._writing = False
        self._incoming: list[Request] = []
        self._flushing = False
        self._outcomes: dict[int, asyncio.Future[Outcome]] = {}
        self._numbers = 0
        self._process = secrets.randbits(63)
        self._served = Served(
            config.me,
            self._node.promised.number,
            lambda command, seconds: self._local(command, time.monotonic() + seconds),
        )
        self._moved = asyncio.Event()
        self._closed = False
        self._leaderless_since: float | None = None
        self.turns = 0
        """How often it acted on the time: one that stands still has failed."""
        self.malformed = 0
        """How many messages were dropped because they could not be read."""

    # Life.

    async def start(self) -> None:
        """Begin to take part."""
        self._spawn(self._ticking())

    async def close(self) -> None:
        """Stop taking part, answer what is open as unknown, and close the store; may be called twice."""
        if self._closed:
            return
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._outcomes.values():
            if not future.done():
                future.set_result(Unknown("this node was closed"))
        self._moved.set()
        await asyncio.to_thread(self._disk.close)
        await asyncio.to_thread(self._reading.shutdown)
        self._store.close()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ticking(self) -> None:
        while True:
            self._act(self._node.tick(time.monotonic()))
            self.turns += 1
            await asyncio.sleep(self.config.heartbeat / 4)

    # The interface.

    @property
    def certified(self) -> int:
        """The height up to which entries are certified and on this node's disk; -1 at first."""
        return self._node.notified

    @property
    def stopped(self) -> Stop | None:
        """Why the node stopped for good, or ``None``."""
        return self._node.stopped

    def status(self) -> Status:
        """What this node knows now."""
        return self._node.status()

    async def append(self, payload: bytes, *, timeout: float = 5.0) -> Outcome:
        """Append an application command; on any node, which passes it on to the proposer.

        Args:
            payload: The command's bytes (the kind byte is added here).
            timeout: How long to wait, in seconds.

        Returns:
            ``Certified``; ``Refused``: it did not and will not happen; ``Unknown``: it may happen yet, so a retry
            must be idempotent in the layer above (a request id within the payload).
        """
        return await self._append(application(payload), timeout)

    async def change_roster(self, change: RosterChange, *, timeout: float = 10.0) -> Outcome:
        """Add a learner that has reported and is caught up, or remove a member. Like :meth:`append`."""
        return await self._append(change.command(), timeout)

    def read(self, start: int, limit: int | None = None) -> Iterator[Entry]:
        """Certified entries from ``start``, streamed from disk and checked against the chain; blocking.

        Raises:
            LedgerDamagedError: The file was edited.
        """
        rest = self.certified - start + 1
        return self._store.read(start, max(0, rest if limit is None else min(rest, limit)))

    async def follow(self, start: int) -> AsyncIterator[list[Entry]]:
        """Certified entries from ``start`` on, in batches, for ever: what there is, then what comes.

        Ends when the runner is closed or the node stops. Memory does not grow with the ledger.
        """
        while not self._closed:
            top = min(self.certified, start + FOLLOW - 1)
            if start <= top:
                batch = await self._batch(start, top)
                start += len(batch)
                yield batch
            elif self._node.stopped is not None:
                return
            else:
                self._moved.clear()
                await self._moved.wait()

    async def _batch(self, start: int, top: int) -> list[Entry]:
        log = self._node.log
        if start >= log.first:
            return list(log.span(start, top))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._reading, lambda: list(self._store.read(start, top - start + 1))
        )

    async def wait_certified(self, height: int) -> None:
        """Wait until ``height`` is certified here; returns early only when the node stops or closes."""
        while self.certified < height and not self._closed and self._node.stopped is None:
            self._moved.clear()
            await self._moved.wait()

    async def step_down(self, to: bytes | None = None, *, timeout: float = 10.0) -> bytes | None:
        """Hand over, when this node proposes.

        Args:
            to: The member to invite; by default one that is caught up.
            timeout: How long to wait for a successor to speak.

        Returns:
            The successor's peer id; ``None`` when this node still proposes, or none was heard of in time.

        Raises:
            ValueError: ``to`` is not another member.
        """
        self._act(self._node.step_down(time.monotonic(), to))
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            status = self._node.status()
            if status.role is Role.PROPOSER and not status.handing_over:
                return None
            if (
                status.role is not Role.PROPOSER
                and self._node.proposer
                and self._node.proposer.proposer != self.config.me
            ):
                return self._node.proposer.proposer
            await asyncio.sleep(RETRY)
        return None

    def prefer(self, *, leading: bool) -> None:
        """Whether this node is willing to propose; a drained one waits much longer before it canvasses."""
        self._node.reluctant = not leading

    # Appends.

    async def _append(self, command: bytes, timeout: float) -> Outcome:
        deadline = time.monotonic() + timeout
        lost_at: float | None = None
        while True:
            outcome = await self._local(command, deadline)
            if not elsewhere(outcome):
                return outcome
            hint = outcome.proposer if isinstance(outcome, Refused) else None
            if hint is not None and hint != self.config.me:
                lost_at = None
                outcome = await self._forward(hint, command, deadline)
                if not elsewhere(outcome):
                    return outcome
            now = time.monotonic()
            lost_at = lost_at if lost_at is not None else now
            if now - lost_at >= self.config.majority + self.config.election or now + RETRY >= deadline:
                return Refused(Reason.NO_MAJORITY, "no proposer is in sight, so less than a majority may be")
            await asyncio.sleep(RETRY)

    def _local(self, command: bytes, deadline: float) -> asyncio.Future[Outcome]:
        number, future = self._expect()
        if self._closed:
            future.set_result(Refused(Reason.STOPPED, "this node was closed"))
            return future
        self._incoming.append(Request(number, command, deadline))
        if not self._flushing and not self._writing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)
        return future

    def _expect(self) -> tuple[int, asyncio.Future[Outcome]]:
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._outcomes[number] = future
        future.add_done_callback(lambda _: self._outcomes.pop(number, None))
        return number, future

    def _flush(self) -> None:
        self._flushing = False
        if self._incoming:
            requests, self._incoming = self._incoming, []
            self._act(self._node.append(time.monotonic(), requests))

    async def _forward(self, peer: bytes, command: bytes, deadline: float) -> Outcome:
        """Pass an append on, again and again until it is answered; the other side runs it once."""
        number, future = self._expect()
        known = self._node.proposer
        epoch = known if known is not None and known.proposer == peer else NO_EPOCH
        again = False
        while (left := deadline - time.monotonic()) > 0:
            if not again or epoch != NO_EPOCH:
                self._send(peer, Forward(self._process, number, epoch, again, command, int(left * 1000)))
            await asyncio.wait((future,), timeout=self.config.resend)
            if future.done():
                return future.result()
            again = True
        future.cancel()
        if again:
            return Unknown("it was passed on to the proposer, which did not answer in time")
        return Refused(Reason.NO_MAJORITY, "no proposer answered in time")

    async def _serve_forward(self, sender: bytes, message: Forward) -> None:
        answer = await self._served.serve(sender, message)
        if answer is not None:
            self._send(sender, answer)

    # Effects.

    def receive(self, sender: bytes, data: bytes) -> None:
        """A frame arrived from an authenticated peer; call it on the loop. Never raises for what it holds."""
        if self._closed:
            return
        try:
            messages = unpack(data)
        except MalformedError:
            self.malformed += 1
            return
        for message in messages:
            if isinstance(message, Forward):
                self._spawn(self._serve_forward(sender, message))
            elif isinstance(message, Forwarded):
                future = self._outcomes.get(message.request)
                if future is not None and not future.done():
                    future.set_result(heard(message))
            else:
                self._act(self._node.receive(time.monotonic(), sender, message))

    def _act(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(to, message):
                    self._send(to, message)
                case Write():
                    self._writes.append(effect)
                case Resolve(number, outcome):
                    future = self._outcomes.get(number)
                    if future is not None and not future.done():
                        future.set_result(outcome)
                case Advanced():
                    self._moved.set()
                case Serve():
                    self._spawn(self._serve(effect))
                case Stop():
                    self._moved.set()
                    if self._on_stop is not None:
                        self._on_stop(effect)
        if self._writes and not self._writing and not self._closed and self._node.stopped is None:
            self._writing = True
            writes, self._writes = self._writes, []
            self._disk.write(writes)

    def _written(self, writes: Sequence[Write]) -> None:
        self._writing = False
        if not self._closed:
            self._act(self._node.written(time.monotonic(), writes[-1].token))
            self._flush()

    def _failed(self, exc: OrganismError) -> None:
        self._writing = False
        if not self._closed:
            self._act(self._node.abandon(time.monotonic(), "disk", exc.message, exc.advice or ""))
            self._flush()

    async def _serve(self, serve: Serve) -> None:
        loop = asyncio.get_running_loop()
        try:
            send = await loop.run_in_executor(self._reading, _read_for, self._store, serve)
        except OrganismError as exc:
            self._act(self._node.abandon(time.monotonic(), "disk", exc.message, exc.advice or ""))
            return
        if send is not None:
            self._send(send.to, send.message)

    def _send(self, peer: bytes, message: Message) -> None:
        lane = self._lanes.get(peer)
        if lane is None:
            lane = self._lanes[peer] = Lane(peer, self._carrier)
        lane.put(message)


def _read_for(store: Store, serve: Serve) -> Send | None:
    """The reply to a fetch that reaches below what memory holds."""
    below = store.digest(serve.start - 1) if serve.start else NO_DIGEST
    room = serve.max_bytes
    commands: list[bytes] = []
    for entry in store.read(serve.start, serve.limit):
        room -= len(entry.command)
        if commands and room < 0:
            break
        commands.append(entry.command)
    return serve.reply(below, tuple(commands)) if below is not None else None


__all__ = ["FOLLOW", "Carrier", "LedgerRunner"]
