"""Quorum at time T: until when a majority of the committee is admitted at a spanned member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from organismctl.check.ticket_matrix import Cell, State
from organismctl.identity.roster import majority


@dataclass(frozen=True, slots=True)
class Quorum:
    """A majority's admission at one spanned member; moments are Unix ms, ``None`` is never.

    Attributes:
        size: Committee members.
        needed: A majority of them.
        valid: How many are admitted now.
        unknown: How many could not be judged.
        surely_until_ms: When it ends if those that could not be judged are shut out.
        perhaps_until_ms: When it ends if they are admitted for ever.
    """

    size: int
    needed: int
    valid: int
    unknown: int
    surely_until_ms: int | None
    perhaps_until_ms: int | None

    @property
    def surely_never_lost(self) -> bool:
        """Whether it is known that it does not end."""
        return self.surely_until_ms is None

    def lost(self, now_ms: int) -> bool:
        """Whether it is surely lost now."""
        return self.perhaps_until_ms is not None and self.perhaps_until_ms <= now_ms


def quorum_of(cells: Sequence[Cell], now_ms: int) -> Quorum:
    """The quorum of a column of the matrix: the needed-th latest horizon."""
    needed = majority(len(cells))
    valid = [cell for cell in cells if cell.state in (State.VALID, State.FREE)]
    unknown = sum(cell.state is State.UNKNOWN for cell in cells)
    ends = [cell.horizon_ms for cell in valid]
    return Quorum(
        size=len(cells),
        needed=needed,
        valid=sum(end is None or end > now_ms for end in ends),
        unknown=unknown,
        surely_until_ms=_nth_latest(ends, needed, now_ms),
        perhaps_until_ms=_nth_latest([*ends, *[None] * unknown], needed, now_ms),
    )


def _nth_latest(ends: Sequence[int | None], nth: int, now_ms: int) -> int | None:
    """The moment from which fewer than ``nth`` are left; now when there never were so many."""
    if len(ends) < nth:
        return now_ms
    ordered = sorted(ends, key=lambda end: float("inf") if end is None else end, reverse=True)
    return ordered[nth - 1]
