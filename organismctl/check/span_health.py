"""How each committee member hears each surface of each spanned member, and whose side it is when it does not.

Pure, and never aggregated: one row per committee member × spanned member × surface. The checks, the exporter, the
live screen and the report all read these rows, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.span_evidence import lost_at_ms
from organismctl.check.span_reading import surface_views
from organismctl.check.span_side import Side, side_of
from organismctl.check.span_view import NodeSees, SurfaceView
from organismctl.check.ticket_matrix import Cell, State, matrix_of

if TYPE_CHECKING:
    from organismctl.check.scope import Scope


@dataclass(frozen=True, slots=True)
class SpanHealth:
    """One committee member at one surface of one spanned member; moments are Unix ms by the observer's clock.

    Attributes:
        node: The committee member's name.
        span: The spanned member's name.
        surface: The surface's name, as organism.toml calls it.
        lag_events: Events that anybody has seen and this node has not certified; ``None``: not known.
        lag_s: The same in seconds, at the rate at which events come; ``None``: not known.
        last_event_ms: When the last event came in on this node; ``None``: none yet, or not known.
        dark_periods: Periods of its clock since then; ``None`` without a period, or when nobody listened.
        link: ``live``, ``connecting``, ``refused`` or ``retired``; ``None``: not known.
        side: Whose side it is: ``theirs``, ``ours``, ``node``, ``ticket``, ``observer``, ``none`` (all is well) or
            ``unknown``.
        reason: Why, in one sentence; ``None`` when all is well. Text of a remote: never to a terminal raw.
        horizon_ms: When this node's admission there ends; 0: it is not admitted; ``None``: never, or not known.
        horizon_known: Whether that is known.
        position: The last certified position, as this node knows it.
        evidence_oldest_ms: When the oldest evidence of this surface is projected to be lost upstream; ``None``: no
            end in sight, or not known.
    """

    node: str
    span: str
    surface: str
    lag_events: int | None = None
    lag_s: float | None = None
    last_event_ms: int | None = None
    dark_periods: float | None = None
    link: str | None = None
    side: str = "unknown"
    reason: str | None = None
    horizon_ms: int | None = None
    horizon_known: bool = False
    position: int | None = None
    evidence_oldest_ms: int | None = None


def span_health(scope: Scope) -> list[SpanHealth]:
    """Every row, in the order of organism.toml, then of the roster in deployment.toml; none without deployment.toml."""
    return scope.derived(_health)


def _health(scope: Scope) -> list[SpanHealth]:
    matrix = matrix_of(scope)
    rows = []
    for view in surface_views(scope):
        lost = lost_at_ms(scope, view)
        for sees in view.nodes:
            cell = matrix.cell(sees.node, view.member.name)
            rows.append(_row(scope, view, sees, cell, lost))
    return rows


def _row(scope: Scope, view: SurfaceView, sees: NodeSees, cell: Cell, lost: int | None) -> SpanHealth:
    told: Side = side_of(scope, view, sees, cell)
    horizon, known = _horizon(cell)
    lag = lag_events(view, sees)
    return SpanHealth(
        node=sees.node,
        span=view.member.name,
        surface=view.surface.name,
        lag_events=lag,
        lag_s=lag_seconds(lag, rate_of(scope, view)),
        last_event_ms=sees.last_event_ms if sees.last_event_ms is not None else _remembered(view, sees),
        dark_periods=_dark_periods(scope, view, sees),
        link=sees.link,
        side=told.side,
        reason=told.reason,
        horizon_ms=horizon,
        horizon_known=known,
        position=sees.position,
        evidence_oldest_ms=lost,
    )


def _horizon(cell: Cell) -> tuple[int | None, bool]:
    """Until when the node is admitted, and whether that is known; 0 for one that is not."""
    if cell.state is State.UNKNOWN:
        return None, False
    if cell.state in (State.VALID, State.FREE):
        return cell.horizon_ms, True
    return cell.horizon_ms if cell.expired and cell.horizon_ms is not None else 0, True


def lag_events(view: SurfaceView, sees: NodeSees) -> int | None:
    """Events behind the newest position that anybody has seen.

    Where nothing is certified yet, everything that came in here is behind: arrivals against the Observe count. A
    surface that is only counted is as far as what came in.
    """
    head = view.head
    if sees.why is not None or head is None:
        return None
    if sees.position is not None:
        return max(head - sees.position, 0)
    if view.surface.decode is None:
        return None if sees.arrived is None else max(head - sees.arrived, 0)
    if sees.observed is None or sees.received is None:
        return None
    if any(one.serves and one.head is not None for one in view.endpoints):
        return head + 1  # what its endpoints have can all be read
    return max(sees.received - sees.observed, 0) if sees.received else None


def lag_seconds(events: int | None, rate: float | None) -> float | None:
    """Events at a rate, in seconds; nothing behind is no time, at whatever rate."""
    if events is None or events == 0:
        return None if events is None else 0.0
    return events / rate if rate else None


def rate_of(scope: Scope, view: SurfaceView) -> float | None:
    """Events per second: as heard now, as remembered, or one per period of its clock."""
    heard = [one.rate_per_s for one in view.heard if one.rate_per_s]
    if heard:
        return max(heard)
    if view.memory is not None and view.memory.rate_per_s:
        return view.memory.rate_per_s
    period = period_ms(scope, view)
    return 1000 / period if period else None


def period_ms(scope: Scope, view: SurfaceView) -> int | None:
    """The period of its clock, by deployment.toml."""
    side = scope.deployment.span(view.member.name) if scope.deployment is not None else None
    return side.period_ms if side is not None else None


def _remembered(view: SurfaceView, sees: NodeSees) -> int | None:
    """What a resident exporter remembers of this node, where the node itself does not (any more)."""
    from organismctl.check.values import whole

    if view.memory is None:
        return None
    return whole(view.memory.by_node.get(sees.node, {}).get("last_event_ms"))


def _dark_periods(scope: Scope, view: SurfaceView, sees: NodeSees) -> float | None:
    """Periods without an event on this node, while it listened; a node that just started has listened for so long."""
    period = period_ms(scope, view)
    if not period or sees.why is not None:
        return None
    last = sees.last_event_ms if sees.last_event_ms is not None else _remembered(view, sees)
    since = last if last is not None else sees.since_ms
    return None if since is None else max(sees.seen_ms - since, 0) / period
