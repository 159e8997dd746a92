"""Vouches: this node's own, what it answers to others, and what it asks upstream to be able to."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from organismctl.committee.command import CommandError, Observe, decode_command
from organismctl.committee.driver import Driver
from organismctl.committee.evidence import Pointer, Vouch, make_vouch, pointer_bytes
from organismctl.committee.fold import Resolution
from organismctl.committee.machine import Input
from organismctl.committee.node.settings import NodeSettings
from organismctl.committee.node.store import NodeStore
from organismctl.committee.node.subscriptions import Subscription
from organismctl.committee.node.talk import Denied, Talk, VouchAsk, Vouched

AT_ONCE = 16
"""Pointers that are resolved at once; more are answered when they are asked for again."""
SILENT_S = 5.0
"""On a surface without replay, members that say nothing of an event for this long stand for those that missed it."""
REMEMBERED = 4096


class Vouching:
    """See the module.

    Args:
        settings: The node.
        store: Remembers what this node vouched for.
        driver: Knows what the subscriptions brought.
        subscriptions: By input.
        send: Sends to one peer.
        wake: Called when a vouch came in.
    """

    def __init__(
        self,
        settings: NodeSettings,
        store: NodeStore,
        driver: Driver,
        subscriptions: Mapping[Input, Subscription],
        *,
        send: Callable[[bytes, Talk], None],
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._driver = driver
        self._subscriptions = subscriptions
        self._send = send
        self._wake = wake
        self._asking: dict[Pointer, set[bytes]] = {}
        self._missed: OrderedDict[Pointer, float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def request(self, pointer: Pointer, event: bytes, members: Iterable[bytes]) -> None:
        """Gather vouches: this node's own at once, the others' by asking."""
        me = self._settings.peer_id
        members = tuple(members)
        since = self._missed.get(pointer)
        if since is not None and time.monotonic() - since >= SILENT_S and self._replays_not(pointer):
            # One member went past it, and the rest is silent: it may be down, and the lane must not wait for it.
            for peer in members:
                self._driver.on_denied(pointer, peer)
            del self._missed[pointer]
            return
        if self._driver.knows(pointer):
            self._driver.on_vouch(pointer, self._vouch(pointer))
        for peer in members:
            if peer != me:
                self._send(peer, VouchAsk(pointer, event))

    def on_ask(self, sender: bytes, ask: VouchAsk) -> None:
        """A peer asks for a vouch."""
        pointer = ask.pointer
        if self._driver.knows(pointer):
            self._send(sender, Vouched(pointer, self._vouch(pointer).signature))
        elif pointer in self._asking:
            self._asking[pointer].add(sender)
        elif len(self._asking) < AT_ONCE:
            self._asking[pointer] = {sender}
            task = asyncio.get_running_loop().create_task(self._answer_later(pointer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def on_vouched(self, sender: bytes, vouched: Vouched) -> None:
        """A peer vouched."""
        if self._driver.on_vouch(vouched.pointer, Vouch(sender, vouched.signature)):
            self._wake()

    def on_denied(self, sender: bytes, denied: Denied) -> None:
        """A peer never can."""
        self._driver.on_denied(denied.pointer, sender)
        self._missed.setdefault(denied.pointer, time.monotonic())
        if len(self._missed) > REMEMBERED:
            self._missed.popitem(last=False)
        self._wake()

    async def _answer_later(self, pointer: Pointer) -> None:
        try:
            outcome = await self.resolve(pointer)
        finally:
            waiting = self._asking.pop(pointer, set())
        answer: Talk
        if outcome in (Resolution.RESOLVED, Resolution.VOUCHED):
            answer = Vouched(pointer, self._vouch(pointer).signature)
        elif outcome is Resolution.GONE or self._passed(pointer):
            answer = Denied(pointer)
        else:
            return
        for peer in waiting:
            self._send(peer, answer)

    def _passed(self, pointer: Pointer) -> bool:
        """Whether this node went past an event that it did not see, where nothing can be asked for again."""
        subscription = self._subscriptions.get(Input(pointer.stable_id, pointer.surface_id))
        return subscription is not None and subscription.passed(pointer.position)

    def _replays_not(self, pointer: Pointer) -> bool:
        """Whether the pointer is into a surface that nobody can be asked about."""
        subscription = self._subscriptions.get(Input(pointer.stable_id, pointer.surface_id))
        return subscription is not None and subscription.reader.passed(
            subscription.seen.surface, pointer.position
        )

    def _vouch(self, pointer: Pointer) -> Vouch:
        self._store.vouch(pointer_bytes(pointer))
        party = self._settings.party
        return make_vouch(party.seed, party.peer_id, self._settings.identity.fingerprint, pointer)

    async def resolve(self, pointer: Pointer) -> Resolution:
        """What this node knows of a pointer, or what upstream says now."""
        if self.known(pointer) is Resolution.VOUCHED:
            return Resolution.VOUCHED
        return (await self.resolve_all([pointer]))[pointer]

    def known(self, pointer: Pointer) -> Resolution:
        """What this node knows of a pointer without asking anybody."""
        if self._driver.knows(pointer) or self._store.vouched(pointer_bytes(pointer)):
            return Resolution.VOUCHED
        return Resolution.UNKNOWN

    async def resolve_all(self, pointers: Iterable[Pointer]) -> dict[Pointer, Resolution]:
        """What this node knows of pointers, or what upstream says now; each upstream is asked by itself."""
        found = {pointer: self.known(pointer) for pointer in pointers}
        by_source: dict[Input, list[Pointer]] = {}
        for pointer, state in found.items():
            if state is not Resolution.VOUCHED:
                source = Input(pointer.stable_id, pointer.surface_id)
                by_source.setdefault(source, []).append(pointer)
        asked = [
            self._subscriptions[source].reader.resolve(self._subscriptions[source].seen.surface, wanted)
            for source, wanted in by_source.items()
            if source in self._subscriptions
        ]
        for answer in await asyncio.gather(*asked):
            found |= answer
        return found

    async def close(self) -> None:
        """Stop asking."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def observed(commands: Iterable[bytes]) -> list[Pointer]:
    """The pointers of the Observe commands among entries' bytes."""
    pointers = []
    for data in commands:
        # Kind 0, format 1, no request id, and a number other than Observe's 0: most entries end here.
        if data[:3] == b"\x00\x01\x00" and data[3:4] != b"\x00":
            continue
        try:
            command = decode_command(data)
        except CommandError:
            continue
        if isinstance(command, Observe):
            pointers.append(command.pointer)
    return pointers
