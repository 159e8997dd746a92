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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.finding import SourceRef

if TYPE_CHECKING:
    from organismctl.identity.config import Json, ReadSurface, SpannedMember

SUBSCRIPTIONS, ENDPOINT, MEMORY, STREAM = (
    "node.subscriptions",
    "span.endpoint",
    "exporter.memory",
    "wire.stream",
)
LIVE, RETIRED, REFUSED, CONNECTING = "live", "retired", "refused", "connecting"


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
        vouches: Valid vouches of the first event that lacks a majority, and how many are needed.
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
    vouches: tuple[int, int] | None = None
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
    """When it was asked."""
    swept_ms: int
    """Until when it has watched."""
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
    silent: str | None = None
    """Why all of its peers are silent on the wire, where that was seen; weaker than that nobody serves it."""

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
