"""How degraded the facts are that a node serves: which inputs the newest of each surface lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from organismctl.errors import OrganismError
from organismctl.observe.span_endpoint import MAX_ANSWER, items_from, usable_name

if TYPE_CHECKING:
    from organismctl.committee.machine import Fact as Published
    from organismctl.observe.node_client import LookingClient

FACTS = 100
"""The newest facts of a surface that are looked at."""
MAX_SURFACES = 16


def published(client: LookingClient) -> dict[str, Any]:
    """The newest facts of each surface of a node, as numbers.

    Returns:
        ``{"surfaces": [{"name", "facts", "degraded", "missing": [{"stable_id", "surface_id", "facts"}], "last":
        {"clock_event", "tick_ms", "missing"} or null}]}``; a surface that could not be read has ``unread``.

    Raises:
        OrganismError: The node does not say what it serves.
    """
    listed = client.document("/v1/surfaces", MAX_ANSWER).get("surfaces")
    rows = []
    for one in (listed if isinstance(listed, list) else [])[:MAX_SURFACES]:
        name, following = (one.get("name"), one.get("next_seq")) if isinstance(one, dict) else (None, None)
        if not isinstance(name, str) or not usable_name(name) or not isinstance(following, int):
            continue
        try:
            rows.append({"name": name, **_weighed(_facts(client, name, max(following - FACTS, 0)))})
        except OrganismError as exc:
            rows.append({"name": name, "unread": exc.message[:200]})
    return {"surfaces": rows}


def _facts(client: LookingClient, name: str, start: int) -> list[Published]:
    """Facts of our own make, from a seq on; items of another make say nothing about what they lack."""
    from organismctl.committee.machine import FactError, decode_fact
    from organismctl.identity.surface_item import Fact as FactItem

    found = []
    for item in items_from(client, name, start, FACTS):
        if isinstance(item.item, FactItem):
            try:
                found.append(decode_fact(item.item.data))
            except FactError:
                continue
    return found


def _weighed(facts: list[Published]) -> dict[str, Any]:
    missing: dict[tuple[str, str], int] = {}
    for fact in facts:
        for one in fact.missing:
            key = (one.stable_id.hex(), one.surface_id.hex())
            missing[key] = missing.get(key, 0) + 1
    last = facts[-1] if facts else None
    return {
        "facts": len(facts),
        "degraded": sum(fact.degraded for fact in facts),
        "missing": [
            {"stable_id": stable, "surface_id": surface, "facts": count}
            for (stable, surface), count in sorted(missing.items())
        ],
        "last": None
        if last is None
        else {
            "clock_event": last.clock_event,
            "tick_ms": last.tick_ms,
            "observations": len(last.observations),
            "missing": len(last.missing),
        },
    }
