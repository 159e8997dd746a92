"""YAML of plain values, as Prometheus and Alertmanager read it: block style, every text quoted as JSON quotes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TypeAlias

Yaml: TypeAlias = "str | int | float | bool | list[Yaml] | dict[str, Yaml]"


def to_yaml(value: dict[str, Yaml], head: str = "") -> str:
    """A document.

    Args:
        value: Its root.
        head: Comment lines at the top, without their marks.
    """
    comment = "".join(f"# {line}\n" if line else "#\n" for line in head.splitlines())
    return comment + "\n".join(_lines(value, 0)) + "\n"


def _lines(value: Yaml, depth: int) -> Iterator[str]:
    blank = "  " * depth
    if isinstance(value, dict):
        for key, below in value.items():
            if isinstance(below, dict | list) and below:
                yield f"{blank}{key}:"
                yield from _lines(below, depth + 1)
            else:
                yield f"{blank}{key}: {_flat(below)}"
    elif isinstance(value, list):
        for one in value:
            yield from _item(one, blank, depth)
    else:
        yield f"{blank}{_flat(value)}"


def _item(one: Yaml, blank: str, depth: int) -> Iterator[str]:
    if isinstance(one, dict | list) and one:
        first, *rest = _lines(one, depth + 1)
        yield f"{blank}- {first.lstrip()}"
        yield from rest
    else:
        yield f"{blank}- {_flat(one)}"


def _flat(value: Yaml) -> str:
    """A scalar, or an empty list or table."""
    # JSON escapes nothing that YAML's double quotes would not read, once it is all ASCII.
    return json.dumps(value)
