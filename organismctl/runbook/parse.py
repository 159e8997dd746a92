"""From a runbook's text to its parts; every problem at once.

The Markdown is read line by line: front matter, headings of the second level, fences, and the paragraph ``When:``
that follows a heading. Everything else is prose and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from organismctl.errors import InputError, Problem
from organismctl.files.atomic import read_text
from organismctl.identity.durations import parse_duration
from organismctl.runbook.model import NAME, SEVERITIES, Block, Front, Kind, Runbook, Section, When
from organismctl.runbook.when import WhenError, parse_when

KEYS = ("title", "codes", "severity", "roles", "takes")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)")
_HEADING = re.compile(r"## +(?P<title>.*?)(?: +#+)?")
_CODE = re.compile(r"[A-Z]+(?:-[A-Z]+)+")
_KEY = re.compile(r"(?P<key>[a-z_]+):(?: +(?P<value>.*))?")


@dataclass(slots=True)
class _Reading:
    """One file as it is read: its lines and what is wrong with them."""

    file: str
    lines: list[str]
    problems: list[Problem] = field(default_factory=list)

    def problem(self, line: int | None, key: str, found: str | None, allowed: str) -> None:
        self.problems.append(Problem(self.file, line, key, found, allowed))


def load_runbook(path: Path) -> Runbook:
    """Read a runbook.

    Raises:
        PathError: The system refused.
        InputError: It holds problems; all of them are in ``problems``.
    """
    return parse_runbook(read_text(path), path.stem, str(path))


def parse_runbook(text: str, name: str, file: str) -> Runbook:
    """Read a runbook's text.

    Args:
        text: Markdown with front matter.
        name: What it is called.
        file: How problems name it.

    Raises:
        InputError: It holds problems; all of them are in ``problems``.
    """
    reading = _Reading(file, text.split("\n"))
    if not NAME.fullmatch(name):
        reading.problem(None, "name", repr(name[:60]), "small letters, digits and single dashes")
    front, start = _front(reading)
    sections = tuple(_sections(reading, start))
    _afters(reading, sections)
    if reading.problems or front is None:
        raise InputError(f"{file}: no runbook", reading.problems, advice="organismctl runbook check")
    return Runbook(name, file, front, sections, text)


# Front matter.


def _front(reading: _Reading) -> tuple[Front | None, int]:
    """The front matter and the index of the first line after it."""
    lines = reading.lines
    if not lines or lines[0].rstrip() != "---":
        reading.problem(1, "front matter", None, "`---`, then " + ", ".join(KEYS) + ", then `---`")
        return None, 0
    end = next((at for at in range(1, len(lines)) if lines[at].rstrip() == "---"), None)
    if end is None:
        reading.problem(1, "front matter", "no end", "a line `---`")
        return None, len(lines)
    before = len(reading.problems)
    values: dict[str, list[str]] = {}
    where: dict[str, int] = {}
    _keys(reading, end, values, where)
    for key in KEYS:
        if key not in values or (key != "codes" and not values[key]):
            reading.problem(where.get(key, 1), key, None, "a value")
    if len(reading.problems) > before:
        return None, end + 1
    severity = values["severity"][0]
    if severity not in SEVERITIES:
        reading.problem(where["severity"], "severity", repr(severity[:40]), " | ".join(SEVERITIES))
    title, takes = (", ".join(values[key]) for key in ("title", "takes"))
    front = Front(title, tuple(values["codes"]), severity, tuple(values["roles"]), takes, where)
    return front, end + 1


def _keys(reading: _Reading, end: int, values: dict[str, list[str]], where: dict[str, int]) -> None:
    """``key: value``, ``key: [a, b]``, or ``key:`` with ``- item`` lines below: a small part of YAML."""
    current: str | None = None
    for at in range(1, end):
        line = reading.lines[at].rstrip()
        item = re.fullmatch(r" *- +(.+)", line)
        found = _KEY.fullmatch(line)
        if not line or line.startswith("#"):
            continue
        if item is not None and current is not None:
            values[current].append(item[1].strip())
        elif found is None or found["key"] not in KEYS or found["key"] in values:
            reading.problem(at + 1, "front matter", repr(line[:60]), "each once: " + ", ".join(KEYS))
            current = None
        else:
            current = found["key"]
            where[current] = at + 1
            values[current] = _value(current, (found["value"] or "").strip())


def _value(key: str, text: str) -> list[str]:
    if text.startswith("[") and text.endswith("]"):
        return [part.strip() for part in text[1:-1].split(",") if part.strip()]
    if key in ("codes", "roles"):
        return [part.strip() for part in text.split(",") if part.strip()]
    return [text] if text else []


# The body.


def _sections(reading: _Reading, start: int) -> Iterator[Section]:
    title, heading, line, at = "", "", start + 1, start
    for end, found in _headings(reading.lines, start):
        yield _section(reading, title, heading, line, at, end)
        title, heading, line, at = found, reading.lines[end], end + 1, end + 1
    yield _section(reading, title, heading, line, at, len(reading.lines))


def _headings(lines: Sequence[str], start: int) -> Iterator[tuple[int, str]]:
    """Index and title of each heading of the second level outside of fences."""
    fence = ""
    for at in range(start, len(lines)):
        found = _FENCE.fullmatch(lines[at])
        if fence:
            if found is not None and _closes(found, fence):
                fence = ""
        elif found is not None:
            fence = found["fence"]
        elif (title := _HEADING.fullmatch(lines[at].rstrip())) is not None:
            yield at, title["title"]


def _closes(found: re.Match[str], fence: str) -> bool:
    return found["fence"].startswith(fence) and not found["info"].strip()


def _section(reading: _Reading, title: str, heading: str, line: int, at: int, end: int) -> Section:
    when, begin = _when(reading, at, end) if title else (None, at)
    return Section(title, line, when, tuple(_blocks(reading, begin, end)), heading)


def _when(reading: _Reading, at: int, end: int) -> tuple[When | None, int]:
    """The condition below a heading and the index after it; a paragraph that begins with ``When:``."""
    first = next((one for one in range(at, end) if reading.lines[one].strip()), end)
    if first == end or not reading.lines[first].startswith("When:"):
        return None, at
    last = next((one for one in range(first, end) if not reading.lines[one].strip()), end)
    text = " ".join(reading.lines[first:last]).removeprefix("When:")
    try:
        return parse_when(text, first + 1), last
    except WhenError as exc:
        reading.problem(
            first + 1, "When", str(exc), 'codes joined by `and` and `or`, `otherwise`, or `after "A TITLE"`'
        )
        return None, last


def _afters(reading: _Reading, sections: Sequence[Section]) -> None:
    """A section goes after an earlier one that findings call for."""
    called: list[str] = []
    for section in sections:
        if section.when is None:
            continue
        if section.when.after is not None and section.when.after not in called:
            reading.problem(
                section.when.line, "When", repr(section.when.after[:60]),
                "the title of a section before it whose `When:` names codes",
            )  # fmt: skip
        if section.when.alternatives:
            called.append(section.title)


def _blocks(reading: _Reading, at: int, end: int) -> Iterator[Block]:
    begin = at
    while at < end:
        found = _FENCE.fullmatch(reading.lines[at])
        if found is None:
            at += 1
            continue
        yield from _prose(reading.lines, begin, at)
        close = _close(reading.lines, at, end, found["fence"])
        if close is None:
            reading.problem(at + 1, "fence", "no end", found["fence"])
            close = end - 1
        yield _fenced(reading, at, close, found["info"].split())
        begin = at = close + 1
    yield from _prose(reading.lines, begin, end)


def _close(lines: Sequence[str], at: int, end: int, fence: str) -> int | None:
    for one in range(at + 1, end):
        found = _FENCE.fullmatch(lines[one])
        if found is not None and _closes(found, fence):
            return one
    return None


def _prose(lines: Sequence[str], begin: int, end: int) -> Iterator[Block]:
    while begin < end and not lines[begin].strip():
        begin += 1
    while end > begin and not lines[end - 1].strip():
        end -= 1
    if begin < end:
        yield Block(Kind.PROSE, "\n".join(lines[begin:end]), begin + 1)


def _fenced(reading: _Reading, at: int, close: int, info: list[str]) -> Block:
    text = "\n".join(reading.lines[at : close + 1])
    kind = info[0] if info else ""
    if kind not in (Kind.PROBE, Kind.RUN):
        return Block(Kind.CODE, text, at + 1)
    inner = [(one + 1, reading.lines[one].strip()) for one in range(at + 1, close)]
    commands = tuple((line, one) for line, one in inner if one and not one.startswith("#"))
    if not commands:
        reading.problem(at + 1, kind, "no command", "a command line of organismctl on each line")
    patience_ms, code = _info(reading, at, kind, info[1:])
    return Block(Kind(kind), text, at + 1, commands, patience_ms, code)


def _info(reading: _Reading, at: int, kind: str, words: Sequence[str]) -> tuple[int, str | None]:
    """The one word that may follow: how long a probe is repeated, or whose findings an action is for."""
    if not words:
        return 0, None
    try:
        if kind == Kind.PROBE and len(words) == 1:
            return parse_duration(words[0]), None
    except ValueError:
        pass
    if kind == Kind.RUN and len(words) == 1 and _CODE.fullmatch(words[0]):
        return 0, words[0]
    reading.problem(
        at + 1, kind, repr(" ".join(words)[:60]),
        "nothing; for a probe how long to repeat it: 90s; for an action whose findings it is for: a code",
    )  # fmt: skip
    return 0, None
