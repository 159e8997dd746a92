"""The acceptor's side: promises, adoption, acknowledgements (invariants I1 to I4 of :mod:`~.protocol`)."""

from __future__ import annotations

from collections.abc import Sequence

from organismctl.committee.ledger.effects import Origin
from organismctl.committee.ledger.entry import NO_DIGEST, Entry, Epoch, link
from organismctl.committee.ledger.fetching import Fetching
from organismctl.committee.ledger.messages import Ack, Adopt, Lag, Prepare, Promise, Propose, Reject
from organismctl.committee.ledger.roster import after
from organismctl.committee.ledger.wire import MalformedError


class Accepting(Fetching):
    """Answers proposers and candidates; every answer leaves after what it says is on disk."""

    # Promises.

    def _fenced(self, epoch: Epoch) -> bool:
        """Whether a promise forbids to accept in ``epoch``."""
        return epoch < self.promised

    def _record_promise(self, epoch: Epoch) -> None:
        self.promised = epoch
        self._write(promised=epoch)

    def _on_prepare(self, sender: bytes, message: Prepare) -> None:
        epoch = message.epoch
        self._see(epoch)
        if not self.votes or epoch.proposer != sender:
            return
        if self._fenced(epoch) or (epoch == self.promised == self.accepted):
            self._reject(sender, epoch)
            return
        if epoch > self.promised:
            self._retreat("a higher epoch was prepared")
            self._record_promise(epoch)
        self._heard(epoch)
        self._send_durable(sender, self._promise(epoch))

    def _promise(self, epoch: Epoch) -> Promise:
        """This node's answer to Prepare: what it has accepted below ``epoch``."""
        tail = self.log.commands(self.certified + 1, self.log.last)
        founder = self.origin is Origin.FOUNDER
        certified, digest = self.certified, self.certified_digest
        return Promise(epoch, self.incarnation, founder, self.accepted, certified, digest, tail)

    def _reject(self, sender: bytes, epoch: Epoch) -> None:
        self._send(sender, Reject(epoch, self.promised, self.certified, self.certified_digest))

    # Adoption.

    def _on_adopt(self, sender: bytes, message: Adopt) -> None:
        epoch = message.epoch
        self._see(epoch)
        if not self.votes or epoch.proposer != sender:
            return
        if self._fenced(epoch):
            self._reject(sender, epoch)
            return
        self._follow(epoch)
        if not self._reach(sender, message.base, message.base_digest):
            return
        if self.accepted == epoch:
            self._extend(sender, epoch, message.base, message.base_digest, message.commands)
            return
        entries = link(message.base_digest, message.base + 1, message.commands, epoch)
        if not self._continues_certified(message.base, entries):
            self._reject(sender, epoch)
            return
        self._adopt(epoch, [entry for entry in entries if entry.height > self.certified])
        if self.stopped is None:
            self._ack(sender)

    def _follow(self, epoch: Epoch) -> None:
        if epoch != self.promised:
            self._retreat("a higher epoch proposes")
        self._heard(epoch)

    def _reach(self, sender: bytes, base: int, digest: bytes) -> bool:
        """Be certified up to ``base``, which the proposer knows to be certified; else fetch what is missing."""
        if self._learn_certified(base, digest):
            return True
        if self.stopped is None:
            self._fetch(sender)
        return False

    def _continues_certified(self, base: int, entries: Sequence[Entry]) -> bool:
        """Whether a proposer's log agrees with what this node knows to be certified.

        This node may know more than a proposer that was deposed without hearing of it: then that proposer's
        entries may contradict certified ones. That is its lag, not a contradiction of certified entries.
        """
        if self.certified == base:
            return True
        index = self.certified - base - 1
        return index < len(entries) and entries[index].digest == self.certified_digest

    def _adopt(self, epoch: Epoch, tail: Sequence[Entry]) -> None:
        """Make the log exactly a prefix of the proposer's: one disk transaction (I3)."""
        if not self._possible(self.certified, tail):
            return
        self.log.truncate(self.certified)
        self.log.extend(tail)
        self._check_admission(self.log.rosters()[-1])
        if self.stopped is None:
            self.promised = self.accepted = epoch
            self._write(promised=epoch, accepted=epoch, truncate=self.certified, entries=tail)

    def _possible(self, below: int, entries: Sequence[Entry]) -> bool:
        """Whether every roster change among the entries can be applied; a proposer never sends others."""
        roster = self.log.roster(below)
        try:
            for entry in entries:
                roster = after(roster, entry.command) or roster
        except MalformedError as exc:
            self._halt(
                "contradiction", f"a proposer sent an entry that cannot be: {exc.message}", exc.advice or ""
            )
            return False
        return True

    # Acceptance within an epoch.

    def _on_propose(self, sender: bytes, message: Propose) -> None:
        epoch = message.epoch
        self._see(epoch)
        if epoch.proposer != sender:
            return
        if not self.votes:
            self._claim(sender, message.certified, message.certified_digest)
            return
        if self._fenced(epoch):
            self._reject(sender, epoch)
            return
        self._follow(epoch)
        if self.accepted == epoch:
            self._extend(sender, epoch, message.previous, message.previous_digest, message.commands)
        else:
            self._send(sender, Lag(epoch, False, self.certified))
        if self.stopped is None:
            self._claim(sender, message.certified, message.certified_digest)

    def _extend(
        self, sender: bytes, epoch: Epoch, previous: int, digest: bytes, commands: tuple[bytes, ...]
    ) -> None:
        """Add entries of the epoch in which the log was accepted, in order and without a gap."""
        mine = self.log.digest(previous)
        if mine is None:
            if previous > self.log.last:
                self._send(sender, Lag(epoch, True, self.log.last))
            else:  # older than what memory holds: nothing new can be in it
                self._ack(sender)
            return
        if mine != digest:
            self._reject(sender, epoch)
            return
        entries = link(digest, previous + 1, commands, epoch)
        same = self._matching(entries)
        fresh = entries[same:]
        if fresh and fresh[0].height <= self.log.last:
            self._reject(sender, epoch)  # certified entries of a later epoch stand there
            return
        if fresh:
            if not self._possible(self.log.last, fresh):
                return
            self.log.extend(fresh)
            self._check_admission(self.log.rosters()[-1])
            if self.stopped is not None:
                return
            self._write(entries=fresh)
        self._ack(sender)

    def _ack(self, sender: bytes) -> None:
        """Acknowledge the whole log, once it is on disk."""
        digest = self.log.digest(self.log.last) or NO_DIGEST
        self._send_durable(sender, Ack(self.accepted, self.log.last, digest))
