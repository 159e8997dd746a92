"""NodeStatus and its neighbours: what a node tells of itself, JSON-ready."""

from __future__ import annotations

from typing import Any

from organismctl import __version__
from organismctl.committee.evidence import Pointer
from organismctl.committee.lane import LaneStatus, Link
from organismctl.committee.ledger.core import Role
from organismctl.committee.ledger.wire import Reader
from organismctl.committee.node.node import CommitteeNode, wall_ms
from organismctl.committee.node.subscriptions import Subscription
from organismctl.identity.config import Validator
from organismctl.identity.roster import roster_digest
from organismctl.identity.surface_item import RetirementMarker
from organismctl.identity.validator import REGISTERS, JwtValidator

_ROLES = {Role.CANDIDATE: "acceptor"}


def node_status(node: CommitteeNode) -> dict[str, Any]:
    """NodeStatus as docs/formats/node-api.md has it."""
    settings, state, ledger = node.settings, node.state, node.runner.status()
    at = ledger.certified if ledger.certified <= node.applier.fold.height else node.applier.fold.height
    state_digest = node.applier.fold.digest_at(at) if at == ledger.certified and at >= 0 else None
    role = "stopped" if node.stopped is not None else _ROLES.get(ledger.role, ledger.role.value)
    members = ledger.roster.members
    if role == "acceptor" and settings.peer_id not in members:
        role = "learner"
    return {
        "schema": 1,
        "node": settings.name,
        "peer_id": settings.peer_id.hex(),
        "organism": settings.config.name,
        "fingerprint": settings.identity.fingerprint.hex(),
        "group_id": None if settings.group_id is None else settings.group_id.hex(),
        "version": __version__,
        "started_ms": node.started_ms,
        "now_ms": wall_ms(),
        "carrier": node.carrier.name,
        "one_host": node.carrier.name == "loopback",
        "mosaik": _mosaik(node),
        "role": role,
        "epoch": ledger.epoch.number,
        "proposer": None if ledger.proposer is None else ledger.proposer.hex(),
        "roster": {
            "version": max(0, ledger.roster.version),
            "members": [{"peer_id": peer.hex(), "name": _name(node, peer)} for peer in members],
        },
        "ledger": {
            "height": ledger.height,
            "certified": ledger.certified,
            "digest": ledger.digest.hex(),
            "state_digest": None if state_digest is None else state_digest.hex(),
            "accepted_epoch": ledger.accepted.number,
            "applied": node.applier.fold.height,
        },
        "bonds": _bonds(node),
        "drained": sorted(peer.hex() for peer in state.drained),
        "lease": _lease(node),
        "retirement": _retirement(node),
        "sealed": state.sealed,
        "tick": state.tick,
        "tick_number": state.tick_number,
        "surfaces": [
            {"name": name, "next_seq": node.publisher.next_seq[lane]}
            for lane, name in enumerate(settings.machine.surfaces)
        ],
        "stopped": node.stopped,
    }


def status_line(node: CommitteeNode) -> str:
    """The same in one line, for who looks at the process."""
    if node.stopped is not None:
        return f"stopped loudly: {node.stopped}"
    ledger, bonds = node.runner.status(), node.carrier.bonds()
    leader = "no leader" if ledger.proposer is None else f"leader {_name(node, ledger.proposer)}"
    bonded = sum(bond.connected for bond in bonds.values())
    sealed = ", sealed" if node.state.sealed else ""
    return (
        f"{_ROLES.get(ledger.role, ledger.role.value)}, {leader}, epoch {ledger.epoch.number}; certified "
        f"{ledger.certified}, applied {node.applier.fold.height}{sealed}; {bonded} of {len(bonds)} peers bonded"
    )


def _name(node: CommitteeNode, peer: bytes) -> str:
    return node.settings.names.get(peer, peer.hex()[:10])


def _bonds(node: CommitteeNode) -> list[dict[str, Any]]:
    reports = node.runner.status().peers
    return [
        {
            "peer_id": peer.hex(),
            "name": _name(node, peer),
            "connected": bond.connected,
            "last_seen_ms": bond.last_seen_ms,
            "certified": reports[peer].certified if peer in reports else None,
            "reason": bond.reason,
        }
        for peer, bond in sorted(node.carrier.bonds().items(), key=lambda pair: _name(node, pair[0]))
    ]


def _mosaik(node: CommitteeNode) -> dict[str, Any] | None:
    """What mosaik says of the Group (hints, never proof), and how the node stands on the network."""
    side = node.mosaik
    view = None if side is None else side.carrier.view
    if side is None or view is None:
        return None
    return {
        "group_id": view.id.hex(),
        "leader": None if view.leader is None else bytes(view.leader).hex(),
        "bonds": sorted(peer.hex() for peer in view.bonds),
        "term": view.term,
        "committed": view.committed,
        "online": view.online,
        "catalog": len(side.network.peers()),
        "address": side.network.options.bind,
        "relay": side.network.options.relay,
        "admission": [
            {
                "class": held.ticket_class.hex(),
                "ticket_id": held.ticket_id.hex(),
                "horizon_ms": None if held.verdict.horizon_s is None else held.verdict.horizon_s * 1000,
                "valid": held.verdict.valid is True,
                "failing_step": held.verdict.failing_step,
            }
            for held in side.admission()
        ],
        "ticket_fault": side.ticket_fault or None,
        "surfaces": [
            *(
                {"name": name, "type": "stream", "subscribers": len(one.subscribers()), "sent": one.sent}
                for name, one in side.streams.items()
            ),
            *(
                {"name": name, "type": "map", "stands": one.stands, "reason": one.reason or None}
                for name, one in side.maps.items()
            ),
        ],
    }


def _lease(node: CommitteeNode) -> dict[str, Any] | None:
    state = node.state
    if state.lease is None:
        return None
    return {
        "change": state.lease.change,
        "holder": state.lease.holder,
        "fence": state.fence,
        "since_ms": state.lease.since_ms,
        "until_tick": state.lease.until_ms // 1000,
    }


def _retirement(node: CommitteeNode) -> dict[str, Any] | None:
    state = node.state
    if state.retirement is None:
        return None
    return {
        "effective_at": str(state.retirement.effective_at),
        "replacement": state.retirement.replacement,
        "reason": state.retirement.reason,
        "sealed": state.sealed,
    }


def surfaces(node: CommitteeNode) -> dict[str, Any]:
    """``GET /v1/surfaces``."""
    settings = node.settings
    return {
        "fingerprint": settings.identity.fingerprint.hex(),
        "surfaces": [
            {
                "name": surface.name,
                "type": surface.type,
                "id": settings.identity.surface_ids[surface.name].hex(),
                "next_seq": node.publisher.next_seq[lane],
                "sealed": node.publisher.sealed(lane),
                "last_item_ms": node.publisher.last_item_ms(lane),
            }
            for lane, surface in enumerate(settings.config.surfaces)
        ],
    }


def roster(node: CommitteeNode) -> dict[str, Any]:
    """``GET /v1/roster``: the chain that a stranger proves."""
    from organismctl.committee.strict import b64

    first, links = node.publisher.chain()
    present = node.publisher.roster(len(links) + 1)
    members = present.members if present is not None else ()
    return {
        "genesis": {"roster": roster_digest(first).hex(), "members": [_member(node, peer) for peer in first]},
        "links": [b64(link) for link in links],
        "roster": {"version": len(links) + 1, "members": [_member(node, peer) for peer in members]},
    }


def _member(node: CommitteeNode, peer: bytes) -> dict[str, str]:
    return {"peer_id": peer.hex(), "name": _name(node, peer)}


def marker_json(marker: RetirementMarker | None) -> dict[str, Any] | None:
    """A marker, JSON-ready."""
    if marker is None:
        return None
    return {
        "effective_at": marker.effective_at,
        "replacement": marker.replacement,
        "reason": marker.reason,
    }


def card(node: CommitteeNode) -> dict[str, Any]:
    """``GET /v1/card``: how the organism names itself to a coalition."""
    settings = node.settings
    stable, first = settings.identity.stable_id, node.publisher.chain()[0]
    return {
        "schema": 1,
        "name": settings.config.name,
        "kind": "organism",
        "stable_id": None if stable is None else stable.hex(),
        "content_hash": settings.identity.fingerprint.hex(),
        "issuance_root": [name for validator in settings.config.acl for name in _root(validator)],
        "measurements": [row for validator in settings.config.acl for row in _measurements(validator)],
        "endpoints": list(settings.endpoints),
        "surfaces": [
            {"name": one.name, "type": one.type, "id": settings.identity.surface_ids[one.name].hex()}
            for one in settings.config.surfaces
        ],
        "genesis": {"roster": roster_digest(first).hex()} if first else None,
        "retired": marker_json(node.state.marker),
    }


def _root(validator: Validator) -> list[str]:
    """How a card names an issuer: by its keys' fingerprints, or (TDX has none) by the validator's signature."""
    if isinstance(validator, JwtValidator):
        return [key.key_id().hex() for key in validator.keys]
    return [validator.signature().hex()]


def _measurements(validator: Validator) -> list[dict[str, str]]:
    """The TDX measurements that a validator admits, a row for each variant."""
    if isinstance(validator, JwtValidator):
        return []
    rows = []
    for variant in validator.variants or (validator.baseline,):
        found = {name: variant.get(name) or validator.baseline.get(name) for name in REGISTERS}
        rows.append({name: value.hex() for name, value in found.items() if value is not None})
    return rows


def subscriptions(node: CommitteeNode) -> dict[str, Any]:
    """``GET /v1/subscriptions``: each by itself, never aggregated; and what the next fact waits for."""
    driver = node.driver.status(node.state)
    lanes = {lane.source: lane for lane in driver.lanes}
    names = {
        one.source: {"span": one.reader.upstream.member.name, "surface": one.seen.surface.name}
        for one in node.subscriptions
    }
    return {
        "now_ms": wall_ms(),
        "started_ms": node.started_ms,
        "subscriptions": [
            _subscription(node, one, lanes.get(one.source), names[one.source]) for one in node.subscriptions
        ],
        "stall": {
            "policy": node.settings.config.driver.stall,
            "waiting_for": [
                {**names[one.source], "since_ms": one.since_ms, "clock_event": one.clock_event}
                for one in driver.waiting_for
                if one.source in names
            ],
        },
    }


def _subscription(
    node: CommitteeNode, subscription: Subscription, lane: LaneStatus | None, name: dict[str, str]
) -> dict[str, Any]:
    seen = subscription.seen
    mark = node.state.marks.get(subscription.source) if subscription.folded else None
    missed, dropped = subscription.reader.losses(seen.surface)
    return {
        **name,
        "state": Link(seen.state).value,
        "reason": seen.reason or (lane.halted or "" if lane is not None else ""),
        "last_event_ms": seen.last_event_ms,
        "received": seen.received,
        "observed": mark.count if mark is not None else 0,
        "position": mark.position if mark is not None else seen.position,
        "marker": marker_json(seen.marker),
        "arrived": seen.position,
        "missed": missed,
        "dropped": dropped,
        "producers": subscription.reader.producers(seen.surface),
        "vouches": list(lane.vouches) if lane is not None and lane.vouches is not None else None,
    }


def tickets(node: CommitteeNode) -> dict[str, Any]:
    """``GET /v1/tickets``: never the bytes."""
    return {
        "tickets": [
            {
                "span": held.span,
                "class": held.ticket_class.hex(),
                "ticket_id": held.ticket_id.hex(),
                "horizon_ms": None if held.verdict.horizon_s is None else held.verdict.horizon_s * 1000,
                "valid": held.verdict.valid is True,
                "failing_step": held.verdict.failing_step,
            }
            for held in node.tickets.held(wall_ms() // 1000)
        ]
    }


def evidence(node: CommitteeNode, limit: int) -> dict[str, Any]:
    """``GET /v1/evidence``."""
    return {
        "evidence": [
            {"height": height, "pointer": pointer_json(read_pointer(data)), "state": state}
            for height, data, state in node.store.evidence(limit)
        ],
        "extent": [
            {
                "stable_id": key[:32].hex(),
                "surface_id": key[32:].hex(),
                "count": many,
                "gone": gone,
                "oldest": {"height": height, "pointer": pointer_json(read_pointer(data))},
            }
            for key, many, gone, height, data in node.store.evidence_extent()
        ],
        "unresolved": node.applier.fault,
    }


def read_pointer(data: bytes) -> Pointer:
    """A pointer from its canonical bytes."""
    reader = Reader(data)
    return Pointer(reader.id(), reader.id(), reader.u64(), reader.u64(), reader.id())


def pointer_json(pointer: Pointer) -> dict[str, Any]:
    """A pointer, JSON-ready, as commands carry it."""
    return {
        "stable_id": pointer.stable_id.hex(),
        "surface_id": pointer.surface_id.hex(),
        "clock_event": pointer.clock_event,
        "position": pointer.position,
        "blake3": pointer.blake3.hex(),
    }
