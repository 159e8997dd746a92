"""The server: three pages, read-only, and no client holds up another."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from organismctl.errors import InputError, OrganismError
from organismctl.exporter import server as module
from organismctl.exporter.page import OPENMETRICS, TEXT, Page
from organismctl.exporter.samples import Sample
from organismctl.exporter.server import Address, Server
from tests.support.committee import wait_for
from tests.support.prometheus import get


@pytest.fixture
def server() -> Iterator[Server]:
    made = Page("acme", [Sample("organism_quorum", (), 1)], 0)
    running = Server(
        Address("127.0.0.1", 0), lambda: made, lambda: {"schema": 1}, lambda: (False, "no sweep yet")
    )
    yield running
    running.close()


def url(server: Server, path: str) -> str:
    return f"http://{server.address}{path}"


def test_the_pages(server: Server) -> None:
    status, kind, body = get(url(server, "/metrics"))
    assert (status, kind) == (200, TEXT)
    assert b'organism_quorum{organism="acme"} 1.0' in body
    status, kind, body = get(url(server, "/metrics?a=b"), "application/openmetrics-text; version=1.0.0")
    assert (status, kind) == (200, OPENMETRICS)
    assert body.endswith(b"# EOF\n")
    status, kind, body = get(url(server, "/v1/memory"))
    assert (status, kind, json.loads(body)) == (200, "application/json", {"schema": 1})
    assert get(url(server, "/-/healthy"))[::2] == (503, b"no sweep yet\n")
    assert get(url(server, "/"))[0] == 404
    assert get(url(server, "/../../etc/passwd"))[0] == 404


def say(server: Server, data: bytes) -> bytes:
    """Send raw bytes; what comes back until it closes."""
    with socket.create_connection((server.address.host, server.address.port), timeout=10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(4096), b""))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\ncontent-length: 0\r\n\r\n", b" 501 "),
        (b"DELETE /v1/memory HTTP/1.1\r\n\r\n", b" 501 "),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b" 200 "),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
        (b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b" 431 "),
        (b"\x16\x03\x01\x00\xff nonsense\r\n\r\n", b" 400 "),
    ],
)  # fmt: skip
def test_what_is_no_question_is_answered_so(server: Server, data: bytes, status: bytes) -> None:
    head, _, body = say(server, data).partition(b"\r\n\r\n")
    assert status in head + body
    if data.startswith(b"HEAD"):
        assert body == b""


def test_slow_clients_hold_nobody_up_and_too_many_are_turned_away(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        # One place is left: each of these holds a thread and says nothing.
        for _ in range(module.MAX_CONNECTIONS - 1):
            sock = stack.enter_context(
                socket.create_connection((server.address.host, server.address.port), 10)
            )
            sock.sendall(b"GET /met")
        assert get(url(server, "/metrics"))[0] == 200
    # They have left, and their places are free again.

    def full() -> bool:
        try:
            return get(url(server, "/metrics"))[0] == 200
        except OSError:
            return False

    wait_for("places are free", full)


def test_an_address_that_is_taken_is_said(server: Server) -> None:
    with pytest.raises(OrganismError, match=r"cannot listen on 127\.0\.0\.1"):
        Server(server.address, lambda: Page("a", [], 0), dict, lambda: (True, ""))


@pytest.mark.parametrize(
    "text", ["", ":9560", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "h:-1", "h:٣", "h:"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        Address.parse(text)


def test_addresses() -> None:
    six = Address.parse("[::1]:9560")
    assert (six, str(six), six.loopback) == (Address("::1", 9560), "[::1]:9560", True)
    assert not Address.parse("10.0.0.5:1").loopback
    assert str(Address.parse("localhost:0")) == "localhost:0"
