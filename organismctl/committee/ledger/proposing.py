"""The proposer: its pipeline, what counts as certified, roster changes, hand-over (invariants I4, I6, I7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from organismctl.committee.ledger.candidacy import Candidacy, Stage
from organismctl.committee.ledger.core import LedgerConfig
from organismctl.committee.ledger.effects import DiskState, Reason
from organismctl.committee.ledger.entry import BARRIER, NO_DIGEST, NO_EPOCH, Entry, Kind, link
from organismctl.committee.ledger.messages import Ack, Adopt, Lag, Propose, TakeOver
from organismctl.committee.ledger.requests import Request, Requests
from organismctl.committee.ledger.roster import Action, Roster, RosterChange
from organismctl.committee.ledger.wire import MalformedError


@dataclass(slots=True)
class Peer:
    """What a proposer knows of one other node, within its epoch.

    Attributes:
        match: The height that it acknowledged in this epoch; -1 before the first.
        next: The next height to send.
        adopted: Whether it has adopted this epoch's log.
        heard_at: When it last answered in this epoch.
        sent_at: When it was last sent anything.
        adopt_at: When Adopt was last sent.
        progress_at: When ``match`` last rose.
        told: The certified height that it was told.
    """

    match: int
    next: int
    adopted: bool
    heard_at: float
    sent_at: float
    adopt_at: float
    progress_at: float
    told: int = -1


@dataclass(frozen=True, slots=True)
class _Handover:
    to: bytes | None
    until: float


class Proposing(Candidacy):
    """Proposes in its own epoch, and counts acknowledgements of that epoch alone."""

    def __init__(self, config: LedgerConfig, disk: DiskState, rng: Random, now: float) -> None:
        super().__init__(config, disk, rng, now)
        self.requests = Requests()
        self.peers: dict[bytes, Peer] = {}
        self.epoch = NO_EPOCH
        self._barrier = -1
        self._queue: deque[Request] = deque()
        self._handover: _Handover | None = None

    # The epoch's start and end.

    def _begin(self, tail: Sequence[Entry]) -> None:
        epoch = self.epoch = self.accepted = self.promised
        self._heard(epoch)
        entries = [entry._replace(epoch=epoch) for entry in tail]
        below = entries[-1].digest if entries else self.certified_digest
        self._barrier = self.certified + len(entries) + 1
        entries += link(below, self._barrier, (BARRIER,), epoch)
        self.log.truncate(self.certified)
        self.log.extend(entries)
        self._write(accepted=epoch, truncate=self.certified, entries=entries)
        self.peers.clear()
        self._handover = None
        self._meet()
        self._advance()

    def _meet(self) -> None:
        """Address every voter; a new one gets Adopt."""
        for name in sorted(self._voters() - set(self.peers)):
            peer = Peer(-1, self.log.last + 1, False, self.now, self.now, self.now, self.now)
            self.peers[name] = peer
            self._send_adopt(name, peer)

    def _send_adopt(self, name: bytes, peer: Peer) -> None:
        peer.sent_at = peer.adopt_at = self.now
        peer.next = self.log.last + 1
        commands = self.log.commands(self.certified + 1, self.log.last)
        self._send(name, Adopt(self.epoch, self.certified, self.certified_digest, commands))

    def _retreat(self, why: str) -> None:
        if self.stage is Stage.PROPOSE:
            self.peers.clear()
            self._handover = None
            if self.proposer == self.epoch:
                self.proposer = self.hint = None
            queue, self._queue = self._queue, deque()
            for request in queue:
                self._out.append(request.refused(Reason.NOT_PROPOSER, f"this node no longer proposes: {why}"))
        super()._retreat(why)
        if self.stopped is not None:
            self._out.extend(self.requests.give_up("this node has stopped"))

    def _outdone(self) -> None:
        if self.stage is Stage.PROPOSE:
            self._retreat("a later epoch certifies")

    def _yield_to_certified(self) -> None:
        if self.stage is Stage.PROPOSE:
            self._retreat("a later epoch certifies")

    # Acknowledgements.

    def _counts(self, message: Ack) -> bool:
        """Only what was accepted in this very epoch is counted (I4)."""
        return self.stage is Stage.PROPOSE and message.epoch == self.epoch

    def _on_ack(self, sender: bytes, message: Ack) -> None:
        peer = self.peers.get(sender)
        if peer is None or not self._counts(message):
            return
        peer.heard_at = self.now
        mine = self.log.digest(message.height)
        if mine is not None and mine != message.digest:
            return
        if message.height > self.log.last:
            return
        peer.adopted = True
        if message.height > peer.match:
            peer.match, peer.progress_at = message.height, self.now
            peer.next = max(peer.next, peer.match + 1)
            self._advance()
        if self.stage is Stage.PROPOSE:
            self._pump(sender, peer)

    def _on_lag(self, sender: bytes, message: Lag) -> None:
        peer = self.peers.get(sender)
        if peer is None or self.stage is not Stage.PROPOSE or message.epoch != self.epoch:
            return
        peer.heard_at = self.now
        if not message.adopted:
            if self.now - peer.adopt_at >= self.config.heartbeat / 2:
                self._send_adopt(sender, peer)
            return
        peer.adopted = True
        peer.next = min(peer.next, message.height + 1)
        self._pump(sender, peer)

    def _durable_moved(self) -> None:
        super()._durable_moved()
        if self.stage is Stage.PROPOSE:
            self._advance()

    def _reached(self, roster: Roster) -> int:
        """The height that a majority of ``roster`` has on disk in this epoch."""
        heights = []
        for name in roster.members:
            peer = self.peers.get(name)
            heights.append(self.durable if name == self.me else peer.match if peer else -1)
        heights.sort(reverse=True)
        return heights[roster.majority - 1] if len(heights) >= roster.majority else -1

    def _reached_change(self, old: Roster, new: Roster) -> int:
        """The height up to which a roster change counts: a majority of the old *and* of the new roster (I6)."""
        return min(self._reached(old), self._reached(new))

    def _advance(self) -> None:
        """Certify as far as the acknowledgements go, each entry by the roster that governs it."""
        height = self.certified
        while height < self.log.last:
            roster = self.log.roster(height)
            change = self.log.next_change(height)
            top = self._reached(roster)
            if change is None or top < change:
                height = max(height, min(top, self.log.last if change is None else change - 1))
                break
            if self._reached_change(roster, self.log.roster(change)) < change:
                height = max(height, change - 1)
                break
            height = change
        if height > self.certified:
            self._certify(height)

    def _certified_moved(self, old: int) -> None:
        super()._certified_moved(old)
        self._out.extend(self.requests.certified(self.log, old, self.certified))
        if self.stage is not Stage.PROPOSE:
            return
        if self.me not in self.log.roster(self.certified).members:
            self._leave()
            return
        self._drain_queue()
        self._continue_handover()

    # Sending.

    def _pump(self, name: bytes, peer: Peer) -> None:
        """Send what a peer does not have yet, in order, as far as the pipeline allows."""
        config = self.config
        while peer.adopted and peer.next <= self.log.last and peer.next - peer.match <= 2 * config.window:
            if peer.next < self.log.first or self.log.digest(peer.next - 1) is None:
                if self.now - peer.adopt_at >= config.heartbeat / 2:
                    self._send_adopt(name, peer)  # it fetches what is below
                return
            commands = self._fitting(peer.next, self.log.last)
            self._speak(name, peer, commands)
            peer.next += len(commands)

    def _speak(self, name: bytes, peer: Peer, commands: tuple[bytes, ...]) -> None:
        previous = peer.next - 1
        digest = self.log.digest(previous)
        if digest is None:
            previous, digest = self.certified, self.certified_digest
        peer.sent_at, peer.told = self.now, self.certified
        told = (self.certified, self.certified_digest)
        self._send(name, Propose(self.epoch, previous, digest, commands, *told))

    def _tick_proposing(self) -> None:
        self._out.extend(self.requests.expired(self.now))
        while self._queue and self._queue[0].deadline <= self.now:
            late = self._queue.popleft()
            self._out.append(
                late.refused(Reason.NO_MAJORITY, "no majority certified what stands before it in time")
            )
        if self.stage is not Stage.PROPOSE:
            return
        if not self._in_sight():
            self._retreat("less than a majority is in sight")
            return
        self.heard_at = self.now
        self._meet()
        for name, peer in self.peers.items():
            if peer.adopted and peer.match < peer.next - 1 and self._overdue(peer):
                peer.progress_at = self.now
                peer.next = peer.match + 1
                self._pump(name, peer)
            elif peer.told < self.certified or self.now - peer.sent_at >= self.config.heartbeat:
                self._speak(name, peer, ())
        self._drain_queue()
        self._continue_handover()

    def _overdue(self, peer: Peer) -> bool:
        return self.now - max(peer.progress_at, peer.sent_at - self.config.heartbeat) >= self.config.resend

    def _in_sight(self) -> bool:
        since = self.now - self.config.majority
        seen = {name for name, peer in self.peers.items() if peer.heard_at >= since} | {self.me}
        return all(roster.has_quorum(seen) for roster in self.log.rosters())

    # Appends.

    def _enqueue(self, requests: Sequence[Request]) -> None:
        for request in requests:
            refusal = self._refusal(request)
            if refusal is not None:
                self._out.append(request.refused(*refusal))
            else:
                self._queue.append(request)
        if self.stage is Stage.PROPOSE:
            self._drain_queue()

    def _refusal(self, request: Request) -> tuple[Reason, str, bytes | None] | None:
        """Why a request is not even queued, or ``None``."""
        if self.stopped is not None:
            return Reason.STOPPED, "this node has stopped", None
        if not request.command or request.command[0] not in (Kind.APPLICATION, Kind.ROSTER):
            return Reason.INVALID, "only application and roster commands can be appended", None
        if len(request.command) > self.config.max_command:
            return Reason.INVALID, f"the command is longer than {self.config.max_command} bytes", None
        if self.stage is not Stage.PROPOSE:
            return Reason.NOT_PROPOSER, "this node does not propose", self.hint
        if self._handover is not None:
            return Reason.HANDING_OVER, "the proposer is handing over", self._handover.to
        if not self._in_sight():
            return Reason.NO_MAJORITY, "less than a majority of the roster is in sight", None
        if len(self._queue) >= self.config.queue:
            return Reason.BUSY, "too many appends are waiting", None
        return None

    def _drain_queue(self) -> None:
        """Propose what the window allows; a roster change goes alone, and blocks until it is certified (I6)."""
        if (
            self.stage is not Stage.PROPOSE
            or not self._queue
            or self.log.next_change(self.certified) is not None
        ):
            return
        if self._queue[0].command[0] == Kind.ROSTER:
            if self.certified == self.log.last and self.certified >= self._barrier:
                self._propose_change(self._queue.popleft())
            return
        room = self.config.window - (self.log.last - self.certified)
        size = self.config.window_bytes - sum(
            len(e.command) for e in self.log.span(self.certified + 1, self.log.last)
        )
        batch: list[Request] = []
        while self._queue and len(batch) < room and self._queue[0].command[0] == Kind.APPLICATION:
            size -= len(self._queue[0].command)
            if size < 0 and (batch or self.log.last > self.certified):
                break
            batch.append(self._queue.popleft())
        if batch:
            self._extend_log(batch)

    def _extend_log(self, batch: Sequence[Request]) -> None:
        below = self.log.digest(self.log.last) or NO_DIGEST
        entries = link(below, self.log.last + 1, tuple([r.command for r in batch]), self.epoch)
        self.log.extend(entries)
        for request, entry in zip(batch, entries, strict=True):
            self.requests.proposed(request, entry)
        self._write(entries=entries)
        for name, peer in self.peers.items():
            self._pump(name, peer)

    def _propose_change(self, request: Request) -> None:
        try:
            change = self._admissible(RosterChange.parse(request.command))
            self.log.roster(self.certified).apply(change)
        except (ValueError, MalformedError) as exc:
            self._out.append(request.refused(Reason.INVALID, f"the roster cannot change so: {exc}"))
            self._drain_queue()
            return
        self._extend_log([Request(request.id, change.command(), request.deadline)])
        self._meet()

    def _admissible(self, change: RosterChange) -> RosterChange:
        """The change with the incarnation of the store that is admitted."""
        if change.action is Action.REMOVE:
            return change
        report = self.reports.get(change.peer)
        if report is None or self.now - report.at > self.config.majority:
            raise ValueError("the new member has not reported to this node as a learner of late")
        if change.incarnation not in (0, report.incarnation):
            raise ValueError("the new member reported with another store")
        if report.certified + self.config.window < self.certified:
            raise ValueError(
                f"the new member is {self.certified - report.certified} entries behind; let it catch up"
            )
        return RosterChange(Action.ADD, change.peer, report.incarnation)

    # Hand-over.

    def _continue_handover(self) -> None:
        """Invite a successor once everything proposed is certified and the successor has it on disk."""
        handover = self._handover
        if handover is None or self.stage is not Stage.PROPOSE:
            return
        if self.now >= handover.until:
            self._handover = None
            return
        if self._queue or self.certified < self.log.last:
            return
        heir = self._heir(handover.to)
        if heir is not None:
            self._invite(heir)

    def _heir(self, wished: bytes | None) -> bytes | None:
        members = self.log.roster(self.certified).members
        ready = [n for n, p in self.peers.items() if n in members and p.match >= self.log.last]
        if wished is not None:
            return wished if wished in ready else None
        return max(ready, key=lambda name: (self.peers[name].heard_at, name), default=None)

    def _invite(self, heir: bytes) -> None:
        self._speak(heir, self.peers[heir], ())
        self._send(heir, TakeOver(self.epoch, self.log.last, self.log.digest(self.log.last) or NO_DIGEST))
        self._retreat("it handed over")
        self.hint = heir
        self._election_at = self.now + 3 * self.config.election

    def _leave(self) -> None:
        """This node's own removal is certified: say so to everybody, and make room."""
        for name, peer in self.peers.items():
            self._speak(name, peer, ())
        heir = self._heir(None)
        if heir is not None:
            self._invite(heir)
        else:
            self._retreat("it was removed from the roster")
