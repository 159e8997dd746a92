"""JSON Schemas of the pages that show everything: ``watch`` and ``report``. Each is ``status`` and more."""

from __future__ import annotations

from organismctl.check.finding import Status
from organismctl.report.health import SIDES
from organismctl.report.page import PAGE_SCHEMA
from organismctl.report.schema_parts import (
    FLAG,
    ID,
    ID_OR_NULL,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    WHOLE,
    WHOLE_OR_NULL,
    Schema,
    closed,
    many,
    or_null,
)
from organismctl.report.watch import WATCH_SCHEMA

_HEALTH: dict[str, Schema] = {
    "node": TEXT,
    "span": TEXT,
    "surface": TEXT,
    "lag_events": WHOLE_OR_NULL,
    "lag_s": NUMBER_OR_NULL,
    "last_event_ms": WHOLE_OR_NULL,
    "dark_periods": NUMBER_OR_NULL,
    "link": {"enum": ["live", "connecting", "refused", "retired", None]},
    "side": {"enum": list(SIDES)},
    "reason": TEXT_OR_NULL,
    "horizon_ms": WHOLE_OR_NULL,
    "horizon_known": FLAG,
    "position": WHOLE_OR_NULL,
    "evidence_oldest_ms": WHOLE_OR_NULL,
}
_STATE: Schema = {"enum": ["valid", "invalid", "missing", "unknown", "free"]}
_LINE = closed(
    {
        "name": TEXT,
        "own": FLAG,
        "committee": WHOLE,
        "needed": WHOLE,
        "admitted": WHOLE,
        "unknown": WHOLE,
        "surely_until_ms": WHOLE_OR_NULL,
        "perhaps_until_ms": WHOLE_OR_NULL,
        "lost_with": many(TEXT),
        "nodes": many(
            closed(
                {
                    "node": TEXT,
                    "state": _STATE,
                    "horizon_ms": WHOLE_OR_NULL,
                    "failing_step": TEXT_OR_NULL,
                    "issuer": TEXT_OR_NULL,
                    "detail": TEXT,
                }
            )
        ),
    }
)
_POINT: Schema = {
    "type": "array",
    "prefixItems": [WHOLE, WHOLE_OR_NULL, NUMBER_OR_NULL],
    "minItems": 3,
    "maxItems": 3,
}
_SERIES = closed(
    {
        "span": TEXT,
        "surface": TEXT,
        "reason": TEXT_OR_NULL,
        "watched_since_ms": WHOLE_OR_NULL,
        "last_event_ms": WHOLE_OR_NULL,
        "dark_since_ms": WHOLE_OR_NULL,
        "lines": many(closed({"node": TEXT, "points": many(_POINT)})),
    }
)
_STANZA = or_null(
    closed(
        {
            "fingerprint": ID,
            "group_id": ID_OR_NULL,
            "accepted_by": TEXT,
            "accepted_at": TEXT,
            "reason": TEXT,
        }
    )
)
_IDENTITY = closed(
    {
        "scheme": TEXT,
        "network": ID,
        "stable_id": ID_OR_NULL,
        "surfaces": many(closed({"name": TEXT, "type": TEXT, "id": ID_OR_NULL})),
        "deployed": _STANZA,
        "next": _STANZA,
        "spans": many(
            closed(
                {
                    "name": TEXT,
                    "kind": TEXT,
                    "stable_id": ID,
                    "content_hash": ID_OR_NULL,
                    "status": {"enum": [status.value for status in Status]},
                    "summary": TEXT,
                }
            )
        ),
    }
)
_MAJORITY = closed({"name": TEXT, "until_ms": WHOLE_OR_NULL, "summary": TEXT})


def pages(status: Schema) -> dict[str, Schema]:
    """Both schemas, by file stem; ``status`` is that of the command of that name."""
    same = status["properties"]
    watch = {
        **same,
        "schema": {"const": WATCH_SCHEMA},
        "health": many(closed({**_HEALTH, "lag_events_change": {"type": ["integer", "null"]}})),
        "majorities": many(_MAJORITY),
    }
    report = {
        **same,
        "schema": {"const": PAGE_SCHEMA},
        "made_by": TEXT,
        "identity": _IDENTITY,
        "timeline": closed({"from_ms": WHOLE, "until_ms": WHOLE, "spans": many(_LINE)}),
        "health": many(closed(_HEALTH)),
        "history": many(_SERIES),
    }
    return {"watch": closed(watch), "report": closed(report)}
