"""Whose side it is when a committee member does not hear a spanned member.

The order of the questions: could the node be seen at all (the observer's side); does it hear it (nobody's side); did
it retire or is its producer gone (theirs); does our ticket admit (ticket); do others hear it, so that this one node's
subscription is at fault (node), or only somebody outside of our committee (ours); else it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.span_view import REFUSED, RETIRED, NodeSees, SurfaceView
from organismctl.check.ticket_matrix import Cell, State
from organismctl.check.values import listed

if TYPE_CHECKING:
    from organismctl.check.scope import Scope

THEIRS, OURS, NODE, TICKET, OBSERVER, NONE, UNKNOWN = (
    "theirs", "ours", "node", "ticket", "observer", "none", "unknown",
)  # fmt: skip
REFUSALS = ("it refuses this node", "none serves the stream to this node")
"""How a node of ours says that it was turned away (``UpstreamReader``, ``WireReader``)."""
CANNOT_READ = "is not read on the wire"
"""How it says that our own config asks for what it cannot do."""
SIDES = (THEIRS, OURS, NODE, TICKET, OBSERVER, NONE, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Side:
    """One verdict.

    Attributes:
        side: One of :data:`SIDES`.
        reason: Why, in one sentence; ``None`` with ``none``.
        gone: Whether the spanned member's producer is shown to be gone.
    """

    side: str
    reason: str | None = None
    gone: bool = False


def side_of(scope: Scope, view: SurfaceView, sees: NodeSees, cell: Cell) -> Side:
    """Whose side it is; see the module for the order of the questions.

    Args:
        scope: The files and the moment.
        view: Everything that is known of the surface.
        sees: What this node says.
        cell: The node's ticket at the spanned member.
    """
    if sees.why is not None:
        return Side(OBSERVER if sees.cause == "observer" else UNKNOWN, sees.why)
    if sees.link == RETIRED or view.marker is not None:
        return Side(THEIRS, "it retired: its marker is the last item of its surface")
    if sees.live:
        return _live(scope, view, sees)
    return _broken(view, sees, cell)


def _live(scope: Scope, view: SurfaceView, sees: NodeSees) -> Side:
    """A live subscription: silence on it is theirs, unless others hear what this one does not."""
    if not _dark(scope, view, sees):
        return Side(NONE)
    others = [one.node for one in view.nodes if one.node != sees.node and _hears(scope, view, one)]
    if others:
        return Side(NODE, f"its subscription is up and silent, {listed(others)} hears events")
    outside = _outside(scope, view)
    if outside is not None:
        return Side(OURS, f"subscriptions are up and silent, {outside}")
    return Side(THEIRS, "subscribed and silent: nothing comes from it to anybody who listens")


def _broken(view: SurfaceView, sees: NodeSees, cell: Cell) -> Side:
    why = sees.reason or f"its subscription is {sees.link}"
    gone = gone_reason(view)
    if gone is not None:
        return Side(THEIRS, f"{gone}: {why}", gone=True)
    if cell.state in (State.INVALID, State.MISSING):
        step = f"its ticket fails at step {cell.step}" if cell.step else "it has no ticket there"
        return Side(TICKET, f"{step}: {why}")
    if view.silent is not None and not any(one.live for one in view.nodes):
        return Side(THEIRS, f"{view.silent}: {why}", gone=True)
    others = [one.node for one in view.nodes if one.live and one.node != sees.node]
    if others:
        return Side(NODE, f"{listed(others)} hears it, this node does not: {why}")
    told = _by_words(sees, why)
    if told is not None:
        return told
    if _serves(view):
        return Side(OURS, f"it serves others, and none of our nodes hears it: {why}")
    return Side(UNKNOWN, why)


def _by_words(sees: NodeSees, why: str) -> Side | None:
    """What the node's own words say, where nobody else hears the surface either; ``None``: nothing."""
    if refuses(why):
        return Side(THEIRS, f"it serves, and refuses us though no step of our ticket fails here: {why}")
    if sees.link != REFUSED:
        return None
    if CANNOT_READ in why:
        return Side(OURS, why)
    return Side(THEIRS, f"what it serves cannot be used: {why}")


def refuses(why: str) -> bool:
    """Whether a node's own words say that it was turned away, rather than that nobody is there."""
    return any(words in why for words in REFUSALS)


def gone_reason(view: SurfaceView) -> str | None:
    """Why its producer is known to be gone; ``None`` when it is there, or when that is not known."""
    if _serves(view) or any(node.live for node in view.nodes):
        return None
    if view.producers == 0:
        return "no peer serves it any more"
    if view.endpoints and all(one.why is not None for one in view.endpoints) and not view.producers:
        return f"none of its endpoints serves it ({view.endpoints[0].why})"
    return None


def _serves(view: SurfaceView) -> bool:
    """Whether anybody sees it served."""
    return (
        bool(view.producers)
        or any(one.serves for one in view.endpoints)
        or any(one.why is None and one.ended_code is None for one in view.heard)
    )


def _dark(scope: Scope, view: SurfaceView, sees: NodeSees) -> bool:
    """Whether a node has heard nothing for longer than ``dark_after`` periods; never without a period."""
    limit = dark_limit_ms(scope, view)
    since = sees.last_event_ms if sees.last_event_ms is not None else sees.since_ms
    return limit is not None and since is not None and sees.seen_ms - since > limit


def dark_limit_ms(scope: Scope, view: SurfaceView) -> int | None:
    """How long nothing may come, by deployment.toml."""
    side = scope.deployment.span(view.member.name) if scope.deployment is not None else None
    return None if side is None or side.period_ms is None else side.period_ms * side.dark_after


def _hears(scope: Scope, view: SurfaceView, sees: NodeSees) -> bool:
    limit = dark_limit_ms(scope, view)
    if not sees.live or sees.last_event_ms is None or limit is None:
        return False
    return sees.seen_ms - sees.last_event_ms <= limit


def _outside(scope: Scope, view: SurfaceView) -> str | None:
    """Who outside of our committee hears it, in words."""
    limit = dark_limit_ms(scope, view)
    for one in view.heard:
        if one.items:
            return "the observer hears it on the wire"
    for said in view.endpoints:
        if said.last_event_ms is None or limit is None:
            continue
        if said.seen_ms - said.last_event_ms <= limit:
            return f"{said.url} publishes"
    return None
