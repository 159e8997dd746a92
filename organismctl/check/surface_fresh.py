"""Whether our own surface is fresh: its last item against the pace at which facts can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, SourceRef, Status
from organismctl.check.span_reading import host_clock, surface_views
from organismctl.check.span_side import dark_limit_ms
from organismctl.check.values import duration, items, listed, source, table, whole

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json, Surface

SURFACES = "node.surfaces"
PERIODS = 5
"""Periods of the slowest clock without a new item, after which a surface is stale."""


def fresh_row(scope: Scope, surface: Surface) -> Finding:
    """One row: how old the last item is, over every node that serves it and every subscription that heard it."""
    last, seen, sealed, refs = _last(scope, surface)
    limit, silent = _limit_ms(scope), _silent(scope)
    bounds: dict[str, Json] = {"limit_ms": limit}
    values: dict[str, Json] = {"last_item_ms": last, "sealed": sealed, "silent": [*silent]}
    if sealed:
        return _row(surface, Status.OK, "sealed: its marker is its last item", values, bounds, refs)
    if seen == 0:
        return _row(surface, Status.UNKNOWN, _why_unseen(scope), values, bounds, refs)
    if last is None:
        return _row(
            surface, Status.WARN if silent else Status.BAD, _since_never(silent), values, bounds, refs
        )
    age = max(seen - last, 0)
    values["age_ms"] = age
    if limit is None:
        why = f"last item {duration(age)} old; without a period of every spanned member its pace is not known"
        return _row(surface, Status.UNKNOWN, why, values, bounds, refs)
    if age <= limit:
        return _row(
            surface, Status.OK, f"last item {duration(age)} before it was looked at", values, bounds, refs
        )
    shown = f"no item for {duration(age)}, more than {duration(limit)}"
    if silent:
        shown += f"; it cannot move while {listed(silent)} is silent (MEMBER-DARK, STALL-WAITING)"
        return _row(surface, Status.WARN, shown, values, bounds, refs)
    return _row(
        surface, Status.BAD, shown + "; every spanned member is heard: it is our side", values, bounds, refs
    )


def _row(
    surface: Surface,
    status: Status,
    shown: str,
    values: dict[str, Json],
    bounds: dict[str, Json],
    refs: tuple[SourceRef, ...],
) -> Finding:
    return finding("SURFACE-STALE", status, surface.name, shown, values=values, limits=bounds, sources=refs)


def _last(scope: Scope, surface: Surface) -> tuple[int | None, int, bool, tuple[SourceRef, ...]]:
    """The newest item that anybody tells, when that was seen, whether it is sealed, and by whom; seen 0: by nobody."""
    wanted = scope.identity.surface_ids.get(surface.name) if scope.identity is not None else None
    found: list[int] = []
    seen, sealed = 0, False
    refs: tuple[SourceRef, ...] = ()
    for fact in scope.snapshot.of(SURFACES):
        for one in items(table(fact.value).get("surfaces"))[:256]:
            told = table(one)
            if fact.seen_ms is None or wanted is None or told.get("id") != wanted.hex():
                continue
            offset = host_clock(scope, fact.subject)
            last = whole(told.get("last_item_ms"))
            found += [] if last is None else [min(last - offset, fact.seen_ms)]
            seen, sealed, refs = (
                max(seen, fact.seen_ms),
                sealed or told.get("sealed") is True,
                (*refs, *source(fact)),
            )
    for fact in scope.wire.streams:
        last = whole(table(fact.value).get("last_ms"))
        if wanted is not None and fact.seen_ms is not None and fact.subject.partition("@")[0] == wanted.hex():
            found += [] if last is None else [min(last, fact.seen_ms)]
            seen, refs = max(seen, fact.seen_ms), (*refs, *source(fact))
    return max(found, default=None), seen, sealed, refs


def _why_unseen(scope: Scope) -> str:
    reasons = [fact.reason for fact in scope.snapshot.of(SURFACES) if fact.reason]
    return reasons[0] if reasons else "no node tells of it"


def _since_never(silent: list[str]) -> str:
    if silent:
        return f"no item yet, and {listed(silent)} is silent"
    return "no item yet"


def _limit_ms(scope: Scope) -> int | None:
    """How old the last item may be; ``None`` where a spanned member's period is not told."""
    driver = scope.organism.config.driver
    periods: list[int] = [driver.period_ms]
    for member in scope.organism.config.span if driver.fold != "ticker" else ():
        side = scope.deployment.span(member.name) if scope.deployment is not None else None
        if side is None or side.period_ms is None:
            return None
        periods.append(side.period_ms)
    return PERIODS * max(periods) + driver.apply_deadline_ms


def _silent(scope: Scope) -> list[str]:
    """Spanned members of which nobody has heard within their limit; without them no new fact can be expected."""
    if scope.organism.config.driver.fold == "ticker":
        return []
    found = []
    for view in surface_views(scope):
        limit, last = dark_limit_ms(scope, view), view.last_event_ms
        seen = max([one.seen_ms for one in view.nodes] + [one.seen_ms for one in view.endpoints], default=0)
        if view.marker is not None or last is None or (limit is not None and seen - last > limit):
            found.append(view.subject)
    return found
