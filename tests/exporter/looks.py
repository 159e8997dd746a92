"""Looks at organisms that are built by hand, as the exporter takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organismctl.check.scope import Scope, make_scope
from organismctl.exporter.memory import Remembered
from organismctl.exporter.memory_file import Key, MemoryFile
from organismctl.exporter.state import State
from organismctl.exporter.sweep import Look, judge
from organismctl.files.deployment import Deployment
from organismctl.files.organism import LoadedOrganism
from organismctl.observe.snapshot import Fact, Snapshot
from tests.check.worlds import (
    NAMES,
    NOW_MS,
    SECRET_HASH,
    card,
    deployment,
    healthy,
    organism,
    ticket,
    ticket_facts,
)

URL = "http://127.0.0.1:7999"
PERIOD = f'period = "2s"\ndark_after = 5\nendpoints = ["{URL}"]\n'


@dataclass(frozen=True)
class Files:
    """An organism's files: what the exporter watches."""

    organism: LoadedOrganism
    deployment: Deployment | None

    def scope(self, snapshot: Snapshot, now_ms: int) -> Scope:
        return make_scope(self.organism, snapshot, self.deployment, None, now_ms, secret_hash=SECRET_HASH)


def files() -> Files:
    from organismctl.files.deployment import parse_deployment

    plain = deployment(files=False)
    text = "schema = 1\n" + "".join(
        f'[[node]]\nname = "{node.name}"\npeer_id = "{node.peer_id.hex()}"\nurl = "{node.url}"\n'
        for node in plain.nodes
    )
    text += f'[[span]]\nname = "beta"\ncard = "beta.json"\n{PERIOD}'
    return Files(organism(), parse_deployment(text, Path("/nowhere/deployment.toml")))


def heard(node: str, at_ms: int = NOW_MS, **row: Any) -> Fact:
    """A node's subscriptions; all is well with beta but for the changes."""
    one = {
        "span": "beta", "surface": "facts", "state": "live", "reason": "", "last_event_ms": at_ms - 500,
        "received": 7, "observed": 7, "position": 40, "marker": None, "arrived": 40, "missed": 0, "dropped": 0,
        "vouches": None, **row,
    }  # fmt: skip
    value = {"now_ms": at_ms, "started_ms": at_ms - 3_600_000, "subscriptions": [one],
             "stall": {"policy": "wait", "waiting_for": []}}  # fmt: skip
    return Fact("node.subscriptions", node, value, f"node-api {node}", seen_ms=at_ms)


def well(at_ms: int = NOW_MS) -> list[Fact]:
    """Everything that can be seen of a healthy organism."""
    return [
        *healthy(), card(), *ticket_facts({name: ticket(name) for name in NAMES}),
        *(heard(name, at_ms) for name in NAMES),
    ]  # fmt: skip


def look(
    facts: Sequence[Fact],
    at_ms: int = NOW_MS,
    surfaces: Mapping[Key, Remembered] | None = None,
    watched: Files | None = None,
) -> Look:
    """A judged look."""
    return judge(watched or files(), Snapshot(at_ms, tuple(facts)), surfaces or {}, at_ms)


@dataclass
class Told:
    """A state that keeps what it narrates."""

    path: Path
    lines: list[str] = field(default_factory=list)

    def state(self, at_ms: int = NOW_MS) -> State:
        return State(MemoryFile(self.path, "acme.settlement", at_ms), self.lines.append)
