"""JSON Schemas of the commands' output: ``python -m organismctl.report.schema docs/schemas``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from organismctl.check.codes import CODES
from organismctl.check.finding import Status
from organismctl.check.run import FAIL_ON
from organismctl.exits import Exit
from organismctl.observe.snapshot import CAUSES, SNAPSHOT_SCHEMA
from organismctl.report.model import REPORT_SCHEMA
from organismctl.report.status import STATUS_SCHEMA

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_WHOLE: Schema = {"type": "integer"}
_WHOLE_OR_NULL: Schema = {"type": ["integer", "null"]}
_FLAG: Schema = {"type": "boolean"}
_FLAG_OR_NULL: Schema = {"type": ["boolean", "null"]}
_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ID_OR_NULL: Schema = {"anyOf": [_ID, {"type": "null"}]}
_EXIT: Schema = {"enum": [int(code) for code in Exit if code is not Exit.USAGE]}
_STATUS: Schema = {"enum": [status.value for status in Status]}
_ANY_OBJECT: Schema = {"type": "object"}


def _object(properties: dict[str, Schema], **more: Any) -> Schema:
    """An object with exactly these keys, all of them there."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _or_null(of: Schema) -> Schema:
    return {"anyOf": [of, {"type": "null"}]}


_ORGANISM = _object(
    {
        "name": _TEXT,
        "fingerprint": _ID_OR_NULL,
        "group_id": _ID_OR_NULL,
        "fingerprint_unknown": _TEXT_OR_NULL,
        "group_id_unknown": _TEXT_OR_NULL,
    }
)
_COUNTS = _object(dict.fromkeys(("bad", "unknown", "warn", "ok", "accepted"), _WHOLE))
_FINDING = _object(
    {
        "code": {"enum": list(CODES)},
        "status": _STATUS,
        "subject": _TEXT,
        "summary": _TEXT,
        "exit": _EXIT,
        "concerns": _list({"enum": ["committee", "integrators"]}),
        "runbook": _TEXT_OR_NULL,
        "accepted": _or_null(_object({"until": _TEXT, "reason": _TEXT})),
        "place": _or_null(_object({"file": _TEXT, "line": _WHOLE_OR_NULL})),
        "values": _ANY_OBJECT,
        "limits": _ANY_OBJECT,
        "sources": _list(_object({"source": _TEXT, "seen_ms": _WHOLE_OR_NULL})),
    }
)
_CHECK = _object(
    {
        "schema": {"const": REPORT_SCHEMA},
        "command": _TEXT,
        "organism": _ORGANISM,
        "judged_ms": _WHOLE,
        "seen_ms": _WHOLE_OR_NULL,
        "strict": _FLAG,
        "fail_on": {"enum": list(FAIL_ON)},
        "exit": _EXIT,
        "counts": _COUNTS,
        "findings": _list(_FINDING),
    }
)
_NODE = _object(
    {
        "name": _TEXT,
        "peer_id": _ID,
        "life": {"enum": ["up", "stopped", "vouched", "gone", "unknown"]},
        "role": _TEXT_OR_NULL,
        "certified": _WHOLE_OR_NULL,
        "version": _TEXT_OR_NULL,
        "drained": _FLAG,
        "reason": _TEXT_OR_NULL,
    }
)
_SPAN = _object(
    {
        "name": _TEXT,
        "kind": _TEXT,
        "stable_id": _ID,
        "pinned": _FLAG,
        "card": _STATUS,
        "tickets_valid": _WHOLE,
        "tickets_unknown": _WHOLE,
        "committee": _WHOLE,
        "horizon_ms": _WHOLE_OR_NULL,
        "quorum_until_ms": _WHOLE_OR_NULL,
        "tickets": _list(
            _object(
                {
                    "node": _TEXT,
                    "state": {"enum": ["valid", "invalid", "missing", "unknown", "free"]},
                    "horizon_ms": _WHOLE_OR_NULL,
                    "failing_step": _TEXT_OR_NULL,
                }
            )
        ),
    }
)
_COMMITTEE = _object(
    {
        "size": _WHOLE,
        "needed": _WHOLE,
        "there": _WHOLE,
        "replicas": _WHOLE_OR_NULL,
        "tolerance": _WHOLE_OR_NULL,
        "one_host": _FLAG,
        "roster_version": _WHOLE_OR_NULL,
        "proposers": _list(_TEXT),
        "epoch": _WHOLE_OR_NULL,
        "ledger": _object({"height": _WHOLE_OR_NULL, "digest": _ID_OR_NULL, "alike": _FLAG_OR_NULL}),
        "sealed": _FLAG,
        "retirement": _TEXT_OR_NULL,
        "lease": _TEXT_OR_NULL,
    }
)
_STATUS_COMMAND = _object(
    {
        "schema": {"const": STATUS_SCHEMA},
        "organism": _ORGANISM,
        "judged_ms": _WHOLE,
        "seen_ms": _WHOLE_OR_NULL,
        "exit": _EXIT,
        "counts": _COUNTS,
        "committee": _COMMITTEE,
        "nodes": _list(_NODE),
        "spans": _list(_SPAN),
        "changes": _list(_object({"id": _TEXT, "state": _TEXT, "what": _TEXT, "waits_for": _TEXT_OR_NULL})),
        "findings": _list(_FINDING),
    }
)
_FACT = _object(
    {
        "kind": _TEXT,
        "subject": _TEXT,
        "source": _TEXT,
        "seen_ms": _WHOLE_OR_NULL,
        "took_ms": _WHOLE_OR_NULL,
        "reason": _TEXT_OR_NULL,
        "cause": {"enum": [*CAUSES, None]},
        "value": {},
    }
)
_SNAPSHOT = _object(
    {
        "schema": {"const": SNAPSHOT_SCHEMA},
        "organism": _ORGANISM,
        "taken_ms": _WHOLE,
        "holds_tickets": _FLAG,
        "facts": _list(_FACT),
    }
)
_CODE = _object(
    {
        "code": {"enum": list(CODES)},
        "title": _TEXT,
        "meaning": _TEXT,
        "action": _TEXT,
        "status": _STATUS,
        "exit": _EXIT,
        "runbook": _TEXT,
        "concerns": _list({"enum": ["committee", "integrators"]}),
    }
)
_EXPLAIN = _object({"schema": {"const": 1}, "codes": _list(_CODE)})

COMMANDS: dict[str, Schema] = {
    "check": _CHECK,
    "status": _STATUS_COMMAND,
    "snapshot": _SNAPSHOT,
    "explain": _EXPLAIN,
}
"""File stem to schema."""


def schemas() -> dict[str, Schema]:
    """File name to JSON Schema (2020-12)."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        f"{stem}.schema.json": {**head, "title": f"organismctl: {stem}", **schema}
        for stem, schema in COMMANDS.items()
    }


def main(argv: list[str]) -> None:
    """Write every schema into a folder.

    Raises:
        UsageError: The folder is not named.
        PathError: The system refused.
    """
    from organismctl.errors import UsageError
    from organismctl.files.atomic import os_errors, write_atomic
    from organismctl.report.text import json_text

    if len(argv) != 1:
        raise UsageError("usage: python -m organismctl.report.schema FOLDER")
    folder = Path(argv[0])
    with os_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        write_atomic(folder / name, json_text(schema).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
