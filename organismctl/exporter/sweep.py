"""What one sweep comes to: everything that was seen, judged; and which sources answered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from organismctl.check.run import CHECKS, exit_of, run_scope
from organismctl.check.span_health import SpanHealth, span_health
from organismctl.check.span_reading import surface_views
from organismctl.check.span_view import SurfaceView
from organismctl.exporter.memory import Clock, Heard, Reading
from organismctl.observe.exporter_memory import KIND as MEMORY
from organismctl.observe.snapshot import NOT_ASKED, Fact, Snapshot

if TYPE_CHECKING:
    from organismctl.check.finding import Finding
    from organismctl.check.scope import Scope
    from organismctl.exporter.memory import Remembered
    from organismctl.exporter.memory_file import Key
    from organismctl.files.deployment import Deployment
    from organismctl.files.organism import LoadedOrganism

_PREFIX = {
    "node.status": "node",
    "node.config": "node",
    "node.tickets": "node",
    "node.digest": "node",
    "node.subscriptions": "subscriptions",
    "node.evidence": "evidence",
    "node.facts": "facts",
    "node.metrics": "metrics",
    "span.evidence": "pointers",
    "span.card": "card",
    "span.endpoint": "endpoint",
    "wire.catalog": "wire",
}
_OF_SPANS = frozenset({"card", "endpoint", "pointers"})
_ANY = frozenset({"endpoint"})
"""Sources of several doors, of which one that answers is enough."""


class Watched(Protocol):
    """One organism's files, read: what the command line calls its subject."""

    @property
    def organism(self) -> LoadedOrganism:
        """organism.toml."""
        ...

    @property
    def deployment(self) -> Deployment | None:
        """deployment.toml."""
        ...

    def scope(self, snapshot: Snapshot, now_ms: int) -> Scope:
        """The scope of checks over a snapshot."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What one sweep came to.

    Attributes:
        scope: The files and everything that was seen.
        views: What is known of each surface of each spanned member.
        health: One row per committee member × spanned member × surface.
        findings: What all checks say.
        exit: What ``check all`` would exit with.
        sources: Source to whether it answered.
        at_ms: The moment of judgement, Unix ms.
        took_s: How long looking and judging took.
    """

    scope: Scope
    views: Sequence[SurfaceView]
    health: Sequence[SpanHealth]
    findings: Sequence[Finding]
    exit: int
    sources: Mapping[str, bool]
    at_ms: int
    took_s: float


def judge(
    watched: Watched, snapshot: Snapshot, surfaces: Mapping[Key, Remembered], at_ms: int, took_s: float = 0.0
) -> Look:
    """Judge a snapshot, with what was remembered before it.

    Args:
        watched: The files.
        snapshot: What was seen.
        surfaces: What is remembered of each surface.
        at_ms: The moment of judgement.
        took_s: How long the look took.
    """
    begun = time.monotonic()
    known = tuple(
        Fact(MEMORY, f"{span}/{surface}", one.as_json(), "the exporter's own memory", seen_ms=at_ms)
        for (span, surface), one in surfaces.items()
    )
    scope = watched.scope(replace(snapshot, facts=snapshot.facts + known), at_ms)
    views = surface_views(scope)
    findings = run_scope(list(CHECKS), scope)
    return Look(
        scope,
        views,
        span_health(scope),
        findings,
        int(exit_of(findings)),
        sources_of(snapshot.facts, watched.deployment),
        at_ms,
        took_s + time.monotonic() - begun,
    )


def sources_of(facts: Sequence[Fact], deployment: Deployment | None) -> dict[str, bool]:
    """Which sources answered; one that there was nowhere to ask for is none, nor a spare that is off.

    Names come from the files alone.
    """
    spares = {node.name for node in deployment.nodes if not node.roster} if deployment is not None else set()
    off = {one.subject for one in facts if one.kind == "node.status" and one.cause == "unreachable"} & spares
    nodes = {node.name for node in deployment.nodes} if deployment is not None else set()
    spans = {span.name for span in deployment.spans} if deployment is not None else set()
    out: dict[str, bool] = {}
    for fact in facts:
        if fact.cause == NOT_ASKED:
            continue
        name = _source(fact, nodes, spans)
        if name is None or (fact.subject in off and name.endswith(f"/{fact.subject}")):
            continue
        if name not in out:
            out[name] = fact.seen
        elif name.partition("/")[0] in _ANY:
            out[name] = out[name] or fact.seen
        else:
            out[name] = out[name] and fact.seen
    return out


def _source(fact: Fact, nodes: set[str], spans: set[str]) -> str | None:
    if fact.kind == "ticket.file":
        return "tickets"
    prefix = _PREFIX.get(fact.kind)
    if prefix is None:
        return None
    subject = fact.subject
    if prefix == "endpoint":
        subject = subject.partition(" @ ")[0]
    elif prefix == "pointers":
        subject = subject.rpartition("/")[0]
    elif prefix == "wire":
        return f"wire/{subject.partition('@')[2]}"
    known = spans if prefix in _OF_SPANS else nodes
    return f"{prefix}/{subject}" if subject in known else None


def readings_of(look: Look) -> Iterator[tuple[Key, list[Reading], list[Heard], Clock]]:
    """What a look says of each surface, for the memory; members that told nothing are left out."""
    rows = {(row.node, row.span, row.surface): row for row in look.health}
    deployment = look.scope.deployment
    for view in look.views:
        key = (view.member.name, view.surface.name)
        side = deployment.span(view.member.name) if deployment is not None else None
        clock = Clock(side.period_ms if side else None, side.dark_after if side else 1)
        told = []
        for sees in view.nodes:
            if sees.why is not None:
                continue
            row = rows.get((sees.node, *key))
            told.append(
                Reading(
                    node=sees.node,
                    last_event_ms=sees.last_event_ms,
                    since_ms=sees.since_ms,
                    received=sees.received,
                    position=sees.position,
                    lag_events=row.lag_events if row else None,
                    lag_s=row.lag_s if row else None,
                    link=sees.link,
                    seen_ms=sees.seen_ms,
                )
            )
        own = [
            Heard(one.items, one.since_ms, one.until_ms, one.last_event_ms)
            for one in view.heard
            if one.why is None
        ]
        yield key, told, own, clock
