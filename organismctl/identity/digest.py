"""Digests: mosaik's 32-byte ids, and the one rule by which text becomes an id.

Source of every rule: mosaik's ``primitives/id.rs``. All of mosaik's ids (network, stream, store, group, ticket
class) are such digests.
"""

from __future__ import annotations

import re

from blake3 import blake3

DIGEST_SIZE = 32
_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
_NEAR_HEX = re.compile(r"0[xX][0-9a-fA-F]+|[0-9a-fA-F]{60,70}")


def _raw(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def h(data: bytes) -> bytes:
    """BLAKE3 with 32 bytes of output."""
    return blake3(data).digest()


def uid(value: str | bytes) -> bytes:
    """The id that mosaik makes of a text: 64 hex characters are taken as they are, all else is hashed.

    Args:
        value: Text, or its bytes. Never refused: a mistyped id is silently hashed, which is why callers
            warn on :func:`near_hex`.

    Returns:
        32 bytes.
    """
    raw = _raw(value)
    if len(raw) == 2 * DIGEST_SIZE and raw.isascii():
        text = raw.decode("ascii")
        if _HEX64.fullmatch(text):
            return bytes.fromhex(text)
    return h(raw)


def derive(digest: bytes, *parts: str | bytes) -> bytes:
    """Derive an id from another, one hash per part: ``derive(d, a, b) = H(H(d ‖ a) ‖ b)``."""
    for part in parts:
        digest = h(digest + _raw(part))
    return digest


def hashed(digest: bytes) -> bytes:
    """The hash of a digest, ``H(digest)``."""
    return h(digest)


def from_parts(*parts: str | bytes) -> bytes:
    """The hash of all parts joined, without lengths between them."""
    return h(b"".join(_raw(part) for part in parts))


def from_uint(value: int, width: int) -> bytes:
    """An integer as an id: ``width`` little-endian bytes, right-aligned in 32 zero bytes.

    Raises:
        ValueError: The value does not fit, or the width is not 1 to 32.
    """
    if not 1 <= width <= DIGEST_SIZE:
        raise ValueError(f"width {width} is not between 1 and {DIGEST_SIZE}")
    try:
        raw = value.to_bytes(width, "little")
    except OverflowError as exc:
        raise ValueError(f"{value} does not fit {width} unsigned bytes") from exc
    return raw.rjust(DIGEST_SIZE, b"\0")


def near_hex(text: str) -> bool:
    """Whether a text looks like a mistyped id, which :func:`uid` would hash in silence.

    True for a ``0x`` prefix and for 60 to 70 hex characters (surrounding blanks ignored) that are not exactly 64.
    """
    return _HEX64.fullmatch(text) is None and _NEAR_HEX.fullmatch(text.strip()) is not None


def is_hex64(text: str) -> bool:
    """Whether a text is exactly 64 hex characters, so that :func:`uid` would take it as an id."""
    return _HEX64.fullmatch(text) is not None


def short(digest: bytes) -> str:
    """The form for tables and metric labels: the first 5 bytes as 10 hex characters."""
    return digest[:5].hex()


def parse_digest(text: str) -> bytes:
    """Read an id strictly.

    Args:
        text: Exactly 64 hex characters of either case.

    Returns:
        32 bytes.

    Raises:
        ValueError: Anything else; nothing is hashed here.
    """
    if not _HEX64.fullmatch(text):
        raise ValueError("not exactly 64 hex characters")
    return bytes.fromhex(text)
