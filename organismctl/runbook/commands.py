"""Which command lines may stand in a runbook: those that only look in a probe, those that act in a run block."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

NAME = "organismctl"
LOOKS: tuple[tuple[str, ...], ...] = (
    ("doctor",), ("status",), ("check",), ("observe",), ("inspect",), ("explain",), ("report",),
    ("fingerprint",), ("lock", "show"), ("tickets", "show"), ("tickets", "request"),
    ("change", "list"), ("change", "show"), ("change", "history"),
    ("committee", "status"), ("retire", "verify"), ("surface",), ("export",),
    ("runbook", "list"), ("runbook", "show"), ("runbook", "check"),
)  # fmt: skip
"""Commands that change nothing, by their first words."""
STAYS: tuple[tuple[str, ...], ...] = (
    ("watch",), ("exporter",), ("committee", "serve"), ("committee", "relay"), ("runbook", "run"), ("init",)
)  # fmt: skip
"""Commands that do not end by themselves, or ask: they stand in prose, not in a block."""
_DESTRUCTIVE: tuple[tuple[str, ...], ...] = (("retire",), ("committee", "void"))
_UNDOES = ("cancel", "amend")


def words(line: str) -> list[str]:
    """A command line as its words.

    Raises:
        ValueError: A quote has no end, or it is none of ours.
    """
    found = shlex.split(line, comments=False)
    if not found or found[0] != NAME:
        raise ValueError(f"it does not begin with {NAME}")
    return found


def looks(argv: Sequence[str]) -> bool:
    """Whether a command only looks."""
    return (
        _begins(argv, LOOKS)
        or "--dry-run" in argv
        or (_begins(argv, (("committee", "stop"),)) and "--check" in argv)
    )


def stays(argv: Sequence[str]) -> bool:
    """Whether a command does not end by itself (``--detach`` lets it)."""
    return _begins(argv, STAYS) and "--detach" not in argv


def destructive(argv: Sequence[str]) -> bool:
    """Whether what a command does cannot be taken back."""
    if _begins(argv, (("rotate", "member"),)):
        return "--dead" in argv
    return _begins(argv, _DESTRUCTIVE) and not looks(argv) and not set(argv[2:3]) & set(_UNDOES)


def _begins(argv: Sequence[str], table: Sequence[tuple[str, ...]]) -> bool:
    return any(tuple(argv[1 : 1 + len(start)]) == start for start in table)
