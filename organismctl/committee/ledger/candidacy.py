"""Becoming the proposer: canvass, prepare, choose the tail to adopt (invariants I2 and I5 of :mod:`~.protocol`)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from random import Random

from organismctl.committee.ledger.accepting import Accepting
from organismctl.committee.ledger.core import LedgerConfig, Role
from organismctl.committee.ledger.effects import DiskState
from organismctl.committee.ledger.entry import Entry, Epoch, link
from organismctl.committee.ledger.messages import (
    Canvass,
    Canvassed,
    Prepare,
    Promise,
    Reject,
    TakeOver,
)
from organismctl.committee.ledger.roster import FOUNDER, Roster, after
from organismctl.committee.ledger.wire import MalformedError


class Stage(StrEnum):
    """Where a node stands on its way to proposing."""

    IDLE = "idle"
    CANVASS = "canvass"
    PREPARE = "prepare"
    PROPOSE = "propose"


RELUCTANCE = 4.0
"""A node that rather would not lead waits this many times longer before it canvasses."""


class Candidacy(Accepting):
    """Canvasses when no proposer is heard; prepares when a majority would follow."""

    def __init__(self, config: LedgerConfig, disk: DiskState, rng: Random, now: float) -> None:
        super().__init__(config, disk, rng, now)
        self.stage = Stage.IDLE
        self.reluctant = False
        self._round = 0
        self._granted: set[bytes] = set()
        self._promises: dict[bytes, Promise] = {}
        self._ask_at = now
        self._election_at = now
        self._draw()

    # Hooks.

    def _begin(self, tail: Sequence[Entry]) -> None:
        """This node is the proposer of ``promised``, and adopts ``tail`` above the certified height."""

    def _in_sight(self) -> bool:
        """Whether this node, as the proposer, hears a majority."""
        return False

    # State.

    @property
    def role(self) -> Role:
        """What this node is doing."""
        if self.stopped is not None:
            return Role.STOPPED
        if self.stage is Stage.PROPOSE:
            return Role.PROPOSER
        if self.me not in self.log.roster(self.certified).members:
            return Role.LEARNER
        return Role.ACCEPTOR if self.stage is Stage.IDLE else Role.CANDIDATE

    def _draw(self) -> None:
        wait = self.config.election * (1.0 + self.rng.random())
        self._election_at = self.now + wait * (RELUCTANCE if self.reluctant else 1.0)

    def _heard(self, epoch: Epoch) -> None:
        super()._heard(epoch)
        if self.stage is Stage.CANVASS:
            self.stage = Stage.IDLE
        self._draw()

    def _retreat(self, why: str) -> None:  # noqa: ARG002 (the proposing layer tells it to its callers)
        if self.stage is not Stage.IDLE:
            self.stage = Stage.IDLE
            self._promises.clear()
            self._draw()

    def _tick_candidacy(self) -> None:
        if self.stage is Stage.PROPOSE or not self.votes:
            return
        if self.now >= self._election_at:
            if self._on_roster():
                self._canvass()
            else:
                self.stage = Stage.IDLE
                self._draw()
        elif self.stage is Stage.PREPARE and self.now >= self._ask_at:
            self._evaluate()
            self._ask()

    # Canvassing: a node that is cut off, or flaps, never raises an epoch that would depose a healthy proposer.

    def _canvass(self) -> None:
        self.stage = Stage.CANVASS
        # Nothing was heard of it for a whole election's time: what is asked here is not passed on into the void.
        self.hint = None
        self._promises.clear()
        self._round += 1
        self._granted = {self.me}
        self._draw()
        for peer in sorted(self._voters()):
            self._send(peer, Canvass(self._round, self.certified, self.certified_digest))
        self._count_canvass()

    def _on_canvass(self, sender: bytes, message: Canvass) -> None:
        if self.stage is Stage.PROPOSE:
            live = self._in_sight()
        else:
            live = self.proposer is not None and self.now - self.heard_at < self.config.election
        near = message.certified + self.config.window >= self.certified
        known = sender in self._voters() or message.certified > self.certified
        granted = self.votes and not live and near and known
        reply = Canvassed(message.round, granted, self.promised, self.certified, self.certified_digest)
        self._send(sender, reply)
        self._claim(sender, message.certified, message.certified_digest)

    def _on_canvassed(self, sender: bytes, message: Canvassed) -> None:
        self._see(message.promised)
        self._claim(sender, message.certified, message.certified_digest)
        if self.stage is Stage.CANVASS and message.round == self._round and message.granted:
            self._granted.add(sender)
            self._count_canvass()

    def _count_canvass(self) -> None:
        if all(roster.has_quorum(self._granted) for roster in self.log.rosters()):
            self._prepare()

    # Preparing.

    def _prepare(self) -> None:
        """Take an epoch above every one seen; it is on disk before anybody hears of it, so it is never reused."""
        self.stage = Stage.PREPARE
        self._promises.clear()
        self.seen = max(self.seen, self.promised.number) + 1
        self._record_promise(Epoch(self.seen, self.me))
        self.proposer = self.hint = None
        self._election_at = self.now + 2 * self.config.election
        self._evaluate()
        self._ask()

    def _ask(self) -> None:
        self._ask_at = self.now + self.config.resend
        for peer in sorted(self._asked_peers() - set(self._promises)):
            self._send_durable(peer, Prepare(self.promised))

    def _asked_peers(self) -> set[bytes]:
        """The members of every roster that may have to promise."""
        peers = self._voters()
        for roster in self._rosters_in_play():
            peers.update(roster.members)
        peers.discard(self.me)
        return peers if self.stage is Stage.PREPARE else set()

    def _on_promise(self, sender: bytes, message: Promise) -> None:
        if self.stage is not Stage.PREPARE or message.epoch != self.promised:
            return
        self._promises[sender] = message
        self._claim(sender, message.certified, message.certified_digest)
        if self.stopped is None:
            self._evaluate()

    def _on_reject(self, sender: bytes, message: Reject) -> None:
        self._see(message.promised)
        if message.epoch == self.promised and message.promised > self.promised:
            self._retreat("a higher epoch was promised elsewhere")
        self._claim(sender, message.certified, message.certified_digest)

    def _certified_moved(self, old: int) -> None:
        super()._certified_moved(old)
        if self.stage is Stage.PREPARE and self.stopped is None:
            self._evaluate()

    # Choosing.

    def _rank(self, accepted: Epoch, last: int) -> tuple[object, ...]:
        """What makes one tail the one to adopt: the epoch in which it was accepted, then its height (I5)."""
        return (accepted, last)

    def _best(self) -> Promise | None:
        """The promise whose tail is to be adopted; ``None`` for this node's own."""
        best, rank = None, self._rank(self.accepted, self.log.last)
        for _, promise in sorted(self._promises.items()):
            theirs = self._rank(promise.accepted, promise.certified + len(promise.tail))
            if theirs > rank:
                best, rank = promise, theirs
        return best

    def _tail(self, best: Promise | None) -> list[Entry] | None:
        """The entries to adopt above this node's certified height; ``None`` when they do not hold what is certified."""
        if best is None:
            return list(self.log.span(self.certified + 1, self.log.last))
        entries = link(best.certified_digest, best.certified + 1, best.tail, best.accepted)
        skip = self.certified - best.certified
        if skip > len(entries) or skip < 0:
            return None
        if skip and entries[skip - 1].digest != self.certified_digest:
            return None
        return entries[skip:]

    def _required(self, tail: Sequence[Entry]) -> list[Roster]:
        """The roster at the certified height, and every one that the tail reveals.

        Raises:
            MalformedError: The tail holds a roster change that cannot be.
        """
        rosters = [self.log.roster(self.certified)]
        for entry in tail:
            changed = after(rosters[-1], entry.command)
            if changed is not None:
                rosters.append(changed)
        return rosters

    def _rosters_in_play(self) -> list[Roster]:
        tail = self._tail(self._best())
        try:
            return self._required(tail or ())
        except MalformedError:
            return self._required(())

    def _supporters(self, roster: Roster) -> set[bytes]:
        """Who has promised with the store that the roster admitted."""
        supporters = {self.me}
        for peer, promise in self._promises.items():
            admitted = roster.members.get(peer)
            if (admitted == FOUNDER and promise.founder) or admitted == promise.incarnation:
                supporters.add(peer)
        return supporters

    def _evaluate(self) -> None:
        """Become the proposer when the promises suffice; else catch up, or ask the rosters that came to light."""
        if self.stage is not Stage.PREPARE:
            return
        base = max([promise.certified for promise in self._promises.values()], default=self.certified)
        if base > self.certified:
            ahead = max(sorted(self._promises), key=lambda peer: self._promises[peer].certified)
            self._fetch(ahead)
            return
        rosters = [self.log.roster(self.certified)]
        if not rosters[0].has_quorum(self._supporters(rosters[0])):
            return
        tail = self._tail(self._best())
        if tail is None:
            # What was certified below our epoch is in the best of a majority's tails (see the proof). What is not there
            # was certified above it, and came while we prepared: no contradiction, but the end of this candidacy.
            self._retreat("a later epoch certifies")
            return
        try:
            rosters = self._required(tail)
        except MalformedError as exc:
            self._halt(
                "contradiction", f"a promise holds an entry that cannot be: {exc.message}", exc.advice or ""
            )
            return
        if all(roster.has_quorum(self._supporters(roster)) for roster in rosters):
            self._promises.clear()
            self.stage = Stage.PROPOSE
            self._begin(tail)
        elif self._asked_peers() - set(self._promises) and self._ask_at > self.now:
            self._ask_revealed(rosters)

    def _ask_revealed(self, rosters: Sequence[Roster]) -> None:
        """Prepare at members whom only the tail names; everybody else was asked already."""
        known = self._voters() | {self.me}
        for peer in sorted(
            {peer for roster in rosters for peer in roster.members} - known - set(self._promises)
        ):
            self._send_durable(peer, Prepare(self.promised))

    # Invitation.

    def _on_take_over(self, sender: bytes, message: TakeOver) -> None:
        """The proposer hands over: nothing to canvass, for it has stopped by itself."""
        epoch = message.epoch
        current = epoch.proposer == sender and epoch == self.accepted == self.promised
        if not current or not self.votes or not self._on_roster() or self.stage is not Stage.IDLE:
            return
        if self.log.last == message.height and self.log.digest(message.height) == message.digest:
            self._prepare()
