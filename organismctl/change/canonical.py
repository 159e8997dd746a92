"""Canonical JSON (RFC 8785) and the digests over it: one spelling of every plan and journal line.

Because a line has exactly one spelling, an edit of any byte is an edit of the content, and is found.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from organismctl.errors import OrganismError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from organismctl.identity.config import Json

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def canonical(value: Json | Mapping[str, Any]) -> bytes:
    """The RFC 8785 form of a value.

    Args:
        value: JSON-ready; integers within ±(2^53-1).

    Raises:
        OrganismError: When the value has no canonical form (a defect of the caller).
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as exc:
        raise OrganismError(f"a value has no canonical JSON form: {exc}") from exc


def digest(value: bytes) -> str:
    """blake3 of bytes, 64 lowercase hex."""
    return blake3(value).hexdigest()


def parse_object(text: bytes | str) -> dict[str, Any]:
    """Decode one JSON object from untrusted bytes.

    Raises:
        ValueError: When it is not one (also for too deep nesting and broken UTF-8).
    """
    try:
        value = json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers translate one error
    return value


def clean(text: str, limit: int = 2000) -> str:
    """Text of remote origin, fit for a terminal and a journal: no control characters, bounded.

    Args:
        text: Anything.
        limit: The most characters that are kept.
    """
    text = _SURROGATE.sub("\ufffd", _CONTROL.sub("", text.replace("\r\n", "\n")))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def iso(ms: int) -> str:
    """Unix milliseconds as ``2026-11-24T08:58:36.123Z``; out-of-range times as plain milliseconds."""
    try:
        when = datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def parse_iso(text: str) -> int:
    """The inverse of :func:`iso` for any ISO 8601 time with an offset, in Unix milliseconds.

    Raises:
        ValueError: When it is not one, or has no offset.
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("no offset (write a trailing Z for UTC)")
    return round(when.timestamp() * 1000)
