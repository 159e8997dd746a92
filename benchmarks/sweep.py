"""`check committee` over 100 nodes of which each answers after 200 ms: against one answer plus start-up."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.measure import Row, median, organismctl

NODES = 100
DELAY_S = 0.2
LIMIT = 1.5


def rows() -> list[Row]:
    """The one row."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(NODES)
        try:
            many, one = Path(folder) / "many", Path(folder) / "one"
            _organism(many, servers.ports)
            _organism(one, servers.ports[:1])
            whole = _seconds(many)
            single = _seconds(one)
        finally:
            servers.close()
    return [
        Row(
            f"check committee, {NODES} nodes at {DELAY_S * 1000:.0f} ms",
            whole / single,
            LIMIT,
            f"{whole:.2f} s against {single:.2f} s for one node",
        )
    ]


def _seconds(folder: Path) -> float:
    argv = [
        organismctl(),
        "check",
        "committee",
        "--organism",
        str(folder),
        "--format",
        "json",
        "-o",
        "/dev/null",
    ]
    runs = []
    for _ in range(3):
        began = time.perf_counter()
        # The nodes answer with an error, so the verdict is "unknown"; only the time counts here.
        median(argv, runs=1, expect=5)
        runs.append(time.perf_counter() - began)
    return sorted(runs)[1]


def _organism(folder: Path, ports: list[int]) -> None:
    folder.mkdir()
    (folder / "secrets").mkdir()
    for name in ("group.secret", "read.token", "operate.token"):
        path = folder / "secrets" / name
        path.write_text("0" * 64)
        path.chmod(0o600)
    (folder / "organism.toml").write_text(
        'schema = 1\nname = "bench"\nnetwork = "bench"\n[driver]\nfold = "ticker"\nperiod = "1s"\n'
        'apply_deadline = "1s"\nstall = "wait"\n[content]\n[[surface]]\nname = "facts"\ntype = "stream"\n'
        f'[[acl]]\ntype = "jwt"\nkeys = [{{ alg = "EdDSA", key = "{"11" * 32}" }}]\n'
    )
    nodes = "".join(
        f'[[node]]\nname = "node-{number}"\npeer_id = "{number:064x}"\nurl = "http://127.0.0.1:{port}"\n'
        'executor = "manual"\n'
        for number, port in enumerate(ports, 1)
    )
    (folder / "deployment.toml").write_text(
        'schema = 1\n[secrets]\ngroup = "secrets/group.secret"\nread_token = "secrets/read.token"\n'
        f'operate_token = "secrets/operate.token"\n{nodes}'
    )


class Servers:
    """HTTP servers on loopback that answer everything after the delay."""

    def __init__(self, count: int) -> None:
        self.ports: list[int] = []
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(count,), daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self, count: int) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open(count))
        self._ready.set()
        self._loop.run_forever()

    async def _open(self, count: int) -> None:
        self._servers = [await asyncio.start_server(_answer, "127.0.0.1", 0) for _ in range(count)]
        self.ports = [server.sockets[0].getsockname()[1] for server in self._servers]

    def close(self) -> None:
        """Stop answering."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = json.dumps({"error": {"code": "busy", "message": "benchmark", "advice": None}}).encode()
    head = (
        f"HTTP/1.1 500 Busy\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(DELAY_S)
            writer.write(head + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(str, rows())) + "\n")
