"""The receiving end of the loopback carrier: ``POST /v1/peer`` as a bare ASGI application.

It stands beside the API's own framework, not in it: every frame of the ledger passes here.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from organismctl.committee.carrier.frames import MAX_BODY, FrameError, unpack
from organismctl.committee.carrier.loopback import LoopbackCarrier
from organismctl.committee.carrier.session import HELLO, MAX_URL, PROOF, SessionError
from organismctl.errors import RefusedError
from organismctl.files.hosts import is_loopback

Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[MutableMapping[str, Any]]]"
Send: TypeAlias = "Callable[[MutableMapping[str, Any]], Awaitable[None]]"

MAX_SESSIONS = 1024
MAX_HELLOS = 256
HELLO_S = 10.0
PATH = "/v1/peer"


class PeerEndpoint:
    """Takes in frames for one carrier.

    Args:
        carrier: Where frames and peers go.
    """

    def __init__(self, carrier: LoopbackCarrier) -> None:
        self._carrier = carrier
        self._party = carrier.party
        self._hellos: OrderedDict[bytes, tuple[bytes, bytes, float]] = OrderedDict()
        self._sessions: OrderedDict[bytes, bytes] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        client = scope.get("client")
        if scope["method"] != "POST":
            await _answer(send, 405, b"only POST", ((b"allow", b"POST"),))
            return
        if client is None or not is_loopback(client[0]):
            await _answer(send, 403, b"the loopback carrier takes nothing from another host")
            return
        headers = dict(scope["headers"])
        peer = self._sessions.get(headers.get(b"authorization", b""))
        step = headers.get(b"x-organism-step")
        body = await _body(receive, MAX_BODY if peer is not None else PROOF + MAX_URL)
        if body is None:
            await _answer(send, 413, b"the body is too large")
        elif peer is not None:
            await self._frames(peer, body, send)
        elif step == b"hello":
            await self._hello(body, send)
        elif step == b"proof":
            await self._proof(body, send)
        else:
            await _answer(send, 401, b"no session", ((b"www-authenticate", b"Bearer"),))

    async def _frames(self, peer: bytes, body: bytes, send: Send) -> None:
        # Answered first: the sender's next round need not wait for what these frames set off.
        await _answer(send, 204)
        self._carrier.seen(peer)
        try:
            for channel, frame in unpack(body):
                self._carrier.deliver(peer, channel, frame)
        except FrameError:
            return

    async def _hello(self, body: bytes, send: Send) -> None:
        if len(body) != HELLO or body[32:64] != self._party.peer_id:
            await _answer(send, 403, b"the hello is for another node")
            return
        caller, theirs, ours = body[:32], body[64:], secrets.token_bytes(32)
        now = time.monotonic()
        transcript = self._party.transcript(caller, self._party.peer_id, theirs, ours)
        self._hellos[ours] = (caller, transcript, now)
        while len(self._hellos) > MAX_HELLOS or next(iter(self._hellos.values()))[2] < now - HELLO_S:
            self._hellos.popitem(last=False)
        await _answer(send, 200, ours + self._party.prove(transcript, b"callee"))

    async def _proof(self, body: bytes, send: Send) -> None:
        caller, nonce, proof, url = body[:32], body[32:64], body[64:PROOF], body[PROOF:]
        known = self._hellos.pop(nonce, None)
        if known is None or known[0] != caller or len(proof) != PROOF - 64:
            await _answer(send, 403, b"there was no such hello")
            return
        try:
            self._party.check(caller, known[1], b"caller", proof)
            self._carrier.learn(caller, url.decode("ascii", "replace"))
        except SessionError as exc:
            await _answer(send, 403, str(exc).encode())
            return
        except RefusedError as exc:
            await _answer(send, 403, exc.message.encode("ascii", "replace")[:200])
            return
        self._sessions[b"Bearer " + self._party.session(known[1]).encode()] = caller
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        await _answer(send, 204)


async def _body(receive: Receive, limit: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(
    send: Send, status: int, body: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    plain = ((b"content-type", b"application/octet-stream"),) if body else ()
    length = () if status == 204 else ((b"content-length", b"%d" % len(body)),)
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *length, *headers]})
    await send({"type": "http.response.body", "body": body})
