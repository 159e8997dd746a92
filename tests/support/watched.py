"""A committee with two spanned members that a test controls, and the exporter that watches them; real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from organismctl.identity.digest import h
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.validator import JWT_CLASS
from tests.support.committee import Committee, Span, free_ports, running_committee, wait_for
from tests.support.prometheus import get
from tests.support.upstream import Lattice, lattices

ISSUER = h(b"the issuer of alpha, a test key")
CONTENT = h(b"alpha's content").hex()
DAY_S = 86_400
EMIT_S = 0.25
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True)
class CardedSpan(Span):
    """A spanned member with a card, and a period of which two make it dark."""

    card: str | None = None

    def deployment(self) -> str:
        """See :meth:`Span.deployment`."""
        card = f'card = "{self.card}"\n' if self.card else ""
        return super().deployment() + f"dark_after = 2\n{card}"


@dataclass
class World:
    """Everything that runs; alpha admits by tickets and has a card, beta does neither.

    Attributes:
        committee: Three nodes.
        alpha: Its content is pinned.
        beta: The other one.
        muted: Lattices that emit nothing now.
        exporter: Its process.
        port: Where it listens.
    """

    committee: Committee
    alpha: Lattice
    beta: Lattice
    port: int
    muted: set[str] = field(default_factory=set)
    exporter: subprocess.Popen[bytes] | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The exporter's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory_file(self) -> Path:
        """The exporter's memory."""
        return self.committee.folder / ".organism" / "exporter.db"

    def log(self) -> str:
        """What the exporter narrated."""
        return (self.committee.folder / "exporter.log").read_text()

    def start_exporter(self, *more: str, every: str = "500ms") -> None:
        """Start it, and wait for its first sweep."""
        command = [
            sys.executable,
            "-m",
            "organismctl",
            "exporter",
            "--organism",
            str(self.committee.deployment),
        ]
        with (self.committee.folder / "exporter.log").open("ab") as log:
            self.exporter = subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{self.port}", "--every", every, "--timeout", "3s", *more],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        wait_for("the exporter sweeps", self.healthy)

    def healthy(self) -> bool:
        """Whether the exporter has swept."""
        assert self.exporter is not None
        assert self.exporter.poll() is None, self.log()
        try:
            return get(f"{self.url}/-/healthy")[0] == 200
        except OSError:
            return False

    def stop_exporter(self) -> int:
        """End it in order; its exit code."""
        assert self.exporter is not None
        self.exporter.terminate()
        return self.exporter.wait(20)

    def samples(self) -> Samples:
        """What it tells now: (name, labels) to value."""
        from prometheus_client.parser import text_string_to_metric_families as parse

        _, _, body = get(f"{self.url}/metrics")
        return {
            (one.name, tuple(sorted(one.labels.items()))): one.value
            for family in parse(body.decode())
            for one in family.samples
        }

    def values(self, name: str, **labels: str) -> list[float]:
        """Values of a series now, by some of its labels."""
        return values_in(self.samples(), name, **labels)

    def memory(self, subject: str) -> dict[str, Any]:
        """What it remembers of a surface."""
        return dict(json.loads(get(f"{self.url}/v1/memory")[2])["memory"][subject])

    def admit(self, *names: str, days: float = 30) -> None:
        """Give nodes a ticket for alpha, in place of what they have."""
        now = int(time.time())
        for name in names or self.committee.names:
            peer = peer_id_of(self.committee, name)
            data = issue_jwt(
                "EdDSA", ISSUER, peer, issued_at_s=now, expires_at_s=now + round(days * DAY_S), issuer="alpha"
            )
            with self.committee.client(name) as client:
                client.install_ticket("alpha", JWT_CLASS, data, replace=True)

    def publish(self, **changes: Any) -> None:
        """Write alpha's card."""
        from organismctl.files.organism import load_organism

        member = load_organism(self.committee.folder / "organism.toml").config.span[0]
        card = {
            "schema": 1, "name": "alpha", "kind": "lattice", "stable_id": self.alpha.stable_id,
            "content_hash": CONTENT, "issuance_root": [member.issuers[0].validator.signature().hex()],
            "measurements": [], "endpoints": [], "surfaces": [], "retired": None, **changes,
        }  # fmt: skip
        fresh = self.committee.folder / "alpha.json.new"
        fresh.write_text(json.dumps(card))
        fresh.replace(self.committee.folder / "alpha.json")

    def _emit(self) -> None:
        while not self._stopped.wait(EMIT_S):
            for one in (self.alpha, self.beta):
                if one.name not in self.muted:
                    one.emit()


def values_in(page: Samples, name: str, **labels: str) -> list[float]:
    """Values of a series on one page, by some of its labels."""
    return [
        value
        for (found, pairs), value in page.items()
        if found == f"organism_{name}" and labels.items() <= dict(pairs).items()
    ]


def peer_id_of(committee: Committee, name: str) -> bytes:
    """A node's peer id."""
    return peer_id_from_seed(
        bytes.fromhex((committee.folder / "secrets" / f"{name}.key").read_text().strip())
    )


@contextmanager
def watched_world(folder: Path) -> Iterator[World]:
    """A world in which all is well; the exporter is not started yet."""
    key = public_key("EdDSA", ISSUER).hex()
    issuer = (
        f'[[span.issuer]]\nstate = "current"\ntype = "jwt"\nissuers = ["alpha"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{key}" }}]\n'
    )
    with lattices("alpha", "beta") as (alpha, beta):
        alpha.emit(20)
        for seq in range(10):
            alpha.forget(seq)  # it compacts: how long our evidence is kept can be projected
        spans = [
            CardedSpan(**vars_of(alpha.span(), content_hash=CONTENT, extra=issuer), card="alpha.json"),
            CardedSpan(**vars_of(beta.span())),
        ]
        port = free_ports(1)[0]
        extra = f'[exporter]\nurl = "http://127.0.0.1:{port}"\n'
        with running_committee(folder, spans=spans, fold="join", period="1s", extra=extra) as committee:
            world = World(committee, alpha, beta, port)
            world.publish()
            world.admit()
            emitter = threading.Thread(target=world._emit, daemon=True)
            emitter.start()
            try:
                yield world
            finally:
                world._stopped.set()
                emitter.join(5)
                if world.exporter is not None and world.exporter.poll() is None:
                    world.stop_exporter()


def vars_of(span: Span, **changes: Any) -> dict[str, Any]:
    """A span's fields, with changes."""
    from dataclasses import asdict

    return {**asdict(replace(span, **changes)), "endpoints": span.endpoints}
