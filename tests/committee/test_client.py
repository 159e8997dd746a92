"""The client against answers of every kind: never a traceback, always a reason."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee import answers
from organismctl.committee.client import (
    NodeAccessError,
    NodeAnswerError,
    NodeBusyError,
    NodeClient,
    NodeError,
    NodeNotFoundError,
    NodeRefusedError,
    NoMajorityError,
    OutcomeUnknownError,
)
from organismctl.committee.strict import MalformedAnswerError, read_json
from organismctl.errors import UnreachableError


@contextmanager
def answering(*replies: bytes) -> Iterator[str]:
    """A server that gives raw replies, one connection each, and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for reply in replies:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    connection.recv(65_536)
                    connection.sendall(reply)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(5)


def reply(body: bytes, status: int = 200) -> bytes:
    head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


def fault(code: str, status: int) -> bytes:
    return reply(json.dumps({"error": {"code": code, "message": "why", "advice": "do"}}).encode(), status)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("unauthorized", 401, NodeAccessError),
        ("forbidden", 403, NodeAccessError),
        ("not_found", 404, NodeNotFoundError),
        ("fence", 409, NodeRefusedError),
        ("busy", 429, NodeBusyError),
        ("no_majority", 503, NoMajorityError),
        ("busy", 503, NodeBusyError),
        ("outcome_unknown", 504, OutcomeUnknownError),
        ("defect", 500, NodeError),
    ],
)
def test_error_answers(code: str, status: int, kind: type[Exception]) -> None:
    with (
        answering(fault(code, status)) as url,
        NodeClient(url, "canary") as client,
        pytest.raises(kind) as caught,
    ):
        client.append({"type": "tick", "unix_ms": 1})
    found: Any = caught.value
    assert (found.code, found.status) == (code, status)
    assert found.advice
    assert "canary" not in f"{found!s}{found!r}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not json", b"[]", b"{}", b'{"ok": 1, "sealed": false}', b'{"ok": NaN}', b"\xff\xfe",
        b"[" * 100_000, b'{"error": "x"}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 500])
def test_malformed_answers(body: bytes, status: int) -> None:
    with (
        answering(reply(body, status)) as url,
        NodeClient(url) as client,
        pytest.raises(NodeAnswerError, match="node of ours") as caught,
    ):
        client.health()
    assert caught.value.advice


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{",
        b"HTTP/1.1 999999 x\r\n\r\n",
    ],
)
def test_broken_connections(raw: bytes) -> None:
    with (
        answering(raw) as url,
        NodeClient(url, timeout=1.0) as client,
        pytest.raises((UnreachableError, NodeAnswerError)) as caught,
    ):
        client.health()
    assert caught.value.advice


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with NodeClient(url) as client, pytest.raises(UnreachableError, match="cannot be reached"):
        client.health()
    for wrong in ("http://", "nonsense", "http://[::1"):
        with NodeClient(wrong) as client, pytest.raises(UnreachableError):
            client.health()


def test_too_large_and_too_slow() -> None:
    big = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b" " * (18 << 20)
    with (
        answering(big) as url,
        NodeClient(url, timeout=10) as client,
        pytest.raises(NodeAnswerError, match="more than"),
    ):
        client.health()


def test_follow_reads_lines_and_beats() -> None:
    lines = b'{"seq": 0, "item": "AAA"}\n\n{"seq": 1, "item": "AQ"}\n'
    beats: list[None] = []
    with (
        answering(reply(lines), reply(lines + b"half"), reply(b"nonsense\n")) as url,
        NodeClient(url) as client,
    ):
        found = list(client.follow("facts", 0, lambda: beats.append(None)))
        assert [(one.seq, one.item) for one in found] == [(0, b"\x00\x00"), (1, b"\x01")]
        assert len(beats) == 1
        for _ in range(2):
            with pytest.raises(NodeAnswerError):
                list(client.follow("facts"))


READERS: list[Callable[[Any], object]] = [
    getattr(answers, name)
    for name in dir(answers)
    if name.startswith("read_") and name not in ("read_json", "read_line")
]
KEYS = [
    "ok",
    "sealed",
    "items",
    "next",
    "surfaces",
    "tickets",
    "entries",
    "certified",
    "height",
    "error",
    "code",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.sampled_from(READERS))
def test_readers_take_anything(raw: dict[str, Any], read: Callable[[Any], object]) -> None:
    try:
        read(raw)
    except MalformedAnswerError as exc:
        assert str(exc)


@given(st.binary(max_size=100))
def test_lines_take_anything(data: bytes) -> None:
    for read in (read_json, answers.read_line):
        try:
            read(data)
        except MalformedAnswerError:
            continue
