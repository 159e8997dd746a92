"""Appends that a node passes on to the proposer, and how their outcomes travel back: at most once each.

The link between two nodes may lose a frame (a stream of mosaik's that does not stand yet does), so a forwarded append
is sent again until it is answered. The proposer keeps what it took, and runs each only once. Across its own restart
it remembers nothing, and an epoch tells: it belongs to one process of one proposer, so a copy that names an epoch
from before the start may have been run by the process before, and its outcome is then unknown, never tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from organismctl.committee.ledger.codec import MAX_TEXT
from organismctl.committee.ledger.effects import Certified, Outcome, Reason, Refused, Unknown
from organismctl.committee.ledger.entry import NO_DIGEST
from organismctl.committee.ledger.messages import Forward, Forwarded

LONGEST = 60.0
"""At most this long is an append of another node's tried, in seconds."""
KEPT = 4096
"""At least this many answers are kept for each process that forwards, and at most twice as many."""
PROCESSES = 256
"""At most this many processes that forward are remembered."""

Run: TypeAlias = "Callable[[bytes, float], Awaitable[Outcome]]"
"""Appends here: the command, and for how many seconds to try."""


def elsewhere(outcome: Outcome) -> bool:
    """Whether the append did not happen here, but may elsewhere or later."""
    return isinstance(outcome, Refused) and outcome.reason in (Reason.NOT_PROPOSER, Reason.HANDING_OVER)


@dataclass(slots=True)
class _Taken:
    """What one process of one peer has forwarded.

    Attributes:
        answers: By its number; ``None`` while it runs.
        forgotten: Numbers up to this one may have been taken and forgotten.
    """

    answers: dict[int, Outcome | None] = field(default_factory=dict)
    forgotten: int = 0


class Served:
    """The proposer's side: each forwarded append is run once, however often it comes.

    Args:
        me: This node's peer id.
        began: The highest epoch number that its store had promised when this process started.
        run: How an append is run here.
    """

    def __init__(self, me: bytes, began: int, run: Run) -> None:
        self._me = me
        self._began = began
        self._run = run
        self._taken: dict[tuple[bytes, int], _Taken] = {}

    async def serve(self, sender: bytes, message: Forward) -> Forwarded | None:
        """Run a forwarded append, or repeat the answer.

        Args:
            sender: Who forwards it, proven by the carrier.
            message: What came.

        Returns:
            The answer; ``None`` while an earlier copy still runs, which answers itself.
        """
        taken = self._of(sender, message.process)
        if message.request in taken.answers:
            outcome = taken.answers[message.request]
            return None if outcome is None else told(message.request, outcome)
        if message.again and not self._never_taken(taken, message):
            return told(
                message.request, Unknown("it may have been proposed before the proposer was restarted")
            )
        taken.answers[message.request] = None
        outcome = await self._run(message.command, min(message.timeout_ms / 1000, LONGEST))
        taken.answers[message.request] = outcome
        self._forget(taken)
        return told(message.request, outcome)

    def _never_taken(self, taken: _Taken, message: Forward) -> bool:
        """Whether this process would know it, had it been taken."""
        epoch = message.epoch
        mine = epoch.proposer == self._me and epoch.number > self._began
        return mine and message.request > taken.forgotten

    def _of(self, sender: bytes, process: int) -> _Taken:
        taken = self._taken.pop((sender, process), None) or _Taken()
        self._taken[(sender, process)] = taken
        while len(self._taken) > PROCESSES:
            self._taken.pop(next(iter(self._taken)))
        return taken

    def _forget(self, taken: _Taken) -> None:
        if len(taken.answers) <= 2 * KEPT:
            return
        done = [number for number, outcome in taken.answers.items() if outcome is not None]
        for number in done[: max(0, len(done) - KEPT)]:
            del taken.answers[number]
            taken.forgotten = max(taken.forgotten, number)


def told(request: int, outcome: Outcome) -> Forwarded:
    """The message that tells an outcome."""
    match outcome:
        case Certified(height, digest):
            return Forwarded(request, 0, "", "", height, digest, NO_DIGEST)
        case Refused(reason, text, proposer):
            return Forwarded(
                request, 1, reason.value, text[: MAX_TEXT // 4], -1, NO_DIGEST, proposer or NO_DIGEST
            )
        case Unknown(text, at):
            return Forwarded(
                request, 2, "", text[: MAX_TEXT // 4], -1 if at is None else at, NO_DIGEST, NO_DIGEST
            )


def heard(message: Forwarded) -> Outcome:
    """The outcome that a message tells; what cannot be read is unknown."""
    proposer = None if message.proposer == NO_DIGEST else message.proposer
    if message.kind == 0:
        return Certified(message.height, message.digest)
    if message.kind == 1 and message.reason in {reason.value for reason in Reason}:
        return Refused(Reason(message.reason), message.text, proposer)
    return Unknown(message.text, message.height if message.height >= 0 else None)
