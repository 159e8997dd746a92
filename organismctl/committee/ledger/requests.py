"""Append requests and their outcomes: exactly one for each, and never "failed" where it is not known."""

from __future__ import annotations

from dataclasses import dataclass

from organismctl.committee.ledger.effects import Certified, Reason, Refused, Resolve, Unknown
from organismctl.committee.ledger.entry import Entry
from organismctl.committee.ledger.log import Log


@dataclass(frozen=True, slots=True)
class Request:
    """One append.

    Attributes:
        id: The caller's number, unique within the node's run.
        command: Kind byte and payload.
        deadline: Until when the caller waits, by the caller's clock.
    """

    id: int
    command: bytes
    deadline: float

    def refused(self, reason: Reason, text: str, proposer: bytes | None = None) -> Resolve:
        """The outcome "refused"."""
        return Resolve(self.id, Refused(reason, text, proposer))


class Requests:
    """What was proposed and has no outcome yet, by height.

    A proposed request outlives its proposer's epoch: what is certified at its height decides. The digest there
    equals the proposed one, and the append is certified (by a successor that adopted it); or it differs, and the
    append can never be.
    """

    def __init__(self) -> None:
        self._open: dict[int, list[tuple[Request, bytes]]] = {}

    def __len__(self) -> int:
        return sum(len(at) for at in self._open.values())

    def proposed(self, request: Request, entry: Entry) -> None:
        """A request got its height."""
        self._open.setdefault(entry.height, []).append((request, entry.digest))

    def certified(self, log: Log, old: int, new: int) -> list[Resolve]:
        """The outcomes that follow from heights ``old + 1`` to ``new`` being certified."""
        if not self._open:
            return []
        outcomes = []
        for height in range(old + 1, new + 1):
            for request, digest in self._open.pop(height, ()):
                found = log.digest(height)
                if found == digest:
                    outcomes.append(Resolve(request.id, Certified(height, digest)))
                elif found is None:
                    outcomes.append(
                        Resolve(request.id, Unknown("its height is certified, but not in memory", height))
                    )
                else:
                    text = f"another entry was certified at height {height}"
                    outcomes.append(request.refused(Reason.SUPERSEDED, text))
        return outcomes

    def expired(self, now: float) -> list[Resolve]:
        """The outcomes of requests whose deadline has passed."""
        outcomes = []
        for height in list(self._open):
            late = [pair for pair in self._open[height] if pair[0].deadline <= now]
            if late:
                rest = [pair for pair in self._open[height] if pair[0].deadline > now]
                if rest:
                    self._open[height] = rest
                else:
                    del self._open[height]
                text = "it was proposed, but no majority was heard to have it in time"
                outcomes += [Resolve(request.id, Unknown(text, height)) for request, _ in late]
        return outcomes

    def give_up(self, why: str) -> list[Resolve]:
        """The outcomes when nothing more will be learned."""
        left = [(request, height) for height, at in self._open.items() for request, _ in at]
        self._open.clear()
        return [
            Resolve(request.id, Unknown(f"it was proposed, and {why}", height)) for request, height in left
        ]
