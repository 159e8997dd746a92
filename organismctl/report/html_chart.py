"""The pictures of the HTML page as inline SVG: lines of time, and lag.

Across, everything is placed in per cent, so that one picture serves a telephone and a wall while its text keeps its
size. What a colour says, a shape or a word says too: bars end in a stroke, lost majorities are hatched and named,
traces differ by their dashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from organismctl.check.values import duration, moment
from organismctl.report.text import clean, fit, stamp
from organismctl.report.timeline import DAY_MS, Line, majority_text

ROW = 34
"""Height of one bar with its label, px."""
AXIS = 20
LABEL = 58
"""Longest label, in columns: what a narrow screen shows at this size."""
STEPS_MS = (
    *(3_600_000 * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY_MS * days for days in (1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 730, 1825, 3650, 18250)),
)
TICKS = 4
"""Most marks on an axis."""
DASHES = ("", "7 4", "2 4", "12 4 2 4", "12 4 2 4 2 4", "4 2", "16 5", "1 3", "9 3 3 3")
"""How traces differ."""
DEFS = (
    '<svg class="defs" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line x1="0" y1="0" x2="0" y2="7" stroke="currentColor" stroke-opacity="0.45" stroke-width="2"/></pattern>'
    '<pattern id="sparse" width="14" height="14" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line x1="0" y1="0" x2="0" y2="14" stroke="currentColor" stroke-opacity="0.35" stroke-width="2"/></pattern>'
    '<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<circle cx="2" cy="2" r="1.2" fill="currentColor" fill-opacity="0.55"/></pattern></defs></svg>'
)


def h(text: object) -> str:
    """Text for the page: no control characters, and nothing that HTML would read as its own."""
    return escape(clean(str(text)), quote=True)


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that a picture covers, Unix ms."""

    from_ms: int
    until_ms: int

    def x(self, at_ms: int) -> float:
        """A moment's place across, per cent."""
        part = (at_ms - self.from_ms) / max(self.until_ms - self.from_ms, 1)
        return round(min(max(part, 0.0), 1.0) * 100, 3)

    def ticks(self) -> list[int]:
        """A few round moments inside it."""
        length = self.until_ms - self.from_ms
        step = next((one for one in STEPS_MS if length / one <= TICKS), STEPS_MS[-1])
        first = -(-self.from_ms // step) * step
        return [at for at in range(first, self.until_ms, step) if at > self.from_ms]


def admissions(line: Line, window: Window) -> str:
    """One spanned member: a bar per node until its ticket ends, hatched from where a majority is lost."""
    rows = [_bar(index, node, window) for index, node in enumerate(line["nodes"])]
    height = ROW * len(rows) + AXIS
    parts = [*_lost(line, window, height - AXIS), *_axis(window, height), *rows]
    return _picture(f"{line['name']}: {majority_text(line, window.from_ms)}", height, parts)


def majorities(lines: Sequence[Line], window: Window) -> str:
    """All spanned members: a bar each until its majority is lost, the first to lose it first."""
    rows = []
    for index, line in enumerate(lines):
        low, high = line["surely_until_ms"], line["perhaps_until_ms"]
        label = f"{fit(clean(line['name']), 24)} · {_majority_label(low, high, window)}"
        rows += [*_span(index, low, high, window), _label(index, label)]
    height = ROW * len(lines) + AXIS
    said = f"until when a majority is admitted at each of {len(lines)} spanned members"
    return _picture(said, height, [*_axis(window, height), *rows])


def _majority_label(low: int | None, high: int | None, window: Window) -> str:
    if low != high:
        return f"not known exactly, at the latest {'never' if high is None else moment(high)}"
    if low is None:
        return "no end"
    if low <= window.from_ms:
        return "no majority now"
    return f"until {moment(low)} · {duration(low - window.from_ms)}"


def _span(index: int, low: int | None, high: int | None, window: Window) -> Iterator[str]:
    top = ROW * index + 19
    start = 100.0 if low is None else window.x(low)
    end = 100.0 if high is None else window.x(high)
    yield _rect("none", 0, 100, top)
    yield _rect("held", 0, start, top)
    if end > start:
        yield _rect("dots", start, end - start, top)
    if low is not None and low > window.from_ms and low <= window.until_ms:
        yield _stroke(start, top)


def _bar(index: int, node: dict[str, Any], window: Window) -> str:
    top, horizon = ROW * index + 19, node["horizon_ms"]
    name = fit(clean(node["node"]), 20)
    parts = [_rect("none", 0, 100, top)]
    if node["state"] == "unknown":
        parts.append(_rect("dots", 0, 100, top))
    elif node["state"] == "free" or (node["state"] == "valid" and horizon is None):
        parts.append(_rect("held", 0, 100, top))
    elif node["state"] == "valid":
        parts.append(_rect("held", 0, window.x(horizon), top))
        if horizon <= window.until_ms:
            parts.append(_stroke(window.x(horizon), top))
    return "".join([*parts, _label(index, f"{name} · {_node_label(node, window)}")])


def _node_label(node: dict[str, Any], window: Window) -> str:
    state, horizon = node["state"], node["horizon_ms"]
    if state == "valid":
        left = (
            "no end" if horizon is None else f"until {moment(horizon)} · {duration(horizon - window.from_ms)}"
        )
        return left if horizon is None or horizon <= window.until_ms else f"{left} →"
    if state == "free":
        return "no ticket is demanded"
    if state == "unknown":
        return "not known"
    if state == "invalid" and horizon is not None and horizon <= window.from_ms:
        return f"not admitted, ended {moment(horizon)}"
    return (
        "not admitted, no ticket"
        if state == "missing"
        else f"not admitted, {node['failing_step'] or 'refused'}"
    )


def _lost(line: Line, window: Window, height: int) -> Iterator[str]:
    """The hatching from where the majority is lost, and before it from where it may be."""
    low, high = line["surely_until_ms"], line["perhaps_until_ms"]
    if low is None or low > window.until_ms:
        return
    start, end = window.x(low), 100.0 if high is None else window.x(high)
    if end > start:
        yield f'<rect class="perhaps" x="{start}%" y="0" width="{end - start:.3f}%" height="{height}"/>'
    if end < 100:
        yield f'<rect class="lost" x="{end}%" y="0" width="{100 - end:.3f}%" height="{height}"/>'
    yield f'<line class="majority" x1="{start}%" x2="{start}%" y1="0" y2="{height}"/>'


def _axis(window: Window, height: int) -> Iterator[str]:
    low = height - AXIS
    yield f'<line class="grid" x1="0" x2="100%" y1="{low}" y2="{low}"/>'
    yield f'<text class="tick" x="0" y="{height - 5}">now</text>'
    day = window.until_ms - window.from_ms > 2 * DAY_MS
    for at in window.ticks():
        x = window.x(at)
        yield f'<line class="grid" x1="{x}%" x2="{x}%" y1="0" y2="{low}"/>'
        if 14 < x < 90:
            text = moment(at)[:10] if day else moment(at)[11:]
            yield f'<text class="tick" x="{x}%" y="{height - 5}" text-anchor="middle">{text}</text>'


def _label(index: int, text: str) -> str:
    return f'<text x="0" y="{ROW * index + 13}">{h(fit(clean(text), LABEL))}</text>'


def _rect(kind: str, x: float, width: float, top: int) -> str:
    return f'<rect class="{kind}" x="{x}%" y="{top}" width="{width:.3f}%" height="9"/>'


def _stroke(x: float, top: int) -> str:
    return f'<line class="end" x1="{x}%" x2="{x}%" y1="{top - 3}" y2="{top + 12}"/>'


def _picture(title: str, height: int, parts: Sequence[str]) -> str:
    said = h(title)
    return (
        f'<svg role="img" aria-label="{said}" height="{height}"><title>{said}</title>{"".join(parts)}</svg>'
    )


def lag(lines: Sequence[dict[str, Any]], unit: str) -> str:
    """How the lag of each node went; a gap is time for which nobody knows it.

    Args:
        lines: ``node`` and ``points``: (Unix ms, events, seconds), oldest first.
        unit: ``events`` or ``seconds``.
    """
    column = 1 if unit == "events" else 2
    times = [point[0] for line in lines for point in line["points"]]
    window = Window(min(times), max(times))
    top = max((point[column] or 0 for line in lines for point in line["points"]), default=0) or 1
    traces = [
        f'<polyline class="trace" stroke-dasharray="{DASHES[index % len(DASHES)]}" points="{part}"/>'
        for index, line in enumerate(lines)
        for part in _segments(line["points"], column, window, top)
    ]
    ends = (
        f'<text class="tick" x="0" y="12">{top:g} {unit}</text>'
        f'<text class="tick" x="0" y="157">{stamp(window.from_ms)[:16]}Z</text>'
        f'<text class="tick" x="100%" y="157" text-anchor="end">{stamp(window.until_ms)[:16]}Z</text>'
        '<line class="grid" x1="0" x2="100%" y1="18" y2="18"/><line class="grid" x1="0" x2="100%" y1="140" y2="140"/>'
    )
    body = (
        f'<svg y="18" height="122" viewBox="0 0 1000 122" preserveAspectRatio="none">{"".join(traces)}</svg>'
    )
    said = f"lag in {unit} of {len(lines)} nodes, {stamp(window.from_ms)} to {stamp(window.until_ms)}, at most {top:g}"
    return _picture(said, 162, [ends, body])


def sample(index: int) -> str:
    """How a node's trace looks, for the key."""
    return (
        '<svg viewBox="0 0 48 12" aria-hidden="true"><line class="trace" x1="2" y1="6" x2="46" y2="6" '
        f'stroke-dasharray="{DASHES[index % len(DASHES)]}"/></svg>'
    )


def _segments(points: Sequence[Sequence[Any]], column: int, window: Window, top: float) -> Iterator[str]:
    """Runs of known points; a lone one becomes a dot, and a time without any is no line."""
    steps = sorted(after[0] - before[0] for before, after in pairwise(points))
    longest = 3 * steps[len(steps) // 2] if steps else 0
    run: list[str] = []
    last = points[0][0] if points else 0
    for at, *values in [*points, (0, None, None)]:
        value = values[column - 1]
        if run and (value is None or at - last > longest):
            yield " ".join(run if len(run) > 1 else run * 2)
            run = []
        if value is not None:
            run.append(f"{window.x(at) * 10:.1f},{119 - 116 * min(value / top, 1.0):.1f}")
        last = at
