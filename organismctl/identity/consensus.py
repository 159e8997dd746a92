"""The digest of mosaik's consensus settings (mosaik: ``groups/builder.rs``)."""

from __future__ import annotations

from organismctl.identity.digest import h


def consensus_digest(heartbeat_ms: int = 500, jitter_ms: int = 150, max_missed: int = 10) -> bytes:
    """The digest that a GroupId folds: three unsigned 128-bit little-endian integers, hashed.

    Election timeouts, bootstrap delay and the other timeouts are not in it, whatever mosaik's pages say.
    """
    return h(b"".join(value.to_bytes(16, "little") for value in (heartbeat_ms, jitter_ms, max_missed)))
