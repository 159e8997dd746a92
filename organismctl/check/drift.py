"""The config against an accepted identity: which fields moved, which identity each moves, and who must act.

Only digests of the accepted fields are at hand, never the old values, so a field is named by its path and its
line in organism.toml. Paths of spanned members carry their stable id in the lock; here they get the operator's
own label back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.finding import Place
from organismctl.identity.diff import actors, verdict_of

if TYPE_CHECKING:
    from organismctl.files.organism import LoadedOrganism

_GROUP_KEYS = {
    "heartbeat_ms": "group.heartbeat",
    "heartbeat_jitter_ms": "group.heartbeat_jitter",
    "max_missed_heartbeats": "group.max_missed_heartbeats",
    "machine": "group.machine",
    "machine_type": "group.machine_type",
    "sync_batch": "group.sync.batch",
    "sync_fetch_timeout_s": "group.sync.fetch_timeout",
}


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """One field that is not as accepted.

    Attributes:
        path: As a person writes it: ``span[beta-auctions].content_hash``.
        change: ``changed``, ``added`` or ``removed``.
        place: File and line; no line when the field is gone.
        moves: ``fingerprint``, ``group_id``: which identities it moves.
    """

    path: str
    change: str
    place: Place
    moves: tuple[str, ...]


def field_drift(
    organism: LoadedOrganism, accepted: Mapping[str, str], present: Mapping[str, str]
) -> list[FieldDrift]:
    """Every field that moved, in the order of the file.

    Args:
        organism: organism.toml.
        accepted: Path to digest, from the lock.
        present: Path to digest, of the config.
    """
    if not present or not accepted:
        return []
    changed = [path for path in present if present[path] != accepted.get(path)]
    gone = [path for path in accepted if path not in present]
    raw = _collapse([*changed, *gone], accepted, present)
    drifts = [_drift(organism, path, accepted, present) for path in raw]
    return sorted(drifts, key=lambda one: (one.place.line is None, one.place.line or 0, one.path))


def verdict(drifts: Iterable[FieldDrift]) -> str:
    """What integrators must do: ``none``, ``rebind`` or ``rebuild`` (:mod:`organismctl.identity.diff`)."""
    return verdict_of(one.path for one in drifts if "fingerprint" in one.moves)


def who(*, fingerprint: bool, group: bool) -> tuple[str, ...]:
    """Who must act on a move of the identities; empty when nobody must."""
    moves = ["fingerprint"] if fingerprint else ["group_id"] if group else []
    return actors(moves) if moves else ()


def _collapse(paths: list[str], accepted: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """Whole spanned members and lists once each; counts only when nothing else says it."""
    out: dict[str, None] = {}
    for path in paths:
        head = _span_head(path)
        whole = head is not None and (not _has(accepted, head) or not _has(present, head))
        out[head if whole and head is not None else path] = None
    told = [path for path in out if not path.endswith(".count")]
    return told or list(out)


def _has(digests: Mapping[str, str], head: str) -> bool:
    return f"{head}.stable_id" in digests


def _span_head(path: str) -> str | None:
    """``span[HEX]`` of a path below it."""
    return path[: path.index("]") + 1] if path.startswith("span[") and "]" in path else None


def _drift(
    organism: LoadedOrganism, path: str, accepted: Mapping[str, str], present: Mapping[str, str]
) -> FieldDrift:
    probe = f"{path}.stable_id" if path == _span_head(path) else path
    change = "added" if probe not in accepted else "removed" if probe not in present else "changed"
    line = None if change == "removed" else organism.line(path)
    moves = ("group_id",) if path.startswith("group.") else ("fingerprint", "group_id")
    return FieldDrift(_shown(organism, path), change, Place(organism.file, line), moves)


def _shown(organism: LoadedOrganism, path: str) -> str:
    """The path as a person writes it: spanned members by the operator's own label."""
    if path.startswith("group."):
        return _GROUP_KEYS.get(path.removeprefix("group."), path)
    head = _span_head(path)
    if head is None:
        return path.removesuffix(".count")
    label = next((one.name for one in organism.config.span if one.stable_id.hex() == head[5:-1]), head[5:15])
    return f"span[{label}]{path[len(head) :].removesuffix('.count')}"
