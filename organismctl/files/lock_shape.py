"""The shape of organism.lock: one declarative table for the reader and for the JSON Schema."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from organismctl.files.fields import Each, Hex, Text, Whole
from organismctl.files.keypath import child
from organismctl.files.schema import Field, Invalid, JsonSchema, Reader, Table, show


class When:
    """A date-time with its offset from UTC."""

    allowed = "a date-time with an offset, such as 2026-12-01T00:00:00Z"

    def read(self, value: Any, path: str, reader: Reader) -> datetime | Invalid:
        """See :meth:`Shape.read`."""
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value
        return reader.problem(path, show(value), self.allowed)

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"type": "string", "format": "date-time"}


def _check_stanza(values: dict[str, Any], path: str, reader: Reader) -> None:
    """A group id, or the reason why there is none."""
    if (values["group_id"] is None) == (values["group_id_unknown"] is None):
        found = None if values["group_id"] is None else "both group_id and group_id_unknown"
        reader.problem(child(path, "group_id"), found, "group_id or group_id_unknown, one of them")


STANZA = Table(
    {
        "fingerprint": Field(Hex(32), "the OrganismConfig's hash", required=True),
        "group_id": Field(Hex(32), "mosaik's GroupId"),
        "group_id_unknown": Field(Text("the reason why there is no group_id"), "in place of group_id"),
        "accepted_by": Field(Text("a name"), "who accepted it", required=True),
        "accepted_at": Field(When(), "when", required=True),
        "reason": Field(Text("a sentence"), "why", required=True),
        "announcement": Field(Text("an announcement's id"), "what told the integrators"),
        "fields": Field(Each(Hex(32)), "digest of each field of the fingerprint", required=True),
        "group_inputs": Field(Each(Hex(32)), "digest of each input of the group id", default={}),
    },
    check=_check_stanza,
)
LOCK = Table(
    {
        "schema": Field(Whole(1, 1), "version of this format", required=True),
        "group_secret_hash": Field(
            Hex(32), "H(group secret): enough for the group id, no help to an attacker"
        ),
        "deployed": Field(STANZA, "what runs"),
        "next": Field(STANZA, "what was accepted and does not run yet"),
    },
    doc="organism.lock: the accepted identity, written by organismctl only",
)
