"""What a subscription over the wire heard, ours or a spanned member's, as one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.values import duration, plural, source, table, text, whole

if TYPE_CHECKING:
    from organismctl.identity.config import Json
    from organismctl.observe.snapshot import Fact


def heard_row(
    code: str, fact: Fact, subject: str, next_seq: int | None = None, *, ours: bool = True
) -> Finding:
    """Items, rate, lag, a marker; or why nothing could be heard, and whose side it is.

    Args:
        code: ``SURFACE-HEARD`` or ``SPAN-HEARD``.
        fact: A ``wire.stream`` fact.
        subject: What the row is about.
        next_seq: What our own ledger would publish next, for the lag; ``None`` when it is not known.
        ours: Whether it is our own surface: then a marker is its end in order.
    """
    refs = source(fact)
    if not fact.seen:
        refused = "OBSERVER-REFUSED" if fact.cause == "observer" else code
        return finding(refused, Status.UNKNOWN, subject, fact.reason or "it was not heard", sources=refs)
    told = table(fact.value)
    marker = told.get("marker")
    lag = _lag(told.get("last_seq"), next_seq)
    values: dict[str, Json] = {key: one for key, one in told.items() if key != "marker"}
    values |= {"lag": lag, "marker": {key: one for key, one in table(marker).items() if key != "item"}}
    count, ended = whole(told.get("items")) or 0, text(table(told.get("ended")).get("what"))
    if marker is not None:
        status = Status.OK if ours else Status.WARN
        shown = (
            f"its last item is a RetirementMarker; {plural(count, 'item')} heard (signatures: surface verify)"
        )
    elif not count:
        status, shown = Status.WARN, "subscribed, and nothing came while listening"
    else:
        status, shown = Status.OK if ended is None else Status.WARN, _shown(fact, count, lag)
    shown += f"; it ended: {ended}" if ended is not None else ""
    return finding(code, status, subject, shown, values=values, sources=refs)


def _lag(last_seq: object, next_seq: int | None) -> int | None:
    """Items behind our own ledger; never below zero: the ledger may have been asked a moment earlier."""
    seq = whole(last_seq)
    return None if seq is None or next_seq is None else max(next_seq - 1 - seq, 0)


def _shown(fact: Fact, count: int, lag: int | None) -> str:
    told = table(fact.value)
    rate, last = told.get("rate_per_s"), whole(told.get("last_ms"))
    shown = plural(count, "item") + (f", {rate:.3g} per s" if isinstance(rate, int | float) else "")
    if last is not None and fact.seen_ms is not None:
        shown += f", the last {duration(fact.seen_ms - last)} before the end"
    return shown if lag is None else f"{shown}, {lag} behind the ledger"
