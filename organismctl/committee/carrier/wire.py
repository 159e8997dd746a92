"""The little HTTP/1.1 between nodes of one host: one kept connection, one request at a time.

The other end is always a node of ours, so this reads exactly what such a node answers (a status line, headers,
a body with a length) and treats anything else as a broken connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from organismctl.errors import InputError, RefusedError
from organismctl.files.hosts import is_loopback

MAX_HEAD = 16 * 1024
MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where a node listens."""

    host: str
    port: int
    tls: bool


def api_address(url: str) -> Address:
    """The address in a node's URL, wherever that is.

    Raises:
        InputError: It is no URL of a node API.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not 0 < port < 65536 or not parts.hostname:
        raise InputError(f"{url} is not the URL of a node API", advice="such as https://node-a.example:7101")
    return Address(parts.hostname, port, parts.scheme == "https")


def loopback_address(url: str) -> Address:
    """The address in a node's URL.

    Raises:
        RefusedError: It is not on this host, which the loopback carrier never leaves.
    """
    try:
        address = api_address(url)
    except InputError:
        address = Address("", 0, False)
    if not is_loopback(address.host):
        raise RefusedError(
            f"the loopback carrier reaches only this host, and {url} is not on it",
            advice='give every node a url on 127.0.0.1; a committee across hosts needs carrier = "mosaik"',
        )
    return Address("127.0.0.1" if address.host == "localhost" else address.host, address.port, address.tls)


class Connection:
    """One kept connection to a peer's node."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self.address = address
        self._tls = tls
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def open(self) -> bool:
        """Whether it is connected, as far as is known."""
        return self._writer is not None and not self._writer.is_closing()

    async def post(self, headers: str, body: bytes) -> tuple[int, bytes]:
        """One request; returns status and body.

        Args:
            headers: Further header lines, each ended by CRLF.
            body: The body.

        Raises:
            OSError: The connection failed or the answer is not HTTP.
        """
        reader, writer = await self._connected()
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        head = (
            f"POST /v1/peer HTTP/1.1\r\nhost: {host}:{self.address.port}\r\n"
            f"content-type: application/octet-stream\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        )
        writer.write(head.encode("ascii"))
        writer.write(body)
        await writer.drain()
        try:
            return await self._answer(reader)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as exc:
            raise ConnectionError("the answer is not HTTP, or ended early") from exc

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(
                self.address.host, self.address.port, ssl=self._tls, limit=MAX_HEAD
            )
        return self._reader, self._writer

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1]) if first.startswith("HTTP/1.1 ") else 0
        size = 0
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                size = int(value)
            elif name.lower() == "connection" and value.strip().lower() == "close":
                self.close_soon()
        if not 200 <= status < 600 or not 0 <= size <= MAX_ANSWER:
            raise ValueError(first)
        return status, await reader.readexactly(size) if size else b""

    def close_soon(self) -> None:
        """Let the connection go; the next request opens a new one."""
        if self._writer is not None:
            self._writer.close()

    async def close(self) -> None:
        """Close it and wait until it is."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
