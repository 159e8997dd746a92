"""What is known of each spanned member's surfaces, gathered from every source and turned to the observer's clock.

Invariants:
    1. Moments of another host are moved by that host's offset where it told its time, and never lie after the
       moment at which they were seen: a clock that runs ahead makes nothing look fresher than the look itself.
    2. A listener proves silence only from when it began to listen; what was not listened to proves nothing.
    3. How long something is silent is counted up to when it was looked at, not up to the moment of judgement: a
       judgement of next week (``--at``) knows nothing of next week's events.
    4. Nothing is aggregated over spanned members, nor over surfaces of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.finding import SourceRef
from organismctl.check.values import hex_id, items, source, table, text, whole

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.deployment import Node
    from organismctl.identity.config import Json, ReadSurface, SpannedMember
    from organismctl.observe.snapshot import Fact

SUBSCRIPTIONS, ENDPOINT, MEMORY, STREAM = (
    "node.subscriptions",
    "span.endpoint",
    "exporter.memory",
    "wire.stream",
)
LIVE, RETIRED, REFUSED, CONNECTING = "live", "retired", "refused", "connecting"
CLOCK_SLACK_MS = 1000
"""Moments that lie less than this ahead are the doing of an answer's own length."""
MAX_TOLD = 4096
"""Most subscriptions of one node that are looked at."""


@dataclass(frozen=True, slots=True)
class NodeSees:
    """One node's word of one surface of a spanned member; moments by the observer's clock.

    Attributes:
        node: Its name.
        why: Why nothing is known of it; ``None`` when it told.
        cause: The kind of reason.
        link: ``live``, ``connecting``, ``refused`` or ``retired``.
        reason: Why it is not live, or what is to be said although it is.
        received: Events that came in since the node started.
        observed: Events that the committee has certified, as it knows.
        position: The last certified position.
        arrived: The last position that came in here.
        last_event_ms: When the last event came in.
        since_ms: Since when the node listens at the earliest.
        marker: The spanned member's own RetirementMarker.
        missed: Events that did not come, by the node's count.
        dropped: Events that came and gave way on the node before they were read.
        ahead_ms: By how much a moment that it told lies after it was seen.
        seen_ms: When it was asked; 0 when it did not tell.
        refs: Where it is known from.
    """

    node: str
    why: str | None = None
    cause: str | None = None
    link: str | None = None
    reason: str = ""
    received: int | None = None
    observed: int | None = None
    position: int | None = None
    arrived: int | None = None
    last_event_ms: int | None = None
    since_ms: int | None = None
    marker: Mapping[str, Json] | None = None
    missed: int = 0
    dropped: int = 0
    ahead_ms: int = 0
    seen_ms: int = 0
    refs: tuple[SourceRef, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it hears the surface now."""
        return self.link == LIVE


@dataclass(frozen=True, slots=True)
class EndpointSays:
    """One node API of a spanned member: what it serves of one surface, or why it did not say."""

    url: str
    why: str | None
    head: int | None = None
    oldest: int | None = None
    oldest_ms: int | None = None
    head_ms: int | None = None
    last_event_ms: int | None = None
    marker: Mapping[str, Json] | None = None
    serves: bool = False
    ahead_ms: int = 0
    seen_ms: int = 0
    refs: tuple[SourceRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """One subscription of the observer: what came, over which time, or why none came about."""

    peer: str
    why: str | None
    cause: str | None
    items: int = 0
    rate_per_s: float | None = None
    last_seq: int | None = None
    last_event_ms: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    ended_code: int | None = None
    marker: Mapping[str, Json] | None = None
    refs: tuple[SourceRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What a resident exporter remembers of one surface."""

    watched_since_ms: int | None
    last_event_ms: int | None
    dark_since_ms: int | None
    rate_per_s: float | None
    last_position: int | None
    by_node: Mapping[str, Mapping[str, Json]]
    seen_ms: int
    refs: tuple[SourceRef, ...]


@dataclass(frozen=True, slots=True)
class SurfaceView:
    """Everything that is known of one surface of one spanned member."""

    member: SpannedMember
    surface: ReadSurface
    nodes: tuple[NodeSees, ...]
    endpoints: tuple[EndpointSays, ...]
    heard: tuple[Heard, ...]
    memory: Memory | None
    producers: int | None
    """Peers on the wire that say they serve it; ``None`` when nobody could tell."""
    wire_why: str | None

    @property
    def subject(self) -> str:
        """How findings name it."""
        return f"{self.member.name} / {self.surface.name}"

    @property
    def head(self) -> int | None:
        """The newest position that anybody has seen, our nodes included."""
        found = [one.head for one in self.endpoints] + [one.last_seq for one in self.heard]
        found += [one.arrived for one in self.nodes] + [one.position for one in self.nodes]
        found += [self.memory.last_position] if self.memory is not None else []
        known = [one for one in found if one is not None]
        return max(known) if known else None

    @property
    def last_event_ms(self) -> int | None:
        """When anybody last heard it."""
        found = [one.last_event_ms for one in self.nodes] + [one.last_event_ms for one in self.endpoints]
        found += [one.last_event_ms for one in self.heard]
        found += [self.memory.last_event_ms] if self.memory is not None else []
        known = [one for one in found if one is not None]
        return max(known) if known else None

    @property
    def marker(self) -> Mapping[str, Json] | None:
        """Its retirement marker, as anybody has seen it on the surface."""
        seen = [one.marker for one in self.nodes] + [one.marker for one in self.endpoints]
        return next((one for one in seen + [one.marker for one in self.heard] if one is not None), None)


def surface_views(scope: Scope) -> Iterator[SurfaceView]:
    """Each surface that organism.toml reads, in its order."""
    told = {node.name: _Told.of(scope, node.name) for node in _roster(scope)}
    for member in scope.organism.config.span:
        for surface in member.surfaces:
            yield SurfaceView(
                member,
                surface,
                tuple(one.of_surface(member.name, surface.name) for one in told.values()),
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

    def of_surface(self, span: str, surface: str) -> NodeSees:
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
        return NodeSees(
            self.node,
            link=link,
            reason=text(told.get("reason")) or "",
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
            seen_ms=fact.seen_ms or 0,
            refs=refs,
        )


def count(value: object) -> int | None:
    """A whole number that is not below zero; a remote's other numbers are as good as none."""
    number = whole(value)
    return number if number is not None and number >= 0 else None


def number(value: object) -> float | None:
    """A finite number that is not below zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None


def _clock(fact: Fact | None) -> tuple[int, int | None] | None:
    """A host's clock against ours (ms ahead), and when its process started, where it tells its time."""
    if fact is None or fact.seen_ms is None:
        return None
    told = table(fact.value)
    now = whole(told.get("now_ms"))
    return None if now is None else (now - fact.seen_ms, whole(told.get("started_ms")))


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
        refs=source(fact),
    )


def _producers(scope: Scope, member: SpannedMember, surface: ReadSurface) -> tuple[int | None, str | None]:
    """How many peers serve it by the wire's catalog; ``None`` with the reason where nobody can tell."""
    side = scope.deployment.span(member.name) if scope.deployment is not None else None
    if side is None or not side.peers:
        return None, "deployment.toml names no mosaik peer of it"
    if not scope.wire.asked:
        return None, "nobody looked at the wire"
    if surface.type != "stream":
        return None, f"the wire cannot tell who serves a {surface.type}"
    serving = len(scope.wire.serving(surface.id.hex()))
    if serving:
        return serving, None
    named = [one.partition("@")[0].lower() for one in side.peers]
    doors = scope.wire.doors_of(named)
    if not any(door.answered for door in doors):
        return None, (doors[0].reason if doors else None) or "none of its entry points answered"
    return 0, None
