"""The retention that a spanned member's surface leaves to our evidence: until when the oldest pointer resolves.

An upstream that compacts keeps a window of its surface, as many events as lie between its oldest and its newest. The
pointer at position p leaves that window when ``p - oldest + 1`` more events have come; how long that takes follows
from the window's own rate where its items tell when they were made, else from the surface's rate. An upstream that
still has its first event has compacted nothing so far: no end is in sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.values import count, hex_id, items, table, whole

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.check.span_view import EndpointSays, SurfaceView

NODE_EVIDENCE, SPAN_EVIDENCE = "node.evidence", "span.evidence"
MAX_TOLD = 10_000


@dataclass(frozen=True, slots=True)
class Retention:
    """What an upstream keeps of a surface, against the oldest pointer of our ledger.

    Attributes:
        needed: The oldest position that our ledger points to.
        oldest: The oldest position that upstream still has.
        head: The newest.
        left: Events that may still come before the oldest pointer is lost; below 1: it is lost already.
        rate_per_s: At which they come; ``None``: not known.
        lost_at_ms: The projected moment; ``None``: no end in sight, or the rate is not known.
        url: Who told it.
    """

    needed: int
    oldest: int
    head: int
    left: int
    rate_per_s: float | None
    lost_at_ms: int | None
    url: str


Needed = Mapping[tuple[str, str], int]
"""Stable id and surface id, 64 hex each, to the oldest position that a node's evidence points to."""


def needed_position(scope: Scope, view: SurfaceView) -> int | None:
    """The oldest position of a surface that a node's evidence points to; ``None``: none is told."""
    return scope.derived(_needed_positions).get((view.member.stable_id.hex(), view.surface.id.hex()))


def _needed_positions(scope: Scope) -> Needed:
    """Read once for all surfaces; those without evidence are left out."""
    found: dict[tuple[str, str], int] = {}
    for fact in scope.snapshot.of(NODE_EVIDENCE):
        value = table(fact.value)
        rows = [table(table(one).get("oldest")) for one in items(value.get("extent"))[:MAX_TOLD]]
        rows += [
            row
            for one in items(value.get("evidence"))[:MAX_TOLD]
            if (row := table(one)).get("state") != "voided"
        ]
        for row in rows:
            pointer = table(row.get("pointer"))
            stable, surface = hex_id(pointer.get("stable_id")), hex_id(pointer.get("surface_id"))
            position = count(pointer.get("position"))
            if stable is None or surface is None or position is None:
                continue
            found[stable, surface] = min(position, found.get((stable, surface), position))
    return found


def retention_of(scope: Scope, view: SurfaceView) -> Retention | None:
    """Retention as the endpoint tells it that keeps the most; ``None``: nobody tells, or nothing is needed."""
    needed = needed_position(scope, view)
    told = [one for one in view.endpoints if one.oldest is not None and one.head is not None]
    if needed is None or not told:
        return None
    best = min(told, key=lambda one: one.oldest or 0)
    oldest, head = best.oldest or 0, best.head or 0
    left = needed - oldest + 1
    rate = _rate(scope, view, best)
    lost = None
    if oldest > 0 and (rate or left < 1):
        lost = scope.now_ms + (0 if rate is None or left < 1 else round(left / rate * 1000))
    return Retention(needed, oldest, head, left, rate, lost, best.url)


def _rate(scope: Scope, view: SurfaceView, told: EndpointSays) -> float | None:
    """Events per second over the window that upstream keeps; else as the surface moves now."""
    first, last = told.oldest_ms, told.head_ms
    many = (told.head or 0) - (told.oldest or 0)
    if first is not None and last is not None and last > first and many > 0:
        return many * 1000 / (last - first)
    from organismctl.check.span_health import rate_of

    return rate_of(scope, view)


def lost_at_ms(scope: Scope, view: SurfaceView) -> int | None:
    """When the oldest pointer into a surface is projected to be lost, Unix ms; ``None``: not known, or never."""
    found = retention_of(scope, view)
    return None if found is None else found.lost_at_ms


def told_gone(scope: Scope, view: SurfaceView) -> int:
    """Pointers of a surface that nodes found gone themselves; the most that one node says."""
    key = (view.member.stable_id.hex(), view.surface.id.hex())
    most = 0
    for fact in scope.snapshot.of(NODE_EVIDENCE):
        for one in items(table(fact.value).get("extent"))[:MAX_TOLD]:
            row = table(one)
            if (hex_id(row.get("stable_id")), hex_id(row.get("surface_id"))) == key:
                most = max(most, whole(row.get("gone")) or 0)
    return most
