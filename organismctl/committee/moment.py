"""Moments of a retirement: a wall-clock time, or a tick with a wall-clock time to fall back on.

The text form is what a person types and what a marker carries: ``2026-12-01T00:00:00Z``, ``tick:123456``, or
``tick:123456 or 2026-12-01T00:00:00Z``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from organismctl.committee.codec import U64, U64_MAX, FieldError, Maybe
from organismctl.committee.ledger.wire import Reader, Writer
from organismctl.identity.config import Json

MAX_MS = (1 << 47) - 1
"""The latest time, Unix ms (year 6429): no sum of two times leaves 53 bits, and every one has a text form."""

TIME = U64(high=MAX_MS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = re.compile(r"tick:(0|[1-9][0-9]{0,19})( or (.+))?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a retirement takes effect.

    Attributes:
        unix_ms: The wall-clock time; with a tick, the time to fall back on, or ``None``.
        tick: The tick number (the Almanac's clock when one is spanned, else the count of certified Ticks),
            or ``None`` for a wall-clock moment.
    """

    unix_ms: int | None
    tick: int | None = None

    def __str__(self) -> str:
        """The text form."""
        if self.tick is None:
            return time_text(self.unix_ms or 0)
        return f"tick:{self.tick}" + (f" or {time_text(self.unix_ms)}" if self.unix_ms is not None else "")


def time_text(unix_ms: int) -> str:
    """RFC 3339 in UTC; milliseconds only where there are any."""
    text = (_EPOCH + timedelta(milliseconds=unix_ms)).replace(tzinfo=None)
    return text.isoformat(timespec="milliseconds" if unix_ms % 1000 else "seconds") + "Z"


def parse_time(text: str) -> int:
    """Unix ms of an RFC 3339 time with a zone (seconds may be left out).

    Raises:
        FieldError: It is not one, or lies outside 1970 … 6429, or has a fraction of a millisecond.
    """
    fault = FieldError("a time with its zone, such as 2026-12-01T00:00Z")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise fault
        value, rest = divmod(moment.astimezone(UTC) - _EPOCH, timedelta(milliseconds=1))
    except (ValueError, OverflowError) as exc:
        raise fault from exc
    if rest or not 0 <= value <= MAX_MS:
        raise fault
    return value


def parse_moment(text: str) -> Moment:
    """Read the text form.

    Raises:
        FieldError: It is neither a time nor a tick.
    """
    match = _TICK.fullmatch(text)
    if match is None:
        return Moment(parse_time(text))
    number = int(match[1])
    if number > U64_MAX:
        raise FieldError(f"tick: at most {U64_MAX}")
    return Moment(parse_time(match[3]) if match[3] else None, number)


class MomentCodec:
    """Postcard ``enum { Wall(u64), Tick(u64, Option<u64>) }``, text in JSON."""

    def put(self, writer: Writer, value: Moment) -> None:
        """See :meth:`Codec.put`."""
        if value.tick is None:
            writer.u64(0)
            TIME.put(writer, value.unix_ms)  # type: ignore[arg-type] # it refuses None
        else:
            writer.u64(1)
            U64().put(writer, value.tick)
            Maybe(TIME).put(writer, value.unix_ms)

    def get(self, reader: Reader) -> Moment:
        """See :meth:`Codec.get`."""
        form = reader.u64()
        if form == 0:
            return Moment(TIME.get(reader))
        if form != 1:
            raise FieldError("moment: wall or tick")
        tick = reader.u64()
        return Moment(Maybe(TIME).get(reader), tick)

    def dump(self, value: Moment) -> Json:
        """See :meth:`Codec.dump`."""
        return str(value)

    def load(self, raw: object, path: str) -> Moment:
        """See :meth:`Codec.load`."""
        if type(raw) is not str or len(raw) > 128:
            raise FieldError(f"{path}: a time such as 2026-12-01T00:00Z, or tick:NUMBER")
        try:
            return parse_moment(raw)
        except FieldError as exc:
            raise FieldError(f"{path}: {exc}") from exc
