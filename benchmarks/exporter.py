"""The exporter: a sweep of 50 spanned members × 9 nodes, a scrape of 500 pairs, and its memory over a day.

- *sweep*: every node and every spanned member answers each question after 500 ms; the sweep's whole time, looking and
  judging with 450 tickets in files, in units of one answer. Process start and the first sweep (which waits for what
  goes on beside) are left out: an exporter is resident.
- *scrape*: CPU of a first scrape after a sweep over HTTP, client included, in units of prometheus-client alone
  rendering as many gauges with as many labels.
- *day*: resident memory after 5,760 simulated sweeps with a scrape each (24 h at 15 s) against that after 240 (1 h).
"""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import Row
from organismctl.identity.digest import h
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed

SPANS, NODES, DELAY_S, SWEEPS = 50, 9, 0.5, 7
PAIR_SPANS, PAIR_NODES, SCRAPES = 50, 10, 15
DAY_SPANS, DAY_NODES, HOUR, DAY = 6, 3, 240, 5760
SWEEP_LIMIT, SCRAPE_LIMIT, DAY_LIMIT = 1.5, 3.0, 1.1
_PEERS = [peer_id_from_seed(h(f"node {node}".encode())) for node in range(16)]
_ISSUER = h(b"the issuer of every spanned member, a test key")


# The world: nodes and spanned members that answer.


def stable_id(span: int) -> str:
    """A spanned member's stable id."""
    return h(f"span {span}".encode()).hex()


def surface_id(span: int) -> str:
    """The id of its surface."""
    return h(f"surface {span}".encode()).hex()


def build(folder: Path, spans: int, ports: Sequence[int], door: int) -> None:
    """organism.toml, deployment.toml and a ticket of each node at each spanned member."""
    key = public_key("EdDSA", _ISSUER).hex()
    parts = ['schema = 1\nname = "bench.organism"\nnetwork = "mosaik.universe"\n']
    side = ["schema = 1\n"]
    (folder / "tickets").mkdir(parents=True)
    now = int(time.time())
    for node, port in enumerate(ports):
        peer = _PEERS[node].hex()
        side.append(f'[[node]]\nname = "node-{node}"\npeer_id = "{peer}"\nurl = "http://127.0.0.1:{port}"\n')
    for span in range(spans):
        parts.append(
            f'[[span]]\nname = "span-{span}"\nkind = "lattice"\nstable_id = "{stable_id(span)}"\nclock = "slot"\n'
            f'[[span.surface]]\nname = "events"\ntype = "stream"\nid = "{surface_id(span)}"\ndecode = "surface-item"\n'
            f'[[span.issuer]]\nstate = "current"\ntype = "jwt"\nissuers = ["all"]\n'
            f'keys = [{{ alg = "EdDSA", key = "{key}" }}]\n'
        )
        at = f"http://127.0.0.1:{door}/{span}"
        side.append(
            f'[[span]]\nname = "span-{span}"\nendpoints = ["{at}"]\ncard = "{at}/card"\nperiod = "2s"\n'
        )
        for node in range(len(ports)):
            file = f"tickets/{node}.{span}"
            data = issue_jwt(
                "EdDSA", _ISSUER, _PEERS[node], issued_at_s=now, expires_at_s=now + 10**6, issuer="all", token_id=file
            )  # fmt: skip
            (folder / file).write_bytes(data)
            side.append(f'[[span.ticket]]\nnode = "node-{node}"\nfile = "{file}"\n')
    parts.append(
        '[driver]\nfold = "join"\nperiod = "1s"\napply_deadline = "2s"\nstall = "wait"\n[content]\n[[surface]]\n'
        f'name = "facts"\ntype = "stream"\n[[acl]]\ntype = "jwt"\nissuers = ["bench"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{key}" }}]\n'
    )
    (folder / "organism.toml").write_text("".join(parts))
    (folder / "deployment.toml").write_text("".join(side))


def node_answer(path: str, node: int, nodes: int, spans: int, now_ms: int) -> Any:
    """What a node of ours answers."""
    members = [{"peer_id": _PEERS[one].hex(), "name": f"node-{one}"} for one in range(nodes)]
    if path == "/v1/status":
        return {
            "schema": 1, "node": f"node-{node}", "peer_id": _PEERS[node].hex(), "organism": "bench.organism",
            "fingerprint": "0" * 64, "group_id": "1" * 64, "version": "0", "started_ms": now_ms - 10**6,
            "now_ms": now_ms, "carrier": "loopback", "one_host": False, "role": "acceptor" if node else "proposer",
            "epoch": 3, "proposer": _PEERS[0].hex(), "roster": {"version": 1, "members": members},
            "ledger": {"height": 120, "certified": 120, "digest": "2" * 64, "state_digest": "3" * 64},
            "bonds": [{**one, "connected": True} for one in members], "drained": [], "lease": None,
            "retirement": None, "sealed": False, "tick": 17, "surfaces": [], "stopped": None,
        }  # fmt: skip
    if path == "/v1/subscriptions":
        one = {"surface": "events", "state": "live", "reason": "", "last_event_ms": now_ms - 400, "marker": None,
               "received": 100, "observed": 100, "position": 99, "arrived": 99,
               "missed": 0, "dropped": 0, "vouches": None}  # fmt: skip
        return {
            "now_ms": now_ms, "started_ms": now_ms - 10**6, "stall": {"policy": "wait", "waiting_for": []},
            "subscriptions": [{"span": f"span-{span}", **one} for span in range(spans)],
        }  # fmt: skip
    empty = {"/v1/tickets": {"tickets": []}, "/v1/config": {"fields": {}}}
    return empty.get(path, {"evidence": [], "extent": []})


def span_answer(path: str) -> Any:
    """What a spanned member answers."""
    _, span, rest = path.split("/", 2)
    if rest == "card":
        return {"schema": 1, "name": f"span-{span}", "stable_id": stable_id(int(span)), "retired": None}
    one = {"name": "events", "type": "stream", "id": surface_id(int(span)), "next_seq": 0}
    return {"fingerprint": "ab" * 32, "surfaces": [one]}


async def serve(spans: int, nodes: int, delay_s: float) -> None:
    """Listen on a port a node and one for all spanned members, print them, and answer until killed."""

    async def listen(answer: Any) -> int:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode().partition("?")[0]
            await asyncio.sleep(delay_s)
            body = json.dumps(answer(path)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=512)
        kept.append(server)
        return int(server.sockets[0].getsockname()[1])

    kept: list[asyncio.Server] = []
    ports = [
        await listen(
            lambda path, node=node: node_answer(path, node, nodes, spans, time.time_ns() // 1_000_000)
        )
        for node in range(nodes)
    ]
    print(json.dumps([*ports, await listen(span_answer)]), flush=True)
    await asyncio.Event().wait()


@contextmanager
def world(folder: Path, spans: int, nodes: int, delay_s: float) -> Iterator[Path]:
    """Nodes and spanned members that answer, and the files that name them."""
    code = f"import asyncio; from benchmarks.exporter import serve; asyncio.run(serve({spans}, {nodes}, {delay_s}))"
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        *ports, door = json.loads(server.stdout.readline())
        build(folder, spans, ports, door)
        yield folder
    finally:
        server.kill()
        server.communicate()


# What is measured.


def sweep_row(folder: Path) -> Row:
    """A sweep's time in units of one answer."""
    from organismctl.cli.judging import load_subject
    from organismctl.exporter.looker import Looker
    from organismctl.observe.sources import WireLook

    with world(folder, SPANS, NODES, DELAY_S) as place:
        subject = load_subject(str(place))
        looker = Looker(every_s=2.0, deadline_s=10.0)
        took = []
        for _ in range(SWEEPS + 1):
            begun = time.monotonic()
            look = looker.sweep(subject, WireLook(), {})
            took.append(time.monotonic() - begun)
            time.sleep(max(begun + 2.0 - time.monotonic(), 0.0))
            assert len(look.health) == SPANS * NODES
            assert all(row.lag_events == 0 for row in look.health), "a node was not seen"
    middle = sorted(took[1:])[SWEEPS // 2]
    detail = f"{middle * 1000:.0f} ms, answers after {DELAY_S * 1000:.0f} ms"
    return Row(
        f"exporter, sweep of {SPANS} spans × {NODES} nodes / one answer",
        middle / DELAY_S,
        SWEEP_LIMIT,
        detail,
    )


def taken(spans: int, nodes: int) -> Any:
    """Files and a judge of made-up looks, for what needs no network."""
    from organismctl.cli.judging import load_subject
    from organismctl.exporter.sweep import Look, judge
    from organismctl.observe.snapshot import Fact, Snapshot

    folder = Path(tempfile.mkdtemp(prefix="bench-exporter-"))
    build(folder, spans, range(7000, 7000 + nodes), 6999)
    subject = load_subject(str(folder))

    def look(now_ms: int, surfaces: Any) -> Look:
        kinds = {
            "node.status": "/v1/status",
            "node.subscriptions": "/v1/subscriptions",
            "node.tickets": "/v1/tickets",
        }
        facts = [
            Fact(kind, f"node-{node}", node_answer(path, node, nodes, spans, now_ms), "bench", seen_ms=now_ms)
            for node in range(nodes)
            for kind, path in kinds.items()
        ]
        facts += [
            Fact("span.card", f"span-{span}", span_answer(f"/{span}/card"), "bench", seen_ms=now_ms)
            for span in range(spans)
        ]
        return judge(subject, Snapshot(now_ms, tuple(facts)), surfaces, now_ms)

    return folder, look


def scrape_row() -> Row:
    """CPU of a scrape against prometheus-client alone."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    from organismctl.exporter.memory_file import MemoryFile
    from organismctl.exporter.page import Page
    from organismctl.exporter.samples import look_samples
    from organismctl.exporter.series import BY_NAME
    from organismctl.exporter.server import Address, Server
    from organismctl.exporter.state import State

    folder, look = taken(PAIR_SPANS, PAIR_NODES)
    now_ms = time.time_ns() // 1_000_000
    state = State(MemoryFile(folder / "exporter.db", "bench.organism", now_ms), lambda _: None)
    one = look(now_ms, state.surfaces)
    state.take(one)
    samples = list(look_samples(one, state.surfaces, state.since))
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for sample in samples:
        labels = ("organism", *BY_NAME[sample.name].labels)
        gauge = gauges.get(sample.name) or gauges.setdefault(
            sample.name, Gauge(sample.name, BY_NAME[sample.name].help, labels, registry=registry)
        )
        gauge.labels("bench.organism", *sample.labels).set(sample.value)
    page = [Page("bench.organism", samples, now_ms)]
    server = Server(Address("127.0.0.1", 0), lambda: page[0], dict, lambda: (True, ""))
    ours, alone = [], []
    for _ in range(SCRAPES):
        page[0] = Page("bench.organism", samples, now_ms)  # nothing of it is rendered yet
        begun = time.process_time()
        with urllib.request.urlopen(f"http://{server.address}/metrics", timeout=30) as answer:
            answer.read()
        ours.append(time.process_time() - begun)
        begun = time.process_time()
        generate_latest(registry)
        alone.append(time.process_time() - begun)
    server.close()
    state.close()
    shutil.rmtree(folder)
    mine, theirs = (sorted(column)[SCRAPES // 2] for column in (ours, alone))
    detail = f"{len(samples)} series, {mine * 1000:.0f} ms CPU, prometheus-client {theirs * 1000:.0f} ms"
    title = f"exporter, scrape of {PAIR_SPANS * PAIR_NODES} pairs / prometheus-client alone"
    return Row(title, mine / theirs, SCRAPE_LIMIT, detail)


def a_day() -> None:
    """Simulate a day of sweeps and scrapes in this process; print resident bytes after an hour and at the end."""
    from organismctl.exporter.history import History
    from organismctl.exporter.memory_file import MemoryFile
    from organismctl.exporter.page import OPENMETRICS, TEXT, Page
    from organismctl.exporter.samples import look_samples
    from organismctl.exporter.server import Address, Server
    from organismctl.exporter.state import State

    folder, look = taken(DAY_SPANS, DAY_NODES)
    now_ms = time.time_ns() // 1_000_000
    state = State(MemoryFile(folder / "exporter.db", "bench.organism", now_ms), lambda _: None)
    lags = History(folder / "exporter.db.history", now_ms, lambda _: None)
    page = [Page("bench.organism", (), now_ms)]
    server = Server(Address("127.0.0.1", 0), lambda: page[0], dict, lambda: (True, ""))
    for number in range(1, DAY + 1):
        now_ms += 15_000
        one = look(now_ms, state.surfaces)
        state.take(one)
        lags.note(state.surfaces, now_ms)
        page[0] = Page("bench.organism", look_samples(one, state.surfaces, state.since), now_ms)
        accept = {"accept": OPENMETRICS if number % 2 else TEXT}
        request = urllib.request.Request(f"http://{server.address}/metrics", headers=accept)
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
        if number in (HOUR, DAY):
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            disk = sum(file.stat().st_size for file in folder.glob("exporter.db*"))
            print(
                json.dumps({"resident": pages * 4096, "disk": disk, "threads": threading.active_count()}),
                flush=True,
            )
    server.close()
    state.close()
    lags.close()
    shutil.rmtree(folder)


def day_row() -> Row:
    """Memory after a day against that after an hour, in a process of its own."""
    code = "from benchmarks.exporter import a_day; a_day()"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=1800)
    hour, day = (json.loads(line) for line in done.stdout.splitlines())
    detail = (
        f"{day['resident'] / 2**20:.1f} MiB after {DAY} sweeps and scrapes, {hour['resident'] / 2**20:.1f} after "
        f"{HOUR}; "
        f"file {day['disk'] / 1024:.0f} and {hour['disk'] / 1024:.0f} KiB, {day['threads']} threads"
    )
    return Row(
        "exporter, memory after 24 h / after 1 h", day["resident"] / hour["resident"], DAY_LIMIT, detail
    )


def rows() -> list[Row]:
    """All three."""
    with tempfile.TemporaryDirectory() as name:
        sweep = sweep_row(Path(name) / "world")
    return [sweep, scrape_row(), day_row()]


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name}: {row.value:.2f} (limit {row.limit}): {row.detail}")
