"""The canonical form of an organism's own parameters: RFC 8785 of ``{"content": …, "driver": …}``.

Only values that every language writes alike may stand: text in NFC, booleans, integers within ±(2^53−1),
arrays and tables. Floats, dates and nulls are refused, each with its path.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.identity.config import Json

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig

_BARE = re.compile(r"[A-Za-z0-9_-]+")
MAX_INT = (1 << 53) - 1
ALLOWED = "text in NFC, booleans, integers within ±(2^53−1), arrays and tables"


class ParameterError(ValueError):
    """A parameter cannot stand.

    Attributes:
        path: Dotted path, with list positions: ``content.weights[2]``.
        found: What stands there.
        allowed: What may stand there.
    """

    def __init__(self, path: str, found: str, allowed: str = ALLOWED) -> None:
        super().__init__(f"{path}: found {found}; allowed: {allowed}")
        self.path = path
        self.found = found
        self.allowed = allowed


def parameter_problems(value: object, path: str) -> Iterator[ParameterError]:
    """Everything below ``path`` that may not stand, in order."""
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        if unicodedata.normalize("NFC", value) != value:
            yield ParameterError(path, "text that is not in NFC")
        elif any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            yield ParameterError(path, "text with a lone surrogate")
    elif isinstance(value, int):
        if abs(value) > MAX_INT:
            yield ParameterError(path, str(value))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from parameter_problems(key, f"{path}.{key}")
            yield from parameter_problems(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from parameter_problems(item, f"{path}[{index}]")
    else:
        yield ParameterError(path, f"a {type(value).__name__}")


def parameters(config: OrganismConfig) -> dict[str, Json]:
    """``{"content": …, "driver": …}``, the driver's durations in milliseconds."""
    driver = config.driver
    return {
        "content": dict(config.content),
        "driver": {
            "fold": driver.fold,
            "apply_deadline": driver.apply_deadline_ms,
            "stall": driver.stall,
            "period": driver.period_ms,
        },
    }


def parameter_leaves(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Every value below ``path`` that is no table, with its dotted path; an empty table counts as a value."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from parameter_leaves(item, f"{path}.{_quoted(key)}")
    else:
        yield path, value


def _quoted(key: str) -> str:
    """A key as it stands in a path: bare when TOML lets it, else quoted with controls escaped."""
    if _BARE.fullmatch(key):
        return key
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def canonical_parameters(config: OrganismConfig) -> bytes:
    """The RFC 8785 form that the fingerprint holds.

    Raises:
        ParameterError: The first value that may not stand.
    """
    import rfc8785

    value = parameters(config)
    for key, below in value.items():
        for problem in parameter_problems(below, key):
            raise problem
    return rfc8785.dumps(value)
