"""Signatures of mosaik's state synchronisation and of its collections.

``type_name`` is rustc's path of a type. It is data that the binary reports: renaming a crate, module or type moves
the GroupId although nothing else did.
"""

from __future__ import annotations

from dataclasses import dataclass

from organismctl.identity.digest import derive, h

COLLECTIONS = ("map", "vec", "set", "cell", "once")


@dataclass(frozen=True, slots=True)
class LogReplaySync:
    """Catch-up by replaying the log (mosaik: ``groups/replay/mod.rs``)."""

    type_name: str
    batch: int = 2000
    fetch_timeout_s: int = 25

    def signature(self) -> bytes:
        """32 bytes, folded into the GroupId."""
        return derive(
            h(b"mosaik_log_replay_sync"),
            self.type_name,
            self.batch.to_bytes(8, "little"),
            self.fetch_timeout_s.to_bytes(8, "little"),
        )


@dataclass(frozen=True, slots=True)
class SnapshotSync:
    """Catch-up of mosaik's collections by snapshots (mosaik: ``collections/sync/mod.rs``)."""

    type_name: str
    batch: int = 2000
    ttl_ms: int = 10_000
    request_timeout_ms: int = 15_000
    fetch_timeout_ms: int = 5_000

    def signature(self) -> bytes:
        """32 bytes, folded into the GroupId."""
        millis = (self.ttl_ms, self.request_timeout_ms, self.fetch_timeout_ms)
        return derive(
            h(b"mosaik_collections_snapshot_sync"),
            self.type_name,
            self.batch.to_bytes(8, "little"),
            *(value.to_bytes(16, "little") for value in millis),
        )


def store_signature(kind: str, store_id: bytes, *type_names: str) -> bytes:
    """The machine signature of a collection.

    Args:
        kind: One of :data:`COLLECTIONS`.
        store_id: ``uid`` of the store's name.
        type_names: Key and value type for a map, the item type for the rest.

    Raises:
        ValueError: An unknown kind, or the wrong number of types.
    """
    if kind not in COLLECTIONS:
        raise ValueError(f"{kind!r} is not one of {', '.join(COLLECTIONS)}")
    if len(type_names) != (2 if kind == "map" else 1):
        raise ValueError(f"{kind} takes {'two types' if kind == 'map' else 'one type'}")
    return derive(h(f"mosaik_collections_{kind}".encode()), store_id, *type_names)
