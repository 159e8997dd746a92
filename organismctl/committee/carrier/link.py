"""One peer of the loopback carrier: its queue, its connection and its session."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import time
from collections import deque

from organismctl.committee.carrier.frames import HEAD, pack
from organismctl.committee.carrier.session import ANSWER, Party, SessionError
from organismctl.committee.carrier.wire import Address, Connection

QUEUE_BYTES = 32 << 20
QUEUE_FRAMES = 4096
BATCH_BYTES = 1 << 20
BEAT_S = 1.0
"""An idle link says so once in a while, so that both ends know that the other lives."""
ANSWER_S = 5.0
FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 1.0


class Link:
    """Sends frames to one peer, in order, many at once; what does not fit the queue is dropped, oldest first.

    Attributes:
        peer: The peer's id.
        sent_at: When a request last succeeded, monotonic seconds; ``-inf`` at first.
        reason: Why it does not succeed; else empty.
        dropped: Frames that were dropped.
    """

    def __init__(self, party: Party, peer: bytes, address: Address, tls: ssl.SSLContext | None) -> None:
        self.peer = peer
        self.address = address
        self.sent_at = float("-inf")
        self.reason = "not connected yet"
        self.dropped = 0
        self._party = party
        self._connection = Connection(address, tls if address.tls else None)
        self._session: str | None = None
        self._queue: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def send(self, channel: int, frame: bytes) -> None:
        """Queue a frame."""
        self._queue.append((channel, frame))
        self._bytes += len(frame)
        while self._bytes > QUEUE_BYTES or len(self._queue) > QUEUE_FRAMES:
            self._bytes -= len(self._queue.popleft()[1])
            self.dropped += 1
        self._wake.set()

    async def close(self) -> None:
        """Stop sending."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._connection.close()

    async def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._round()
                pause = FIRST_PAUSE_S
            except (OSError, SessionError) as exc:  # TimeoutError is an OSError
                self.reason = _why(exc)
                self._session = None
                await self._connection.close()
                await asyncio.sleep(pause)
                pause = min(LAST_PAUSE_S, pause * 2)
                continue
            await self._more()

    async def _more(self) -> None:
        """Wait for something to send, or until it is time to show that this node lives."""
        if self._queue:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_S):
                await self._wake.wait()

    async def _round(self) -> None:
        if self._session is None:
            self._session = await self._open()
        body = pack(self._batch())
        status, _ = await self._connection.post(f"authorization: Bearer {self._session}\r\n", body)
        if status == 401:
            # The peer was started anew; frames of this round are lost, as on any network.
            self._session = await self._open()
        elif status != 204:
            raise SessionError(f"it answers with HTTP status {status}")
        self.sent_at = time.monotonic()
        self.reason = ""

    def _batch(self) -> list[tuple[int, bytes]]:
        batch: list[tuple[int, bytes]] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0][1]) <= BATCH_BYTES):
            channel, frame = self._queue.popleft()
            batch.append((channel, frame))
            size += len(frame) + HEAD
            self._bytes -= len(frame)
        return batch

    async def _open(self) -> str:
        """Prove each other; see :mod:`~organismctl.committee.carrier.session`."""
        me, nonce = self._party.peer_id, secrets.token_bytes(32)
        status, answer = await self._connection.post("x-organism-step: hello\r\n", me + self.peer + nonce)
        if status != 200 or len(answer) != ANSWER:
            raise SessionError(f"it refuses to bond: {_told(status, answer)}")
        transcript = self._party.transcript(me, self.peer, nonce, answer[:32])
        self._party.check(self.peer, transcript, b"callee", answer[32:])
        proof = me + answer[:32] + self._party.prove(transcript, b"caller") + self._party.url.encode("ascii")
        status, answer = await self._connection.post("x-organism-step: proof\r\n", proof)
        if status != 204:
            raise SessionError(f"it refuses to bond: {_told(status, answer)}")
        return self._party.session(transcript)


def _told(status: int, answer: bytes) -> str:
    text = answer[:200].decode("ascii", "replace") if status in (403, 409) else ""
    return text if text.isprintable() and text else f"HTTP status {status}"


def _why(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, ConnectionRefusedError):
        return "nothing listens there"
    return str(exc) or type(exc).__name__
