"""How a run of a runbook is shown to a person, and how that person answers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from organismctl.check.finding import Finding
    from organismctl.runbook.execute import Done


class Answer(Enum):
    """What a person says to an action."""

    YES = "yes"
    SKIP = "skip"
    LEAVE = "leave"


class Presenter(Protocol):
    """Shows a run to a person, and asks."""

    def heading(self, text: str, level: int) -> None:
        """A heading."""
        ...

    def prose(self, markdown: str) -> None:
        """A text."""
        ...

    def findings(self, rows: Sequence[Finding]) -> None:
        """The findings by which something applies, or that were seen."""
        ...

    def aside(self, text: str) -> None:
        """A remark on what is done or left out."""
        ...

    def command(self, line: str, acts: bool) -> None:
        """A command line that is about to be run."""
        ...

    def result(self, done: Done) -> None:
        """How it ended."""
        ...

    def waiting(self, seconds: float) -> None:
        """How long it has been going on."""
        ...

    def ask(self, line: str, destructive: bool) -> Answer:
        """Whether to run it."""
        ...

    def value(self, name: str, line: str) -> str | None:
        """A value for a placeholder, or ``None`` when nobody can say."""
        ...
