"""Exit codes: one table, used by every command.

The worst outcome decides, in the order of :data:`SEVERITY` (design: 1, 4, 6, 3, 2, 5, 0).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    """Everything that was asked is as it should be (a warning alone is still OK unless ``--strict``)."""
    ERROR = 1
    """An error of the tool or of its input."""
    DRIFT = 2
    """An identity drifted, or a change is needed."""
    BREACH = 3
    """A horizon or a lag limit is breached."""
    REFUSED = 4
    """Refused as unsafe."""
    UNKNOWN = 5
    """Unknown or incomplete: something could not be seen."""
    UNHEALTHY = 6
    """Unhealthy now: no quorum, diverged, forked, dark."""
    USAGE = 64
    """The command line itself is wrong."""


SEVERITY: tuple[Exit, ...] = (
    Exit.ERROR,
    Exit.REFUSED,
    Exit.UNHEALTHY,
    Exit.BREACH,
    Exit.DRIFT,
    Exit.UNKNOWN,
    Exit.OK,
)
"""Worst first."""


def worst(codes: Iterable[Exit]) -> Exit:
    """The code that decides among several.

    Args:
        codes: Exit codes other than ``USAGE``.

    Returns:
        The worst by :data:`SEVERITY`; ``OK`` when there is none.
    """
    return min(codes, key=SEVERITY.index, default=Exit.OK)
