"""One peer of the mosaik carrier: a stream to it, a stream from it, and what waits while the first is full."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from organismctl.identity.digest import derive

QUEUE_BYTES = 32 << 20
QUEUE_FRAMES = 4096
LABEL = "organismctl/link/1"


def link_id(group_id: bytes, sender: bytes, receiver: bytes) -> bytes:
    """The id of the stream that carries one peer's frames to another."""
    return derive(group_id, LABEL, sender, receiver)


class Outgoing(Protocol):
    """What a link sends with: a producer of the extension's."""

    def send(self, data: bytes) -> str:
        """``sent``, ``offline``, ``full`` or ``closed``; never blocks."""
        ...

    def consumers(self) -> list[bytes]:
        """Who is subscribed."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Incoming(Protocol):
    """What a link reads with: a subscription."""

    @property
    def producers(self) -> list[bytes]:
        """Who serves it now."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class MosaikLink:
    """Sends frames to one peer, in order.

    While the peer is not subscribed, frames are lost, as on any network: what sent them sends again. While the
    stream is full they wait, and what does not fit gives way, oldest first.

    Args:
        peer: The peer's id.
        outgoing: The stream to it.
        incoming: The stream from it.
    """

    def __init__(self, peer: bytes, outgoing: Outgoing, incoming: Incoming) -> None:
        self.peer = peer
        self.dropped = 0
        self._outgoing = outgoing
        self._incoming = incoming
        self._queue: deque[bytes] = deque()
        self._bytes = 0

    @property
    def waits(self) -> bool:
        """Whether frames wait for room."""
        return bool(self._queue)

    @property
    def up(self) -> bool:
        """Whether both streams stand."""
        return self.peer in self._outgoing.consumers() and self.peer in self._incoming.producers

    def send(self, data: bytes) -> None:
        """Send a datum, or keep it for a moment, or lose it."""
        if self._queue or self._outgoing.send(data) == "full":
            self._keep(data)
        # Offline and closed are the same to a frame: it is lost.

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self._queue and self._outgoing.send(self._queue[0]) != "full":
            self._bytes -= len(self._queue.popleft())

    def _keep(self, data: bytes) -> None:
        self._queue.append(data)
        self._bytes += len(data)
        while self._bytes > QUEUE_BYTES or len(self._queue) > QUEUE_FRAMES:
            self._bytes -= len(self._queue.popleft())
            self.dropped += 1

    def close(self) -> None:
        """End both streams."""
        self._queue.clear()
        self._incoming.close()
        self._outgoing.close()
