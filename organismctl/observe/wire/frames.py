"""mosaik's frames: a 4-byte big-endian length and that many bytes (tokio's ``LengthDelimitedCodec``).

mosaik sets no limit to a frame; here each reader has one, and bytes are kept only as they come, so that a length
alone reserves nothing.
"""

from __future__ import annotations

from organismctl.observe.snapshot import MALFORMED
from organismctl.observe.wire.faults import WireError

HEAD = 4
MAX_CATALOG = 64 << 20
"""Longest catalog, bytes: 10,000 peers with a TDX ticket each."""
MAX_DATUM = 4 << 20
"""Longest datum of a stream, bytes: a surface item holds at most 1 MiB, a spanned member's datum may be larger."""


class Budget:
    """Bytes that the conversations of one look may hold together."""

    __slots__ = ("_left", "_total")

    def __init__(self, total: int) -> None:
        self._left = self._total = total

    def take(self, size: int) -> None:
        """Count ``size`` bytes.

        Raises:
            WireError: There are no more to be had.
        """
        self._left -= size
        if self._left < 0:
            mib = self._total >> 20
            raise WireError(f"this look has already read {mib} MiB, more than is held at once", MALFORMED)


class FrameDecoder:
    """Cuts what comes into frames; pure."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> None:
        """Add what has come."""
        self._buffer += data

    def take(self) -> bytes | None:
        """The next frame, or ``None`` when it is not complete yet.

        Raises:
            WireError: It announces more than the limit.
        """
        if len(self._buffer) < HEAD:
            return None
        size = int.from_bytes(self._buffer[:HEAD], "big")
        if size > self._limit:
            raise WireError(
                f"it announces a frame of {size} bytes; at most {self._limit} are read", MALFORMED
            )
        end = HEAD + size
        if len(self._buffer) < end:
            return None
        frame = bytes(memoryview(self._buffer)[HEAD:end])
        del self._buffer[:end]
        return frame

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete."""
        return len(self._buffer)


def frame(body: bytes) -> bytes:
    """A body as it goes over the wire.

    Raises:
        WireError: No frame is that long.
    """
    try:
        return len(body).to_bytes(HEAD, "big") + body
    except OverflowError as exc:
        raise WireError("longer than a frame can be") from exc
