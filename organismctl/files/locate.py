r"""Where each key of a TOML text stands: dotted path to line. ``tomllib`` gives values but no positions.

The scanner trusts the grammar (``tomllib`` has accepted the text, or names the fault
itself) and only follows its structure; on anything unexpected it stops and keeps what it has, so that it
never raises. One pass, no recursion per character, no copy of the text.
"""

from __future__ import annotations

import re

from organismctl.files.keypath import child, item, parent

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_BASIC = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = re.compile(r"'([^'\n]*)'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'(?!''))*'{3,5}")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))")
_LONGEST = 500
_PLAIN = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


class Locator:
    """Lines of a TOML text's keys.

    Attributes:
        lines: Every path that the text defines, to its 1-based line.
    """

    __slots__ = ("lines",)

    def __init__(self, text: str) -> None:
        self.lines = _Scanner(text).scan()

    def exact(self, path: str) -> int | None:
        """The 1-based line of a path, or ``None`` when the text does not have it."""
        return self.lines.get(path)

    def line(self, path: str) -> int | None:
        """The line of a path, else of the nearest table or array around it; ``None`` at the root."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = parent(path)
        return None


class _StopError(Exception):
    """The text is not what the grammar promises; keep what was found."""


class _Scanner:
    """One pass over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._line = 1
        self._counted = 0

    def scan(self) -> dict[str, int]:
        """Walk the statements; the lines found."""
        table = ""
        try:
            while self._skip(_SPACE) < len(self.text):
                if self.text.startswith("[", self.at):
                    table = self._header()
                else:
                    self._pair(table)
        except (_StopError, RecursionError):
            pass
        return self.lines

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Step over what always matches, at least emptily; the new position."""
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Step over what must match."""
        found = pattern.match(self.text, self.at)
        if found is None:
            raise _StopError
        self.at = found.end()
        return found

    def _expect(self, token: str) -> None:
        """Step over fixed text."""
        if not self.text.startswith(token, self.at):
            raise _StopError
        self.at += len(token)

    def _here(self) -> int:
        """The line of the present position; positions only grow, so each newline is counted once."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def _key(self) -> list[str]:
        """The parts of a dotted key."""
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            if self.text.startswith('"', self.at):
                parts.append(_unescape(self._take(_BASIC)[1]))
            elif self.text.startswith("'", self.at):
                parts.append(self._take(_LITERAL)[1])
            else:
                parts.append(self._take(_BARE)[0])
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            if len(parts) > _LONGEST:  # each prefix is a path of its own: bound what one line can cost
                raise _StopError
            self.at += 1

    def _header(self) -> str:
        """``[table]`` or ``[[array.of.tables]]``; the path that the pairs below it belong to."""
        line = self._here()
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        *above, last = self._key()
        self._expect("]]" if array else "]")
        path = ""
        for part in above:
            path = child(path, part)
            self.lines.setdefault(path, line)
            if path in self._counts:  # a header reaches into the array's latest element
                path = item(path, self._counts[path] - 1)
        path = child(path, last)
        if array:
            self.lines.setdefault(path, line)
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path = item(path, index)
        self.lines[path] = line
        return path

    def _pair(self, table: str) -> None:
        """``key = value`` under ``table``."""
        line = self._here()
        path = table
        for part in self._key():
            path = child(path, part)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: str) -> None:
        """One value; the paths inside it are recorded."""
        start = self.text[self.at : self.at + 3]
        if start == '"""':
            self._take(_LONG_BASIC)
        elif start == "'''":
            self._take(_LONG_LITERAL)
        elif start[:1] == '"':
            self._take(_BASIC)
        elif start[:1] == "'":
            self._take(_LITERAL)
        elif start[:1] == "[":
            self._array(path)
        elif start[:1] == "{":
            self._inline(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: str) -> None:
        """``[ … ]`` over any number of lines."""
        self._expect("[")
        index = 0
        while True:
            self._skip(_SPACE)
            if self.text.startswith("]", self.at):
                self.at += 1
                return
            element = item(path, index)
            self.lines.setdefault(element, self._here())
            self._value(element)
            index += 1
            self._skip(_SPACE)
            if self.text.startswith(",", self.at):
                self.at += 1
            elif not self.text.startswith("]", self.at):
                raise _StopError

    def _inline(self, path: str) -> None:
        """``{ … }``; TOML 1.1 lets it span lines."""
        self._expect("{")
        while True:
            self._skip(_SPACE)
            if self.text.startswith("}", self.at):
                self.at += 1
                return
            self._pair(path)
            self._skip(_SPACE)
            if self.text.startswith(",", self.at):
                self.at += 1
            elif not self.text.startswith("}", self.at):
                raise _StopError


def _unescape(raw: str) -> str:
    """A basic string's escapes resolved."""
    if "\\" not in raw:
        return raw

    def one(found: re.Match[str]) -> str:
        code = found[1] or found[2] or found[3]
        if code is not None:
            number = int(code, 16)
            return chr(number) if number < 0x110000 else "\ufffd"
        return _PLAIN.get(found[4], found[4])

    return _ESCAPE.sub(one, raw)
