"""A node's status, as its API answers it: the largest answer, checked as far as every reader of it relies on."""

from __future__ import annotations

from organismctl.committee.strict import JsonObject, digest, flag, many, maybe, number, obj, text


def read_status(raw: JsonObject) -> JsonObject:
    """A NodeStatus, checked as far as every reader of it relies on; see docs/formats/node-api.md."""
    for key in ("node", "role", "organism", "version", "carrier"):
        text(raw.get(key), key, 512)
    for key in ("peer_id", "fingerprint"):
        digest(raw.get(key), key)
    maybe(raw.get("group_id"), "group_id", digest)
    maybe(raw.get("proposer"), "proposer", digest)
    for key in ("epoch", "tick", "started_ms", "now_ms"):
        number(raw.get(key), key)
    flag(raw.get("sealed"), "sealed")
    flag(raw.get("one_host"), "one_host")
    roster = obj(raw.get("roster"), "roster")
    number(roster.get("version"), "roster.version", -1)
    many(roster.get("members"), "roster.members", _member, 255)
    ledger = obj(raw.get("ledger"), "ledger")
    number(ledger.get("height"), "ledger.height", -1)
    number(ledger.get("certified"), "ledger.certified", -1)
    digest(ledger.get("digest"), "ledger.digest")
    maybe(ledger.get("state_digest"), "ledger.state_digest", digest)
    many(raw.get("bonds"), "bonds", _bond, 1024)
    many(raw.get("drained"), "drained", digest, 255)
    maybe(raw.get("lease"), "lease", obj)
    maybe(raw.get("retirement"), "retirement", obj)
    many(raw.get("surfaces"), "surfaces", obj, 64)
    maybe(raw.get("stopped"), "stopped", text)
    return raw


def _member(value: object, where: str) -> None:
    raw = obj(value, where)
    digest(raw.get("peer_id"), f"{where}.peer_id")
    text(raw.get("name"), f"{where}.name", 256)


def _bond(value: object, where: str) -> None:
    _member(value, where)
    raw = obj(value, where)
    flag(raw.get("connected"), f"{where}.connected")
    maybe(raw.get("last_seen_ms"), f"{where}.last_seen_ms", number)
