"""A NodeStatus as the checks rely on it: read once, carefully, in one pass over its lists.

A committee of n nodes tells n lists of n bonds, so this is the one place where a check's cost grows with n².
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from organismctl.check.values import hex_id, items, table, text, whole

MAX_MEMBERS = 1024


class MalformedStatusError(ValueError):
    """The answer is no NodeStatus; the text names the key."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one node says of itself and of its committee; ids are 64 hex.

    Attributes:
        peer_id: Its own.
        fingerprint: What it runs.
        group_id: What it runs, or ``None`` when it lacks the group secret.
        version: Of its program.
        now_ms: Its clock, Unix ms.
        tick_s: The certified tick that its reads are as of, Unix seconds; ``None`` before the first.
        role: ``proposer``, ``acceptor``, ``learner`` or ``stopped``.
        epoch: The epoch that it knows.
        proposer: Whom it holds for the proposer, or ``None``.
        one_host: Whether the whole committee is on one host.
        roster_version: Of the roster that it holds; below zero when it holds none yet.
        roster: Peer id to name, in order.
        certified: The height that it has certified.
        digest: The ledger's digest there.
        state_digest: The state's digest there, or ``None``.
        connected: Peers to which it has a live bond.
        drained: Peers that are drained.
        sealed: Whether the organism is sealed.
        effective_at: Of a scheduled retirement, or ``None``.
        lease: The change that holds the lease, or ``None``.
        stopped: Why it stopped loudly, or ``None``.
    """

    peer_id: str
    fingerprint: str
    group_id: str | None
    version: str
    now_ms: int
    tick_s: int | None
    role: str
    epoch: int
    proposer: str | None
    one_host: bool
    roster_version: int
    roster: Mapping[str, str]
    certified: int
    digest: str
    state_digest: str | None
    connected: frozenset[str]
    drained: frozenset[str]
    sealed: bool
    effective_at: str | None
    lease: str | None
    stopped: str | None


def read_told(value: object) -> Told:
    """Read a NodeStatus.

    Raises:
        MalformedStatusError: Something that the checks rely on is not there, or not of its type.
    """
    if not isinstance(value, dict):
        raise MalformedStatusError("the answer is not an object")
    roster, ledger = table(value.get("roster")), table(value.get("ledger"))
    stopped = text(value.get("stopped"))
    role = _need(text(value.get("role")), "role")
    return Told(
        peer_id=_need(hex_id(value.get("peer_id")), "peer_id"),
        fingerprint=_need(hex_id(value.get("fingerprint")), "fingerprint"),
        group_id=_maybe_id(value, "group_id"),
        version=_need(text(value.get("version")), "version"),
        now_ms=_need(whole(value.get("now_ms")), "now_ms"),
        tick_s=whole(value.get("tick")) or None,
        role=role,
        epoch=_need(whole(value.get("epoch")), "epoch"),
        proposer=_maybe_id(value, "proposer"),
        one_host=value.get("one_host") is True,
        roster_version=_need(whole(roster.get("version")), "roster.version"),
        roster=_roster(roster.get("members")),
        certified=_need(whole(ledger.get("certified")), "ledger.certified"),
        digest=_need(hex_id(ledger.get("digest")), "ledger.digest"),
        state_digest=_maybe_id(ledger, "state_digest"),
        connected=_connected(value.get("bonds")),
        drained=frozenset(peer for one in _bounded(value, "drained") if (peer := hex_id(one)) is not None),
        sealed=value.get("sealed") is True,
        effective_at=_shown(table(value.get("retirement")).get("effective_at")),
        lease=text(table(value.get("lease")).get("change")),
        stopped=stopped if stopped is not None else "it says so" if role == "stopped" else None,
    )


def _need(found: Any, key: str) -> Any:
    if found is None:
        raise MalformedStatusError(f"{key} is missing or malformed")
    return found


def _maybe_id(value: Mapping[str, Any], key: str) -> str | None:
    """An id that may be null, but not something else."""
    raw = value.get(key)
    return None if raw is None else str(_need(hex_id(raw), key))


def _bounded(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    if not isinstance(found, list) or len(found) > MAX_MEMBERS:
        raise MalformedStatusError(f"{key} is not a list of at most {MAX_MEMBERS}")
    return found


def _roster(members: object) -> dict[str, str]:
    out: dict[str, str] = {}
    for one in items(members)[:MAX_MEMBERS]:
        told = table(one)
        peer, name = hex_id(told.get("peer_id")), text(told.get("name"))
        if peer is None or name is None:
            raise MalformedStatusError("roster.members is malformed")
        out[peer] = name
    return out


def _connected(bonds: object) -> frozenset[str]:
    if not isinstance(bonds, list) or len(bonds) > MAX_MEMBERS:
        raise MalformedStatusError(f"bonds is not a list of at most {MAX_MEMBERS}")
    live = (one.get("peer_id") for one in bonds if isinstance(one, dict) and one.get("connected") is True)
    return frozenset(peer for one in live if (peer := hex_id(one)) is not None)


def _shown(value: object) -> str | None:
    """A moment or a tick as text."""
    if isinstance(value, str):
        return value
    number = whole(value)
    return None if number is None else str(number)
