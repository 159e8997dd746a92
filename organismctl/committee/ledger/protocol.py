"""The certified ledger's protocol: one state machine a node, without I/O, clock or randomness of its own.

Inputs are messages, finished disk writes, ticks of the caller's clock and append requests; outputs are the values
of :mod:`organismctl.committee.ledger.effects`. A driver carries them out in order. What is promised, and shown by
the simulation under ``tests/committee/ledger/simulation``:

    S1  No two nodes certify different entries at one height, ever.
    S2  An append that was answered "certified" is never missing afterwards.
    S3  Every node folds the same entries: one digest at one height.
    S4  Once a majority of the roster runs and hears each other, the ledger goes on.

It rests on these invariants; the methods that keep them name them:

    I1  *Disk first.* A promise, an acknowledgement, an introduction leaves a node only after the write that it
        speaks of is on disk; a proposer counts its own log only as far as it is on disk.
    I2  *Epochs are unique and promised.* An epoch is (number, proposer), taken above all seen and written down
        before it is spoken. A node accepts nothing below the epoch that it promised.
    I3  *A log is a prefix of one proposer's log.* A node's log is always exactly a prefix of the log of the proposer
        of its ``accepted`` epoch (plus certified entries that it fetched). So adoption is one message and one disk
        transaction: drop everything uncertified, write the proposer's whole tail, set ``accepted``.
    I4  *Acknowledgements count within one epoch.* An entry is certified when a majority acknowledged, in the
        proposer's own epoch, a height at or above it.
    I5  *Adopt the tail with the greatest (accepted epoch, height)* among the promises, above the highest certified
        height among them, which the candidate first fetches.
    I6  *Rosters chain.* A change is one member in or out; it is proposed when everything before it, and one entry
        of the proposer's own epoch (its barrier), is certified; nothing new is proposed until it is certified; and
        that takes a majority of the old *and* of the new roster. A candidate needs a majority of the roster at
        its certified height and of every roster that the tail to be adopted reveals, until that is stable.
    I7  *Certified is for ever.* A certified entry is never replaced; a peer that certifies another one at its
        height stops the node. Uncertified entries that contradict certified ones are dropped.

Why it is enough. Say x is certified at height h in epoch e, and take the least later epoch e' whose proposer lacks x.
Its promises hold a majority M of each roster from its certified height on (I6). Each roster change below h, in
order, was certified by a majority of the roster before it, so M meets that majority, the change is in the adopted
tail (as for x below), and the roster after it has promised too; so M meets the majority that acknowledged x in e, in
a node that did so before it promised e' (I2). That node's ``accepted`` is at least e, so the tail adopted (I5) has an
accepted epoch a with e <= a < e'. If a > e, the proposer of a had x by the choice of e', and the tail, accepted
whole, starts with all that it adopted (I3). If a = e, the tail is the longest of that epoch among M, and one node of
M has at least h of it.

Why adoption is atomic (the tempting shortcut that is unsafe). Suppose the tail were re-proposed entry by entry,
each restamped with the new epoch as it arrives. A node that holds b1 b2 (accepted in epoch 1, and both certified)
takes the first one again under epoch 5 and then the proposer of 5 fails: is the node now "of epoch 5" with height 1, or
"of epoch 1" with height 2? Counted as the former with its old b2 still behind, it mixes two proposers' logs, and may
outrank, by (5, 2), another node's longer log of epoch 4 with a tail that epoch 5 never had. Counted as the former
with b2 cut off, a majority can lose b2 although it was certified, because (5, 1) beats the nodes that still have it at
(1, 2). Either way rank no longer says what a log contains. Replaced in one transaction, it does.

The counter-example that simpler schemes fail (it is a test): A and B certify 101; C, cut off, elects itself at a
higher term and writes nothing; on healing C leads and would overwrite 101. Here C's epoch is worth nothing without
promises of a majority, which hold 101 and an accepted epoch above C's.

Liveness: a node that hears a live proposer refuses to be canvassed, so that a flapping node cannot depose it; election
timeouts are drawn from the caller's generator; a proposer without a majority in sight steps down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from organismctl.committee.ledger.candidacy import Stage
from organismctl.committee.ledger.core import LedgerConfig, Role
from organismctl.committee.ledger.effects import DiskState, Effect, Stop
from organismctl.committee.ledger.entry import Epoch
from organismctl.committee.ledger.fetching import Report
from organismctl.committee.ledger.messages import (
    Ack,
    Adopt,
    Canvass,
    Canvassed,
    Entries,
    Fetch,
    Introduce,
    Introduced,
    Lag,
    Message,
    Prepare,
    Promise,
    Propose,
    Reject,
    TakeOver,
)
from organismctl.committee.ledger.proposing import Proposing, _Handover
from organismctl.committee.ledger.requests import Request
from organismctl.committee.ledger.roster import Roster


@dataclass(frozen=True, slots=True)
class Status:
    """What a node knows, at one moment.

    Attributes:
        role: What it is doing.
        epoch: The highest epoch that it promised.
        proposer: The proposer that it follows (or is), or would ask; ``None`` when it knows none.
        accepted: The epoch in which its log was accepted.
        height: The height of its log, certified or not.
        certified: The certified height; -1 before Genesis.
        digest: The digest there.
        durable: The height up to which certified entries are on its own disk.
        roster: The roster at the certified height.
        pending: The roster that is being decided, or ``None``.
        introduced: Whether a founder's introduction is over.
        handing_over: Whether it is stepping down.
        peers: What others reported: a proposer's members by acknowledgement, learners by request.
        heard: When each member was last heard in this node's own epoch; empty unless it proposes.
        stopped: Why it stopped, or ``None``.
    """

    role: Role
    epoch: Epoch
    proposer: bytes | None
    accepted: Epoch
    height: int
    certified: int
    digest: bytes
    durable: int
    roster: Roster
    pending: Roster | None
    introduced: bool
    handing_over: bool
    peers: Mapping[bytes, Report]
    heard: Mapping[bytes, float]
    stopped: Stop | None


class Node(Proposing):
    """One node of the ledger.

    Every method takes the caller's clock (seconds, monotonic within a run) and returns what is to be done. After a
    :class:`~.effects.Stop` every method returns nothing.
    """

    def __init__(self, config: LedgerConfig, disk: DiskState, rng: Random, now: float) -> None:
        super().__init__(config, disk, rng, now)
        self._handlers: dict[type[Any], Callable[[bytes, Any], None]] = {
            Propose: self._on_propose,
            Ack: self._on_ack,
            Adopt: self._on_adopt,
            Lag: self._on_lag,
            Entries: self._on_entries,
            Fetch: self._on_fetch,
            Canvass: self._on_canvass,
            Canvassed: self._on_canvassed,
            Prepare: self._on_prepare,
            Promise: self._on_promise,
            Reject: self._on_reject,
            TakeOver: self._on_take_over,
            Introduce: self._on_introduce,
            Introduced: self._on_introduced,
        }
        self._check_admission(self.log.rosters()[-1])

    def receive(self, now: float, sender: bytes, message: Message) -> list[Effect]:
        """A message arrived from ``sender``, whom the carrier authenticated."""
        self.now = now
        handler = self._handlers.get(type(message))
        if self.stopped is None and handler is not None and sender != self.me:
            handler(sender, message)
        return self._take()

    def written(self, now: float, token: int) -> list[Effect]:
        """Every write up to ``token`` is on disk."""
        self.now = now
        if self.stopped is None:
            self._written(token)
        return self._take()

    def tick(self, now: float) -> list[Effect]:
        """Time passed; call it a few times per heartbeat."""
        self.now = now
        if self.stopped is None:
            self._tick_introduction()
            self._tick_fetching()
            self._tick_candidacy()
            self._tick_proposing()
            self._tick_core()
        return self._take()

    def append(self, now: float, requests: Sequence[Request]) -> list[Effect]:
        """Append commands, in order; each gets exactly one :class:`~.effects.Resolve`, now or later.

        Many requests in one call share one disk write and one message. A roster change
        (:meth:`~.roster.RosterChange.command`) is a request like any other.
        """
        self.now = now
        self._enqueue(requests)
        return self._take()

    def step_down(self, now: float, to: bytes | None = None) -> list[Effect]:
        """Hand over to a caught-up member: stop proposing, finish the pipeline, invite it.

        Does nothing unless this node proposes and has another member to hand over to; a hand-over that is not done
        within ``config.handover`` is given up, and this node goes on proposing.

        Args:
            now: The caller's clock.
            to: The member to invite; by default the caught-up member heard last.

        Raises:
            ValueError: ``to`` is not another member of the roster.
        """
        self.now = now
        members = set(self.log.roster(self.certified).members) - {self.me}
        if to is not None and to not in members:
            raise ValueError("the proposer can only hand over to another member of the roster")
        if self.stage is Stage.PROPOSE and members and self._handover is None:
            self._handover = _Handover(to, now + self.config.handover)
            self._continue_handover()
        return self._take()

    def abandon(self, now: float, code: str, reason: str, advice: str) -> list[Effect]:
        """The driver cannot go on (its disk fails): stop for good, and answer every request."""
        self.now = now
        self._halt(code, reason, advice)
        return self._take()

    def status(self) -> Status:
        """What this node knows now."""
        rosters = self.log.rosters()
        current = self.log.roster(self.certified)
        heard = {name: peer.heard_at for name, peer in self.peers.items()}
        peers = dict(self.reports)
        for name, peer in self.peers.items():
            if peer.match >= 0:
                at = min(peer.match, self.certified)
                peers[name] = Report(at, self.log.digest(at) or b"", 0, peer.heard_at)
        return Status(
            role=self.role,
            epoch=self.promised,
            proposer=self.hint,
            accepted=self.accepted,
            height=self.log.last,
            certified=self.certified,
            digest=self.certified_digest,
            durable=self.notified,
            roster=current,
            pending=rosters[-1] if rosters[-1] is not current else None,
            introduced=self.introduced,
            handing_over=self._handover is not None,
            peers=peers,
            heard=heard,
            stopped=self.stopped,
        )
