"""The JSON Schema of what ``inspect`` prints."""

from __future__ import annotations

from organismctl.observe.snapshot import CAUSES
from organismctl.report.schema_parts import (
    ANY_OBJECT,
    EXIT,
    FLAG,
    FLAG_OR_NULL,
    ID,
    ID_OR_NULL,
    NUMBER,
    TEXT,
    TEXT_OR_NULL,
    WHOLE,
    WHOLE_OR_NULL,
    closed,
    many,
    one_of,
    or_null,
)

_CAUSE = {"enum": [*CAUSES, None]}
_DOOR = closed(
    {
        "entry_point": TEXT,
        "peer_id": ID_OR_NULL,
        "answered": FLAG,
        "entries": WHOLE_OR_NULL,
        "problems": many(closed({"peer_id": ID_OR_NULL, "what": TEXT})),
        "reason": TEXT_OR_NULL,
        "cause": _CAUSE,
    }
)
_TICKET = closed(
    {
        "class": ID,
        "ticket_id": ID,
        "kind": one_of("jwt", "tdx", "other"),
        "issuer": TEXT_OR_NULL,
        "holder": TEXT_OR_NULL,
        "for_this_peer": FLAG_OR_NULL,
        "issued_at_s": WHOLE_OR_NULL,
        "not_before_s": WHOLE_OR_NULL,
        "expires_at_s": WHOLE_OR_NULL,
        "never_expires": FLAG_OR_NULL,
        "problem": TEXT_OR_NULL,
    }
)
_PEER = closed(
    {
        "peer_id": ID,
        "network": ID_OR_NULL,
        "version": TEXT,
        "started_ms": WHOLE_OR_NULL,
        "updated_ms": WHOLE_OR_NULL,
        "addresses": many(TEXT),
        "relays": many(TEXT),
        "tags": many(ID),
        "streams": many(ID),
        "groups": many(ID),
        "tickets": many(_TICKET),
        "observer": FLAG,
        "told_by": many(TEXT),
        "missed_by": many(TEXT),
    }
)
_HEARD = closed(
    {
        "stream_id": ID,
        "peer_id": ID_OR_NULL,
        "items": WHOLE_OR_NULL,
        "bytes": WHOLE_OR_NULL,
        "listened_ms": WHOLE_OR_NULL,
        "rate_per_s": or_null(NUMBER),
        "last_ms": WHOLE_OR_NULL,
        "last_seq": WHOLE_OR_NULL,
        "marker": or_null(ANY_OBJECT),
        "ended": TEXT_OR_NULL,
        "reason": TEXT_OR_NULL,
        "cause": _CAUSE,
    }
)
INSPECT = closed(
    {
        "schema": {"const": 1},
        "network": closed({"text": TEXT_OR_NULL, "id": ID_OR_NULL, "seen": many(ID)}),
        "taken_ms": WHOLE,
        "exit": EXIT,
        "entry_points": many(_DOOR),
        "peers": many(_PEER),
        "groups": many(closed({"group_id": ID, "peers": many(ID)})),
        "streams": many(closed({"stream_id": ID, "peers": many(ID)})),
        "heard": many(_HEARD),
        "unseen": many(closed({"peer_id": TEXT, "reason": TEXT_OR_NULL, "cause": _CAUSE})),
    }
)
"""A row a peer, the unreachable entry points and the peers that are not believed included."""
