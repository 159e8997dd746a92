"""mosaik's GroupId (domain fact sheet A.6; source ``groups/config.rs``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from organismctl.identity.consensus import consensus_digest
from organismctl.identity.digest import derive, h
from organismctl.identity.sync import log_replay_signature

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig


def secret_hash(secret: bytes) -> bytes:
    """``H(secret)`` of a group's 32-byte secret: enough to compute its id, useless for joining it."""
    return h(secret)


def group_id(
    hashed_secret: bytes,
    consensus: bytes,
    machine_signature: bytes,
    sync_signature: bytes,
    validators: Iterable[bytes] = (),
) -> bytes:
    """The group id from its parts.

    Args:
        hashed_secret: ``H(secret)``, 32 bytes.
        consensus: :func:`organismctl.identity.consensus.consensus_digest`.
        machine_signature: The state machine's signature.
        sync_signature: The state sync's signature.
        validators: Signatures of the validators, in ``require_ticket`` order.

    Returns:
        32 bytes.
    """
    return derive(hashed_secret, consensus, machine_signature, sync_signature, *validators)


def group_id_of(
    config: OrganismConfig, hashed_secret: bytes | None, machine_signature: bytes
) -> bytes | None:
    """The group id of an organism's committee; ``None`` without the hash of its group secret."""
    if hashed_secret is None:
        return None
    group = config.group
    return group_id(
        hashed_secret,
        consensus_digest(group.heartbeat_ms, group.heartbeat_jitter_ms, group.max_missed_heartbeats),
        machine_signature,
        log_replay_signature(group.machine_type, group.sync_batch, group.sync_fetch_timeout_s),
        (validator.signature() for validator in config.acl),
    )
