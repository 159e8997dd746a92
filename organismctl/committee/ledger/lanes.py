"""One lane a peer: messages of one turn of the loop leave in order, in as few frames as hold them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from organismctl.committee.ledger.codec import MAX_BUNDLE, pack
from organismctl.committee.ledger.messages import Adopt, Entries, Forward, Message, Promise, Propose

BUNDLE_BYTES = 1 << 20
"""A frame is closed once it holds this much of commands."""


class Carrier(Protocol):
    """Brings frames to peers; each learns authentically whom a frame is from.

    It may lose, delay, double and reorder; what waits for a slow peer waits in the carrier, which holds a bounded
    number and lets the oldest give way, for the protocol sends again.
    """

    def send(self, peer: bytes, data: bytes) -> None:
        """Send one frame, at most ``codec.MAX_FRAME`` bytes, or lose it; never waits, never raises."""
        ...


class Lane:
    """What leaves for one peer at the end of this turn of the loop.

    Args:
        peer: The peer's id.
        carrier: How it leaves.
    """

    def __init__(self, peer: bytes, carrier: Carrier) -> None:
        self.peer = peer
        self._carrier = carrier
        self._messages: list[Message] = []

    def put(self, message: Message) -> None:
        """Send a message, with whatever else is put before the turn ends; call it on the loop."""
        if not self._messages:
            asyncio.get_running_loop().call_soon(self._flush)
        self._messages.append(message)

    def _flush(self) -> None:
        messages, self._messages = self._messages, []
        first = size = 0
        for index, message in enumerate(messages):
            size += _weight(message)
            if size >= BUNDLE_BYTES or index - first + 1 == MAX_BUNDLE:
                self._carrier.send(self.peer, pack(messages[first : index + 1]))
                first, size = index + 1, 0
        if first < len(messages):
            self._carrier.send(self.peer, pack(messages[first:]))


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
