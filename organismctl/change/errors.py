"""What can stop a change, one class each; all carry advice and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from organismctl.errors import OrganismError, RefusedError
from organismctl.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path


class PlanError(OrganismError):
    """A plan that cannot be read, or whose hash does not fit its content."""


class StalePlanError(RefusedError):
    """The world differs from what the plan was made for.

    Attributes:
        differences: One line for each fact that moved.
    """

    def __init__(self, differences: list[str]) -> None:
        super().__init__(
            "the plan is stale: " + "; ".join(differences),
            advice="make a new plan from what stands now, look at it, and apply that one",
        )
        self.differences = differences


class JournalError(OrganismError):
    """The journal cannot be read or written; nothing was done that it does not tell."""


class TamperedError(JournalError):
    """A journal line was edited, removed or inserted.

    Attributes:
        path: The journal, or the name of the copy.
        line: 1-based number of the first line that does not fit.
    """

    def __init__(self, path: Path | str, line: int, why: str) -> None:
        super().__init__(
            f"{path}: line {line} was edited: {why}",
            advice="compare with the copies on the nodes (`change history ID`), and continue from a good "
            "copy with `change takeover ID` in an empty state folder",
        )
        self.path = str(path)
        self.line = line


class BusyError(RefusedError):
    """Another runner acts; says who and since when."""


class SupersededError(RefusedError):
    """Another runner has taken this change over; nothing more is done here."""


class StepRefusedError(RefusedError):
    """A step's precondition does not hold, and waiting will not help."""


class StalledError(OrganismError):
    """A step's proof did not come before its deadline; names what it waited for and the blocker."""

    exit = Exit.UNKNOWN


class ParkedError(OrganismError):
    """Not a fault: the change waits for people or a date, and holds no lease.

    Attributes:
        waits_for: What it waits for.
        until_ms: Unix ms of the date, or ``None`` when people decide.
    """

    exit = Exit.OK

    def __init__(self, waits_for: str, until_ms: int | None = None, *, advice: str | None = None) -> None:
        super().__init__(f"parked: waits for {waits_for}", advice=advice)
        self.waits_for = waits_for
        self.until_ms = until_ms


class TransientError(OrganismError):
    """Nothing is known for certain: no majority, nobody answered, or the outcome is open. Ask again.

    Attributes:
        blocker: Who or what is in the way.
    """

    exit = Exit.UNKNOWN

    def __init__(self, message: str, *, blocker: str | None = None, advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.blocker = blocker or message


class LedgerRefusedError(RefusedError):
    """The committee refused a command for certain: it was not applied, nor will be under this request id.

    Attributes:
        code: The machine's or the API's code: ``fence``, ``sealed``, ``roster-version``.
    """

    def __init__(self, message: str, *, code: str = "refused", advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.code = code
