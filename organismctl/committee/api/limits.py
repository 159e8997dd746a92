"""What one caller may ask of a node: requests a second, bytes of a body, open streams.

A bare ASGI layer in front of the framework: what is refused here costs next to nothing.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any

from organismctl.committee.carrier.endpoint import PATH, PeerEndpoint, Receive, Scope, Send

MAX_BODY = 4 << 20
"""Of an ordinary request, bytes."""
RATE = 500.0
"""Requests a second of one caller, in the long run."""
BURST = 2000.0
MAX_CALLERS = 4096
MAX_STREAMS = 64
"""Surfaces that are followed at once."""


class Buckets:
    """One token bucket per caller; a caller is an address."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self.rate = rate
        self.burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now: float) -> bool:
        """Whether the caller may ask once more now."""
        left, at = self._left.pop(caller, (self.burst, now))
        left = min(self.burst, left + (now - at) * self.rate)
        allowed = left >= 1.0
        self._left[caller] = (left - 1.0 if allowed else left, now)
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        return allowed


class Gate:
    """Frames to the carrier, everything else within limits to the API.

    Args:
        app: The API.
        peers: The loopback carrier's receiving end; ``None`` on another carrier.
        buckets: The rate limit.
    """

    def __init__(self, app: Any, peers: PeerEndpoint | None, buckets: Buckets | None = None) -> None:
        self._app = app
        self._peers = peers
        self._buckets = buckets or Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        if scope["path"] == PATH and self._peers is not None:
            await self._peers(scope, receive, send)
            return
        client = scope.get("client")
        if not self._buckets.take(client[0] if client else "", time.monotonic()):
            await _refuse(send, 429, "busy", "too many requests", "slow down; ask again in a second")
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            await _refuse(send, 413, "too_large", f"a body has at most {MAX_BODY} bytes", None)
            return
        await self._app(scope, _bounded(receive), send)


def _bounded(receive: Receive) -> Receive:
    size = 0

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            # To the framework the caller is gone: it answers nothing, and the connection ends.
            return {"type": "http.disconnect"}
        return message

    return bounded


async def _refuse(send: Send, status: int, code: str, message: str, advice: str | None) -> None:
    fault: dict[str, Any] = {"code": code, "message": message, "advice": advice, "effects": []}
    body = json.dumps({"error": fault}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
