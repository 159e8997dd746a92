"""Strict readers of JSON values that come from somewhere else: bounded, and nothing is guessed.

Every reader takes the value and its place for the error's text, and raises :class:`MalformedAnswerError`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

JsonObject: TypeAlias = "Mapping[str, Any]"

MAX_TEXT = 4096
MAX_LIST = 1 << 20
U64_MAX = (1 << 64) - 1
_HEX = re.compile(r"[0-9a-f]{64}")
_B64 = re.compile(r"[A-Za-z0-9_-]*")


class MalformedAnswerError(ValueError):
    """An answer that is not what the contract says; the text names the place."""


def read_json(data: bytes) -> JsonObject:
    """The JSON object that ``data`` is; NaN and infinities are refused.

    Raises:
        MalformedAnswerError: It is none.
    """
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise MalformedAnswerError("it is not JSON") from exc
    return obj(value, "the answer")


def _no_constant(text: str) -> None:
    raise ValueError(text)


def obj(value: object, where: str) -> JsonObject:
    """A JSON object."""
    if not isinstance(value, dict):
        raise MalformedAnswerError(f"{where} is not an object")
    return value


def text(value: object, where: str, limit: int = MAX_TEXT) -> str:
    """A text of at most ``limit`` characters."""
    if not isinstance(value, str) or len(value) > limit:
        raise MalformedAnswerError(f"{where} is not a text of at most {limit} characters")
    return value


def flag(value: object, where: str) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise MalformedAnswerError(f"{where} is not true or false")
    return value


def number(value: object, where: str, low: int = 0) -> int:
    """An integer from ``low`` to 2^64 - 1."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= U64_MAX:
        raise MalformedAnswerError(f"{where} is not an integer from {low}")
    return value


def digest(value: object, where: str) -> bytes:
    """32 bytes from 64 lowercase hex."""
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        raise MalformedAnswerError(f"{where} is not 64 lowercase hex characters")
    return bytes.fromhex(value)


def blob(value: object, where: str) -> bytes:
    """Bytes from base64url without padding."""
    if not isinstance(value, str) or _B64.fullmatch(value) is None:
        raise MalformedAnswerError(f"{where} is not base64url")
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (ValueError, binascii.Error) as exc:
        raise MalformedAnswerError(f"{where} is not base64url") from exc


def many(value: object, where: str, read: Callable[[object, str], T], limit: int = MAX_LIST) -> tuple[T, ...]:
    """A list, each item read by ``read``."""
    if not isinstance(value, list) or len(value) > limit:
        raise MalformedAnswerError(f"{where} is not a list of at most {limit}")
    return tuple([read(item, f"{where}[{place}]") for place, item in enumerate(value)])


def maybe(value: object, where: str, read: Callable[[object, str], T]) -> T | None:
    """``None`` for null, else what ``read`` makes of it."""
    return None if value is None else read(value, where)


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
