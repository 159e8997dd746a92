"""The lowest layer of a node: its persisted variables, its writes, and how far it is certified.

Layers stand on each other (``core`` → ``fetching`` → ``accepting`` → ``candidacy`` → ``proposing`` → ``protocol``)
and one node is one object; a layer calls only itself and what is below it, and hooks are declared here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from organismctl.committee.ledger.effects import (
    Advanced,
    DiskState,
    Effect,
    Origin,
    Send,
    Stop,
    Write,
)
from organismctl.committee.ledger.entry import NO_DIGEST, Entry, Epoch
from organismctl.committee.ledger.log import Log
from organismctl.committee.ledger.messages import Message
from organismctl.committee.ledger.roster import FOUNDER, Roster


class Role(StrEnum):
    """What a node is doing."""

    LEARNER = "learner"
    ACCEPTOR = "acceptor"
    CANDIDATE = "candidate"
    PROPOSER = "proposer"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class LedgerConfig:
    """What a node is told; times in seconds of the caller's clock, sizes in bytes.

    Attributes:
        me: This node's peer id, 32 bytes.
        seeds: Peers that a learner without a roster asks.
        genesis: The expected digest at height 0, or ``None`` to take the first one seen.
        heartbeat: A proposer speaks at least this often; a learner asks this often.
        election: A node that hears no proposer for 1 to 2 times this long (drawn) canvasses.
        majority: A proposer that hears less than a majority for this long steps down and refuses appends.
        resend: What is not acknowledged for this long is sent again.
        handover: A hand-over that takes longer is given up.
        window: At most this many uncertified entries, and ``window_bytes`` of commands.
        window_bytes: See ``window``.
        batch: At most this many entries, and ``batch_bytes`` of commands, in one message.
        batch_bytes: See ``batch``.
        queue: At most this many appends wait for the window.
        max_command: The longest command.
        keep: At least this many certified entries stay in memory, to help peers that are a little behind.
        keep_bytes: But not more than this.
    """

    me: bytes
    seeds: tuple[bytes, ...] = ()
    genesis: bytes | None = None
    heartbeat: float = 0.1
    election: float = 1.0
    majority: float = 2.0
    resend: float = 0.4
    handover: float = 5.0
    window: int = 1024
    window_bytes: int = 4 << 20
    batch: int = 512
    batch_bytes: int = 1 << 20
    queue: int = 8192
    max_command: int = 1 << 20
    keep: int = 1024
    keep_bytes: int = 4 << 20


@dataclass(slots=True)
class _Underway:
    """A write that is not on disk yet.

    Attributes:
        token: Its token.
        upto: The height up to which memory and disk agree once it is done.
        sends: What may be said then, and not before.
    """

    token: int
    upto: int
    sends: list[Send] = field(default_factory=list)


class Core:
    """Variables, writes, certification. See the module's and :mod:`~.protocol`'s docstrings."""

    def __init__(self, config: LedgerConfig, disk: DiskState, rng: Random, now: float) -> None:
        self.config = config
        self.rng = rng
        self.now = now
        self.incarnation = disk.incarnation
        self.origin = disk.origin
        self.introduced = disk.introduced
        self.incarnations = dict(disk.incarnations)
        self.promised = disk.promised
        self.accepted = disk.accepted
        self.certified = disk.certified
        self.log = Log(disk)
        self.durable = self.log.last
        self.notified = disk.certified
        self.stopped: Stop | None = None
        self.seen = max(disk.promised.number, disk.accepted.number)
        self.proposer: Epoch | None = None
        self.hint: bytes | None = None
        self.heard_at = now
        self._certified_on_disk = disk.certified
        self._certified_at = now
        self._token = 0
        self._underway: deque[_Underway] = deque()
        self._out: list[Effect] = []

    # Hooks that upper layers fill in.

    def _retreat(self, why: str) -> None:
        """Stop being a proposer or candidate, if this node is one."""

    def _certified_moved(self, old: int) -> None:
        """The certified height went up from ``old``."""

    def _durable_moved(self) -> None:
        """More is on disk."""

    # Small helpers.

    @property
    def me(self) -> bytes:
        """This node's peer id."""
        return self.config.me

    @property
    def votes(self) -> bool:
        """Whether this node may promise and acknowledge: a founder only once it was introduced."""
        return self.introduced and self.stopped is None

    @property
    def certified_digest(self) -> bytes:
        """The digest at the certified height."""
        return self.log.digest(self.certified) or NO_DIGEST

    def _take(self) -> list[Effect]:
        out, self._out = self._out, []
        return out

    def _see(self, epoch: Epoch) -> None:
        self.seen = max(self.seen, epoch.number)

    def _heard(self, epoch: Epoch) -> None:
        """A proposer that this node has not promised to ignore is alive."""
        self.proposer, self.hint = epoch, epoch.proposer
        self.heard_at = self.now

    def _voters(self) -> set[bytes]:
        """Every peer that some roster still in play names, without this node."""
        peers = {peer for roster in self.log.rosters() for peer in roster.members}
        peers.discard(self.me)
        return peers

    def _on_roster(self) -> bool:
        """Whether the newest roster in the log, certified or not, names this node."""
        return self.me in self.log.rosters()[-1].members

    # Sending and writing.

    def _send(self, to: bytes, message: Message) -> None:
        self._out.append(Send(to, message))

    def _send_durable(self, to: bytes, message: Message) -> None:
        """Send once everything written so far is on disk (I1)."""
        if self._underway:
            self._underway[-1].sends.append(Send(to, message))
        else:
            self._send(to, message)

    def _write(
        self,
        *,
        promised: Epoch | None = None,
        accepted: Epoch | None = None,
        truncate: int | None = None,
        entries: Sequence[Entry] = (),
        introduced: bool = False,
        incarnations: tuple[tuple[bytes, int], ...] = (),
    ) -> None:
        """Ask for one disk transaction; memory has changed already, and ``certified`` rides along."""
        certified = self.certified if self.certified > self._certified_on_disk else None
        self._certified_on_disk = self.certified
        if truncate is not None:
            self.durable = min(self.durable, truncate)
            for write in self._underway:
                write.upto = min(write.upto, truncate)
        self._token += 1
        self._underway.append(_Underway(self._token, self.log.last))
        self._out.append(
            Write(
                self._token,
                promised,
                accepted,
                truncate,
                tuple(entries),
                certified,
                introduced,
                incarnations,
            )
        )

    def _written(self, token: int) -> None:
        durable = self.durable
        while self._underway and self._underway[0].token <= token:
            write = self._underway.popleft()
            durable = max(durable, write.upto)
            self._out.extend(write.sends)
        if durable > self.durable:
            self.durable = durable
            self._durable_moved()
        self._notify()

    def _notify(self) -> None:
        height = min(self.certified, self.durable)
        if height > self.notified:
            self.notified = height
            digest = self.log.digest(height)
            self._out.append(Advanced(height, digest or NO_DIGEST))

    # Certification.

    def _certify(self, height: int) -> None:
        """Everything in the log up to ``height`` is certified."""
        old, self.certified = self.certified, height
        self._certified_at = self.now
        self._certified_moved(old)
        self._notify()
        self.log.trim(min(height, self.durable), self.config.keep, self.config.keep_bytes)

    def _learn_certified(self, height: int, digest: bytes) -> bool:
        """A peer says that the ledger is certified up to ``height`` with ``digest``.

        Returns:
            Whether this node holds that entry. Not holding it is no fault: it is fetched, or comes with Adopt.
        """
        mine = self.log.digest(height)
        if height <= self.certified:
            if mine is not None and mine != digest:
                self._contradiction(height)
                return False
            return True
        if mine != digest:
            return False
        self._certify(height)
        return True

    def _contradiction(self, height: int) -> None:
        self._halt(
            "contradiction",
            f"a peer certifies another entry at height {height} than this node",
            "keep every node's data; `organismctl check committee` shows who differs: `runbook run ledger-diverged`",
        )

    def _halt(self, code: str, reason: str, advice: str) -> None:
        if self.stopped is None:
            self.stopped = Stop(code, reason, advice)
            self._retreat("it has stopped")
            self._out.append(self.stopped)

    def _check_admission(self, roster: Roster) -> None:
        """A store that is not the one which the roster admitted has forgotten what it promised."""
        admitted = roster.members.get(self.me)
        if admitted is None:
            return
        mine = FOUNDER if self.origin is Origin.FOUNDER else self.incarnation
        if admitted not in (mine, self.incarnation):
            self._halt(
                "lost-store",
                "the roster names this peer id, but with another store than the one on this disk",
                "a node that lost its disk comes back under a new peer id: make a new key, join as a learner, "
                "and rotate the old member out",
            )

    def _tick_core(self) -> None:
        """Write down how far the ledger is certified, when nothing else did."""
        behind = self.certified > self._certified_on_disk
        if behind and not self._underway and self.now - self._certified_at >= self.config.heartbeat:
            self._write()
