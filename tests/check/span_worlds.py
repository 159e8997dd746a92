"""What nodes and upstreams tell of beta's surface, built by hand for the checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from organismctl.check.finding import Finding
from organismctl.files.deployment import Deployment, parse_deployment
from organismctl.files.organism import LoadedOrganism
from organismctl.identity.fingerprint import identity_of
from organismctl.observe.snapshot import UNREACHABLE, Fact
from tests.check.wire_worlds import BETA, BETA_DOOR, BETA_STREAM
from tests.check.worlds import NAMES, NOW_MS, PEERS, STABLE, organism, run, ticket, ticket_facts

URL = "http://127.0.0.1:7201"
SUBJECT = "beta / facts"
PERIOD_MS = 1000
HASH = "cd" * 32


def read(*edits: tuple[str, str]) -> LoadedOrganism:
    """The plain organism; beta's surface is read, not only counted."""
    return organism(('id = "beta.facts"\n', 'id = "beta.facts"\ndecode = "surface-item"\n'), *edits)


def side(
    more: str = "",
    *,
    url: bool = True,
    period: bool = True,
    endpoints: Sequence[str] = (URL,),
    peers: bool = False,
) -> Deployment:
    """Three nodes, and beta with a period of 1 s that is dark after 5."""
    lines = ["schema = 1"]
    for index, name in enumerate(NAMES):
        lines += ["[[node]]", f'name = "{name}"', f'peer_id = "{PEERS[name]}"']
        lines += [f'url = "http://127.0.0.1:{7101 + index}"'] if url else []
    ends = ", ".join(f'"{one}"' for one in endpoints)
    lines += ["[[span]]", 'name = "beta"', f"endpoints = [{ends}]", "dark_after = 5"]
    lines += ['period = "1s"'] if period else []
    lines += [f'peers = ["{BETA_DOOR}"]'] if peers else []
    for name in NAMES:
        lines += ["[[span.ticket]]", f'node = "{name}"', f'file = "tickets/{name}.beta.ticket"']
    return parse_deployment("\n".join(lines) + "\n" + more, Path("/nowhere/deployment.toml"))


def told(name: str, *, waiting: Sequence[Any] = (), ahead_ms: int = 0, **changes: Any) -> Fact:
    """A node's word of its subscription to beta: live, and an event half a second ago."""
    row = {
        "span": "beta", "surface": "facts", "state": "live", "reason": "", "last_event_ms": NOW_MS - 500,
        "received": 41, "observed": 41, "position": 40, "arrived": 40, "missed": 0, "dropped": 0, "marker": None,
        **changes,
    }  # fmt: skip
    if ahead_ms and row["last_event_ms"] is not None:
        row["last_event_ms"] += ahead_ms
    value = {
        "now_ms": NOW_MS + ahead_ms, "started_ms": NOW_MS - 60_000 + ahead_ms, "subscriptions": [row],
        "stall": {"policy": "wait", "waiting_for": [*waiting]},
    }  # fmt: skip
    return Fact("node.subscriptions", name, value, f"node-api {name}", seen_ms=NOW_MS)


def away(kind: str, subject: str, reason: str = "no answer in time", cause: str = UNREACHABLE) -> Fact:
    """Something that was not seen."""
    return Fact.unseen(kind, subject, f"source of {subject}", reason, cause)


def endpoint(url: str = URL, **changes: Any) -> Fact:
    """Beta's own endpoint: 41 events, none compacted, the last half a second ago."""
    one = {
        "name": "facts", "type": "stream", "id": BETA_STREAM, "next_seq": 41, "sealed": False,
        "last_item_ms": NOW_MS - 500, "oldest": 0, **changes,
    }  # fmt: skip
    return Fact("span.endpoint", f"beta @ {url}", {"surfaces": [one]}, f"endpoint {url}", seen_ms=NOW_MS)


def heard(peer: str = BETA, **changes: Any) -> Fact:
    """The observer's subscription to beta's stream: 10 s, 10 items."""
    value = {
        "items": 10, "bytes": 300, "first_ms": NOW_MS - 9000, "last_ms": NOW_MS - 300, "listened_ms": 10_000,
        "rate_per_s": 1.0, "last_seq": 40, **changes,
    }  # fmt: skip
    return Fact("wire.stream", f"{BETA_STREAM}@{peer}", value, "wire", seen_ms=NOW_MS)


def memory(**changes: Any) -> Fact:
    """What an exporter remembers of beta's surface."""
    value = {
        "watched_since_ms": NOW_MS - 3_600_000, "last_event_ms": NOW_MS - 500, "dark_since_ms": None, "events": 3600,
        "rate_per_s": 1.0, "last_position": 40, "by_node": {"node-a": {"link": "live"}}, **changes,
    }  # fmt: skip
    return Fact("exporter.memory", "beta/facts", value, "exporter", seen_ms=NOW_MS)


def evidence(name: str, positions: Sequence[int], *, unresolved: str | None = None, **changes: Any) -> Fact:
    """A node's evidence of beta's surface."""
    rows = [{"height": 10 + one, "state": "vouched", "pointer": pointer(one), **changes} for one in positions]
    extent = [
        {"stable_id": STABLE, "surface_id": BETA_STREAM, "count": len(rows), "gone": 0,
         "oldest": {"height": rows[0]["height"], "pointer": rows[0]["pointer"]}}
    ] if rows else []  # fmt: skip
    value = {"evidence": rows, "extent": extent, "unresolved": unresolved}
    return Fact("node.evidence", name, value, f"node-api {name}", seen_ms=NOW_MS)


def surface(name: str = "node-a", **changes: Any) -> Fact:
    """What a node says of our own surface: its last item half a second ago."""
    found = identity_of(organism().config).surface_ids["facts"].hex()
    one = {
        "name": "facts", "type": "stream", "id": found, "next_seq": 41, "sealed": False,
        "last_item_ms": NOW_MS - 500, **changes,
    }  # fmt: skip
    return Fact("node.surfaces", name, {"surfaces": [one]}, f"node-api {name}", seen_ms=NOW_MS)


def pointer(position: int) -> dict[str, Any]:
    """A pointer into beta's surface."""
    return {
        "stable_id": STABLE, "surface_id": BETA_STREAM, "clock_event": position, "position": position,
        "blake3": HASH,
    }  # fmt: skip


def admitted(*, but: Sequence[str] = ()) -> list[Fact]:
    """Every node's ticket at beta, in its file and on the node; those of ``but`` ended a day ago."""
    return ticket_facts({name: ticket(name, days=-1 if name in but else 30) for name in NAMES})


def judged(facts: Sequence[Fact], check: str = "subscriptions", **how: Any) -> list[Finding]:
    """The rows of a check over facts; beta's events are read unless told otherwise."""
    return run(check, facts, **{"loaded": read(), "deployed": side(), **how})
