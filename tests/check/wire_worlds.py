"""Looks at the wire, built by hand for the checks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from organismctl.files.deployment import Deployment, parse_deployment
from organismctl.identity.digest import derive, h
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.group_id import group_id_of
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.validator import JWT_CLASS
from organismctl.observe.snapshot import UNREACHABLE, Fact
from tests.check.worlds import NAMES, NOW_MS, PEERS, SECRET_HASH, organism

CONFIG = organism().config
IDENTITY = identity_of(CONFIG)
GROUP = (group_id_of(CONFIG, SECRET_HASH, IDENTITY) or b"").hex()
SURFACE = IDENTITY.surface_ids["facts"].hex()
BETA = peer_id_from_seed(h(b"a peer of beta")).hex()
BETA_STREAM = CONFIG.span[0].surfaces[0].id.hex()
BETA_DOOR = f"{BETA}@127.0.0.1:7399"
OTHER = h(b"some map's group").hex()
DOORS = {name: f"{PEERS[name]}@127.0.0.1:{7301 + index}" for index, name in enumerate(NAMES)}


def wired(more: str = "", *, span: bool = True, files: bool = True) -> Deployment:
    """The plain deployment with mosaik addresses, and with an entry point of beta."""
    lines = ["schema = 1", 'carrier = "mosaik"']
    for index, name in enumerate(NAMES):
        lines += ["[[node]]", f'name = "{name}"', f'peer_id = "{PEERS[name]}"']
        lines += [f'url = "http://127.0.0.1:{7101 + index}"', f'address = "127.0.0.1:{7301 + index}"']
    lines += ["[[span]]", 'name = "beta"', 'card = "beta.json"']
    lines += [f'peers = ["{BETA_DOOR}"]'] if span else []
    for name in NAMES if files else ():
        lines += ["[[span.ticket]]", f'node = "{name}"', f'file = "tickets/{name}.beta.ticket"']
    return parse_deployment("\n".join(lines) + "\n" + more, Path("/nowhere/deployment.toml"))


def wire_ticket(data: bytes, kind: bytes = JWT_CLASS) -> dict[str, Any]:
    """A ticket as a peer's entry carries it."""
    return {
        "class": kind.hex(),
        "ticket_id": derive(kind, data).hex(),
        "data": base64.urlsafe_b64encode(data).decode().rstrip("="),
    }


def peer_fact(peer_id: str, **changes: Any) -> Fact:
    """A peer's entry as the wire's source keeps it: all doors told it."""
    value = {
        "network": CONFIG.network.hex(), "protocol": "0.3.18", "started_ms": NOW_MS - 60_000, "updated_ms": NOW_MS,
        "addresses": ["127.0.0.1:7301"], "relays": [], "tags": [], "streams": [], "groups": [], "tickets": [],
        "told_by": [*DOORS.values(), BETA_DOOR], **changes,
    }  # fmt: skip
    return Fact("wire.peer", peer_id, value, f"wire {BETA_DOOR}", seen_ms=NOW_MS)


def node_peer(name: str, **changes: Any) -> Fact:
    """A committee member's entry as it should be."""
    return peer_fact(PEERS[name], **{"streams": [SURFACE], "groups": [GROUP, OTHER], **changes})


def door_fact(subject: str, entries: int = 4, problems: Sequence[Mapping[str, Any]] = ()) -> Fact:
    """An entry point that told its catalog."""
    peer, _, address = subject.partition("@")
    value: Any = {
        "peer_id": peer,
        "address": address,
        "entries": entries,
        "problems": [*problems],
        "took_ms": 31,
    }
    return Fact("wire.catalog", subject, value, f"wire {subject}", seen_ms=NOW_MS, took_ms=31)


def shut(subject: str, cause: str = UNREACHABLE, reason: str = "no answer in time") -> Fact:
    """An entry point that did not."""
    return Fact.unseen("wire.catalog", subject, f"wire {subject}", reason, cause)


def network(
    changes: Mapping[str, Mapping[str, Any]] | None = None, *, without: Sequence[str] = ()
) -> list[Fact]:
    """Every door and every peer, but for one member's changes."""
    changes = changes or {}
    return [
        *(door_fact(door) for door in (*DOORS.values(), BETA_DOOR)),
        *(node_peer(name, **changes.get(name, {})) for name in NAMES if name not in without),
        peer_fact(BETA, streams=[BETA_STREAM]),
    ]
