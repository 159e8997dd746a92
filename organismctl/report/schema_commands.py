"""JSON Schemas of what identity, lock, ticket, surface, doctor and change commands print."""

from __future__ import annotations

from organismctl.change.state import State, StepState
from organismctl.identity.config import SCHEMES
from organismctl.report.schema_inspect import INSPECT
from organismctl.report.schema_parts import (
    ANY_OBJECT,
    EXIT,
    FLAG,
    HEX,
    ID,
    ID_OR_NULL,
    NUMBER,
    PROBLEM,
    TEXT,
    TEXT_OR_NULL,
    WHOLE,
    WHOLE_OR_NULL,
    Schema,
    closed,
    many,
    one_of,
    or_null,
)
from organismctl.report.schema_runbook import RUNBOOK

_ONE: Schema = {"const": 1}
_SCHEME = one_of(*SCHEMES)
_PINS = closed({"old": ID, "new": ID})
_PINS_OR_NULL = closed({"old": ID_OR_NULL, "new": ID_OR_NULL})
_MOVES = many(one_of("fingerprint", "group_id"))
_VERDICT = one_of("none", "rebind", "rebuild")

_FINGERPRINT_SHOW = closed(
    {
        "schema": _ONE,
        "name": TEXT,
        "fingerprint": ID,
        "group_id": ID_OR_NULL,
        "group_id_unknown": TEXT_OR_NULL,
        "scheme": _SCHEME,
        "stable_id": ID_OR_NULL,
        "machine_signature": ID_OR_NULL,
        "network": ID,
        "surfaces": {"type": "object", "additionalProperties": ID},
    }
)
_FINGERPRINT_EXPLAIN = closed(
    {
        "schema": _ONE,
        "name": TEXT,
        "scheme": _SCHEME,
        "fingerprint": ID,
        "preimage": HEX,
        "fields": many(closed({"path": TEXT, "text": TEXT, "encoding": HEX, "digest": ID})),
    }
)
_FINGERPRINT_DIFF = closed(
    {
        "schema": _ONE,
        "verdict": _VERDICT,
        "moves": _MOVES,
        "actors": many(TEXT),
        "fingerprint": _PINS,
        "group_id": _PINS_OR_NULL,
        "changes": many(
            closed(
                {
                    "path": TEXT,
                    "old": TEXT_OR_NULL,
                    "new": TEXT_OR_NULL,
                    "moves": _MOVES,
                    "actors": many(TEXT),
                }
            )
        ),
    }
)
_STANZA = closed(
    {
        "fingerprint": ID,
        "group_id": ID_OR_NULL,
        "group_id_unknown": TEXT_OR_NULL,
        "accepted_by": TEXT,
        "accepted_at": {"type": "string", "format": "date-time"},
        "reason": TEXT,
        "announcement": TEXT_OR_NULL,
        "fields": {"type": "object", "additionalProperties": TEXT},
    }
)
_LOCK_SHOW = closed({"schema": _ONE, "name": TEXT, "deployed": or_null(_STANZA), "next": or_null(_STANZA)})
_TICKETS_SHOW = closed(
    {
        "schema": _ONE,
        "tickets": many(
            closed(
                {
                    "subject": TEXT,
                    "ticket_id": ID_OR_NULL,
                    "kind": one_of("jwt", "tdx"),
                    "issuer": TEXT_OR_NULL,
                    "holder": TEXT_OR_NULL,
                    "issued_at_s": WHOLE_OR_NULL,
                    "expires_at_s": WHOLE_OR_NULL,
                    "not_before_s": WHOLE_OR_NULL,
                    "never_expires": FLAG,
                    "problem": TEXT_OR_NULL,
                }
            )
        ),
    }
)
_SEEN = one_of("ok", "bad", "unknown")
_SURFACE_VERIFY = closed(
    {
        "schema": _ONE,
        "surface": TEXT,
        "surface_id": ID,
        "fingerprint": ID,
        "exit": EXIT,
        "summary": TEXT,
        "rooted": FLAG,
        "endpoints": many(
            closed(
                {
                    "endpoint": TEXT,
                    "status": _SEEN,
                    "detail": TEXT,
                    "items": WHOLE,
                    "last_seq": WHOLE_OR_NULL,
                    "retired": FLAG,
                    "effective_at": TEXT_OR_NULL,
                    "replacement": TEXT_OR_NULL,
                }
            )
        ),
    }
)
_INPUT_PROBLEMS = closed(
    {
        "schema": _ONE,
        "command": TEXT,
        "exit": {"const": 1},
        "error": TEXT,
        "problems": many(PROBLEM),
    }
)
_RETIRE_VERIFY = closed(
    {
        "schema": _ONE,
        "organism": TEXT,
        "ok": FLAG,
        "endings": many(
            closed(
                {
                    "node": TEXT,
                    "surface": TEXT,
                    "ok": FLAG,
                    "seen": FLAG,
                    "detail": TEXT,
                    "items": WHOLE,
                    "last_seq": WHOLE_OR_NULL,
                }
            )
        ),
    }
)
_DOCTOR = closed(
    {
        "schema": _ONE,
        "exit": EXIT,
        "rows": many(
            closed(
                {
                    "status": one_of("ok", "warn", "bad", "unknown"),
                    "subject": TEXT,
                    "detail": TEXT,
                    "advice": TEXT_OR_NULL,
                }
            )
        ),
    }
)
_CHANGE_MOVES = closed({"fingerprint": TEXT, "group_id": TEXT, "integrators": _VERDICT})
_PLAN = closed(
    {
        "schema": WHOLE,
        "id": TEXT,
        "procedure": TEXT,
        "organism": TEXT,
        "what": TEXT,
        "why": TEXT,
        "operator": TEXT,
        "created": TEXT,
        "parameters": ANY_OBJECT,
        "moves": _CHANGE_MOVES,
        "findings": many(ANY_OBJECT),
        "facts": ANY_OBJECT,
        "snapshot": TEXT,
        "steps": many(
            closed(
                {
                    "name": TEXT,
                    "title": TEXT,
                    "acts": FLAG,
                    "deadline_s": NUMBER,
                    "may_park": FLAG,
                    "leased": FLAG,
                    "no_undo": TEXT_OR_NULL,
                    "point_of_no_return": FLAG,
                }
            )
        ),
        "notes": many(TEXT),
        "hash": ID,
    }
)
_STATE = one_of(*(state.value for state in State))
_RUNNER = or_null(ANY_OBJECT)
_STEP = closed(
    {
        "name": TEXT,
        "title": TEXT,
        "state": one_of(*(state.value for state in StepState)),
        "attempt": WHOLE,
        "already": FLAG,
        "detail": TEXT,
        "began": TEXT_OR_NULL,
        "ended": TEXT_OR_NULL,
        "no_undo": TEXT_OR_NULL,
    }
)
_VIEW: dict[str, Schema] = {
    "schema": _ONE,
    "id": TEXT,
    "procedure": TEXT,
    "organism": TEXT,
    "what": TEXT,
    "why": TEXT,
    "state": _STATE,
    "aborting": FLAG,
    "no_return": FLAG,
    "waits_for": TEXT_OR_NULL,
    "until": TEXT_OR_NULL,
    "problem": TEXT_OR_NULL,
    "advice": TEXT_OR_NULL,
    "runner": _RUNNER,
    "fence": WHOLE,
    "created": TEXT,
    "updated": TEXT_OR_NULL,
    "plan_hash": ID,
    "moves": _CHANGE_MOVES,
    "steps": many(_STEP),
    "notes": many(TEXT),
}
_COPIES = many(closed({"origin": TEXT, "lines": WHOLE, "fence": WHOLE, "fault": TEXT_OR_NULL}))
_KNOWN: dict[str, Schema] = {"copies": _COPIES, "faults": many(TEXT)}
_LINE = closed(
    {
        "seq": WHOLE,
        "at": TEXT,
        "kind": TEXT,
        "step": TEXT_OR_NULL,
        "fence": WHOLE,
        "data": ANY_OBJECT,
        "hash": ID,
    }
)
_LISTED = (
    "id", "procedure", "what", "state", "waits_for", "until", "problem", "runner", "fence", "created", "updated",
)  # fmt: skip

SCHEMAS: dict[str, Schema] = {
    "fingerprint-show": _FINGERPRINT_SHOW,
    "fingerprint-explain": _FINGERPRINT_EXPLAIN,
    "fingerprint-diff": _FINGERPRINT_DIFF,
    "lock-show": _LOCK_SHOW,
    "tickets-show": _TICKETS_SHOW,
    "surface-verify": _SURFACE_VERIFY,
    "input-problems": _INPUT_PROBLEMS,
    "retire-verify": _RETIRE_VERIFY,
    "doctor": _DOCTOR,
    "inspect": INSPECT,
    **RUNBOOK,
    "plan": _PLAN,
    "change": closed(_VIEW),
    "change-show": closed(_VIEW | _KNOWN),
    "change-history": closed(_VIEW | {"lines": many(_LINE)} | _KNOWN),
    "change-list": closed(
        {
            "schema": _ONE,
            "organism": TEXT,
            "changes": many(
                closed({key: _VIEW[key] for key in _LISTED} | {"current": TEXT_OR_NULL, "faults": many(TEXT)})
            ),
        }
    ),
}
"""File stem to schema. ``plan`` is what ``--dry-run`` and ``--plan-out`` give, ``change`` what a run ends with."""
