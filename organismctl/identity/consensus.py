"""The digest of mosaik's ConsensusConfig (domain fact sheet A.4; source ``groups/builder.rs``)."""

from __future__ import annotations

from organismctl.identity.digest import h


def consensus_digest(heartbeat_ms: int = 500, jitter_ms: int = 150, max_missed: int = 10) -> bytes:
    """The three values that the group id folds in, each as a little-endian u128; timeouts are not folded."""
    return h(b"".join(value.to_bytes(16, "little") for value in (heartbeat_ms, jitter_ms, max_missed)))
