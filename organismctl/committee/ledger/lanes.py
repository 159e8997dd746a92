"""One lane a peer: messages leave in order, in frames, and a slow peer holds up nobody else."""

from __future__ import annotations

import asyncio
from typing import Protocol

from organismctl.committee.ledger.codec import MAX_BUNDLE, pack
from organismctl.committee.ledger.messages import Adopt, Entries, Forward, Message, Promise, Propose
from organismctl.errors import OrganismError

LANE = 256
"""At most this many messages wait for one peer; older ones are dropped, for the protocol sends again."""
BUNDLE_BYTES = 1 << 20
"""A frame is closed once it holds this much of commands."""
PAUSE = 0.05
"""How long a lane rests after a frame that surely did not arrive, in seconds."""


class Carrier(Protocol):
    """Brings frames to peers; each learns authentically whom a frame is from.

    It may lose, delay, double and reorder.
    """

    async def send(self, peer: bytes, data: bytes) -> None:
        """Send one frame, at most ``codec.MAX_FRAME`` bytes.

        Raises:
            OrganismError: It surely did not arrive.
        """
        ...


class Lane:
    """What waits for one peer."""

    def __init__(self, peer: bytes, carrier: Carrier) -> None:
        self.peer = peer
        self._carrier = carrier
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(LANE)

    def put(self, message: Message) -> None:
        """Send a message when its turn comes; the oldest one gives way when too many wait."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(message)

    async def run(self) -> None:
        """Send one frame after the other; a failed one is lost, as on any network."""
        while True:
            messages = [await self._waiting.get()]
            size = _weight(messages[0])
            while not self._waiting.empty() and len(messages) < MAX_BUNDLE and size < BUNDLE_BYTES:
                messages.append(self._waiting.get_nowait())
                size += _weight(messages[-1])
            try:
                await self._carrier.send(self.peer, pack(messages))
            except OrganismError:
                await asyncio.sleep(PAUSE)


def _weight(message: Message) -> int:
    """About how long a message is: what it carries of commands."""
    match message:
        case Propose(commands=commands) | Adopt(commands=commands) | Entries(commands=commands):
            return sum(map(len, commands))
        case Promise(tail=tail):
            return sum(map(len, tail))
        case Forward(command=command):
            return len(command)
    return 0
