"""Planted bugs: each breaks one invariant of the protocol, and the same harness must find it."""

from __future__ import annotations

from organismctl.committee.ledger.effects import Send
from collections.abc import Sequence

from organismctl.committee.ledger.entry import Entry, Epoch
from organismctl.committee.ledger.messages import Ack, Message
from organismctl.committee.ledger.protocol import Node
from organismctl.committee.ledger.candidacy import Stage
from organismctl.committee.ledger.roster import Roster


class NoPromise(Node):
    """A node accepts in an epoch below the one that it promised (I2)."""

    def _fenced(self, epoch: Epoch) -> bool:
        return False


class PromiseNotPersisted(Node):
    """A promise is forgotten in a crash (I1, I2)."""

    def _record_promise(self, epoch: Epoch) -> None:
        self.promised = epoch
        self._write()


class NoFsync(Node):
    """Acknowledgements leave before the disk has the entries (I1)."""

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
    """Acknowledgements of earlier epochs are counted: what a promise shows as accepted, too (I4)."""

    def _counts(self, message: Ack) -> bool:
        return self.stage is Stage.PROPOSE

    def _begin(self, tail):
        promises = dict(self.shown)
        super()._begin(tail)
        for name, digests in promises.items():
            peer = self.peers.get(name)
            if peer is None or self.stage is not Stage.PROPOSE:
                continue
            for height, digest in digests:
                if self.log.digest(height) == digest:
                    peer.match = max(peer.match, height)
        if self.stage is Stage.PROPOSE:
            self._advance()

    def _on_promise(self, sender, message):
        from organismctl.committee.ledger.entry import link

        if self.stage is Stage.PREPARE and message.epoch == self.promised:
            entries = link(message.certified_digest, message.certified + 1, message.tail, message.accepted)
            self.shown = getattr(self, "shown", {})
            self.shown[sender] = [(entry.height, entry.digest) for entry in entries]
        super()._on_promise(sender, message)

    def _prepare(self):
        self.shown = {}
        super()._prepare()


BUGS: dict[str, type[Node]] = {
    "no-promise": NoPromise,
    "promise-not-persisted": PromiseNotPersisted,
    "no-fsync": NoFsync,
    "old-roster-majority": OldRosterMajority,
    "adopt-by-height": AdoptByHeight,
    "acks-across-epochs": AcksAcrossEpochs,
}
