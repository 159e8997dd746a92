"""How the outcome of an append travels back to the node that passed it on."""

from __future__ import annotations

from organismctl.committee.ledger.codec import MAX_TEXT
from organismctl.committee.ledger.effects import Certified, Outcome, Reason, Refused, Unknown
from organismctl.committee.ledger.entry import NO_DIGEST
from organismctl.committee.ledger.messages import Forwarded


def elsewhere(outcome: Outcome) -> bool:
    """Whether the append did not happen here, but may elsewhere or later."""
    return isinstance(outcome, Refused) and outcome.reason in (Reason.NOT_PROPOSER, Reason.HANDING_OVER)


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
