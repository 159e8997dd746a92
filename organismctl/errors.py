"""The tool's errors: one base class, each with advice and an exit code.

Foreign exceptions are translated where they enter (one seam per library), so that whatever reaches the
command line derives from :class:`OrganismError`; anything else is a defect of the tool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from organismctl.exits import Exit


class OrganismError(Exception):
    """Base of every error that the tool raises on purpose.

    Attributes:
        message: What is wrong, one sentence, no trailing period needed.
        advice: The next step for the operator, or ``None``.
        exit: The exit code that the command ends with.
    """

    exit: Exit = Exit.ERROR

    def __init__(self, message: str, *, advice: str | None = None, exit: Exit | None = None) -> None:  # noqa: A002
        super().__init__(message)
        self.message = message
        self.advice = advice
        if exit is not None:
            self.exit = exit


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input file.

    Attributes:
        file: The path as the operator named it.
        line: 1-based line, or ``None`` where the key is absent altogether.
        key: Dotted path of the key, with list positions: ``span[1].surface[0].type``.
        found: What stands there, shortened and without secrets; ``None`` when the key is missing.
        allowed: What may stand there.
        hint: For an unknown key, the nearest known one; else ``None``.
    """

    file: str
    line: int | None
    key: str
    found: str | None
    allowed: str
    hint: str | None = None

    def __str__(self) -> str:
        """``file:line: key: found …; allowed: … (did you mean …?)``."""
        where = f"{self.file}:{self.line}" if self.line is not None else self.file
        found = "missing" if self.found is None else f"found {self.found}"
        hint = f" (did you mean {self.hint!r}?)" if self.hint else ""
        return f"{where}: {self.key}: {found}; allowed: {self.allowed}{hint}"


class InputError(OrganismError):
    """Bad input, with all of its problems at once."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.problems = tuple(problems)


class RefusedError(OrganismError):
    """The tool refuses, because what was asked is unsafe."""

    exit = Exit.REFUSED


class UnreachableError(OrganismError):
    """A part of the world could not be seen; never the same as unhealthy."""

    exit = Exit.UNKNOWN


class UsageError(OrganismError):
    """The command line is wrong."""

    exit = Exit.USAGE
