"""What goes wrong on the wire, as one error with whose side it is; the words of the iroh wheel end here.

Close codes: mosaik's ``network/error.rs`` and ``streams/mod.rs``. The text that a remote closes with is never
shown: it is whatever the remote likes.
"""

from __future__ import annotations

import re

from organismctl.errors import UnreachableError
from organismctl.observe.snapshot import MALFORMED, OBSERVER, UNREACHABLE

UNKNOWN_PEER = 401
NOT_ALLOWED = 10403

CLOSE_CODES = {
    100: (MALFORMED, "it expected another protocol on this connection"),
    101: (OBSERVER, "it is on another network than the one asked for"),
    102: (UNREACHABLE, "it cancelled the connection"),
    103: (UNREACHABLE, "it closed the connection unexpectedly"),
    200: (UNREACHABLE, "it ended the connection"),
    204: (UNREACHABLE, "it is shutting down"),
    400: (MALFORMED, "it took what was sent for a violation of the protocol: another version of mosaik"),
    UNKNOWN_PEER: (
        OBSERVER,
        "it does not know the observer: its entry was not taken in, or the clocks differ by more than 300 s",
    ),
    NOT_ALLOWED: (
        OBSERVER,
        "it does not admit the observer: a ticket is missing, expired or not accepted, or it admits no such peer",
    ),
    10404: (UNREACHABLE, "it does not serve this stream"),
    10413: (OBSERVER, "it dropped the observer for reading too slowly"),
    10509: (OBSERVER, "it has as many subscribers as it takes"),
}
"""Close code → (cause of the fact, what it means)."""

_CODE = re.compile(r"(?:ApplicationClose \{ error_code: |\(code )(\d{1,20})")


class WireError(UnreachableError):
    """A look over the wire that did not succeed.

    Attributes:
        cause: One of :data:`organismctl.observe.snapshot.CAUSES`: whose side it is.
        code: The close code, when the peer closed with one.
    """

    def __init__(self, message: str, cause: str = UNREACHABLE, code: int | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.code = code


class UnknownPeerError(WireError):
    """A producer does not know the observer even after it was told.

    Attributes:
        told: The producer's catalog as it came, which may show why: another network.
    """

    def __init__(self, error: WireError, told: bytes) -> None:
        super().__init__(error.message, error.cause, error.code)
        self.told = told


def closed(code: int) -> WireError:
    """The error of a connection that the peer closed with ``code``."""
    cause, what = CLOSE_CODES.get(code, (UNREACHABLE, "it closed the connection"))
    return WireError(f"{what} (close code {code})", cause, code)


def ended(error: WireError) -> WireError:
    """The error with which an *admitted* subscription ended."""
    if error.code != NOT_ALLOWED:
        return error
    what = "it no longer admits the observer: the ticket expired, or the stream was closed"
    return WireError(f"{what} (close code {NOT_ALLOWED})", OBSERVER, NOT_ALLOWED)


def of_connect(detail: str, address: str) -> WireError:
    """Why no connection came about.

    Args:
        detail: What iroh says.
        address: Where it was tried.
    """
    if (code := _code(detail)) is not None:
        return closed(code)
    if "invalid peer certificate" in detail or "UnknownIssuer" in detail:
        return WireError(f"another peer answers at {address}", MALFORMED)
    if "known protocol" in detail or "NoApplicationProtocol" in detail:
        return WireError(f"what answers at {address} does not speak this protocol of mosaik", MALFORMED)
    if "timed out" in detail.lower() or "TimedOut" in detail:
        return WireError(f"nobody answers at {address}")
    return WireError(f"no connection to {address}")


def of_stream(detail: str, close_reason: str | None) -> WireError:
    """Why a connection that stood gave nothing more.

    Args:
        detail: What iroh says of the read or write.
        close_reason: What it says of the connection.
    """
    code = _code(detail)
    if code is None and close_reason is not None:
        code = _code(close_reason)
    if code is not None:
        return closed(code)
    if "Reset" in detail or "Stopped" in detail:
        return WireError("it broke off the stream", MALFORMED)
    if "timed out" in detail.lower() or "TimedOut" in detail:
        return WireError("the connection died: nothing came any more")
    return WireError("the connection was lost")


def _code(text: str) -> int | None:
    found = _CODE.search(text)
    return int(found[1]) if found else None
