"""From the facts of a snapshot to :class:`~organismctl.check.span_view.SurfaceView`: remote words, read carefully."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.span_metrics import metrics_of, tell
from organismctl.check.span_view import (
    CONNECTING,
    ENDPOINT,
    LIVE,
    MEMORY,
    REFUSED,
    RETIRED,
    SUBSCRIPTIONS,
    EndpointSays,
    Heard,
    Memory,
    NodeSees,
    SurfaceView,
)
from organismctl.check.values import count, hex_id, items, number, source, table, text, whole

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.deployment import Node
    from organismctl.identity.config import Json, ReadSurface, SpannedMember
    from organismctl.observe.snapshot import Fact

CLOCK_SLACK_MS = 1000
"""Moments that lie less than this ahead are the doing of an answer's own length."""
MAX_TOLD = 4096
"""Most subscriptions of one node that are looked at."""


def surface_views(scope: Scope) -> list[SurfaceView]:
    """Each surface that organism.toml reads, in its order; read once for all that ask."""
    return scope.derived(_views)


def _views(scope: Scope) -> list[SurfaceView]:
    return list(_each(scope))


def _each(scope: Scope) -> Iterator[SurfaceView]:
    told = {node.name: _Told.of(scope, node.name) for node in _roster(scope)}
    for member in scope.organism.config.span:
        for surface in member.surfaces:
            yield SurfaceView(
                member,
                surface,
                tuple(one.of_surface(scope, member.name, surface) for one in told.values()),
                tuple(_endpoints(scope, member, surface)),
                tuple(_heard(scope, member, surface)),
                _memory(scope, member, surface),
                *_producers(scope, member, surface),
            )


def _roster(scope: Scope) -> list[Node]:
    nodes = scope.deployment.nodes if scope.deployment is not None else ()
    return [node for node in nodes if node.roster]


@dataclass(frozen=True, slots=True)
class _Told:
    """One node's answer, its clock's offset, and when it started."""

    node: str
    fact: Fact | None
    rows: Mapping[tuple[str, str], Mapping[str, Json]]
    offset_ms: int
    started_ms: int | None

    @staticmethod
    def of(scope: Scope, node: str) -> _Told:
        fact = scope.snapshot.get(SUBSCRIPTIONS, node)
        status = scope.snapshot.get("node.status", node)
        rows: dict[tuple[str, str], Mapping[str, Json]] = {}
        if fact is not None and fact.seen:
            for one in items(table(fact.value).get("subscriptions"))[:MAX_TOLD]:
                told = table(one)
                span, surface = text(told.get("span")), text(told.get("surface"))
                if span is not None and surface is not None:
                    rows[span, surface] = told
        offset, started = _clock(fact) or _clock(status) or (0, None)
        return _Told(node, fact, rows, offset, started)

    def of_surface(self, scope: Scope, span: str, surface: ReadSurface) -> NodeSees:
        """Its own word; without a node API, what its metrics show."""
        said = self._said(span, surface.name)
        if said.why is None or surface.type != "stream":
            return said
        return _by_metrics(metrics_of(scope.snapshot, self.node), said, surface)

    def _said(self, span: str, surface: str) -> NodeSees:
        fact = self.fact
        if fact is None:
            return NodeSees(self.node, "nobody looked", "not-asked")
        refs = source(fact)
        if not fact.seen:
            return NodeSees(self.node, fact.reason, fact.cause, refs=refs)
        told = self.rows.get((span, surface))
        if told is None:
            why = f"it tells of no subscription to {span} / {surface}"
            return NodeSees(self.node, why, "malformed", refs=refs)
        link = text(told.get("state"))
        if link not in (LIVE, RETIRED, REFUSED, CONNECTING):
            return NodeSees(self.node, "it tells no state of it", "malformed", refs=refs)
        reason = text(told.get("reason")) or ""
        if link == LIVE and told.get("producers") == 0:  # it works off what came, and nobody sends any more
            link, reason = CONNECTING, reason or "it is subscribed to no producer any more"
        return NodeSees(
            self.node,
            link=link,
            reason=reason,
            received=count(told.get("received")),
            observed=count(told.get("observed")),
            position=count(told.get("position")),
            arrived=count(told.get("arrived")),
            last_event_ms=_here(told.get("last_event_ms"), self.offset_ms, fact.seen_ms),
            since_ms=None if self.started_ms is None else self.started_ms - self.offset_ms,
            marker=table(told["marker"]) if isinstance(told.get("marker"), dict) else None,
            missed=count(told.get("missed")) or 0,
            dropped=count(told.get("dropped")) or 0,
            ahead_ms=_ahead(told.get("last_event_ms"), self.offset_ms, fact.seen_ms),
            vouches=_vouches(told.get("vouches")),
            seen_ms=fact.seen_ms or 0,
            refs=refs,
        )


def _vouches(value: object) -> tuple[int, int] | None:
    found = [count(one) for one in items(value)[:2]]
    return (found[0], found[1]) if len(found) == 2 and found[0] is not None and found[1] is not None else None


def _by_metrics(fact: Fact | None, said: NodeSees, surface: ReadSurface) -> NodeSees:
    """A subscription as metrics show it, in place of a node API that is not there or does not answer."""
    if fact is None:
        return said
    if not fact.seen:
        return NodeSees(said.node, f"{said.why}; {fact.reason}", said.cause, refs=(*said.refs, *source(fact)))
    told = tell(fact, surface.id)
    if told is None:
        why = f"{said.why}; its metrics hold no series of {surface.id.hex()[:10]}"
        return NodeSees(said.node, why, said.cause, refs=(*said.refs, *source(fact)))
    return NodeSees(
        said.node,
        link=LIVE if told.producers else CONNECTING,
        reason="" if told.producers else "its metrics show no producer that it is subscribed to",
        received=told.received,
        last_event_ms=told.seen_ms if told.moved else None,
        since_ms=told.since_ms,
        seen_ms=told.seen_ms,
        refs=source(fact),
    )


def _clock(fact: Fact | None) -> tuple[int, int | None] | None:
    """A host's clock against ours (ms ahead), and when its process started, where it tells its time."""
    if fact is None or fact.seen_ms is None:
        return None
    told = table(fact.value)
    now = whole(told.get("now_ms"))
    return None if now is None else (now - fact.seen_ms, whole(told.get("started_ms")))


def host_clock(scope: Scope, node: str) -> int:
    """By how much a node's clock is ahead of ours, ms; 0 where it does not tell its time."""
    told = _clock(scope.snapshot.get(SUBSCRIPTIONS, node)) or _clock(scope.snapshot.get("node.status", node))
    return told[0] if told is not None else 0


def _here(moment: object, offset_ms: int, seen_ms: int | None) -> int | None:
    """A moment of another host by our clock, never later than when it was seen (invariant 1)."""
    told = whole(moment)
    if told is None:
        return None
    here = told - offset_ms
    return here if seen_ms is None else min(here, seen_ms)


def _ahead(moment: object, offset_ms: int, seen_ms: int | None) -> int:
    """By how much a moment lies after it was seen, beyond what a clock of ms can tell."""
    told = whole(moment)
    ahead = 0 if told is None or seen_ms is None else told - offset_ms - seen_ms
    return ahead if ahead > CLOCK_SLACK_MS else 0


def _endpoints(scope: Scope, member: SpannedMember, surface: ReadSurface) -> Iterator[EndpointSays]:
    side = scope.deployment.span(member.name) if scope.deployment is not None else None
    for url in side.endpoints if side is not None else ():
        fact = scope.snapshot.get(ENDPOINT, f"{member.name} @ {url}")
        if fact is None:
            continue
        if not fact.seen:
            yield EndpointSays(url, fact.reason or "it was not seen", refs=source(fact))
            continue
        yield _says(fact, url, surface)


def _says(fact: Fact, url: str, surface: ReadSurface) -> EndpointSays:
    listed = items(table(fact.value).get("surfaces"))[:MAX_TOLD]
    told = next((one for raw in listed if hex_id((one := table(raw)).get("id")) == surface.id.hex()), None)
    if told is None:
        return EndpointSays(url, f"it serves no surface {surface.id.hex()[:10]}", refs=source(fact))
    following, oldest, last = (
        count(told.get("next_seq")),
        count(told.get("oldest")),
        whole(told.get("last_item_ms")),
    )
    return EndpointSays(
        url,
        None,
        head=None if following is None or following == 0 else following - 1,
        oldest=oldest,
        oldest_ms=whole(told.get("oldest_ms")),
        head_ms=whole(told.get("head_ms")),
        last_event_ms=_here(last, 0, fact.seen_ms),
        marker=table(told["marker"]) if isinstance(told.get("marker"), dict) else None,
        serves=True,
        ahead_ms=_ahead(last, 0, fact.seen_ms),
        seen_ms=fact.seen_ms or 0,
        refs=source(fact),
    )


def _heard(scope: Scope, member: SpannedMember, surface: ReadSurface) -> Iterator[Heard]:
    side = scope.deployment.span(member.name) if scope.deployment is not None else None
    named = {one.partition("@")[0].lower() for one in side.peers} if side is not None else set()
    for fact in scope.wire.streams:
        stream, _, peer = fact.subject.partition("@")
        if stream != surface.id.hex() or peer not in named:
            continue
        if not fact.seen:
            yield Heard(peer, fact.reason or "it was not heard", fact.cause, refs=source(fact))
            continue
        told = table(fact.value)
        listened = count(told.get("listened_ms")) or 0
        yield Heard(
            peer,
            None,
            None,
            items=count(told.get("items")) or 0,
            rate_per_s=number(told.get("rate_per_s")),
            last_seq=count(told.get("last_seq")),
            last_event_ms=_here(told.get("last_ms"), 0, fact.seen_ms),
            since_ms=None if fact.seen_ms is None else fact.seen_ms - listened,
            until_ms=fact.seen_ms,
            ended_code=whole(table(told.get("ended")).get("code")),
            marker=table(told["marker"]) if isinstance(told.get("marker"), dict) else None,
            refs=source(fact),
        )


def _memory(scope: Scope, member: SpannedMember, surface: ReadSurface) -> Memory | None:
    fact = scope.snapshot.get(MEMORY, f"{member.name}/{surface.name}")
    if fact is None or not fact.seen or not isinstance(fact.value, dict):
        return None
    told = fact.value
    return Memory(
        watched_since_ms=whole(told.get("watched_since_ms")),
        last_event_ms=_here(told.get("last_event_ms"), 0, fact.seen_ms),
        dark_since_ms=whole(told.get("dark_since_ms")),
        rate_per_s=number(told.get("rate_per_s")),
        last_position=count(told.get("last_position")),
        by_node={name: table(one) for name, one in table(told.get("by_node")).items()},
        seen_ms=fact.seen_ms or 0,
        swept_ms=min(whole(told.get("seen_ms")) or fact.seen_ms or 0, fact.seen_ms or 0),
        refs=source(fact),
    )


def _producers(
    scope: Scope, member: SpannedMember, surface: ReadSurface
) -> tuple[int | None, str | None, str | None]:
    """How many peers serve it by the wire's catalog, why that is not known, and whether all of them are silent.

    A peer that is listed and does not answer at its own entry point counts for nothing: its entry outlives it by 5
    minutes. That nobody serves it is shown by an entry point of the member itself; by our nodes' catalogs alone it is
    silence, which is weaker.
    """
    side = scope.deployment.span(member.name) if scope.deployment is not None else None
    if side is None or not side.peers:
        return None, "deployment.toml names no mosaik peer of it", None
    if not scope.wire.asked:
        return None, "nobody looked at the wire", None
    if surface.type != "stream":
        return None, f"the wire cannot tell who serves a {surface.type}", None
    mute = {door.peer_id for door in scope.wire.doors if not door.answered}
    serving = scope.wire.serving(surface.id.hex())
    speaking = sum(peer.peer_id not in mute for peer in serving)
    if speaking:
        return speaking, None, None
    named = scope.wire.doors_of([one.partition("@")[0].lower() for one in side.peers])
    if any(door.answered for door in named):
        return 0, None, None
    why = next((door.reason for door in named if door.reason), None) or "none of its entry points answered"
    if not scope.wire.answering:
        return None, why, None
    listed = f"{len(serving)} listed as serving it" if serving else "no catalog lists one that serves it"
    return None, why, f"its peers do not answer ({why}), {listed}"
