"""From certified effects to published items: owns :class:`Publication`, its rows on disk and its talk with peers.

Every node collects signatures for itself. Rows are kept in the same transaction as the entries that they come from;
what lacks a majority is asked for again, from whoever has it, and signatures prove themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from organismctl.committee.evidence import Verifier
from organismctl.committee.machine import Effects, RosterChanged, State
from organismctl.committee.node.settings import NodeSettings
from organismctl.committee.node.store import LINKS as LINK_LANE
from organismctl.committee.node.store import NodeStore, Row
from organismctl.committee.node.talk import MAX_SIGNED, Mark, Marks, MarksAsk
from organismctl.committee.publication import Publication
from organismctl.committee.signatures import (
    LINKS,
    Certified,
    CertifiedLink,
    Complete,
    Published,
    Signature,
    Thing,
)
from organismctl.identity.peer import SIGNATURE_SIZE, sign
from organismctl.identity.roster import Roster, RosterChange, apply_change, encode_link
from organismctl.identity.surface_item import decode_body, decode_item, encode_body, encode_item

ASK_S = 0.3
"""After this long without a majority, peers are asked for signatures."""
_MARK_SIZE = 32 + SIGNATURE_SIZE


class Publisher:
    """See the module.

    Args:
        settings: The node.
        store: Where rows are kept.
        verifier: Checks others' signatures.
        send: Sends to every other node.
        now_ms: The wall clock.
    """

    def __init__(
        self,
        settings: NodeSettings,
        store: NodeStore,
        verifier: Verifier,
        send: Callable[[Marks | MarksAsk], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._send = send
        self._now_ms = now_ms
        self._surfaces = settings.machine.surfaces
        ids = {name: settings.identity.surface_ids[name] for name in self._surfaces}
        party = settings.party
        self.publication = Publication(
            settings.identity.fingerprint,
            ids,
            party.peer_id,
            lambda message: sign(party.seed, message),
            verifier=verifier,
        )
        self._fresh: list[Signature] = []
        self._asked: dict[str, float] = {}
        self._first: tuple[bytes, ...] = ()
        self._rosters: dict[int, Roster] = {}
        self.next_seq = [0] * len(self._surfaces)
        self.moved = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self, state: State) -> None:
        """Go on from what the store holds and the fold was restored to."""
        first = self._store.get("genesis.members")
        if first is not None:
            self.genesis(tuple(first[at : at + 32] for at in range(0, len(first), 32)))
        for row in self._store.rows(LINK_LANE, 0, 1 << 20):
            self._enroll(row)
        self.next_seq = [self._store.extent(lane) for lane in range(len(self._surfaces))]
        published = dict(zip(self._surfaces, self.next_seq, strict=True))
        published[LINKS] = max(2, self._store.extent(LINK_LANE))
        certified = dict.fromkeys(self._surfaces, state.next_seq)
        certified[LINKS] = max(2, state.roster.version + 1)
        self.publication.start(published, certified)
        self.settle()

    # What the fold says.

    def genesis(self, members: tuple[bytes, ...]) -> None:
        """The first roster."""
        self._first = members
        self._rosters[1] = Roster(1, members)
        self._store.put("genesis.members", b"".join(members))

    def take(self, effects: Effects, state: State) -> None:
        """Take in what an entry's effects publish."""
        for effect in effects:
            if isinstance(effect, RosterChanged):
                self._enroll(self._link_row(effect))
        things, signatures = self.publication.on_effects(effects, state)
        for thing in things:
            self._store.add(self._row(thing))
        self._fresh += signatures

    def _link_row(self, effect: RosterChanged) -> Row:
        body = bytes([effect.action == "add"]) + effect.peer_id
        return Row(LINK_LANE, effect.version, effect.height, effect.version - 1, body)

    def _enroll(self, row: Row) -> None:
        before = self._rosters.get(row.version)
        if before is not None and row.seq not in self._rosters:
            self._rosters[row.seq] = apply_change(before, _change(row))

    def settle(self) -> None:
        """After something came in: publish what is complete, take up what waits in the store, tell the peers."""
        moved = False
        while True:
            done = self.publication.take()
            for complete in done:
                self._finish(complete)
            moved = moved or bool(done)
            if not self._hand_in() and not done:
                break
        self._flush()
        if moved:
            task = asyncio.get_running_loop().create_task(self._tell())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _hand_in(self) -> bool:
        taken = False
        for track, start, count in self.publication.wanted():
            for row in self._store.rows(self._lane(track), start, count):
                self._fresh += self.publication.hand_in(self._thing(row))
                taken = True
        return taken

    def _flush(self) -> None:
        while self._fresh:
            batch, self._fresh = self._fresh[:MAX_SIGNED], self._fresh[MAX_SIGNED:]
            self._send(Marks(tuple([self._mark(one) for one in batch])))

    async def _tell(self) -> None:
        async with self.moved:
            self.moved.notify_all()

    def _finish(self, complete: Complete) -> None:
        if isinstance(complete, Published):
            lane, seq = self._surfaces.index(complete.surface), complete.item.seq
            marks, data = complete.item.certificate.signatures, encode_item(complete.item)
            self.next_seq[lane] = seq + 1
        else:
            lane, seq = LINK_LANE, complete.change.version
            marks, data = complete.signatures, encode_link(complete)
        self._store.finish(lane, seq, b"".join(peer + mark for peer, mark in marks), data, self._now_ms())

    # Rows and things.

    def _lane(self, track: str) -> int:
        return LINK_LANE if track == LINKS else self._surfaces.index(track)

    def _track(self, lane: int) -> str | None:
        if lane == LINK_LANE:
            return LINKS
        return self._surfaces[lane] if lane < len(self._surfaces) else None

    def _row(self, thing: Thing) -> Row:
        if isinstance(thing, Certified):
            lane = self._surfaces.index(thing.surface)
            return Row(lane, thing.seq, thing.height, thing.roster.version, encode_body(thing.item))
        body = bytes([thing.change.add]) + thing.change.peer_id
        return Row(LINK_LANE, thing.change.version, thing.height, thing.previous.version, body)

    def _thing(self, row: Row) -> Thing:
        roster = self._rosters[row.version]
        if row.lane == LINK_LANE:
            return CertifiedLink(row.height, _change(row), roster)
        return Certified(self._surfaces[row.lane], row.seq, row.height, decode_body(row.body), roster)

    def _mark(self, one: Signature) -> Mark:
        return Mark(self._lane(one.track), one.number, one.peer_id, one.signature)

    # What others say.

    def on_marks(self, marks: Iterable[Mark]) -> None:
        """Signatures arrived."""
        for mark in marks:
            track = self._track(mark.lane)
            if track is not None:
                self.publication.on_signature(Signature(track, mark.seq, mark.peer, mark.signature))
        self.settle()

    def on_ask(self, ask: MarksAsk) -> Marks:
        """The signatures that this node has of some rows."""
        marks: list[Mark] = []
        if self._track(ask.lane) is not None:
            for row in self._store.rows(ask.lane, ask.start, min(ask.count, MAX_SIGNED)):
                marks.extend(self._marks(row))
        return Marks(tuple(marks[:MAX_SIGNED]))

    def _marks(self, row: Row) -> Iterable[Mark]:
        if row.marks is None:
            own = self.publication.sign_again(self._thing(row))
            if own is not None:
                yield self._mark(own)
            return
        for at in range(0, len(row.marks), _MARK_SIZE):
            peer, signature = row.marks[at : at + 32], row.marks[at + 32 : at + _MARK_SIZE]
            yield Mark(row.lane, row.seq, peer, signature)

    def poll(self, now: float) -> None:
        """Ask peers for the signatures that are missing for too long; call it a few times a second."""
        missing: dict[str, list[int]] = {}
        for one in self.publication.missing(limit=256):
            missing.setdefault(one.track, []).append(one.number)
        for track in list(self._asked):
            if track not in missing:
                del self._asked[track]
        for track, numbers in missing.items():
            since = self._asked.setdefault(track, now)
            if now - since >= ASK_S:
                self._asked[track] = now
                self._send(MarksAsk(self._lane(track), numbers[0], numbers[-1] - numbers[0] + 1))

    # What is read.

    def items(self, lane: int, start: int, limit: int) -> list[tuple[int, bytes]]:
        """Published items from a seq on."""
        limit = min(limit, self.next_seq[lane] - start)
        if limit <= 0:
            return []
        rows = self._store.rows(lane, start, limit)
        return [(row.seq, row.done) for row in rows if row.done is not None]

    def lane(self, surface: str) -> int | None:
        """The lane of a surface's name."""
        return self._surfaces.index(surface) if surface in self._surfaces else None

    def sealed(self, lane: int) -> bool:
        """Whether the last published item is the marker."""
        last = self.items(lane, self.next_seq[lane] - 1, 1) if self.next_seq[lane] else []
        return bool(last) and decode_item(last[0][1]).retirement is not None

    def last_item_ms(self, lane: int) -> int | None:
        """When the last item was published here."""
        return self._store.done_ms(lane, self.next_seq[lane] - 1) if self.next_seq[lane] else None

    def chain(self) -> tuple[tuple[bytes, ...], list[bytes]]:
        """The first roster, and the finished links in order up to the first that lacks a majority."""
        links: list[bytes] = []
        for row in self._store.rows(LINK_LANE, 0, 1 << 20):
            if row.done is None:
                break
            links.append(row.done)
        return self._first, links

    def roster(self, version: int) -> Roster | None:
        """The roster of a version."""
        return self._rosters.get(version)


def _change(row: Row) -> RosterChange:
    return RosterChange(row.body[0] == 1, row.body[1:], row.seq)
