"""Many frames in one body, each with its channel (1 byte) and its length (4 bytes, little-endian)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MAX_FRAME = 16 << 20
"""The longest frame: a whole uncertified tail fits."""
MAX_BODY = 24 << 20
HEAD = 5


class FrameError(ValueError):
    """A body that is not frames."""


def pack(frames: Iterable[tuple[int, bytes]]) -> bytes:
    """One body of ``(channel, frame)`` pairs."""
    parts: list[bytes] = []
    for channel, frame in frames:
        parts += (bytes([channel]), len(frame).to_bytes(4, "little"), frame)
    return b"".join(parts)


def unpack(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The ``(channel, frame)`` pairs of a body.

    Raises:
        FrameError: It ends inside a frame, or one is too long; what came before was good.
    """
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at + 1 : at + HEAD], "little")
        end = at + HEAD + size
        if size > MAX_FRAME or at + HEAD > len(body) or end > len(body):
            raise FrameError("the body ends inside a frame")
        yield body[at], body[at + HEAD : end]
        at = end
