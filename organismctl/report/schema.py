"""JSON Schemas of the commands' output: ``python -m organismctl.report.schema docs/schemas``."""

from __future__ import annotations

import sys
from pathlib import Path

from organismctl.check.codes import CODES
from organismctl.check.finding import Status
from organismctl.check.run import FAIL_ON
from organismctl.observe.snapshot import CAUSES, SNAPSHOT_SCHEMA
from organismctl.report.model import REPORT_SCHEMA
from organismctl.report.schema_commands import SCHEMAS
from organismctl.report.schema_pages import pages
from organismctl.report.schema_parts import (
    ANY_OBJECT,
    EXIT,
    FLAG,
    FLAG_OR_NULL,
    ID,
    ID_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    WHOLE,
    WHOLE_OR_NULL,
    Schema,
    closed,
    many,
    or_null,
)
from organismctl.report.status import STATUS_SCHEMA

_STATUS: Schema = {"enum": [status.value for status in Status]}

_ORGANISM = closed(
    {
        "name": TEXT,
        "fingerprint": ID_OR_NULL,
        "group_id": ID_OR_NULL,
        "fingerprint_unknown": TEXT_OR_NULL,
        "group_id_unknown": TEXT_OR_NULL,
    }
)
_COUNTS = closed(dict.fromkeys(("bad", "unknown", "warn", "ok", "accepted"), WHOLE))
_FINDING = closed(
    {
        "code": {"enum": list(CODES)},
        "status": _STATUS,
        "subject": TEXT,
        "summary": TEXT,
        "exit": EXIT,
        "concerns": many({"enum": ["committee", "integrators"]}),
        "runbook": TEXT_OR_NULL,
        "accepted": or_null(closed({"until": TEXT, "reason": TEXT})),
        "place": or_null(closed({"file": TEXT, "line": WHOLE_OR_NULL})),
        "values": ANY_OBJECT,
        "limits": ANY_OBJECT,
        "sources": many(closed({"source": TEXT, "seen_ms": WHOLE_OR_NULL})),
    }
)
_CHECK = closed(
    {
        "schema": {"const": REPORT_SCHEMA},
        "command": TEXT,
        "organism": _ORGANISM,
        "judged_ms": WHOLE,
        "seen_ms": WHOLE_OR_NULL,
        "strict": FLAG,
        "fail_on": {"enum": list(FAIL_ON)},
        "exit": EXIT,
        "counts": _COUNTS,
        "findings": many(_FINDING),
    }
)
_NODE = closed(
    {
        "name": TEXT,
        "peer_id": ID,
        "life": {"enum": ["up", "stopped", "vouched", "gone", "unknown"]},
        "role": TEXT_OR_NULL,
        "certified": WHOLE_OR_NULL,
        "digest": ID_OR_NULL,
        "version": TEXT_OR_NULL,
        "drained": FLAG,
        "reason": TEXT_OR_NULL,
    }
)
_SPAN = closed(
    {
        "name": TEXT,
        "kind": TEXT,
        "stable_id": ID,
        "pinned": FLAG,
        "card": _STATUS,
        "heard": _STATUS,
        "tickets_valid": WHOLE,
        "tickets_unknown": WHOLE,
        "committee": WHOLE,
        "horizon_ms": WHOLE_OR_NULL,
        "quorum_until_ms": WHOLE_OR_NULL,
        "tickets": many(
            closed(
                {
                    "node": TEXT,
                    "state": {"enum": ["valid", "invalid", "missing", "unknown", "free"]},
                    "horizon_ms": WHOLE_OR_NULL,
                    "failing_step": TEXT_OR_NULL,
                }
            )
        ),
    }
)
_COMMITTEE = closed(
    {
        "size": WHOLE,
        "needed": WHOLE,
        "there": WHOLE,
        "replicas": WHOLE_OR_NULL,
        "tolerance": WHOLE_OR_NULL,
        "one_host": FLAG,
        "roster_version": WHOLE_OR_NULL,
        "proposers": many(TEXT),
        "epoch": WHOLE_OR_NULL,
        "ledger": closed({"height": WHOLE_OR_NULL, "digest": ID_OR_NULL, "alike": FLAG_OR_NULL}),
        "sealed": FLAG,
        "retirement": TEXT_OR_NULL,
        "lease": TEXT_OR_NULL,
    }
)
_STATUS_COMMAND = closed(
    {
        "schema": {"const": STATUS_SCHEMA},
        "organism": _ORGANISM,
        "judged_ms": WHOLE,
        "seen_ms": WHOLE_OR_NULL,
        "exit": EXIT,
        "counts": _COUNTS,
        "committee": _COMMITTEE,
        "nodes": many(_NODE),
        "spans": many(_SPAN),
        "changes": many(closed({"id": TEXT, "state": TEXT, "what": TEXT, "waits_for": TEXT_OR_NULL})),
        "findings": many(_FINDING),
    }
)
_FACT = closed(
    {
        "kind": TEXT,
        "subject": TEXT,
        "source": TEXT,
        "seen_ms": WHOLE_OR_NULL,
        "took_ms": WHOLE_OR_NULL,
        "reason": TEXT_OR_NULL,
        "cause": {"enum": [*CAUSES, None]},
        "value": {},
    }
)
_SNAPSHOT = closed(
    {
        "schema": {"const": SNAPSHOT_SCHEMA},
        "organism": _ORGANISM,
        "taken_ms": WHOLE,
        "holds_tickets": FLAG,
        "facts": many(_FACT),
    }
)
_CODE = closed(
    {
        "code": {"enum": list(CODES)},
        "title": TEXT,
        "meaning": TEXT,
        "action": TEXT,
        "status": _STATUS,
        "exit": EXIT,
        "runbook": TEXT,
        "concerns": many({"enum": ["committee", "integrators"]}),
    }
)
_EXPLAIN = closed({"schema": {"const": 1}, "codes": many(_CODE)})

COMMANDS: dict[str, Schema] = {
    "check": _CHECK,
    "status": _STATUS_COMMAND,
    **pages(_STATUS_COMMAND),
    "snapshot": _SNAPSHOT,
    "explain": _EXPLAIN,
    **SCHEMAS,
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
