"""Organisms, committees and looks at them, built by hand for the checks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from organismctl.check.finding import Finding
from organismctl.check.run import run_scope
from organismctl.check.scope import Scope, make_scope
from organismctl.files.deployment import Deployment, parse_deployment
from organismctl.files.lock import LockFile, Stanza, make_stanza
from organismctl.files.organism import LoadedOrganism, parse_organism
from organismctl.identity.digest import derive, h
from organismctl.identity.fingerprint import field_digests, identity_of
from organismctl.identity.group_id import group_id_of, group_secret, secret_hash
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.validator import JWT_CLASS
from organismctl.observe.snapshot import UNREACHABLE, Fact, Snapshot

NOW_MS = 1_795_500_000_000
NOW_S = NOW_MS // 1000
DAY_S = 86_400
NAMES = ("node-a", "node-b", "node-c")
SEEDS = {name: h(name.encode()) for name in (*NAMES, "node-d")}
PEERS = {name: peer_id_from_seed(seed).hex() for name, seed in SEEDS.items()}
ISSUER = h(b"the issuer of beta, a test key")
NEXT_ISSUER = h(b"the next issuer of beta, a test key")
ISSUER_KEY = public_key("EdDSA", ISSUER).hex()
NEXT_KEY = public_key("EdDSA", NEXT_ISSUER).hex()
STABLE = h(b"beta").hex()
CONTENT = h(b"beta's content").hex()
SECRET_HASH = secret_hash(group_secret("a test secret"))

ORGANISM = f"""\
schema = 1
name = "acme.settlement"
network = "mosaik.universe"

[[span]]
name = "beta"
kind = "organism"
stable_id = "{STABLE}"
content_hash = "{CONTENT}"
clock = "tick"
[[span.surface]]
name = "facts"
type = "stream"
id = "beta.facts"
[[span.issuer]]
state = "current"
type = "jwt"
issuers = ["beta"]
keys = [{{ alg = "EdDSA", key = "{ISSUER_KEY}" }}]

[driver]
fold = "join"
period = "1s"
apply_deadline = "2s"
stall = "wait"

[content]
quorum_of_offers = 2

[[surface]]
name = "facts"
type = "stream"

[[acl]]
type = "jwt"
issuers = ["acme-admission"]
keys = [{{ alg = "EdDSA", key = "{ISSUER_KEY}" }}]

[group]
heartbeat = "500ms"
"""


def organism(*edits: tuple[str, str]) -> LoadedOrganism:
    """The organism, after replacing texts of its file."""
    text = ORGANISM
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return parse_organism(text)


def deployment(
    names: Sequence[str] = NAMES, more: str = "", *, files: bool = True, url: bool = True
) -> Deployment:
    """A deployment of nodes by name; ``more`` is TOML at the end."""
    lines = ["schema = 1"]
    for index, name in enumerate(names):
        lines += ["[[node]]", f'name = "{name}"', f'peer_id = "{PEERS[name]}"']
        lines += [f'url = "http://127.0.0.1:{7101 + index}"'] if url else []
    lines += ["[[span]]", 'name = "beta"', 'card = "beta.json"']
    for name in names if files else ():
        lines += ["[[span.ticket]]", f'node = "{name}"', f'file = "tickets/{name}.beta.ticket"']
    return parse_deployment("\n".join(lines) + "\n" + more, Path("/nowhere/deployment.toml"))


def stanza(loaded: LoadedOrganism, *, hashed: bytes | None = SECRET_HASH) -> Stanza:
    """An acceptance of what a config is."""
    identity = identity_of(loaded.config)
    return make_stanza(
        fingerprint=identity.fingerprint,
        fields=field_digests(loaded.config),
        group_id=group_id_of(loaded.config, hashed, identity),
        accepted_by="alice@acme",
        reason="for the test",
        now=datetime(2026, 11, 1, tzinfo=UTC),
    )


def lock(loaded: LoadedOrganism, *, hashed: bytes | None = SECRET_HASH) -> LockFile:
    """A lock that accepts what a config is."""
    return LockFile(deployed=stanza(loaded, hashed=hashed), group_secret_hash=hashed)


def ticket(
    name: str, *, days: float | None = 30, secret: bytes = ISSUER, issuer: str = "beta", **more: Any
) -> bytes:
    """A ticket of a node for beta; ``days`` until it expires, ``None`` for never."""
    expires = None if days is None else NOW_S + round(days * DAY_S)
    more = {"issued_at_s": NOW_S - DAY_S, **more}
    return issue_jwt("EdDSA", secret, bytes.fromhex(PEERS[name]), expires_at_s=expires, issuer=issuer, **more)


def ticket_id(data: bytes) -> str:
    """The id of a JWT ticket."""
    return derive(JWT_CLASS, data).hex()


def file_fact(name: str, data: bytes | None, span: str = "beta") -> Fact:
    """A ticket file as it was seen; ``None``: there is none."""
    head: dict[str, Any] = {"node": name, "span": span, "file": f"tickets/{name}.{span}.ticket"}
    if data is None:
        head["absent"] = True
    else:
        head |= {
            "class": JWT_CLASS.hex(),
            "ticket_id": ticket_id(data),
            "data": base64.urlsafe_b64encode(data).rstrip(b"=").decode(),
        }
    return Fact("ticket.file", f"{name} × {span}", head, f"file {name}", seen_ms=NOW_MS)


def held_fact(name: str, *held: bytes, **word: Any) -> Fact:
    """What a node says it has installed for beta."""
    rows = [
        {"span": "beta", "class": JWT_CLASS.hex(), "ticket_id": ticket_id(one), "horizon_ms": None, "valid": True,
         "failing_step": None, **word}
        for one in held
    ]  # fmt: skip
    return Fact("node.tickets", name, {"tickets": rows}, f"node-api {name}", seen_ms=NOW_MS)


def unseen(kind: str, subject: str, cause: str = UNREACHABLE, reason: str = "no answer in time") -> Fact:
    """Something that could not be seen."""
    return Fact.unseen(kind, subject, f"source of {subject}", reason, cause)


def ticket_facts(tickets: Mapping[str, bytes]) -> list[Fact]:
    """Each ticket in its file and on its node."""
    return [fact for name, data in tickets.items() for fact in (file_fact(name, data), held_fact(name, data))]


def card(**changes: Any) -> Fact:
    """Beta's card as it should be, but for the changes."""
    value = {
        "schema": 1, "name": "beta", "kind": "organism", "stable_id": STABLE, "content_hash": CONTENT,
        "issuance_root": [organism().config.span[0].issuers[0].validator.signature().hex()],
        "measurements": [], "endpoints": [], "surfaces": [], "retired": None, **changes,
    }  # fmt: skip
    return Fact("span.card", "beta", value, "card beta.json", seen_ms=NOW_MS)


def status(name: str, names: Sequence[str] = NAMES, **changes: Any) -> dict[str, Any]:
    """A NodeStatus of a healthy committee; node-a proposes."""
    loaded = organism()
    identity = identity_of(loaded.config)
    group = group_id_of(loaded.config, SECRET_HASH, identity)
    members = [{"peer_id": PEERS[one], "name": one} for one in names]
    others = [one for one in members if one["name"] != name]
    return {
        "schema": 1, "node": name, "peer_id": PEERS[name], "organism": "acme.settlement",
        "fingerprint": identity.fingerprint.hex(), "group_id": group.hex() if group else None, "version": "0.1.0",
        "started_ms": NOW_MS - 1000, "now_ms": NOW_MS, "carrier": "loopback", "one_host": False,
        "role": "proposer" if name == names[0] else "acceptor", "epoch": 3, "proposer": PEERS[names[0]],
        "roster": {"version": 1, "members": members},
        "ledger": {"height": 120, "certified": 120, "digest": "a" * 64, "state_digest": "b" * 64},
        "bonds": [{**one, "connected": True, "last_seen_ms": NOW_MS, "certified": 120} for one in others],
        "drained": [], "lease": None, "retirement": None, "sealed": False, "tick": NOW_S,
        "surfaces": [{"name": "facts", "next_seq": 121}],
        "stopped": None, **changes,
    }  # fmt: skip


def status_fact(name: str, value: Any = None, **changes: Any) -> Fact:
    """A NodeStatus as it was seen."""
    told = status(name, **changes) if value is None else value
    return Fact("node.status", name, told, f"node-api {name}", seen_ms=NOW_MS, took_ms=5)


def healthy(**changes: Any) -> list[Fact]:
    """Three nodes that agree, with the same changes to each."""
    return [status_fact(name, **changes) for name in NAMES]


def scope(
    facts: Sequence[Fact] = (),
    *,
    loaded: LoadedOrganism | None = None,
    deployed: Deployment | None = None,
    locked: LockFile | None = None,
    now_ms: int = NOW_MS,
    hashed: bytes | None = SECRET_HASH,
    no_deployment: bool = False,
) -> Scope:
    """A scope; the files are the plain ones unless others are given."""
    own = loaded or organism()
    side = None if no_deployment else deployed or deployment()
    return make_scope(own, Snapshot(NOW_MS, tuple(facts)), side, locked, now_ms, secret_hash=hashed)


def run(name: str, facts: Sequence[Fact] = (), **how: Any) -> list[Finding]:
    """Run one check."""
    return run_scope([name], scope(facts, **how))


def pick(rows: Sequence[Finding], code: str, subject: str | None = None) -> Finding:
    """The one finding of a code (and subject)."""
    found = [row for row in rows if row.code == code and subject in (None, row.subject)]
    assert len(found) == 1, (
        f"{len(found)} rows of {code} {subject}: {[(r.code, r.subject, r.status) for r in rows]}"
    )
    return found[0]
