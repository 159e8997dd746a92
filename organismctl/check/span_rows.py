"""Rows about one surface of a spanned member as a whole: retiring, dark, gone, and clocks that make no sense."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, SourceRef, Status
from organismctl.check.span_health import period_ms
from organismctl.check.span_side import dark_limit_ms, gone_reason
from organismctl.check.span_view import Memory, SurfaceView
from organismctl.check.values import duration, listed, moment, plural, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json

SLOW_CODE = 10413
"""mosaik's close code of a stream that drops a subscriber as too slow."""


def surface_rows(scope: Scope, view: SurfaceView) -> Iterator[Finding]:
    """The rows of one surface."""
    yield from retiring_rows(scope, view)
    yield _dark(scope, view)
    yield _gone(view)
    yield from _observer(view)
    yield from _clocks(view)


def _refs(view: SurfaceView) -> tuple[SourceRef, ...]:
    found = [ref for one in view.nodes for ref in one.refs] + [
        ref for one in view.endpoints for ref in one.refs
    ]
    found += [ref for one in view.heard for ref in one.refs]
    return tuple(dict.fromkeys(found + list(view.memory.refs if view.memory else ())))


# Retiring.


def retiring_rows(scope: Scope, view: SurfaceView) -> Iterator[Finding]:
    """A marker on its own surface: since when, until when, what replaces it, and what we must do before."""
    marker = view.marker
    if marker is None:
        return
    at = text(marker.get("effective_at")) or (
        None if (tick := whole(marker.get("effective_at"))) is None else f"tick:{tick}"
    )
    until = _moment_ms(at)
    since, replacement = view.last_event_ms, text(marker.get("replacement"))
    over = until is not None and until <= scope.now_ms
    left = "not told in time" if until is None else moment(until)
    if until is not None and not over:
        left += f" (in {duration(until - scope.now_ms)})"
    shown = [
        f"its last event came {moment(since)}" if since is not None else "since when is not known",
        f"effective {left}" if at is None or until is not None else f"effective {at}",
        f"replaced by {replacement}" if replacement else "no replacement is named",
        "before that: span the replacement (a new fingerprint and group id) or retire too",
    ]
    values: dict[str, Json] = {
        "since_ms": since,
        "effective_at": at,
        "effective_ms": until,
        "replacement": replacement,
        "reason": text(marker.get("reason")),
        "moves": ["fingerprint", "group_id"],
        "act": ["operator", "integrators", "coalitions"],
        "commands": ["organismctl fingerprint diff", "organismctl lock accept", "organismctl retire"],
        "seen_by": [*_who(view)],
    }
    notice = scope.deployment.thresholds.lead_time_ms if scope.deployment is not None else 0
    early = until is not None and until - scope.now_ms > notice
    yield finding("SPAN-RETIRING", Status.WARN if early else Status.BAD, view.subject, "; ".join(shown),
                  values=values, limits={"lead_time_ms": notice}, sources=_refs(view))  # fmt: skip


def _who(view: SurfaceView) -> list[str]:
    """Who has seen the marker on the surface."""
    found = [one.node for one in view.nodes if one.marker is not None]
    found += [one.url for one in view.endpoints if one.marker is not None]
    return found + ["observer" for one in view.heard if one.marker is not None][:1]


def _moment_ms(at: str | None) -> int | None:
    """The wall-clock moment of a marker, Unix ms, or that on which a tick falls back; ``None``: there is none."""
    if at is None:
        return None
    told = at.partition(" or ")[2] if at.startswith("tick:") else at
    try:
        found = datetime.fromisoformat(told.strip())
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


# Dark.


def _dark(scope: Scope, view: SurfaceView) -> Finding:
    period, limit, last = period_ms(scope, view), dark_limit_ms(scope, view), view.last_event_ms
    side = scope.deployment.span(view.member.name) if scope.deployment is not None else None
    bounds: dict[str, Json] = {"period_ms": period, "dark_after": side.dark_after if side else None}
    values: dict[str, Json] = {
        "last_event_ms": last,
        "listeners": {one.name: one.since_ms for one in _listeners(view)},
    }
    if view.memory is not None:
        values["dark_since_ms"] = view.memory.dark_since_ms
    if period is None or limit is None:
        shown = "deployment.toml tells no period of its clock: how long silence may last is not known"
        return _row(view, Status.UNKNOWN, shown, values, bounds)
    until = _listened_until(view)
    ago = None if last is None else max(until - last, 0)
    values["dark_periods"] = None if ago is None else round(ago / period, 2)
    if view.marker is not None:
        return _row(view, Status.OK, "silent in order: its marker is its last item", values, bounds)
    quiet, name = _longest_quiet(view)
    if ago is not None and ago <= limit:
        return _row(view, Status.OK, f"last heard {duration(ago)} before it was looked at", values, bounds)
    if quiet <= limit:
        what = "nobody listens" if name is None else f"{name} listened for {duration(quiet)} only"
        shown = f"{what}: silence is proven by {duration(limit)} of listening (`--listen`, or a resident exporter)"
        return _row(view, Status.UNKNOWN, shown, values, bounds)
    since = last if last is not None else until - quiet
    values |= {"dark_since_ms": since, "dark_periods": round((until - since) / period, 2)}
    names = listed([one.name for one in _listeners(view)], 3)
    shown = (
        f"dark for {(until - since) / period:.0f} periods, since {moment(since)}; heard by none of {names}"
    )
    return _row(view, Status.BAD, shown + _whose(view), values, bounds)


def _row(
    view: SurfaceView, status: Status, shown: str, values: Mapping[str, Json], bounds: Mapping[str, Json]
) -> Finding:
    return finding(
        "MEMBER-DARK", status, view.subject, shown, values=values, limits=bounds, sources=_refs(view)
    )


@dataclass(frozen=True, slots=True)
class _Listener:
    """Who listened, from when to when."""

    name: str
    since_ms: int
    until_ms: int


def _listeners(view: SurfaceView) -> list[_Listener]:
    """Live subscriptions of nodes, the observer's, and the exporter's watch over a subscription that stood."""
    found = [
        _Listener(one.node, one.since_ms, one.seen_ms)
        for one in view.nodes
        if one.live and one.since_ms is not None
    ]
    found += [
        _Listener("observer", one.since_ms, one.until_ms)
        for one in view.heard
        if one.ended_code is None and one.since_ms is not None and one.until_ms is not None
    ]
    memory = view.memory
    if memory is not None and memory.watched_since_ms is not None and _stood(memory):
        found.append(_Listener("exporter", memory.watched_since_ms, memory.swept_ms))
    return found


def _stood(memory: Memory) -> bool:
    """Whether the exporter's watch proves anything: it has heard events, or a node's subscription stands."""
    return memory.last_event_ms is not None or any(
        one.get("link") == "live" for one in memory.by_node.values()
    )


def _listened_until(view: SurfaceView) -> int:
    """The last moment at which anybody listened; where nobody did, at which anybody looked at it.

    An answer that came later (a slow endpoint's) adds no silence: nobody listened meanwhile.
    """
    listened = [one.until_ms for one in _listeners(view)]
    if listened:
        return max(listened)
    looked = [one.seen_ms for one in view.nodes if one.why is None] + [one.seen_ms for one in view.endpoints]
    looked += [view.memory.seen_ms] if view.memory is not None else []
    return max(looked, default=0)


def _longest_quiet(view: SurfaceView) -> tuple[int, str | None]:
    """The longest stretch that one listener has heard nothing, up to when it last could have; ms, and who."""
    last = view.last_event_ms or 0
    stretches = [(one.until_ms - max(one.since_ms, last), one.name) for one in _listeners(view)]
    return max(stretches, default=(0, None))


def _whose(view: SurfaceView) -> str:
    gone = gone_reason(view)
    if gone is not None:
        return f"; their side: {gone}"
    return "; their side: subscriptions stand and nothing comes" if any(n.live for n in view.nodes) else ""


# Gone.


def _gone(view: SurfaceView) -> Finding:
    values: dict[str, Json] = {
        "endpoints": {one.url: one.why for one in view.endpoints},
        "producers": view.producers,
    }
    refs = _refs(view)
    live = [one.node for one in view.nodes if one.live]
    why = gone_reason(view) or (view.silent if not live else None)
    if view.marker is not None:
        return finding(
            "SPAN-PRODUCER-GONE", Status.OK, view.subject, "it retired", values=values, sources=refs
        )
    if why is not None:
        return finding("SPAN-PRODUCER-GONE", Status.BAD, view.subject, f"their side: {why}", values=values,
                       sources=refs)  # fmt: skip
    serving = [one.url for one in view.endpoints if one.serves]
    if serving or view.producers:
        many = [f"{plural(len(serving), 'endpoint')} of {len(view.endpoints)}"] if view.endpoints else []
        many += [plural(view.producers, "peer")] if view.producers else []
        status = Status.WARN if view.endpoints and len(serving) < len(view.endpoints) else Status.OK
        return finding("SPAN-PRODUCER-GONE", status, view.subject, f"served by {' and '.join(many)}",
                       values=values, sources=refs)  # fmt: skip
    if live:
        return finding("SPAN-PRODUCER-GONE", Status.OK, view.subject, f"{listed(live)} is subscribed",
                       values=values, sources=refs)  # fmt: skip
    reason = view.endpoints[0].why if view.endpoints else view.wire_why
    return finding("SPAN-PRODUCER-GONE", Status.UNKNOWN, view.subject, reason or "nobody looked", values=values,
                   sources=refs)  # fmt: skip


# The observer's own trouble, and clocks.


def _observer(view: SurfaceView) -> Iterator[Finding]:
    """The observer dropped as a slow reader or turned away for want of room says something about the producer."""
    for one in view.heard:
        if one.ended_code == SLOW_CODE:
            yield finding("SPAN-SLOW-CONSUMER", Status.WARN, f"observer × {view.subject}",
                          f"it dropped the observer for reading too slowly, after {plural(one.items, 'item')}: our "
                          "observer's side; nodes that read as slowly are dropped alike",
                          values={"items": one.items, "rate_per_s": one.rate_per_s, "code": one.ended_code},
                          sources=one.refs)  # fmt: skip


def _clocks(view: SurfaceView) -> Iterator[Finding]:
    ahead = {one.url: one.ahead_ms for one in view.endpoints if one.ahead_ms > 0}
    ahead |= {one.node: one.ahead_ms for one in view.nodes if one.ahead_ms > 0}
    if ahead:
        name, most = max(ahead.items(), key=lambda pair: pair[1])
        yield finding("SPAN-CLOCK", Status.WARN, view.subject,
                      f"{name} tells moments that lie {duration(most)} ahead of when they were seen",
                      values={"ahead_ms": dict(ahead)}, sources=_refs(view))  # fmt: skip
