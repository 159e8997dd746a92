"""The published vector of a surface item. ``python -m tests.identity.surface_doc`` writes it anew."""

import json

from organismctl.committee.evidence import Pointer
from organismctl.committee.machine.fact import Fact as FoldedFact
from organismctl.committee.machine.fact import encode_fact
from organismctl.files.organism import load_organism
from organismctl.identity.digest import h
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.peer import peer_id_from_seed, sign
from organismctl.identity.reference import OrganismRef
from organismctl.identity.roster import (
    Roster,
    RosterChange,
    RosterLink,
    apply_change,
    encode_link,
    link_message,
    roster_digest,
)
from organismctl.identity.surface_item import (
    Fact,
    Item,
    RetirementMarker,
    SurfaceItem,
    certificate,
    encode_body,
    encode_item,
    item_message,
)
from tests.identity.vector_doc import FORMATS

PATH = FORMATS / "surface-item.json"
SEEDS = {
    peer_id_from_seed(seed): seed for seed in (h(f"an obviously fake node {n}".encode()) for n in range(4))
}


def vector() -> dict[str, object]:
    config = load_organism(FORMATS / "organism.toml").config
    identity = identity_of(config)
    pin, surface = identity.fingerprint, identity.surface_ids["facts"]
    peers = list(SEEDS)
    first = Roster(1, tuple(sorted(peers[:3])))
    change = RosterChange(True, peers[3], 2)
    message = link_message(pin, first, 40, change)
    link = RosterLink(40, change, tuple((peer, sign(SEEDS[peer], message)) for peer in first.members[:2]))
    second = apply_change(first, change)
    fact = FoldedFact(
        fold="join",
        clock_event=300,
        tick_ms=1_795_514_400_000,
        observations=tuple(
            Pointer(member.stable_id, member.surfaces[0].id, 300, 17, h(f"event of {member.name}".encode()))
            for member in sorted(config.span, key=lambda one: one.stable_id)
        ),
    )
    replacement = str(
        OrganismRef("organism", "acme.settlement-2", h(b"another stable id"), h(b"another pin"))
    )
    marker = RetirementMarker("2026-12-01T00:00:00Z", replacement, "moved to a new admission policy")
    bodies: list[tuple[int, int, Item]] = [(0, 41, Fact(encode_fact(fact))), (1, 90, marker)]
    return {
        "fingerprint": pin.hex(),
        "surface": {"name": "facts", "id": surface.hex()},
        "genesis": {"members": [peer.hex() for peer in first.members], "digest": roster_digest(first.members).hex()},
        "links": [
            {
                "version": change.version, "height": link.height, "add": change.add, "peer_id": change.peer_id.hex(),
                "message": message.hex(), "encoding": encode_link(link).hex(),
            }
        ],
        "items": [_item(pin, surface, second, seq, height, body) for seq, height, body in bodies],
    }  # fmt: skip


def _item(pin: bytes, surface: bytes, roster: Roster, seq: int, height: int, body: Item) -> dict[str, object]:
    message = item_message(pin, surface, seq, height, body)
    signers = sorted(roster.members)[: roster.majority]
    item = SurfaceItem(
        seq, height, body, certificate(roster.version, {one: sign(SEEDS[one], message) for one in signers})
    )
    told: dict[str, object] = (
        {"fact": body.data.hex()}
        if isinstance(body, Fact)
        else {"effective_at": body.effective_at, "replacement": body.replacement, "reason": body.reason}
    )
    return {
        "seq": seq,
        "height": height,
        **told,
        "item": encode_body(body).hex(),
        "message": message.hex(),
        "roster_version": roster.version,
        "signers": [one.hex() for one in signers],
        "encoding": encode_item(item).hex(),
    }


def text() -> str:
    return json.dumps(vector(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
