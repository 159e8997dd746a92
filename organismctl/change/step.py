"""What a procedure is made of: steps and probes. One engine (``runner.py``) runs all of them.

A *probe* looks and never acts; it answers with :class:`Probe`. An *action* is idempotent and gets an
:class:`Intent`, whose id is the same when a crash makes the runner do it again: the ledger takes it as
``request_id``, so that it applies once however often it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from organismctl.change.canonical import digest

if TYPE_CHECKING:
    from organismctl.identity.config import Json


class Seen(StrEnum):
    """The four answers of a probe."""

    YES = "yes"
    """It is so."""
    NOT_YET = "not yet"
    """It is not so, and time may make it so."""
    NO = "no"
    """It is not so, and waiting does not help: the change is refused here."""
    PARK = "park"
    """It waits for people or a far date: the change parks."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer of a probe.

    Attributes:
        seen: The answer.
        detail: What was seen, one sentence.
        blocker: Who or what is in the way, or ``None``.
        until_ms: For ``PARK``: the date, Unix ms, or ``None`` when people decide.
        advice: The operator's next step, or ``None``.
    """

    seen: Seen
    detail: str
    blocker: str | None = None
    until_ms: int | None = None
    advice: str | None = None

    @classmethod
    def yes(cls, detail: str) -> Probe:
        """It is so."""
        return cls(Seen.YES, detail)

    @classmethod
    def wait(cls, detail: str, blocker: str | None = None) -> Probe:
        """Not yet."""
        return cls(Seen.NOT_YET, detail, blocker)

    @classmethod
    def no(cls, detail: str, *, blocker: str | None = None, advice: str | None = None) -> Probe:
        """Never, unless something else changes."""
        return cls(Seen.NO, detail, blocker, None, advice)

    @classmethod
    def park(cls, detail: str, until_ms: int | None = None, advice: str | None = None) -> Probe:
        """Waits for people or a date."""
        return cls(Seen.PARK, detail, None, until_ms, advice)


@dataclass(frozen=True, slots=True)
class Intent:
    """One action that is about to happen.

    Attributes:
        change: The change's id.
        step: The step's name.
        phase: ``act`` or ``undo``.
        attempt: 1, 2, …; grows only when the ledger refused the attempt before for certain.
        fence: The runner's fence.
    """

    change: str
    step: str
    phase: str
    attempt: int
    fence: int

    @property
    def id(self) -> str:
        """64 hex; the same for the same attempt, whoever makes it. Used as ``request_id``."""
        return digest(
            "|".join(("organismctl/intent/1", self.change, self.step, self.phase, str(self.attempt))).encode()
        )


Action = Callable[[Intent], "Mapping[str, Json] | None"]
Look = Callable[[], Probe]


def always() -> Probe:
    """The precondition of a step that has none beyond the steps before it."""
    return Probe.yes("nothing beyond the steps before it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a procedure.

    Attributes:
        name: Stable, hyphenated: ``roster-add``.
        title: What it does, for people: ``take node-d into the roster``.
        ready: Precondition probe; looked at anew by every runner.
        act: Idempotent action; ``None`` for a step that only waits for something to be seen.
        verify: Proof that it is so; also looked at before acting, so that nothing is done twice.
        deadline_s: How long precondition and proof together may take, seconds, monotonic.
        undo: Takes the action back; ``None`` when there is no way back.
        no_undo: The sentence why there is no undo; exactly one of the two is given.
        may_park: Whether it may wait for people or a date.
        leased: Whether it needs the ledger's lease (not after the seal, when there is none).
        point_of_no_return: From the beginning of its action on, the change only goes forward.
    """

    name: str
    title: str
    verify: Look
    ready: Look = always
    act: Action | None = None
    deadline_s: float = 60.0
    undo: Action | None = None
    no_undo: str | None = None
    may_park: bool = False
    leased: bool = True
    point_of_no_return: bool = False

    def __post_init__(self) -> None:
        if (self.undo is None) == (self.no_undo is None):
            raise ValueError(f"step {self.name}: exactly one of undo and no_undo is to be given")


class Procedure(Protocol):
    """A named list of steps over one world; made anew by every runner from the plan's parameters."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order; the same names for the same plan."""
        ...

    def facts(self) -> Mapping[str, Json]:
        """The facts that the plan rests on, observed now: what would make the plan wrong if it moved.

        Nothing that moves by itself (heights, ticks, leaders) belongs here.
        """
        ...

    def refusals(self) -> list[str]:
        """Why the change is not to be begun at all, a sentence each; empty when it may."""
        ...

    def no_way_back(self) -> str | None:
        """Why the world allows no undo any more, whatever the journal says; ``None`` when it does."""
        ...
