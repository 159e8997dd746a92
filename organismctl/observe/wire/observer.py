"""Who looks: the observer's identity and tickets, both optional."""

from __future__ import annotations

from dataclasses import dataclass, field

from organismctl.identity.digest import uid
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.peer_entry import PROTOCOL, PeerEntry, PeerTicket, sign_entry

OBSERVER_TAG = uid("organismctl.observer")
"""Stands in an observer's own entry, so that others tell it from a node. Anybody may claim it."""


@dataclass(frozen=True, slots=True)
class Observer:
    """Who looks.

    Attributes:
        seed: 32-byte ed25519 seed, or ``None`` for a fresh identity with each look. Never in a repr.
        tickets: What it shows to producers that ask for tickets. Public once it subscribes.
    """

    seed: bytes | None = field(default=None, repr=False)
    tickets: tuple[PeerTicket, ...] = field(default=(), repr=False)

    @property
    def peer_id(self) -> bytes | None:
        """Its peer id, when it has a lasting one."""
        return peer_id_from_seed(self.seed) if self.seed is not None else None


def own_entry(seed: bytes, tickets: tuple[PeerTicket, ...], network: bytes, now_ms: int) -> bytes:
    """The signed entry that an observer publishes: no address, no stream, no group.

    Args:
        seed: The seed of the endpoint that will subscribe.
        tickets: Its tickets.
        network: The network id.
        now_ms: The wall clock; also its start, so that a later look always has the newer entry.
    """
    entry = PeerEntry(
        protocol=PROTOCOL,
        network=network,
        started_ms=now_ms,
        updated_ms=now_ms,
        peer_id=peer_id_from_seed(seed),
        tags=(OBSERVER_TAG,),
        tickets=tickets,
    )
    return sign_entry(entry, seed)
