"""A lattice that a test controls: the open part of the node API over a list of events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from organismctl.committee.strict import b64
from organismctl.identity.surface_item import (
    Certificate,
    Fact,
    Item,
    RetirementMarker,
    SurfaceItem,
    encode_item,
)
from tests.observe.servers import LoopbackServer
from tests.support.committee import Span

BEAT_S = 5.0
"""Between the empty lines of a surface where nothing happens, as the node API sends them."""


class Lattice:
    """Serves one surface ``events``; positions are the clock (its facts are of another make)."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.stable_id = f"{number:064x}"
        self.surface_id = f"{number + 1000:064x}"
        self.items: list[bytes | None] = []
        self.silent = False
        self.refuses = False
        self.moved_ms: int | None = None
        self.moved = threading.Condition()
        self.closed = False
        lattice = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                lattice.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._handler = Handler
        self._serve()

    def _serve(self) -> None:
        self.server = LoopbackServer(("127.0.0.1", 0), self._handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def move(self) -> None:
        """Serve at another address from now on; whoever follows at the old one is cut off."""
        old, thread = self.server, self.thread
        self._serve()
        old.shutdown()
        old.server_close()
        thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def span(self) -> Span:
        return Span(self.name, self.stable_id, self.surface_id, (self.url,))

    def emit(self, count: int = 1) -> None:
        for _ in range(count):
            self._add(Fact(f"{self.name} event {len(self.items)}".encode()))

    def retire(self, replacement: str | None = None) -> None:
        self._add(RetirementMarker("2126-12-01T00:00:00Z", replacement))

    def _add(self, item: Item) -> None:
        with self.moved:
            seq = len(self.items)
            self.items.append(encode_item(SurfaceItem(seq, seq, item, Certificate(1, ()))))
            self.moved_ms = time.time_ns() // 1_000_000
            self.moved.notify_all()

    def forget(self, seq: int) -> None:
        """Compact an event away."""
        self.items[seq] = None

    def close(self) -> None:
        with self.moved:
            self.closed = True
            self.moved.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        start = int(parse_qs(parts.query).get("from", ["0"])[0])
        if self.silent or request.server is not self.server:
            request.send_error(503)
        elif parts.path == "/v1/surfaces":
            _json(request, self._surfaces())
        elif parts.path == "/v1/surfaces/events/items":
            found = [(seq, item) for seq, item in enumerate(self.items) if seq >= start and item is not None][
                :1
            ]
            page = [item for seq, item in found if seq == start]
            _json(
                request, {"items": [b64(item) for item in page], "next": start + len(page), "sealed": False}
            )
        elif parts.path == "/v1/surfaces/events/follow" and self.refuses:
            request.send_error(403)
        elif parts.path == "/v1/surfaces/events/follow":
            self._follow(request, start)
        else:
            request.send_error(404)

    def _surfaces(self) -> dict[str, Any]:
        one = {"name": "events", "type": "stream", "id": self.surface_id, "next_seq": len(self.items)}
        return {
            "fingerprint": "ab" * 32,
            "surfaces": [{**one, "sealed": False, "last_item_ms": self.moved_ms}],
        }

    def _follow(self, request: BaseHTTPRequestHandler, seq: int) -> None:
        request.send_response(200)
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        beat = time.monotonic()  # readers give a connection up on which nothing comes for 15 s
        try:
            while not self.closed and not self.silent and not self.refuses and request.server is self.server:
                with self.moved:
                    if seq >= len(self.items):
                        self.moved.wait(0.2)
                        line = b"\n" if time.monotonic() - beat >= BEAT_S else b""
                    else:
                        item = self.items[seq]
                        told = None if item is None else {"seq": seq, "item": b64(item)}
                        line = b"" if told is None else json.dumps(told).encode() + b"\n"
                        seq += 1
                if line:
                    beat = time.monotonic()
                    request.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            request.wfile.write(b"0\r\n\r\n")
        except OSError:
            request.close_connection = True


def _json(request: BaseHTTPRequestHandler, value: Any) -> None:
    body = json.dumps(value).encode()
    request.send_response(200)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def lattices(*names: str) -> Iterator[list[Lattice]]:
    """Some lattices, closed afterwards."""
    made = [Lattice(name, number) for number, name in enumerate(names, 1)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


@contextmanager
def pulse(*emits: Callable[[], object]) -> Iterator[None]:
    """Events ten times a second, as long as the block lasts: calls each of ``emits``."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.1):
            for emit in emits:
                emit()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)
