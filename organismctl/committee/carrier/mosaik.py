"""The mosaik carrier: frames between nodes anywhere, as streams between peers that are bonded in a real Group.

The Group is what admits: mosaik's bond proves that a peer knows the group secret and that every validator of
``[[acl]]`` admits its tickets. No command is ever executed on it: mosaik keeps its log in memory and lets a minority
lead, so nothing that it calls committed is believed here. Frames travel beside it, one stream per ordered pair of
peers, served to that one peer alone, and a peer's frames count only once it was bonded since this process started.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from organismctl.committee.carrier import Bond, Channel, Handler
from organismctl.committee.carrier.frames import MAX_FRAME
from organismctl.committee.carrier.mosaik_engine import Group, GroupStatus, Validator, translated
from organismctl.committee.carrier.mosaik_link import MosaikLink, link_id
from organismctl.committee.carrier.mosaik_network import MosaikNetwork
from organismctl.errors import OrganismError

LOOK_S = 0.2
"""How often the Group's bonds are looked at."""
ASK_S = 0.05
"""A frame of a peer that is not known to be bonded asks for a look, but not more often than this."""
FLUSH_S = 0.005
MAX_PEERS = 512
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class GroupOptions:
    """The Group that a committee bonds in.

    Attributes:
        secret: The group secret, 32 bytes.
        signature: The machine's signature, 32 bytes.
        expected: The group id that this tool computes.
        timing: Heartbeat ms, its jitter ms, how many may be missed.
        sync: Entries a batch, seconds that one may take.
        machine_type: The type that the organism's config names, for a message.
    """

    secret: bytes
    signature: bytes
    expected: bytes
    timing: tuple[int, int, int]
    sync: tuple[int, int]
    machine_type: str


@dataclass(frozen=True, slots=True)
class GroupView:
    """What mosaik says of the Group: hints, never proof.

    Attributes:
        id: The group's id.
        leader: mosaik's own leader, or ``None``.
        bonds: Peers that are bonded now.
        committed: mosaik's commit index; its log stays empty but for its own entries.
        term: mosaik's term.
        online: Whether mosaik calls the group online.
    """

    id: bytes
    leader: bytes | None
    bonds: tuple[bytes, ...]
    committed: int
    term: int
    online: bool


class MosaikCarrier:
    """See the module; implements :class:`~organismctl.committee.carrier.Carrier`.

    Args:
        me: This node's peer id.
        network: The network; started before, closed after this carrier.
        group: The Group to bond in.
        validators: Gives whom it admits; called at the start.
        peers: The nodes that the deployment names; others are learnt when they bond.
        now_ms: The wall clock.
    """

    def __init__(
        self,
        me: bytes,
        network: MosaikNetwork,
        group: GroupOptions,
        validators: Callable[[], list[Validator]],
        peers: Iterable[bytes],
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._me = me
        self._network = network
        self._options = group
        self._make_validators = validators
        self._validators: list[Validator] = []
        self._peers = dict.fromkeys(peer for peer in peers if peer != me)
        self._now_ms = now_ms
        self._handlers: dict[int, Handler] = {}
        self._links: dict[bytes, MosaikLink] = {}
        self._seen_ms: dict[bytes, int] = {}
        self._proven: set[bytes] = set()
        self._bonded: frozenset[bytes] = frozenset()
        self._up: frozenset[bytes] = frozenset()
        self._known: frozenset[bytes] = frozenset()
        self._looked = float("-inf")
        self._group: Group | None = None
        self._view: GroupView | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting = asyncio.Event()
        self.unproven = 0
        """Frames that were dropped because their sender was never bonded."""

    @property
    def name(self) -> str:
        """See :class:`Carrier`."""
        return "mosaik"

    @property
    def validators(self) -> list[Validator]:
        """Whom the Group admits; empty before the start."""
        return self._validators

    @property
    def view(self) -> GroupView | None:
        """What mosaik says of the Group; ``None`` before the start."""
        return self._view

    @property
    def dropped(self) -> int:
        """Frames that gave way since the start."""
        return sum(link.dropped for link in self._links.values())

    # Life.

    async def start(self) -> None:
        """See :class:`Carrier`.

        Raises:
            OrganismError: The group cannot be joined, or is not the one that was computed.
        """
        self._validators = self._make_validators()
        options = self._options
        group = await asyncio.to_thread(
            partial(
                self._network.join,
                options.secret,
                options.signature,
                self._validators,
                timing=options.timing,
                sync=options.sync,
            )
        )
        self._group = group
        found = bytes(group.id)
        if found != options.expected:
            raise OrganismError(
                f"mosaik made group id {found.hex()}, and this tool computes {options.expected.hex()}: "
                "the node would bond with nobody, or with another committee",
                advice=f"organism.toml names the machine type {options.machine_type!r}; is that the extension's own?",
            )
        for peer in self._peers:
            self._link(peer)
        self._look()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._looking()), loop.create_task(self._flushing())]

    async def close(self) -> None:
        """See :class:`Carrier`; the network leaves the group when it is closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._group = None
        for link in self._links.values():
            await asyncio.to_thread(link.close)
        self._links.clear()

    # Frames.

    def listen(self, channel: Channel, handler: Handler) -> None:
        """See :class:`Carrier`."""
        self._handlers[channel] = handler

    def send(self, to: bytes, channel: Channel, frame: bytes) -> None:
        """See :class:`Carrier`."""
        link = self._links.get(to)
        if link is None:
            return
        link.send(bytes([channel]) + frame)
        if link.waits:
            self._waiting.set()

    def _arrived(self, peer: bytes, data: bytes) -> None:
        if peer not in self._proven:
            self._look_soon()
        if peer not in self._proven:
            self.unproven += 1
            return
        self._seen_ms[peer] = self._now_ms()
        handler = self._handlers.get(data[0]) if 0 < len(data) <= MAX_FRAME + 1 else None
        if handler is not None:
            handler(peer, data[1:])

    async def _flushing(self) -> None:
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            for link in self._links.values():
                link.flush()
                if link.waits:
                    self._waiting.set()
            await asyncio.sleep(FLUSH_S)

    # Peers.

    def _link(self, peer: bytes) -> None:
        """Open the two streams between this node and a peer."""
        if peer == self._me or peer in self._links or self._group is None or len(self._links) >= MAX_PEERS:
            return
        group_id = self._options.expected
        outgoing = self._network.producer(
            link_id(group_id, self._me, peer), validators=self._validators, only=[peer]
        )
        try:
            incoming = self._network.subscribe(
                link_id(group_id, peer, self._me),
                partial(self._arrived, peer),
                validators=self._validators,
                only=[peer],
            )
        except OrganismError:
            outgoing.close()
            raise
        self._links[peer] = MosaikLink(peer, outgoing, incoming)

    async def _looking(self) -> None:
        told = ""
        while True:
            try:
                self._look()
                told = ""
            except OrganismError as exc:
                if exc.message != told:
                    log.warning("%s", exc.message)
                told = exc.message
            await asyncio.sleep(LOOK_S)

    def _look_soon(self) -> None:
        if time.monotonic() - self._looked >= ASK_S:
            try:
                self._look()
            except OrganismError as exc:
                log.debug("%s", exc.message)

    def _look(self) -> None:
        """Take in what mosaik says: who is bonded, whose streams stand, whom the catalog holds."""
        if self._group is None:
            return
        self._looked = time.monotonic()
        with translated("tell how the group stands"):
            status: GroupStatus = self._group.status()
            self._known = frozenset(self._network.peers())
        bonds = tuple(bytes(peer) for peer in status.bonds)
        self._view = GroupView(
            self._options.expected, status.leader, bonds, status.committed, status.term, status.online
        )
        self._bonded = frozenset(bonds)
        self._proven |= self._bonded
        now = self._now_ms()
        for peer in bonds:
            self._seen_ms[peer] = now
            self._link(peer)
        self._up = frozenset(peer for peer, link in self._links.items() if link.up)

    def bonds(self) -> Mapping[bytes, Bond]:
        """See :class:`Carrier`."""
        bonds = {}
        for peer in {**self._peers, **self._links}:
            reason = self._reason(peer)
            bonds[peer] = Bond(not reason, self._seen_ms.get(peer), reason)
        return bonds

    def _reason(self, peer: bytes) -> str:
        """Why a peer is not connected, or empty."""
        if self._group is None:
            return "this node has not joined the group yet"
        if peer in self._bonded:
            return "" if peer in self._up else "bonded, but its streams do not stand yet"
        if peer in self._known:
            return "in the catalog, but not bonded: another group secret or group id, or a ticket that does not admit"
        return "not in the catalog: it does not answer, or is on another network"
