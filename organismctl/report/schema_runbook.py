"""JSON Schemas of what the runbook commands print."""

from __future__ import annotations

from organismctl.report.schema_parts import (
    EXIT,
    FLAG,
    PROBLEM,
    TEXT,
    TEXT_OR_NULL,
    WHOLE_OR_NULL,
    Schema,
    closed,
    many,
    one_of,
    or_null,
)

_ONE: Schema = {"const": 1}
_SEVERITY = one_of("page", "ticket", "planned")
_STATE = one_of("running", "left", "done")
_FINDING = closed(
    {"code": TEXT, "status": one_of("ok", "warn", "bad", "unknown"), "subject": TEXT, "summary": TEXT}
)
_STEP = closed(
    {
        "kind": one_of("probe", "run", "begun", "skipped"),
        "line": TEXT,
        "at": TEXT,
        "exit": WHOLE_OR_NULL,
        "took_ms": WHOLE_OR_NULL,
        "output": TEXT_OR_NULL,
        "why": TEXT_OR_NULL,
    }
)
_SECTION = closed(
    {
        "title": TEXT,
        "when": TEXT_OR_NULL,
        "applies": {"type": ["boolean", "null"]},
        "findings": many(_FINDING),
        "steps": many(_STEP),
    }
)

RUNBOOK: dict[str, Schema] = {
    "runbook-list": closed(
        {
            "schema": _ONE,
            "runbooks": many(
                closed(
                    {
                        "name": TEXT,
                        "title": TEXT,
                        "severity": _SEVERITY,
                        "takes": TEXT,
                        "roles": many(TEXT),
                        "codes": many(TEXT),
                        "file": TEXT,
                        "own": FLAG,
                    }
                )
            ),
        }
    ),
    "runbook-runs": closed(
        {
            "schema": _ONE,
            "runs": many(
                closed(
                    {
                        "id": TEXT,
                        "runbook": TEXT,
                        "state": _STATE,
                        "operator": TEXT,
                        "host": TEXT,
                        "begun": TEXT,
                        "exit": or_null(EXIT),
                    }
                )
            ),
        }
    ),
    "runbook-report": closed(
        {
            "schema": _ONE,
            "id": TEXT,
            "runbook": TEXT,
            "title": TEXT,
            "codes": many(TEXT),
            "severity": _SEVERITY,
            "organism": TEXT,
            "operator": TEXT,
            "host": TEXT,
            "begun": TEXT,
            "ended": TEXT_OR_NULL,
            "state": _STATE,
            "exit": or_null(EXIT),
            "values": {"type": "object", "additionalProperties": TEXT},
            "sections": many(_SECTION),
            "remaining": many(_FINDING),
            "others": many(_FINDING),
        }
    ),
    "runbook-check": closed(
        {
            "schema": _ONE,
            "runbooks": many(TEXT),
            "problems": many(PROBLEM),
        }
    ),
}
"""Name to schema."""
