"""The GroupId of a mosaik map: a collection is a group too, whose secret is its public store id.

Source: mosaik ``collections/map.rs`` and ``collections/sync/mod.rs``; the type paths are rustc's, as in
:mod:`organismctl.identity.sync`.
"""

from __future__ import annotations

from collections.abc import Iterable

from organismctl.identity.consensus import consensus_digest
from organismctl.identity.group_id import group_id, secret_hash
from organismctl.identity.sync import SnapshotSync, store_signature

MAP_MACHINE = "mosaik::collections::map::MapStateMachine"


def map_group_id(store_id: bytes, key_type: str, value_type: str, validators: Iterable[bytes] = ()) -> bytes:
    """The group that writers and readers of a map join.

    Args:
        store_id: 32 bytes.
        key_type: rustc's path of the key: ``u64``.
        value_type: rustc's path of the value.
        validators: Signatures of what the map requires, in order.

    Returns:
        32 bytes.
    """
    return group_id(
        secret_hash(store_id),
        consensus_digest(),
        store_signature("map", store_id, key_type, value_type),
        SnapshotSync(f"{MAP_MACHINE}<{key_type}, {value_type}>").signature(),
        validators,
    )
