"""What a resident exporter remembers, asked over HTTP; and everything else that may answer there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from organismctl.exporter.memory import Clock, Reading, remember
from organismctl.exporter.page import Page
from organismctl.exporter.server import Address, Server
from organismctl.files.deployment import parse_deployment
from organismctl.observe.exporter_memory import KIND, ExporterMemory, subjects_of
from organismctl.observe.look import observe
from organismctl.observe.snapshot import Fact
from organismctl.observe.sources import sources_for
from tests.check.worlds import organism
from tests.support.committee import free_ports

T0 = 1_795_500_000_000
GOOD = remember(
    None, [Reading("node-a", T0 - 5, T0 - 10, 3, 40, 0, 0.0, "live")], [], Clock(1000, 5), T0
).as_json()


def ask(url: str, *subjects: str) -> dict[str, Fact]:
    source = ExporterMemory(url, "acme", subjects or ("beta/facts",), 2.0)
    return {fact.subject: fact for fact in observe([source], 5.0).facts}


@contextmanager
def exporter(memory: Mapping[str, Any]) -> Iterator[str]:
    """The exporter's own server, telling a memory."""
    server = Server(Address("127.0.0.1", 0), lambda: Page("acme", [], 0), lambda: memory, lambda: (True, ""))
    try:
        yield f"http://{server.address}"
    finally:
        server.close()


@contextmanager
def something_else(kind: str, body: bytes, status: int = 200) -> Iterator[str]:
    """A server that has nothing to do with us."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


def test_what_it_remembers_is_a_fact_a_surface() -> None:
    with exporter({"schema": 1, "organism": "acme", "memory": {"beta/facts": GOOD}}) as url:
        facts = ask(url, "beta/facts", "gamma/facts")
    assert facts["beta/facts"].value == GOOD
    assert facts["beta/facts"].source == f"exporter {url}"
    assert facts["beta/facts"].seen_ms is not None
    assert (facts["gamma/facts"].cause, facts["gamma/facts"].reason) == (
        "malformed",
        "the exporter does not know it",
    )


def test_the_published_example_is_what_the_exporter_tells() -> None:
    example = json.loads(
        (Path(__file__).parents[2] / "docs" / "formats" / "exporter-memory.json").read_text()
    )
    told = example["memory"]["acme-mainnet/offers"]
    assert list(told) == list(GOOD)
    assert list(told["by_node"]["node-a"]) == list(GOOD["by_node"]["node-a"])  # type: ignore[index,call-overload]
    with exporter({**example, "organism": "acme"}) as url:
        assert ask(url, "acme-mainnet/offers")["acme-mainnet/offers"].value == told


@pytest.mark.parametrize(
    "broken",
    [
        {"watched_since_ms": None}, {"watched_since_ms": -1}, {"events": "many"}, {"events": True},
        {"last_event_ms": 1.5}, {"dark_since_ms": "yesterday"}, {"by_node": []}, {"by_node": {"node-a": 7}},
        {"by_node": {str(number): {} for number in range(2000)}},
    ],
)  # fmt: skip
def test_a_memory_that_is_malformed_is_not_believed(broken: dict[str, Any]) -> None:
    with exporter({"schema": 1, "organism": "acme", "memory": {"beta/facts": {**GOOD, **broken}}}) as url:
        fact = ask(url)["beta/facts"]
    assert (fact.cause, fact.reason) == ("malformed", "its memory of it is malformed")


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain; version=0.0.4", b'# TYPE up gauge\nup{job="other"} 1\n', 200),
        ("text/html", b"<html><script>alert(1)</script>\x1b[2J", 200),
        ("application/json", b"[]", 200),
        ("application/json", b'{"memory": {}}', 200),
        ("application/json", b'{"schema": 2, "organism": "acme", "memory": {}}', 200),
        ("application/json", b'{"schema": 1, "organism": "acme", "memory": []}', 200),
        ("application/json", b'{"schema": 1, "organism": "acme", "memory": {"a": NaN}}', 200),
        ("application/json", json.dumps({"schema": 1, "organism": "other", "memory": {}}).encode(), 200),
        ("application/json", b"[" * 100_000, 200),
        ("application/octet-stream", b"\x00" * (9 << 20), 200),
        ("text/plain", b"404 page not found\n", 404),
        ("text/plain", b"moved", 302),
        ("text/plain", b"", 500),
    ],
)
def test_something_else_behind_the_url_is_said(kind: str, body: bytes, status: int) -> None:
    with something_else(kind, body, status) as url:
        fact = ask(url)["beta/facts"]
    assert fact.cause == "malformed"
    assert fact.reason is not None
    assert url in fact.reason


def test_nobody_there_is_unreachable() -> None:
    fact = ask(f"http://127.0.0.1:{free_ports(1)[0]}")["beta/facts"]
    assert fact.cause == "unreachable"


def test_the_deployment_says_whom_to_ask() -> None:
    loaded = organism()
    assert subjects_of(loaded) == ("beta/facts",)
    text = 'schema = 1\n[exporter]\nurl = "http://127.0.0.1:9560"\n'
    asked = parse_deployment(text, Path("/nowhere/deployment.toml"))
    (source,) = sources_for({KIND}, loaded, asked).sources
    assert [want.subject for want in source.wants()] == ["beta/facts"]
    assert (
        sources_for({KIND}, loaded, parse_deployment("schema = 1\n", Path("/nowhere/d.toml"))).sources == []
    )
