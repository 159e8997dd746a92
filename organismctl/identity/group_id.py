"""mosaik's GroupId: the committee's pin, which moves for reasons that the fingerprint does not know.

Source: mosaik ``groups/config.rs``. The secret itself is never needed: its hash is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from organismctl.identity.consensus import consensus_digest
from organismctl.identity.digest import derive, h, uid
from organismctl.identity.sync import LogReplaySync

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig
    from organismctl.identity.fingerprint import Identity


def group_secret(text: str) -> bytes:
    """The 32-byte group secret of a secret file's text, by mosaik's hex-or-hash rule; ends are stripped."""
    return uid(text.strip())


def secret_hash(secret: bytes) -> bytes:
    """``H(secret)``: what a lock may hold, and all that a GroupId needs."""
    return h(secret)


def secret_readings(text: str) -> dict[str, bytes]:
    """How a secret file's text is misread elsewhere: the mistake in words, to ``H`` of what comes out.

    Only hashes leave this function, so that a check may compare them.
    """
    plain = text.strip()
    readings = {
        "taken with the file's line end": uid(plain + "\n"),
        "taken as text, not as hex": h(plain.encode()),
        "taken without its 0x": uid(plain[2:] if plain[:2].lower() == "0x" else plain),
        "hashed once more": h(uid(plain)),
    }
    right = uid(plain)
    return {what: h(secret) for what, secret in readings.items() if secret != right}


def group_id(
    secret_hash: bytes,
    consensus: bytes,
    machine_signature: bytes,
    sync_signature: bytes,
    validators: Iterable[bytes] = (),
) -> bytes:
    """Compute a GroupId.

    Args:
        secret_hash: ``H`` of the 32-byte group secret.
        consensus: :func:`~organismctl.identity.consensus.consensus_digest`.
        machine_signature: The machine's own signature.
        sync_signature: Of its state synchronisation.
        validators: Signatures in the order in which tickets are required.

    Returns:
        32 bytes.
    """
    return derive(secret_hash, consensus, machine_signature, sync_signature, *validators)


def why_no_group_id(
    config: OrganismConfig, secret_hash: bytes | None, identity: Identity | None = None
) -> str | None:
    """The reason for which :func:`group_id_of` gives ``None``, else ``None``."""
    if secret_hash is None:
        return "neither the group secret nor its hash in a lock is here"
    if identity is None and config.identity.scheme == "exec":
        return "the organism's own binary was not asked for its machine signature"
    if _machine(config, identity) is None:
        return f"scheme {config.identity.scheme} gives no machine signature"
    return None


def _machine(config: OrganismConfig, identity: Identity | None) -> bytes | None:
    from organismctl.identity.fingerprint import identity_of

    if identity is None:
        if config.identity.scheme == "exec":
            return None
        identity = identity_of(config)
    return identity.machine_signature


def group_id_of(
    config: OrganismConfig, secret_hash: bytes | None, identity: Identity | None = None
) -> bytes | None:
    """The GroupId of a config's committee.

    Args:
        config: The normalised config.
        secret_hash: ``H`` of the group secret, or ``None`` when it is not known here.
        identity: What :func:`~organismctl.identity.fingerprint.identity_of` gave; needed for scheme ``exec``.

    Returns:
        32 bytes, or ``None``; :func:`why_no_group_id` says why.

    Raises:
        ParameterError: The config has no fingerprint.
    """
    machine = _machine(config, identity)
    if secret_hash is None or machine is None:
        return None
    group = config.group
    return group_id(
        secret_hash,
        consensus_digest(group.heartbeat_ms, group.heartbeat_jitter_ms, group.max_missed_heartbeats),
        machine,
        LogReplaySync(group.machine_type, group.sync_batch, group.sync_fetch_timeout_s).signature(),
        [validator.signature() for validator in config.acl],
    )
