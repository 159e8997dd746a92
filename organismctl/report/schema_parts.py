"""The pieces that JSON Schemas of the commands' output are put together from."""

from __future__ import annotations

from typing import Any

from organismctl.exits import Exit

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
WHOLE: Schema = {"type": "integer"}
WHOLE_OR_NULL: Schema = {"type": ["integer", "null"]}
NUMBER: Schema = {"type": "number"}
NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
FLAG: Schema = {"type": "boolean"}
FLAG_OR_NULL: Schema = {"type": ["boolean", "null"]}
ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
ID_OR_NULL: Schema = {"anyOf": [ID, {"type": "null"}]}
HEX: Schema = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
EXIT: Schema = {"enum": [int(code) for code in Exit if code is not Exit.USAGE]}
ANY_OBJECT: Schema = {"type": "object"}


def closed(properties: dict[str, Schema], **more: Any) -> Schema:
    """An object with exactly these keys, all of them there."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def many(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def or_null(of: Schema) -> Schema:
    """The thing or null."""
    return {"anyOf": [of, {"type": "null"}]}


def one_of(*values: Any) -> Schema:
    """One of a few values."""
    return {"enum": list(values)}


PROBLEM: Schema = closed(
    {
        "file": TEXT,
        "line": WHOLE_OR_NULL,
        "key": TEXT,
        "found": TEXT_OR_NULL,
        "allowed": TEXT,
        "hint": TEXT_OR_NULL,
    }
)
"""What is wrong at one place of an input file (:class:`organismctl.errors.Problem`)."""
