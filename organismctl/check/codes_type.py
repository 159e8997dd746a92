"""One row of the table of finding codes."""

from __future__ import annotations

from dataclasses import dataclass

from organismctl.check.finding import Status
from organismctl.exits import Exit

COMMITTEE = ("committee",)
INTEGRATORS = ("committee", "integrators")


@dataclass(frozen=True, slots=True)
class Code:
    """One stable code.

    Attributes:
        code: Its name.
        title: A few words.
        meaning: What it says about the organism.
        action: What to do about it.
        exit: The exit class of its bad findings.
        runbook: The runbook to turn to.
        default: The status that it has when nothing else is said.
        concerns: Who must act: our committee, and where integrators see it, they too.
    """

    code: str
    title: str
    meaning: str
    action: str
    exit: Exit
    runbook: str
    default: Status = Status.BAD
    concerns: tuple[str, ...] = COMMITTEE
