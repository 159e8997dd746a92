"""Check ``subscriptions``: how each committee member hears each surface of each spanned member; never aggregated.

Rows of one surface come first (retiring, dark, gone), then a row or two for each committee member, then what the
stall policy makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, SourceRef, Status
from organismctl.check.span_health import SpanHealth, rate_of, span_health
from organismctl.check.span_reading import surface_views
from organismctl.check.span_rows import surface_rows
from organismctl.check.span_side import NODE, OBSERVER, OURS, THEIRS, TICKET, gone_reason, refuses
from organismctl.check.span_view import RETIRED, NodeSees, SurfaceView
from organismctl.check.stall import stall_rows
from organismctl.check.values import duration, plural, table

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json


_SIDES = {NODE: "this node's side", OURS: "our side", THEIRS: "their side"}


def check_subscriptions(scope: Scope) -> list[Finding]:
    """Every row; one that says why, where there is nothing to judge by."""
    if scope.deployment is None:
        return [_incomplete("no deployment.toml is here: it names nodes, endpoints and peers")]
    if not any(node.roster for node in scope.deployment.nodes):
        return [_incomplete(f"{scope.deployment.file} has no node on the roster")]
    return list(_rows(scope))


def _incomplete(why: str) -> Finding:
    return finding("CHECK-INCOMPLETE", None, "subscriptions", why)


def _rows(scope: Scope) -> Iterator[Finding]:
    views = surface_views(scope)
    rows = {(row.node, row.span, row.surface): row for row in span_health(scope)}
    for view in views:
        yield from surface_rows(scope, view)
        for sees in view.nodes:
            row = rows[sees.node, view.member.name, view.surface.name]
            yield from _pair(scope, view, sees, row)
    yield from stall_rows(scope)


def _pair(scope: Scope, view: SurfaceView, sees: NodeSees, row: SpanHealth) -> Iterator[Finding]:
    subject = f"{sees.node} × {view.subject}"
    if sees.why is not None:
        code = "OBSERVER-REFUSED" if row.side == OBSERVER else "SPAN-SUBSCRIPTION"
        yield finding(code, Status.UNKNOWN, sees.node if row.side == OBSERVER else subject, sees.why,
                      values=_values(row), sources=sees.refs)  # fmt: skip
        yield finding("SPAN-LAG", Status.UNKNOWN, subject, f"not known: {sees.why}", values=_values(row),
                      sources=sees.refs)  # fmt: skip
        return
    yield _lag(scope, view, sees, row, subject)
    yield _link(scope, view, sees, row, subject)
    yield from _lost(view, sees, subject)


def _values(row: SpanHealth) -> dict[str, Json]:
    return {
        "node": row.node,
        "span": row.span,
        "surface": row.surface,
        "side": row.side,
        "link": row.link,
        "lag_events": row.lag_events,
        "lag_s": None if row.lag_s is None else round(row.lag_s, 3),
        "last_event_ms": row.last_event_ms,
        "dark_periods": None if row.dark_periods is None else round(row.dark_periods, 2),
        "position": row.position,
    }


def _lag(scope: Scope, view: SurfaceView, sees: NodeSees, row: SpanHealth, subject: str) -> Finding:
    assert scope.deployment is not None  # noqa: S101 # the caller has asked
    limits = scope.deployment.thresholds
    rate = rate_of(scope, view)
    bounds: dict[str, Json] = {
        "span_lag_ms": limits.span_lag_ms,
        "span_lag_events": limits.span_lag_events,
        "rate_per_s": None if rate is None else round(rate, 3),
        "head": view.head,
    }
    refs = _refs(view, row.node)
    if row.lag_events is None:
        why = (
            "nobody has told a position"
            if view.head is None
            else "it tells no position: events are counted, not read"
        )
        return finding(
            "SPAN-LAG", Status.UNKNOWN, subject, why, values=_values(row), limits=bounds, sources=refs
        )
    shown = plural(row.lag_events, "event")
    if row.lag_s is None:
        late = row.lag_events > limits.span_lag_events
        shown += " behind; how long that is is not known without the clock's period"
    else:
        late = row.lag_s * 1000 > limits.span_lag_ms
        shown += f" behind, {duration(round(row.lag_s * 1000))}"
    if not row.lag_events:
        at = row.position if row.position is not None else "what came in"
        shown = f"at {at}, the newest that anybody has seen"
    elif sees.vouches is not None:
        shown += f"; the first has {sees.vouches[0]} of {sees.vouches[1]} vouches"
    return finding("SPAN-LAG", Status.BAD if late else Status.OK, subject, shown, values=_values(row),
                   limits=bounds, sources=refs)  # fmt: skip


def _refs(view: SurfaceView, node: str) -> tuple[SourceRef, ...]:
    """Where a pair's numbers come from: the node's own word, and whoever knows the head."""
    mine = [ref for sees in view.nodes if sees.node == node for ref in sees.refs]
    heads = [ref for one in view.endpoints for ref in one.refs] + [
        ref for one in view.heard for ref in one.refs
    ]
    return tuple(dict.fromkeys((*mine, *heads)))


def _link(scope: Scope, view: SurfaceView, sees: NodeSees, row: SpanHealth, subject: str) -> Finding:
    """The one row on a pair's subscription, under the code that says whose side it is."""
    values = {**_values(row), "proposer": _proposes(scope, sees.node)}
    if sees.link == RETIRED:
        return finding("SPAN-SUBSCRIPTION", Status.OK, subject, "ended by its retirement marker", values=values,
                       sources=sees.refs)  # fmt: skip
    if sees.live:
        return _standing(sees, row, subject, values)
    why = row.reason or f"its subscription is {sees.link}"
    if values["proposer"] and any(one.live for one in view.nodes):
        why += "; it is the proposer, so nothing of this surface is certified: POST /v1/step-down hands over"
    if row.side == TICKET:
        return finding("SPAN-REFUSED", Status.BAD, subject, why, values=values, sources=sees.refs)
    gone = (gone_reason(view) or view.silent) is not None
    code = "SPAN-REFUSED" if row.side == THEIRS and refuses(why) and not gone else "SPAN-SUBSCRIPTION"
    side = _SIDES.get(row.side, "whose side it is is not known")
    return finding(code, Status.BAD, subject, f"{side}: {why}", values=values, sources=sees.refs)


def _proposes(scope: Scope, node: str) -> bool:
    """Whether a node is the ledger's proposer: only what its own subscriptions bring is proposed."""
    fact = scope.snapshot.get("node.status", node)
    return fact is not None and fact.seen and table(fact.value).get("role") == "proposer"


def _standing(sees: NodeSees, row: SpanHealth, subject: str, values: dict[str, Json]) -> Finding:
    if row.side in (NODE, OURS):
        return finding("SPAN-SUBSCRIPTION", Status.BAD, subject, f"{_SIDES[row.side]}: {row.reason}", values=values,
                       sources=sees.refs)  # fmt: skip
    shown = "live" if not sees.reason else f"live; {sees.reason}"
    return finding("SPAN-SUBSCRIPTION", Status.OK, subject, shown, values=values, sources=sees.refs)


def _lost(view: SurfaceView, sees: NodeSees, subject: str) -> Iterator[Finding]:
    """What a stream did not bring to this node; only where there is something to say."""
    if not sees.missed and not sees.dropped:
        return
    whole = [one.node for one in view.nodes if one.why is None and one.node != sees.node and not one.missed]
    if sees.dropped:
        side = f"this node took them too slowly: {plural(sees.dropped, 'event')} gave way here"
    elif whole:
        side = "others of our nodes lost nothing: it was dropped as a slow consumer, or its link lost them"
    else:
        side = "no node of ours has them: the producer dropped or limited us"
    values: dict[str, Json] = {"missed": sees.missed, "dropped": sees.dropped, "nodes_without_loss": [*whole]}
    yield finding("SPAN-SLOW-CONSUMER", Status.WARN, subject,
                  f"{plural(max(sees.missed, sees.dropped), 'event')} lost; {side}", values=values,
                  sources=sees.refs)  # fmt: skip
