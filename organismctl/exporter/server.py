"""The exporter's HTTP server: four pages, read-only, bounded in connections and in time for each.

What it tells holds no secret and no ticket; what it is asked is never more than a path and an Accept header.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from organismctl.errors import InputError, OrganismError
from organismctl.exporter.page import Page, chosen_type
from organismctl.files.hosts import is_loopback

if TYPE_CHECKING:
    from organismctl.identity.config import Json

MAX_CONNECTIONS = 32
IDLE_S = 10.0
"""How long a connection may say nothing, or take nothing."""
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Address:
        """Read ``HOST:PORT``; an IPv6 address stands in brackets, port 0 takes a free one.

        Raises:
            InputError: It is none.
        """
        host, colon, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if not colon or not bare or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise InputError(
                f"--listen: {text[:80]!r} is no HOST:PORT", advice="such as 127.0.0.1:9560 or [::1]:9560"
            )
        return Address(bare, int(port))

    @property
    def loopback(self) -> bool:
        """Whether only this host reaches it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Server:
    """Serves what four functions give; see the module.

    Args:
        address: Where to listen.
        page: The present page.
        memory: What ``/v1/memory`` tells.
        healthy: Whether the exporter sweeps, and one line on it.
        history: What ``/v1/history`` tells.

    Attributes:
        address: Where it listens, with the port that it got.

    Raises:
        OrganismError: It cannot listen there.
    """

    def __init__(
        self,
        address: Address,
        page: Callable[[], Page],
        memory: Callable[[], Mapping[str, Json]],
        healthy: Callable[[], tuple[bool, str]],
        history: Callable[[], Mapping[str, Json]] = dict,
    ) -> None:
        handler = _handler(page, {"/v1/memory": memory, "/v1/history": history}, healthy)
        kind = _Server6 if ":" in address.host else _Server
        try:
            self._http = kind((address.host, address.port), handler)
        except OSError as exc:
            raise OrganismError(
                f"cannot listen on {address}: {exc.strerror or exc}",
                advice="is another process using that port? --listen HOST:PORT names another",
            ) from exc
        self.address = Address(address.host, int(self._http.server_address[1]))
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.2,), name="http", daemon=True
        )
        self._thread.start()

    @property
    def serving(self) -> bool:
        """Whether it still takes requests."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop listening; answers under way end by themselves, or with the process."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, *args: Any) -> None:
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread each, while there is room; who comes too many is told so by a closed connection."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread's life."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is no news."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _handler(
    page: Callable[[], Page],
    documents: Mapping[str, Callable[[], Mapping[str, Json]]],
    healthy: Callable[[], tuple[bool, str]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "organismctl"
        sys_version = ""
        timeout = IDLE_S
        disable_nagle_algorithm = True
        wbufsize = CHUNK  # head and body leave together

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, *, body: bool) -> None:
            _send(self, *self._found(self.path.partition("?")[0]), body=body)

        def _found(self, path: str) -> tuple[int, str, bytes]:
            if path == "/metrics":
                kind = chosen_type(self.headers.get("accept", ""))
                return 200, kind, page().body(kind)
            if path in documents:
                return 200, "application/json", json.dumps(documents[path]()).encode()
            if path == "/-/healthy":
                well, line = healthy()
                return 200 if well else 503, "text/plain; charset=utf-8", (line + "\n").encode()
            text = "/metrics, /v1/memory, /v1/history and /-/healthy are served\n"
            return 404, "text/plain; charset=utf-8", text.encode()

    return Handler


def _send(to: BaseHTTPRequestHandler, status: int, kind: str, data: bytes, *, body: bool) -> None:
    to.send_response(status)
    to.send_header("content-type", kind)
    to.send_header("content-length", str(len(data)))
    to.send_header("x-content-type-options", "nosniff")
    to.end_headers()
    if body:
        to.wfile.write(data)
