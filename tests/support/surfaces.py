"""A committee's keys and the surfaces that they sign, and node APIs on loopback that serve them, honestly or not."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from organismctl.identity.digest import h
from organismctl.identity.peer import peer_id_from_seed, sign
from organismctl.identity.roster import (
    Roster,
    RosterChange,
    RosterLink,
    apply_change,
    encode_link,
    link_message,
    roster_digest,
)
from organismctl.identity.surface_item import (
    Fact,
    Item,
    RetirementMarker,
    SurfaceItem,
    certificate,
    encode_item,
    item_message,
)
from organismctl.observe.surface import Pin
from tests.observe.servers import LoopbackServer

SEEDS = [h(f"member {number}, a test key".encode()) for number in range(5)]
PEERS = [peer_id_from_seed(seed) for seed in SEEDS]
KEYS = dict(zip(PEERS, SEEDS, strict=True))
STRANGER = h(b"a stranger, a test key")
MARKER = RetirementMarker("2126-12-01T00:00:00Z", None, "the end")


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Committee:
    """Three members' keys; ``rosters`` and ``links`` grow by :meth:`change`."""

    fingerprint: bytes = h(b"an organism")
    surface_id: bytes = h(b"its surface")
    surface: str = "facts"
    rosters: list[Roster] = field(default_factory=lambda: [Roster(1, tuple(PEERS[:3]))])
    links: list[RosterLink] = field(default_factory=list)

    @property
    def pin(self) -> Pin:
        """What an integrator knows of it."""
        return Pin(self.fingerprint, roster_digest(self.rosters[0].members), self.surface_id, self.surface)

    def change(self, height: int, peer: bytes, *, add: bool) -> None:
        """Add or remove a member, signed by all members before it."""
        old = self.rosters[-1]
        change = RosterChange(add, peer, old.version + 1)
        message = link_message(self.fingerprint, old, height, change)
        self.links.append(
            RosterLink(height, change, tuple((one, sign(KEYS[one], message)) for one in old.members))
        )
        self.rosters.append(apply_change(old, change))

    def item(
        self,
        seq: int,
        body: Item | None = None,
        *,
        signers: Sequence[bytes] | None = None,
        version: int | None = None,
    ) -> bytes:
        """An item signed by a majority of the present roster, unless told otherwise."""
        roster = self.rosters[-1]
        body = body or Fact(f"fact {seq}".encode())
        height = 10 + seq
        message = item_message(self.fingerprint, self.surface_id, seq, height, body)
        chosen = roster.members[: roster.majority] if signers is None else signers
        signed = certificate(version or roster.version, [(one, sign(KEYS[one], message)) for one in chosen])
        return encode_item(SurfaceItem(seq, height, body, signed))

    def items(self, count: int, *, marker: bool = False) -> list[bytes]:
        """``count`` facts; ``marker`` puts the marker behind them."""
        made = [self.item(seq) for seq in range(count)]
        return [*made, self.item(count, MARKER)] if marker else made

    def forged(self, seq: int) -> bytes:
        """A marker with enough signatures of the right names, made by a stranger's key."""
        message = item_message(self.fingerprint, self.surface_id, seq, 10 + seq, MARKER)
        signed = certificate(self.rosters[-1].version, [(one, sign(STRANGER, message)) for one in PEERS[:3]])
        return encode_item(SurfaceItem(seq, 10 + seq, MARKER, signed))

    def roster(self) -> dict[str, Any]:
        """``GET /v1/roster``."""
        first, last = self.rosters[0], self.rosters[-1]
        return {
            "genesis": {
                "roster": roster_digest(first.members).hex(),
                "members": [
                    {"peer_id": one.hex(), "name": f"node-{i}"} for i, one in enumerate(first.members)
                ],
            },
            "links": [b64(encode_link(link)) for link in self.links],
            "roster": {"version": last.version, "members": []},
        }


@dataclass
class Endpoint:
    """One node's open API.

    Attributes:
        committee: Whose surface it serves.
        held: SurfaceItems by position.
        fingerprint: What it says that it serves.
        follow: What it streams from a seq on, lines with their ends; by default all that is held, then the end.
        page: Overrides an answer of ``items`` by seq and limit.
        answers: Other answers by path.
        asked: Every path that was asked for.
    """

    committee: Committee
    held: list[bytes]
    fingerprint: bytes | None = None
    follow: Callable[[int], Iterable[bytes]] | None = None
    page: Callable[[int, int], Any] | None = None
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def lines(self, start: int, stop: int | None = None) -> Iterator[bytes]:
        """What an honest node streams of what it holds."""
        for seq, item in list(enumerate(self.held))[start:stop]:
            yield json.dumps({"seq": seq, "item": b64(item)}).encode() + b"\n"

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """The answer to a GET."""
        if path in self.answers:
            return self.answers[path]
        start, limit = int(query.get("from", ["0"])[0]), int(query.get("limit", ["1000"])[0])
        surface = {
            "name": self.committee.surface, "type": "stream", "id": self.committee.surface_id.hex(),
            "next_seq": len(self.held), "sealed": False, "last_item_ms": None,
        }  # fmt: skip
        if path == "/v1/surfaces":
            return 200, {
                "fingerprint": (self.fingerprint or self.committee.fingerprint).hex(),
                "surfaces": [surface],
            }
        if path == "/v1/roster":
            return 200, self.committee.roster()
        if path == "/v1/surfaces/facts/items":
            if self.page is not None:
                return 200, self.page(start, limit)
            items = self.held[start : start + limit]
            return 200, {"items": [b64(one) for one in items], "next": start + len(items), "sealed": False}
        return 404, {"error": {"code": "not_found", "message": "there is nothing here", "advice": None}}


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint

    def do_GET(self) -> None:
        """Answer, or stream until the connection ends."""
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.endpoint.asked.append(self.path)
        if parts.path == "/v1/surfaces/facts/follow":
            self.send_response(200)
            self.end_headers()
            start = int(query["from"][0])
            try:
                for line in (self.endpoint.follow or self.endpoint.lines)(start):
                    self.wfile.write(line)
                    self.wfile.flush()
            except OSError:
                return
            return
        code, value = self.endpoint.answer(parts.path, query)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Quiet."""


@contextmanager
def serving(*endpoints: Endpoint) -> Iterator[list[str]]:
    """Serve each endpoint on a port of its own; gives their URLs."""
    servers = []
    for endpoint in endpoints:
        server = LoopbackServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"endpoint": endpoint}))
        server.daemon_threads = True
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        servers.append((server, thread))
    try:
        yield [endpoint.url for endpoint in endpoints]
    finally:
        for server, thread in servers:
            server.shutdown()
            server.server_close()
            thread.join()


def dead_url() -> str:
    """A URL where nobody listens."""
    with serving(Endpoint(Committee(), [])) as (url,):
        return url
