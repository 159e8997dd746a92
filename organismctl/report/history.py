"""How the lag went: what a resident exporter remembers per committee member × spanned member × surface.

Without an exporter there is no history, and the page says why instead of drawing a line through one point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from organismctl.check.values import items, table, whole

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json
    from organismctl.observe.snapshot import Fact

MEMORY, HISTORY = "exporter.memory", "exporter.history"
MAX_POINTS = 512
"""Most points of one line; an exporter that sends more is cut to its newest."""
MAX_NODES = 64
NO_EXPORTER = "no resident exporter remembers it: deployment.toml names none ([exporter] url)"

Series = dict[str, Any]
"""One surface's memory, JSON-ready."""


def history_json(scope: Scope) -> list[Series]:
    """A row per surface that organism.toml reads: what is remembered of it, or why nothing is."""
    return [
        _series(scope, member.name, surface.name)
        for member in scope.organism.config.span
        for surface in member.surfaces
    ]


def _series(scope: Scope, span: str, surface: str) -> Series:
    memory = scope.snapshot.get(MEMORY, f"{span}/{surface}")
    history = scope.snapshot.get(HISTORY, f"{span}/{surface}")
    value = table(memory.value) if memory is not None and memory.seen else {}
    told = table(history.value) if history is not None and history.seen else {}
    lines = _lines(table(told.get("by_node")))
    return {
        "span": span,
        "surface": surface,
        "reason": _reason(history, lines),
        "watched_since_ms": whole(value.get("watched_since_ms")),
        "last_event_ms": whole(value.get("last_event_ms")),
        "dark_since_ms": whole(value.get("dark_since_ms")),
        "lines": lines,
    }


def _reason(fact: Fact | None, lines: list[dict[str, Any]]) -> str | None:
    if fact is None:
        return NO_EXPORTER
    if not fact.seen:
        return fact.reason
    return None if lines else "the exporter remembers no lag of it yet"


def _lines(by_node: Mapping[str, Json]) -> list[dict[str, Any]]:
    found = []
    for node in sorted(by_node)[:MAX_NODES]:
        points = _points(by_node[node])
        if points:
            found.append({"node": node, "points": points})
    return found


def _points(history: object) -> list[tuple[int, int | None, float | None]]:
    """``(Unix ms, events behind, seconds behind)``, oldest first; what is no point is left out."""
    points = []
    for one in items(history)[-MAX_POINTS:]:
        parts = items(one)
        if len(parts) != 3:
            continue
        at, events = whole(parts[0]), whole(parts[1])
        if at is not None and at >= 0:
            points.append((at, events if events is None or events >= 0 else None, _seconds(parts[2])))
    return sorted(points, key=lambda point: point[0])


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e12 else None
