"""Check ``evidence``: do the ledger's pointers still resolve upstream, and how long will the oldest do so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.span_evidence import (
    NODE_EVIDENCE,
    SPAN_EVIDENCE,
    Retention,
    needed_position,
    retention_of,
    told_gone,
)
from organismctl.check.span_reading import surface_views
from organismctl.check.span_view import SurfaceView
from organismctl.check.values import count, duration, items, listed, moment, plural, source, table, text

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.deployment import Thresholds
    from organismctl.identity.config import Json

UNRESOLVED = "EVIDENCE-UNRESOLVED"


def check_evidence(scope: Scope) -> list[Finding]:
    """A row or two for each surface that is read, and one for each node that has rejected a replay."""
    if scope.deployment is None:
        return [_incomplete("no deployment.toml is here: it names nodes and endpoints")]
    if not any(node.roster for node in scope.deployment.nodes):
        return [_incomplete(f"{scope.deployment.file} has no node on the roster")]
    if not scope.organism.config.span:
        return []
    return list(_rows(scope, scope.deployment.thresholds))


def _incomplete(why: str) -> Finding:
    return finding("CHECK-INCOMPLETE", None, "evidence", why)


def _rows(scope: Scope, limits: Thresholds) -> Iterator[Finding]:
    yield from _nodes(scope)
    told = [fact for fact in scope.snapshot.of(NODE_EVIDENCE) if fact.seen]
    for view in surface_views(scope):
        if not told:
            yield finding("EVIDENCE-UNRESOLVED", Status.UNKNOWN, view.subject, _why_untold(scope))
            continue
        if view.surface.decode is None:
            yield finding("EVIDENCE-UNRESOLVED", Status.OK, view.subject,
                          "its events are counted, not read: nothing of it is evidence")  # fmt: skip
            continue
        yield _resolves(scope, view)
        yield from _retention(scope, view, limits)


def _why_untold(scope: Scope) -> str:
    reasons = [fact.reason for fact in scope.snapshot.of(NODE_EVIDENCE) if fact.reason]
    return f"no node tells its evidence: {reasons[0] if reasons else 'nobody looked'}"


# Nodes that stand still.


def _nodes(scope: Scope) -> Iterator[Finding]:
    """Each node on the roster and each spare that answered: whether it rejects a replay."""
    for fact in scope.snapshot.of(NODE_EVIDENCE):
        if not fact.seen:
            refused = fact.cause == "observer"
            code = "OBSERVER-REFUSED" if refused else "EVIDENCE-UNRESOLVED"
            if refused or _on_roster(scope, fact.subject):
                yield finding(code, Status.UNKNOWN, fact.subject, fact.reason or "it was not seen",
                              sources=source(fact))  # fmt: skip
            continue
        value = table(fact.value)
        if "unresolved" not in value or not isinstance(value.get("evidence"), list):
            yield finding("ANSWER-MALFORMED", None, fact.subject, "its answer tells no evidence",
                          sources=source(fact))  # fmt: skip
            continue
        why = text(value.get("unresolved"))
        if why is None:
            yield finding("EVIDENCE-UNRESOLVED", Status.OK, fact.subject, "it applies what is certified",
                          sources=source(fact))  # fmt: skip
            continue
        shown = f"it rejected the replay, as it must, and applies nothing since: {why.removeprefix(UNRESOLVED + ': ')}"
        yield finding("EVIDENCE-UNRESOLVED", Status.BAD, fact.subject, shown,
                      values={"unresolved": why, **_void(value)}, sources=source(fact))  # fmt: skip


def _on_roster(scope: Scope, name: str) -> bool:
    node = scope.deployment.node(name) if scope.deployment is not None else None
    return node is not None and node.roster


def _void(value: object) -> dict[str, Json]:
    """The command that would let it go on, ready to be certified once a person has confirmed the loss."""
    gone = [row for one in items(table(value).get("evidence")) if (row := table(one)).get("state") == "gone"]
    if not gone:
        return {"void": None}
    last = gone[-1]
    return {
        "void": {
            "type": "void_evidence",
            "height": count(last.get("height")),
            "pointer": dict(table(last.get("pointer"))),
            "reason": "",
            "fence": None,
        }
    }


# Upstream.


def _resolves(scope: Scope, view: SurfaceView) -> Finding:
    fact = scope.snapshot.get(SPAN_EVIDENCE, f"{view.member.name}/{view.surface.name}")
    refs = source(fact)
    if needed_position(scope, view) is None:
        return finding("EVIDENCE-UNRESOLVED", Status.OK, view.subject, "the ledger holds no evidence of it yet",
                       sources=refs)  # fmt: skip
    told = told_gone(scope, view)
    if fact is None or not fact.seen:
        why = (fact.reason if fact is not None else None) or "nobody asked upstream"
        status = Status.BAD if told else Status.UNKNOWN
        shown = f"a node found {plural(told, 'pointer')} gone; now: {why}" if told else why
        return finding("EVIDENCE-UNRESOLVED", status, view.subject, shown, values={"gone_by_node": told},
                       sources=refs)  # fmt: skip
    value = table(fact.value)
    looked, good = count(value.get("looked_up")) or 0, count(value.get("resolved")) or 0
    lost = [table(one) for one in items(value.get("not_resolving"))]
    bad = (count(value.get("gone")) or 0) + (count(value.get("differs")) or 0)
    values: dict[str, Json] = {key: value.get(key) for key in ("looked_up", "resolved", "gone", "differs")}
    values |= {"not_resolving": [dict(one) for one in lost], "gone_by_node": told}
    if bad:
        first = listed([f"position {one.get('position')} (height {one.get('height')})" for one in lost], 2)
        shown = (
            f"{bad} of {plural(looked, 'pointer')} resolve upstream no more: {first}; no node can replay it"
        )
        return finding("EVIDENCE-UNRESOLVED", Status.BAD, view.subject, shown, values=values, sources=refs)
    if not looked:
        return finding("EVIDENCE-UNRESOLVED", Status.UNKNOWN, view.subject, "upstream is not as far as our evidence",
                       values=values, sources=refs)  # fmt: skip
    return finding("EVIDENCE-UNRESOLVED", Status.OK, view.subject,
                   f"{good} of {plural(looked, 'pointer')} looked up upstream resolve, the oldest among them",
                   values=values, sources=refs)  # fmt: skip


def _retention(scope: Scope, view: SurfaceView, limits: Thresholds) -> Iterator[Finding]:
    """How long the oldest pointer lasts; no row before there is one."""
    if needed_position(scope, view) is None:
        return
    refs = tuple(ref for one in view.endpoints for ref in one.refs)
    bounds: dict[str, Json] = {
        "evidence_warn_ms": limits.evidence_warn_ms, "evidence_bad_ms": limits.evidence_bad_ms,
    }  # fmt: skip
    found = retention_of(scope, view)
    if found is None:
        why = "it has no endpoint in deployment.toml: what it keeps nobody tells"
        if view.endpoints:
            why = next((one.why for one in view.endpoints if one.why), "no endpoint tells what it still has")
        yield finding("EVIDENCE-RETENTION", Status.UNKNOWN, view.subject, why, limits=bounds, sources=refs)
        return
    status, shown = _grade(scope, found, limits)
    values: dict[str, Json] = {
        "oldest_needed": found.needed, "oldest_kept": found.oldest, "head": found.head, "events_left": found.left,
        "rate_per_s": None if found.rate_per_s is None else round(found.rate_per_s, 3),
        "lost_at_ms": found.lost_at_ms,
    }  # fmt: skip
    yield finding(
        "EVIDENCE-RETENTION", status, view.subject, shown, values=values, limits=bounds, sources=refs
    )


def _grade(scope: Scope, found: Retention, limits: Thresholds) -> tuple[Status, str]:
    window = f"upstream keeps {found.oldest} to {found.head}, our oldest is {found.needed}"
    if found.left < 1:
        return Status.BAD, f"lost: {window}"
    if found.oldest == 0:
        return Status.OK, f"upstream has compacted nothing so far: {window}"
    if found.lost_at_ms is None:
        return Status.UNKNOWN, f"{plural(found.left, 'event')} left, at a rate that is not known: {window}"
    left = found.lost_at_ms - scope.now_ms
    status = (
        Status.BAD
        if left < limits.evidence_bad_ms
        else Status.WARN
        if left < limits.evidence_warn_ms
        else Status.OK
    )
    return (
        status,
        f"lost at {moment(found.lost_at_ms)} (in {duration(left)}, {plural(found.left, 'event')}): {window}",
    )
