"""Digests: mosaik's 32-byte identifier (UniqueId, Tag, NetworkId, StreamId, StoreId, GroupId, TicketClass).

Source of every rule: mosaik 0.3.18, ``primitives/id.rs``. Digests are plain 32-byte ``bytes`` here; JSON and
files carry 64 lowercase hex, tables the first 10.
"""

from __future__ import annotations

import re

from blake3 import blake3

SIZE = 32
_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
_NEAR_HEX = re.compile(r"(0[xX][0-9a-fA-F]+|\s*[0-9a-fA-F]{60,70}\s*)")


def h(data: bytes) -> bytes:
    """``H(data)``: blake3, 32 bytes."""
    return blake3(data).digest()


def uid(value: str | bytes) -> bytes:
    """The hex-or-hash rule: exactly 64 hex characters are those 32 bytes, anything else is hashed.

    A mistyped id is therefore hashed in silence by the runtime; :func:`near_hex` tells when to warn.

    Args:
        value: Text (UTF-8) or bytes; bytes follow the same rule.

    Returns:
        32 bytes.
    """
    data = value.encode() if isinstance(value, str) else bytes(value)
    if len(data) == 2 * SIZE and _HEX64.fullmatch(data.decode("latin-1")):
        return bytes.fromhex(data.decode("ascii"))
    return h(data)


def derive(digest: bytes, *parts: str | bytes) -> bytes:
    """``d(digest, a, b, …)``: one hash an argument, ``s ← H(s ‖ part)``."""
    for part in parts:
        digest = h(digest + (part.encode() if isinstance(part, str) else part))
    return digest


def hashed(digest: bytes) -> bytes:
    """``H(digest)``."""
    return h(digest)


def from_parts(*parts: str | bytes) -> bytes:
    """``H`` of the concatenation of all parts."""
    return h(b"".join(part.encode() if isinstance(part, str) else part for part in parts))


def from_uint(value: int, width: int) -> bytes:
    """An integer's little-endian bytes, right-aligned in 32 zero bytes.

    Args:
        value: Non-negative integer.
        width: Its width in bytes (1, 2, 4, 8 or 16).

    Raises:
        OverflowError: The value does not fit the width.
    """
    return value.to_bytes(width, "little").rjust(SIZE, b"\0")


def near_hex(text: str) -> bool:
    """Whether text looks like an id that was meant as 64 hex but is not, and so would be hashed."""
    return _HEX64.fullmatch(text) is None and _NEAR_HEX.fullmatch(text) is not None


def short(digest: bytes) -> str:
    """The 10 hex characters that mosaik prints in logs and metric labels."""
    return digest[:5].hex()


def parse_digest(text: str) -> bytes:
    """Strict: 64 hex characters, nothing else.

    Raises:
        ValueError: It is anything else.
    """
    if _HEX64.fullmatch(text) is None:
        raise ValueError("not 64 hex characters")
    return bytes.fromhex(text)
