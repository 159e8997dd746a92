"""Planted bugs: each breaks one invariant of the protocol, and the same harness must find it."""

from __future__ import annotations

from collections.abc import Sequence

from organismctl.committee.ledger.candidacy import Stage
from organismctl.committee.ledger.effects import Send
from organismctl.committee.ledger.entry import Entry, Epoch, link
from organismctl.committee.ledger.messages import Ack, Message, Promise
from organismctl.committee.ledger.protocol import Node
from organismctl.committee.ledger.roster import Roster


class PromiseUnchecked(Node):
    """A node accepts in an epoch below the one that it promised (I2)."""

    def _fenced(self, epoch: Epoch) -> bool:
        return False


class PromiseNotPersisted(Node):
    """A promise is forgotten in a crash (I1, I2)."""

    def _record_promise(self, epoch: Epoch) -> None:
        self.promised = epoch
        self._write()


class NoFsync(Node):
    """Promises and acknowledgements leave before the disk has what they speak of (I1)."""

    def _send_durable(self, to: bytes, message: Message) -> None:
        self._out.append(Send(to, message))


class OldRosterMajority(Node):
    """A proposer goes on counting the majority of the roster with which its epoch began (I6).

    Counting only the *single* change by the old roster's majority would be no bug that anybody can see: majorities
    of two rosters that differ by one member always meet, and a second change waits until the first is certified.
    """

    def _begin(self, tail: Sequence[Entry]) -> None:
        self.first_roster = self.log.roster(self.certified)
        super()._begin(tail)

    def _reached(self, roster: Roster) -> int:
        return super()._reached(self.first_roster)


class AdoptByHeight(Node):
    """The longest tail is adopted, whatever its epoch (I5)."""

    def _rank(self, accepted: Epoch, last: int) -> tuple[object, ...]:
        return (last, accepted)


class AcksAcrossEpochs(Node):
    """What a node accepted in an earlier epoch, as its promise shows, counts as acknowledged in this one (I4)."""

    def _prepare(self) -> None:
        self.shown: dict[bytes, list[Entry]] = {}
        super()._prepare()

    def _on_promise(self, sender: bytes, message: Promise) -> None:
        if self.stage is Stage.PREPARE and message.epoch == self.promised:
            start = message.certified + 1
            self.shown[sender] = link(message.certified_digest, start, message.tail, message.accepted)
        super()._on_promise(sender, message)

    def _counts(self, message: Ack) -> bool:
        return self.stage is Stage.PROPOSE

    def _begin(self, tail: Sequence[Entry]) -> None:
        shown = self.shown
        super()._begin(tail)
        for name, entries in shown.items():
            peer = self.peers.get(name)
            for entry in entries if peer is not None else ():
                if self.log.digest(entry.height) == entry.digest:
                    peer.match = max(peer.match, entry.height)
        if self.stage is Stage.PROPOSE:
            self._advance()


BUGS: dict[str, type[Node]] = {
    "promise-unchecked": PromiseUnchecked,
    "promise-not-persisted": PromiseNotPersisted,
    "no-fsync": NoFsync,
    "old-roster-majority": OldRosterMajority,
    "adopt-by-height": AdoptByHeight,
    "acks-across-epochs": AcksAcrossEpochs,
}
