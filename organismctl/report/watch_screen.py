"""The screen of ``watch``: a look laid into so many columns and lines, whatever the world tells.

No line is wider than the screen and there are no more of them than it has; what does not fit is counted, never
dropped in silence. Meaning stands in words and marks (``!`` bad, ``?`` not known); tones only repeat it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from organismctl.check.finding import Status
from organismctl.report import health
from organismctl.report.text import cells, clean, fit, pad, stamp, wrap
from organismctl.report.watch import Look, change_text, committee_text, node_cells

STALE_AFTER = 3
"""A look that is older than so many periods is said to be old."""
ROOMY = 24
"""A screen of so many lines can spare the empty ones between its parts."""
_GAP = 2
_NAME = 11
"""Columns of the names before the sentences on top."""
_IDS = (("fingerprint", "fingerprint"), ("group id", "group_id"))
_MARKS = {"bad": "!", "unknown": "?", "warn": "~"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen.

    Attributes:
        text: What it says.
        tone: Empty, ``head``, ``dim``, ``bad``, ``warn`` or ``unknown``.
        remark: Whether it only says more of the line above it.
    """

    text: str
    tone: str = ""
    remark: bool = False


@dataclass(slots=True)
class Section:
    """Lines that belong together: some that always stand, and rows of which a short screen shows the first few."""

    head: list[Line]
    rows: list[Line] = field(default_factory=list)
    least: int = 0
    shown: int = -1

    def lines(self) -> list[Line]:
        """What is shown of it; the rest is counted."""
        if not 0 <= self.shown < len(self.rows):
            return [*self.head, *self.rows]
        return [*self.head, *self.rows[: self.shown], _rest(self.rows[self.shown :])]


def _rest(rows: Sequence[Line]) -> Line:
    """How many rows are not shown, and how many of them somebody should see."""
    hidden = [row for row in rows if not row.remark]
    wrong = sum(row.tone in _MARKS for row in hidden)
    said = f", {wrong} of them not well" if wrong < len(hidden) else ", none of them well"
    return Line(f"  and {len(hidden)} more{said if wrong else ''}", "dim")


@dataclass(frozen=True, slots=True)
class Frame:
    """How a look is shown: the size of the screen, the present moment, the period, and a word about this tool.

    Attributes:
        width: Columns.
        height: Lines.
        now_ms: The present moment, Unix ms: the look's age is told by it.
        every_ms: The time from look to look; 0: this is the only one.
        note: What hinders the next look, or ``None``.
    """

    width: int = 80
    height: int = 24
    now_ms: int = 0
    every_ms: int = 0
    note: str | None = None


def screen(look: Look, frame: Frame) -> list[Line]:
    """The lines of the screen: at most ``height``, each of at most ``width`` columns."""
    sections = [_head(look, frame), _nodes(look, frame), _spans(look, frame), _quorums(look), _findings(look)]
    sections = [one for one in sections if one.head or one.rows]
    gaps = frame.height >= ROOMY or _length(sections) + len(sections) - 1 <= frame.height
    _shrink(sections, frame.height - (len(sections) - 1 if gaps else 0))
    lines: list[Line] = []
    for number, section in enumerate(sections):
        lines += [Line("")] if number and gaps else []
        lines += section.lines()
    return [Line(fit(line.text, frame.width), line.tone) for line in lines[: frame.height]]


def text(look: Look, frame: Frame) -> str:
    """The same without tones."""
    return "".join(line.text.rstrip() + "\n" for line in screen(look, frame))


def _length(sections: Sequence[Section]) -> int:
    return sum(len(one.lines()) for one in sections)


def _shrink(sections: Sequence[Section], height: int) -> None:
    """Take rows from whoever can spare most: down to what each section keeps at least, and then further."""
    for one in sections:
        one.shown = len(one.rows)
    for fewest in (None, 1, 0):
        while _length(sections) > height:
            spare = [_spare(one, fewest) for one in sections]
            at = spare.index(max(spare))
            if spare[at] == 0:
                break
            sections[at].shown -= 2 if sections[at].shown == len(sections[at].rows) else 1


def _spare(section: Section, fewest: int | None) -> int:
    """Rows that it can do without; hiding a single one saves nothing, since its place counts it."""
    least = section.least if fewest is None else min(section.least, fewest)
    spare = max(section.shown - least, 0)
    return 0 if spare == 1 and section.shown == len(section.rows) else spare


def _head(look: Look, frame: Frame) -> Section:
    organism, age_ms = look["organism"], max(frame.now_ms - look["judged_ms"], 0)
    ids = (f"{name} {organism[key][:10] if organism[key] else 'unknown'}" for name, key in _IDS)
    seen = f"{stamp(look['judged_ms'])[11:]}{_age(age_ms, frame)}"
    change = change_text(look)
    lines = [
        _spread(clean(organism["name"]), seen, frame.width),
        Line(f"identity   {'  '.join(ids)}"),
        *_said("committee", committee_text(look), frame, _committee_tone(look["committee"])),
        *_said("change", change, frame, "dim" if change == "none" else "warn"),
    ]
    if look["committee"]["sealed"]:
        lines += _said("sealed", "the marker is the last item on every surface", frame, "warn")
    elif look["committee"]["retirement"] is not None:
        lines += _said("retirement", f"effective at {look['committee']['retirement']}", frame, "warn")
    if frame.note:
        lines += _said("!", frame.note, frame, "bad")
    return Section(lines)


def _said(name: str, said: str, frame: Frame, tone: str) -> list[Line]:
    """A sentence behind its name, on two lines at most."""
    parts = wrap(clean(said), frame.width - _NAME)
    if len(parts) > 2:
        parts = [parts[0], " ".join(parts[1:])]
    return [Line(f"{name if not number else '':<{_NAME}}{part}", tone) for number, part in enumerate(parts)]


def _age(age_ms: int, frame: Frame) -> str:
    if not frame.every_ms:
        return ""
    old = " OLD" if age_ms > STALE_AFTER * frame.every_ms else ""
    return f" {age_ms // 1000:3d} s{old}"


def _spread(left: str, right: str, width: int) -> Line:
    return Line(pad(fit(left, width - cells(right) - _GAP), width - cells(right)) + right, "head")


def _committee_tone(value: dict[str, Any]) -> str:
    if value["there"] < value["needed"] or value["ledger"]["alike"] is False:
        return "bad"
    return "" if value["ledger"]["alike"] else "unknown"


def _nodes(look: Look, frame: Frame) -> Section:
    nodes = sorted(look["nodes"], key=lambda one: not _life_tone(one))  # those that are not up stand first
    rows, tones = [node_cells(one) for one in nodes], [_life_tone(one) for one in nodes]
    if not rows:
        return Section([])
    head = ("  NODE", "STATE", "ROLE", "HEIGHT", "DIGEST", "NOTE")
    return _table(head, [(f"{_mark(tone)} {row[0]}", *row[1:]) for row, tone in zip(rows, tones, strict=True)],
                  tones, (9, 7, 8, 6, 10, 8), frame.width, least=3)  # fmt: skip


def _life_tone(one: dict[str, Any]) -> str:
    return {"up": "", "vouched": "unknown", "unknown": "unknown"}.get(one["life"], "bad")


def _spans(look: Look, frame: Frame) -> Section:
    rows, tones, reasons = [], [], []
    last = None
    for row in health.worst_first(look["health"]):
        tone = "" if health.well(row) else "unknown" if row["side"] == "unknown" else "bad"
        label = f"{row['span']}/{row['surface']}"
        rows.append(
            (
                f"{_mark(tone)} {'' if label == last else label}",
                row["node"],
                health.brief(health.short_lag(row, row["lag_events_change"])),
                health.brief(health.ago(row["last_event_ms"], look["judged_ms"], "never")),
                health.brief(health.until(row, look["judged_ms"])),
                health.short_side(row),
            )
        )
        tones.append(tone)
        reasons.append((label, row["reason"]))
        last = label
    if not rows:
        return Section([Line("no spanned member is read, or no deployment.toml is here", "dim")])
    head = ("  SPANNED MEMBER", "NODE", "LAG", "LAST EVENT", "ADMITTED", "SIDE")
    made = _table(head, rows, tones, (16, 6, 10, 10, 9, 10), frame.width, least=4)
    return _with_reasons(made, reasons)


def _with_reasons(section: Section, reasons: Sequence[tuple[str, str | None]]) -> Section:
    """Below the rows that are not well, why; one reason that several rows share stands once."""
    rows: list[Line] = []
    for index, (line, why) in enumerate(zip(section.rows, reasons, strict=True)):
        rows.append(line)
        following = reasons[index + 1] if index + 1 < len(reasons) else None
        if why[1] and line.tone and why != following:
            rows.append(Line(f"      {clean(why[1])}", "dim", remark=True))
    return Section(section.head, rows, section.least)


def _quorums(look: Look) -> Section:
    now = look["judged_ms"]
    rows = [
        Line(clean(f"{_mark(tone)} {one['name']}: {one['summary']}"), tone)
        for one in look["majorities"]
        for tone in ["bad" if one["until_ms"] is not None and one["until_ms"] <= now else ""]
    ]
    return Section([Line("MAJORITY ADMITTED", "head")], rows, 1) if rows else Section([])


def _findings(look: Look) -> Section:
    counts = look["counts"]
    said = ", ".join(
        f"{counts[key]} {key}" for key in ("bad", "unknown", "warn", "accepted", "ok") if counts[key]
    )
    rows = [
        Line(
            clean(f"{_mark(one['status'])} {one['code']} {one['subject']}: {one['summary']}"),
            _finding_tone(one),
        )
        for one in look["findings"]
    ]
    return Section([Line(f"FINDINGS  {said or 'none'}; exit {look['exit']}", "head")], rows, 2)


def _finding_tone(one: dict[str, Any]) -> str:
    return "dim" if one["accepted"] else str(Status(one["status"]).value)


def _mark(tone: str) -> str:
    return _MARKS.get(tone, " ")


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], tones: Iterable[str], floor: Sequence[int], width: int,
    *, least: int,
) -> Section:  # fmt: skip
    """Columns that fit the width: the widest gives way first, none below its floor; the last takes what is left."""
    body = [[clean(str(cell)) for cell in row] for row in rows]
    sizes = [max(cells(row[column]) for row in (list(head), *body)) for column in range(len(head))]
    room = width - _GAP * (len(head) - 1)
    while sum(sizes) > room and any(size > low for size, low in zip(sizes, floor, strict=True)):
        widest = max(range(len(sizes)), key=lambda column: sizes[column] - floor[column])
        sizes[widest] -= 1
    made = [_row(row, sizes) for row in (list(head), *body)]
    return Section(
        [Line(made[0], "head")], [Line(one, tone) for one, tone in zip(made[1:], tones, strict=True)], least
    )


def _row(row: Sequence[str], sizes: Sequence[int]) -> str:
    return (
        (" " * _GAP).join(pad(fit(cell, size), size) for cell, size in zip(row, sizes, strict=True)).rstrip()
    )
