"""Paths of keys as they are shown to people: ``span[1].surface[0].type``, ``content."a key"``."""

from __future__ import annotations

import re

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def quote_key(key: str) -> str:
    """A key as it stands in a path: bare when it can be, else quoted with controls escaped."""
    if _BARE.fullmatch(key):
        return key
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def child(path: str, key: str) -> str:
    """The path of a key of the table at ``path`` (the root's path is empty)."""
    return f"{path}.{quote_key(key)}" if path else quote_key(key)


def item(path: str, index: int) -> str:
    """The path of an element of the array at ``path``."""
    return f"{path}[{index}]"


def parent(path: str) -> str:
    """The path without its last key or index; empty at the root."""
    if path.endswith("]"):
        return path[: path.rfind("[")]
    if path.endswith('"'):  # a quoted key: find its opening quote, which no backslash precedes
        start = re.search(r'(?:^|\.)"(?:[^"\\]|\\.)*"$', path)
        return path[: start.start()] if start else ""
    return path[: max(path.rfind("."), 0)]
