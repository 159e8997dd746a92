"""``check committee`` over 100 nodes that answer after 200 ms, in units of one answer, start-up taken off.

Whole processes. The nodes are 100 listening sockets of one process beside it; each answers a NodeStatus after
200 ms. Start-up is the same command over one node that answers at once.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row, once, organismctl
from organismctl.identity.digest import h
from organismctl.identity.peer import peer_id_from_seed

NODES, DELAY_S, RUNS, LIMIT = 100, 0.2, 9, 1.5
_PEERS = [peer_id_from_seed(h(f"node {node}".encode())).hex() for node in range(NODES)]


def status(node: int, size: int) -> bytes:
    """A NodeStatus of one of ``size`` nodes, as an HTTP answer."""
    members = [{"peer_id": peer, "name": f"node-{index}"} for index, peer in enumerate(_PEERS[:size])]
    bonds = [{**one, "connected": True, "last_seen_ms": 0, "certified": 120} for one in members]
    value = {
        "schema": 1, "node": f"node-{node}", "peer_id": _PEERS[node], "organism": "bench.organism",
        "fingerprint": "0" * 64, "group_id": "1" * 64, "version": "0", "started_ms": 0,
        "now_ms": time.time_ns() // 1_000_000, "carrier": "loopback", "one_host": True,
        "role": "proposer" if node == 0 else "acceptor", "epoch": 3, "proposer": _PEERS[0],
        "roster": {"version": 1, "members": members},
        "ledger": {"height": 120, "certified": 120, "digest": "2" * 64, "state_digest": "3" * 64, "accepted_epoch": 3},
        "bonds": bonds, "drained": [], "lease": None, "retirement": None, "sealed": False, "tick": 17,
        "surfaces": [], "stopped": None,
    }  # fmt: skip
    body = json.dumps(value).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )


async def serve(size: int, delay_s: float) -> None:
    """Listen on ``size`` ports of loopback, print them, and answer until killed."""
    servers = []
    for node in range(size):
        answer = status(node, size)

        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(delay_s)
            writer.write(answer)
            await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(talk, "127.0.0.1", 0))
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.Event().wait()


def build(folder: Path, ports: list[int]) -> None:
    """organism.toml and deployment.toml for nodes at those ports."""
    folder.mkdir()
    key = peer_id_from_seed(h(b"issuer")).hex()
    (folder / "organism.toml").write_text(
        'schema = 1\nname = "bench.organism"\nnetwork = "mosaik.universe"\n[driver]\nfold = "ticker"\nperiod = "1s"\n'
        'apply_deadline = "2s"\nstall = "wait"\n[content]\n[[surface]]\nname = "facts"\ntype = "stream"\n[[acl]]\n'
        f'type = "jwt"\nissuers = ["bench"]\nkeys = [{{ alg = "EdDSA", key = "{key}" }}]\n'
    )
    nodes = [
        f'[[node]]\nname = "node-{node}"\npeer_id = "{_PEERS[node]}"\nurl = "http://127.0.0.1:{port}"'
        for node, port in enumerate(ports)
    ]
    (folder / "deployment.toml").write_text("\n".join(["schema = 1", *nodes]) + "\n")


@contextmanager
def committee(folder: Path, size: int, delay_s: float) -> Iterator[list[str]]:
    """A committee that answers, and the command that looks at it."""
    code = (
        f"import asyncio; from benchmarks.committee_check import serve; asyncio.run(serve({size}, {delay_s}))"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        place = folder / f"nodes-{size}"
        build(place, json.loads(server.stdout.readline()))
        yield [organismctl(), "check", "committee", "--organism", str(place), "--format", "json"]
    finally:
        server.kill()
        server.communicate()


def rows() -> list[Row]:
    """How many answers' time the look at all nodes took."""
    with (
        tempfile.TemporaryDirectory() as name,
        committee(Path(name), 1, 0.0) as one,
        committee(Path(name), NODES, DELAY_S) as many,
    ):
        # Side by side, so that a busy moment of the machine meets both.
        pairs = [(once(one).seconds, once(many).seconds) for _ in range(RUNS)]
    startup, took = (sorted(column)[RUNS // 2] for column in zip(*pairs, strict=True))
    detail = f"{took * 1000:.0f} ms, start-up {startup * 1000:.0f} ms"
    title = f"check committee, {NODES} nodes that answer after {DELAY_S * 1000:.0f} ms / one answer"
    return [Row(title, (took - startup) / DELAY_S, LIMIT, detail)]


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name}: {row.value:.2f} (limit {row.limit}): {row.detail}")
