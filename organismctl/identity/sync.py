"""Signatures of mosaik's state syncs and stores (domain fact sheet A.5, A.9).

Sources: ``groups/replay/mod.rs``, ``collections/sync/mod.rs``, ``collections/*.rs``. ``type_name`` is rustc's
path of a type as the binary prints it; it is configuration that the binary reports, never a guess.
"""

from __future__ import annotations

from organismctl.identity.digest import derive, h

_LOG_REPLAY = h(b"mosaik_log_replay_sync")
_SNAPSHOT = h(b"mosaik_collections_snapshot_sync")
COLLECTIONS = ("map", "vec", "set", "cell", "once")


def log_replay_signature(type_name: str, batch: int = 2000, fetch_timeout_s: int = 25) -> bytes:
    """``LogReplaySync<M>``: whole seconds; both numbers as little-endian u64."""
    return derive(_LOG_REPLAY, type_name, batch.to_bytes(8, "little"), fetch_timeout_s.to_bytes(8, "little"))


def snapshot_signature(
    type_name: str, batch: int = 2000, ttl_ms: int = 10_000, request_ms: int = 15_000, fetch_ms: int = 5_000
) -> bytes:
    """``SnapshotSync<M>``: the batch as u64, the three times in milliseconds as u128, little-endian."""
    times = (value.to_bytes(16, "little") for value in (ttl_ms, request_ms, fetch_ms))
    return derive(_SNAPSHOT, type_name, batch.to_bytes(8, "little"), *times)


def store_signature(collection: str, store_id: bytes, *type_names: str) -> bytes:
    """The signature of a collection's state machine: ``map`` takes two type names, the others one.

    Raises:
        ValueError: The collection is not one of :data:`COLLECTIONS`, or the number of types is wrong.
    """
    if collection not in COLLECTIONS or len(type_names) != (2 if collection == "map" else 1):
        raise ValueError(
            f"a collection is one of {', '.join(COLLECTIONS)}; map has two types, the others one"
        )
    return derive(h(f"mosaik_collections_{collection}".encode()), store_id, *type_names)
