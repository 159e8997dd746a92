"""Carriers bring frames from node to node; what a frame says is none of their business.

A carrier authenticates: the sender's peer id that it hands over is proven. It loses, delays, doubles and
reorders frames as it likes, never blocks its caller, and holds a bounded number for a peer that is away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeAlias

Handler: TypeAlias = "Callable[[bytes, bytes], None]"
"""``(sender's peer id, frame)``; must not block."""


class Channel(IntEnum):
    """Who at the other end a frame is for; one byte on the wire."""

    LEDGER = 0
    """The ledger's messages."""
    TALK = 1
    """What the nodes ask of each other beside the ledger: vouches, signatures."""


@dataclass(frozen=True, slots=True)
class Bond:
    """How a peer is seen from here.

    Attributes:
        connected: Whether frames went out to it, or came from it, lately.
        last_seen_ms: When it was last heard of, Unix ms; ``None``: never since this node started.
        reason: Why it is not connected; else empty.
    """

    connected: bool
    last_seen_ms: int | None
    reason: str = ""


class Carrier(Protocol):
    """One node's way to the others. All methods are called in the node's event loop."""

    @property
    def name(self) -> str:
        """``loopback``, ``mosaik``."""
        ...

    @property
    def dropped(self) -> int:
        """Frames that gave way since the start, because too many waited."""
        ...

    def listen(self, channel: Channel, handler: Handler) -> None:
        """Hand frames of a channel to ``handler`` from now on."""
        ...

    def send(self, to: bytes, channel: Channel, frame: bytes) -> None:
        """Send a frame, or drop it: unknown peer, full queue. Never blocks, never raises."""
        ...

    def bonds(self) -> Mapping[bytes, Bond]:
        """Every peer that this carrier has an address for."""
        ...

    async def start(self) -> None:
        """Begin to send."""
        ...

    async def close(self) -> None:
        """Stop; frames that wait are dropped."""
        ...
