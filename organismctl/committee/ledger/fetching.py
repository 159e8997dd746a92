"""Catching up on certified entries, serving them, and a founder's introduction.

Introduction: a founder's store is made before anybody knows it, so a founder that lost its disk and was made anew
looks like one that never started. Therefore a fresh founder first tells the other founders its incarnation, and
votes only after ``s`` of them have the *same* incarnation on disk, where ``s = ceil((n - 1 + t) / 2)`` for ``n``
founders of which ``t = (n - 1) // 2`` may be lost. Two sets of ``s`` among the ``n - 1`` others share at least ``t``
nodes; if this node has lost its disk, at most ``t - 1`` others have, so one that remembers the first incarnation is
asked, and says so. (For three founders: both others must be up once. Nothing weaker can be safe: the other one may
be the only holder, besides the lost disk, of a certified entry.)

A sole founder has nobody whom it must hear. It greets the nodes that it was told of (``seeds``) for one election
time first, and stops when any of them knows of a ledger that has gone on; so does every other fresh founder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from organismctl.committee.ledger.core import Core, LedgerConfig
from organismctl.committee.ledger.effects import DiskState, Serve
from organismctl.committee.ledger.entry import NO_DIGEST, Entry, link
from organismctl.committee.ledger.messages import Entries, Fetch, Introduce, Introduced
from organismctl.committee.ledger.roster import after
from organismctl.committee.ledger.wire import MalformedError


@dataclass(frozen=True, slots=True)
class Report:
    """Where a peer said that it stands.

    Attributes:
        certified: The height that it holds as certified.
        digest: The digest there.
        incarnation: Its store.
        at: When it said so, by our clock.
    """

    certified: int
    digest: bytes
    incarnation: int
    at: float


class Fetching(Core):
    """Pulls certified entries when behind; always as a learner, which votes nowhere."""

    def __init__(self, config: LedgerConfig, disk: DiskState, rng: Random, now: float) -> None:
        super().__init__(config, disk, rng, now)
        self.reports: dict[bytes, Report] = {}
        self._asked: bytes | None = None
        self._asked_at = float("-inf")
        self._poll_at = now
        self._moved_at = now
        self._known = disk.certified
        self._known_from: bytes | None = None
        self._first_peers = tuple(p for p in disk.roster.members if p != config.me)
        self._greeted: set[bytes] = set()
        self._greet_at = now

    # Asking.

    def _fetch(self, peer: bytes) -> None:
        """Ask a peer for what follows the certified height, unless a request is under way."""
        if self._asked is not None and self.now - self._asked_at < self.config.resend:
            return
        self._asked, self._asked_at = peer, self.now
        self._send(peer, Fetch(self.certified + 1, self.certified_digest, self.incarnation))

    def _claim(self, sender: bytes, height: int, digest: bytes) -> None:
        """A peer says how far the ledger is certified; what this node does not hold is remembered as missing."""
        if not self._learn_certified(height, digest) and height > self._known:
            self._known, self._known_from = height, sender
            self._outdone()

    def _outdone(self) -> None:
        """Hook: a peer holds certified entries that this node does not."""

    def _on_entries(self, sender: bytes, message: Entries) -> None:
        if sender == self._asked:
            self._asked = None
            if not self._on_roster() and message.epoch.number:
                self.hint = (
                    message.epoch.proposer
                )  # a learner asks the proposer, which so learns where it stands
        if message.commands and message.start == self.certified + 1:
            if message.previous != self.certified_digest:
                self._contradiction(self.certified)
                return
            try:
                self._store_certified(message)
            except MalformedError as exc:
                self._halt(
                    "contradiction",
                    f"a peer certifies an entry that cannot be: {exc.message}",
                    exc.advice or "",
                )
            if self.stopped is not None:
                return
        self._claim(sender, message.certified, message.certified_digest)
        if message.certified > self.certified and message.commands:
            self._fetch(sender)

    def _store_certified(self, message: Entries) -> None:
        """Keep what matches, drop an uncertified tail that contradicts, add the rest, and certify all of it."""
        entries = link(self.certified_digest, message.start, message.commands, message.epoch)
        if message.start == 0 and self.config.genesis not in (None, entries[0].digest):
            self._halt(
                "foreign-genesis",
                "the peers' ledger starts with another Genesis than this node was told",
                "check that the node and its peers belong to one organism ([genesis] in organism.toml)",
            )
            return
        same = self._matching(entries)
        top = entries[-1].height
        if same < len(entries):
            self._yield_to_certified()
            fresh = entries[same:]
            cut = fresh[0].height - 1
            roster = self.log.roster(cut)
            for entry in fresh:  # refuse before anything is changed
                roster = after(roster, entry.command) or roster
            contradicted = cut if self.log.last > cut else None
            self.log.truncate(cut)
            self.log.extend(fresh)
            self._check_admission(self.log.rosters()[-1])
            if self.stopped is not None:
                return
            self._write(truncate=contradicted, entries=fresh)
        self._certify(top)

    def _yield_to_certified(self) -> None:
        """Hook: a certified entry contradicts or passes this node's tail."""

    def _matching(self, entries: Sequence[Entry]) -> int:
        """How many of the entries, from the first, are in the log already."""
        for index, entry in enumerate(entries):
            if entry.height > self.log.last or self.log.digest(entry.height) != entry.digest:
                return index
        return len(entries)

    def _certified_moved(self, old: int) -> None:  # noqa: ARG002 (a hook; upper layers use it)
        self._moved_at = self.now
        if not self.introduced and self.log.roster(self.certified).version > 1:
            self._refuse_return()

    # Serving.

    def _on_fetch(self, sender: bytes, message: Fetch) -> None:
        config, below = self.config, message.start - 1
        self.reports[sender] = Report(below, message.digest, message.incarnation, self.now)
        if len(self.reports) > 1024:
            del self.reports[min(self.reports, key=lambda peer: self.reports[peer].at)]
        top = min(self.certified, self.durable, below + config.batch)
        epoch = self.proposer or self.accepted
        template = Entries(message.start, NO_DIGEST, (), epoch, self.certified, self.certified_digest)
        if self.certified < 0:
            return
        if message.start > top:
            self._send(sender, template)
            return
        previous = self.log.digest(below)
        if previous is None or message.start < self.log.first:
            limit = top - below
            self._out.append(Serve(sender, message.start, limit, config.batch_bytes, template))
            return
        commands = self._fitting(message.start, top)
        reply = Serve(sender, message.start, len(commands), config.batch_bytes, template)
        self._out.append(reply.reply(previous, commands))

    def _fitting(self, start: int, top: int) -> tuple[bytes, ...]:
        """Commands from memory that fit one message; at least one."""
        room = self.config.batch_bytes
        taken: list[bytes] = []
        for entry in self.log.span(start, min(top, start + self.config.batch - 1)):
            room -= len(entry.command)
            if taken and room < 0:
                break
            taken.append(entry.command)
        return tuple(taken)

    # Introduction.

    def _refuse_return(self) -> None:
        self._halt(
            "lost-store",
            "this founder's store is new, but the committee has gone on without it",
            "if the node never ran before, or lost its disk: make a new key, join as a learner, and rotate the "
            "old member out",
        )

    def _on_introduce(self, sender: bytes, message: Introduce) -> None:
        roster = self.log.roster(self.certified)
        if sender in roster.members and sender not in self.incarnations:
            self.incarnations[sender] = message.incarnation
            self._write(incarnations=((sender, message.incarnation),))
        reply = Introduced(self.incarnations.get(sender, 0), roster.version, self.certified)
        self._send_durable(sender, reply)

    def _on_introduced(self, sender: bytes, message: Introduced) -> None:
        if self.introduced:
            return
        # One founder, or two, never certify anything that this one did not vote for.
        gone_on = message.version > 1 or (len(self._first_peers) < 2 and message.certified > 0)
        if gone_on or message.incarnation not in (0, self.incarnation):
            self._refuse_return()
        elif sender in self._first_peers and message.incarnation == self.incarnation:
            self._greeted.add(sender)

    def _tick_introduction(self) -> None:
        if self.introduced or self._greet_at > self.now:
            return
        others = len(self._first_peers)
        tolerated = others // 2
        waited = others > 0 or self.now - self._moved_at >= self.config.election
        if waited and len(self._greeted) >= (others + tolerated + 1) // 2:
            self.introduced = True
            self._write(introduced=True)
            return
        self._greet_at = self.now + self.config.heartbeat
        known = {*self._first_peers, *self.config.seeds} - self._greeted - {self.me}
        for peer in sorted(known):
            self._send(peer, Introduce(self.incarnation))

    def _tick_fetching(self) -> None:
        """A learner asks at each heartbeat; a member only when it misses something for a while."""
        config = self.config
        if self._on_roster():
            if self._known > self.certified and self.now - self._moved_at >= config.resend:
                self._fetch(self._known_from or self._somebody())
            return
        if self.now >= self._poll_at:
            self._poll_at = self.now + config.heartbeat
            answered = self._asked is None  # a proposer that did not answer may be gone
            self._fetch(self.hint if answered and self.hint in self._voters() else self._somebody())

    def _somebody(self) -> bytes:
        peers = sorted(self._voters() | {seed for seed in self.config.seeds if seed != self.me})
        return self.rng.choice(peers) if peers else self.me
