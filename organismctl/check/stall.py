"""What the stall policy makes of a spanned member that is missing: whom the next fact waits for, or what facts lack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, SourceRef, Status
from organismctl.check.span_view import SUBSCRIPTIONS
from organismctl.check.values import count, duration, items, listed, moment, source, table, text, whole

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json
    from organismctl.observe.snapshot import Fact

FACTS = "node.facts"
AT_RUN_TIME: list[Json] = ["tickets", "endpoints", "peers", "thresholds", "VoidEvidence", "nodes"]
NEW_FINGERPRINT: list[Json] = [
    "driver.stall",
    "driver.apply_deadline",
    "driver.fold",
    "driver.period",
    "span",
]
MAX_WAITING = 1024


def stall_rows(scope: Scope) -> Iterator[Finding]:
    """Rows of the policy that organism.toml has; none for a fold that waits for nobody."""
    driver = scope.organism.config.driver
    if driver.fold != "join" or not scope.organism.config.span:
        return
    if driver.stall == "wait":
        yield from _waiting(scope)
    else:
        yield from _degraded(scope)


def _values() -> dict[str, Json]:
    return {"at_run_time": AT_RUN_TIME, "new_fingerprint": NEW_FINGERPRINT}


def _roster(scope: Scope) -> list[str]:
    nodes = scope.deployment.nodes if scope.deployment is not None else ()
    return [node.name for node in nodes if node.roster]


# Waiting.


def _waiting(scope: Scope) -> Iterator[Finding]:
    """A row for each input that holds up the next fact, as the node tells that has applied most."""
    told = [
        fact
        for name in _roster(scope)
        if (fact := scope.snapshot.get(SUBSCRIPTIONS, name)) is not None
        and isinstance(table(table(fact.value).get("stall")).get("waiting_for"), list)
    ]
    deadline = scope.organism.config.driver.apply_deadline_ms
    limits: dict[str, Json] = {"apply_deadline_ms": deadline}
    if not told:
        yield finding("STALL-WAITING", Status.UNKNOWN, "next fact", _why_untold(scope), values=_values(),
                      limits=limits)  # fmt: skip
        return
    late, looked = _late(told, deadline), max(fact.seen_ms or 0 for fact in told)
    if not late:
        yield finding("STALL-WAITING", Status.OK, "next fact", "it waits for nobody beyond the apply deadline",
                      values=_values(), limits=limits, sources=source(told[0]))  # fmt: skip
    for (span, surface), (since, event, nodes, refs) in sorted(late.items()):
        shown = (
            f"the next fact (clock event {event}) waits for it since {moment(since)} "
            f"({duration(looked - since)}); "
            f'told by {listed(nodes)}. stall = "wait": nothing is published meanwhile; another policy is a new '
            "fingerprint"
        )
        values: dict[str, Json] = {
            **_values(), "since_ms": since, "clock_event": event, "told_by": [*nodes],
            "waits_ms": looked - since,
        }  # fmt: skip
        yield finding("STALL-WAITING", Status.BAD, f"{span} / {surface}", shown, values=values, limits=limits,
                      sources=refs)  # fmt: skip


def _why_untold(scope: Scope) -> str:
    facts = [scope.snapshot.get(SUBSCRIPTIONS, name) for name in _roster(scope)]
    reasons = [fact.reason for fact in facts if fact is not None and fact.reason]
    return f"no node tells what it waits for: {reasons[0] if reasons else 'nobody looked'}"


_Late = tuple[int, int, list[str], tuple[SourceRef, ...]]


def _late(told: list[Fact], deadline_ms: int) -> dict[tuple[str, str], _Late]:
    """Inputs that hold up the next fact for longer than a deadline."""
    found: dict[tuple[str, str], _Late] = {}
    for fact in told:
        offset = _offset(fact)
        for one in items(table(table(fact.value)["stall"])["waiting_for"])[:MAX_WAITING]:
            row = table(one)
            span, surface = text(row.get("span")), text(row.get("surface"))
            since, event = whole(row.get("since_ms")), count(row.get("clock_event"))
            if span is None or surface is None or since is None or event is None:
                continue
            here = min(since - offset, fact.seen_ms or since)
            if (fact.seen_ms or here) - here <= deadline_ms:
                continue
            known = found.get((span, surface))
            names = [*(known[2] if known else []), fact.subject]
            refs = (*(known[3] if known else ()), *source(fact))
            found[span, surface] = (min(here, known[0]) if known else here, event, names, refs)
    return found


def _offset(fact: Fact) -> int:
    now = whole(table(fact.value).get("now_ms"))
    return 0 if now is None or fact.seen_ms is None else now - fact.seen_ms


# Degraded.


def _degraded(scope: Scope) -> Iterator[Finding]:
    """A row for each of our surfaces, by the node that serves the most facts of it."""
    names = {
        (member.stable_id.hex(), surface.id.hex()): f"{member.name} / {surface.name}"
        for member in scope.organism.config.span
        for surface in member.surfaces
    }
    best: dict[str, tuple[Fact, int]] = {}
    for node in _roster(scope):
        fact = scope.snapshot.get(FACTS, node)
        for one in items(table(fact.value).get("surfaces")) if fact is not None and fact.seen else ():
            name, many = text(table(one).get("name")), count(table(one).get("facts"))
            if (
                fact is not None
                and name is not None
                and many is not None
                and many >= best.get(name, (fact, -1))[1]
            ):
                best[name] = (fact, many)
    for surface in scope.organism.config.surfaces:
        if surface.name not in best:
            yield finding("FACT-DEGRADED", Status.UNKNOWN, surface.name, _why_unread(scope, surface.name),
                          values=_values())  # fmt: skip
            continue
        fact = best[surface.name][0]
        told = next(
            row
            for one in items(table(fact.value)["surfaces"])
            if (row := table(one)).get("name") == surface.name
        )
        yield _weighed(surface.name, fact, dict(told), names)


def _why_unread(scope: Scope, surface: str) -> str:
    for node in _roster(scope):
        fact = scope.snapshot.get(FACTS, node)
        if fact is None:
            continue
        if fact.reason:
            return f"no node serves its facts to us: {fact.reason}"
        for one in items(table(fact.value).get("surfaces")):
            if table(one).get("name") == surface and (why := text(table(one).get("unread"))):
                return why
    return "nobody looked at its facts"


def _weighed(surface: str, fact: Fact, told: dict[str, Json], names: dict[tuple[str, str], str]) -> Finding:
    many, bad = count(told.get("facts")) or 0, count(told.get("degraded")) or 0
    lacks: dict[str, Json] = {}
    for one in items(told.get("missing"))[:MAX_WAITING]:
        row = table(one)
        key = (text(row.get("stable_id")) or "", text(row.get("surface_id")) or "")
        lacks[names.get(key, key[0][:10] or "unnamed")] = count(row.get("facts"))
    values: dict[str, Json] = {
        **_values(),
        "facts": many,
        "degraded": bad,
        "lacks": lacks,
        "last": told.get("last"),
    }
    if not many:
        return finding(
            "FACT-DEGRADED", Status.OK, surface, "no fact yet", values=values, sources=source(fact)
        )
    if not bad:
        return finding("FACT-DEGRADED", Status.OK, surface, f"none of the newest {many} facts lacks an input",
                       values=values, sources=source(fact))  # fmt: skip
    each = listed([f"{name} in {number}" for name, number in lacks.items()])
    last = count(table(told.get("last")).get("missing"))
    newest = (
        "; the newest is whole again" if last == 0 else "" if last is None else f"; the newest lacks {last}"
    )
    shown = f'{bad} of the newest {many} facts are degraded: they lack {each}{newest}. stall = "partial"'
    return finding("FACT-DEGRADED", Status.WARN, surface, shown, values=values, sources=source(fact))
