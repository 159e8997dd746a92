"""From certified items to publishable ones: gathering a majority's signatures. Pure; the owner stores, sends.

Every member of the roster signs every certified item, and every roster link, and sends its signature to the
others. What a majority has signed is complete, and is given out in order: each surface by seq, links by
version. An item counts for the roster under which its entry was certified; a link for the roster before it.

Nothing here depends on arrival: repeats, signatures before the item is certified here, signatures after it is
complete, and a whole item or link that another node completed first are all fine. A wrong signature is dropped
and counted by signer. What stays incomplete is asked for again (:meth:`Publication.missing`).

Memory is bounded: at most ``max_open`` incomplete things per surface are held. Beyond that they are *deferred*:
signed and forgotten, and handed in again by the owner from its store when there is room
(:meth:`Publication.wanted`, :meth:`Publication.hand_in`), which is also how an owner goes on after a restart.
So the owner stores what :meth:`Publication.on_effects` gives before, or together with, any later checkpoint of
the fold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from organismctl.committee.evidence import Verifier, verify_signature
from organismctl.committee.machine import Effect, PublishFact, PublishMarker, RosterChanged, State
from organismctl.committee.signatures import (
    LINKS,
    Certified,
    CertifiedLink,
    Complete,
    Missing,
    Published,
    Signature,
    Thing,
    Verdict,
    members,
    place,
)
from organismctl.identity.roster import Roster, RosterChange, RosterLink, link_message, majority
from organismctl.identity.surface_item import Fact, SurfaceItem, certificate, item_message

MAX_OPEN = 1024
"""Incomplete things that a track holds."""
EARLY = 256
"""How far ahead of its own fold a node keeps signatures of others."""
OWN = 4096
"""How many of its own signatures a node keeps to answer with."""


@dataclass(slots=True)
class _Open:
    thing: Thing
    message: bytes
    members: frozenset[bytes]
    signatures: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.signatures) >= majority(len(self.members))


@dataclass(slots=True)
class _Track:
    """One order of numbers: ``next_out`` is given out next, ``next_in`` is taken in next."""

    next_out: int
    next_in: int
    certified: int
    open: OrderedDict[int, _Open] = field(default_factory=OrderedDict)
    early: dict[int, dict[bytes, bytes]] = field(default_factory=dict)


class Publication:
    """See the module.

    Args:
        fingerprint: The organism's fingerprint.
        surfaces: Name to surface id of every surface.
        me: This node's peer id.
        sign: Signs a message with this node's key.
        verifier: Checks others' signatures.
        max_open: Incomplete things that each track holds.
    """

    def __init__(
        self,
        fingerprint: bytes,
        surfaces: Mapping[str, bytes],
        me: bytes,
        sign: Callable[[bytes], bytes],
        *,
        verifier: Verifier = verify_signature,
        max_open: int = MAX_OPEN,
    ) -> None:
        self.wrong: dict[bytes, int] = {}
        self._fingerprint = fingerprint
        self._surfaces = dict(surfaces)
        self._me = me
        self._sign = sign
        self._verifier = verifier
        self._max_open = max_open
        self._members: frozenset[bytes] = frozenset()
        self._own: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._tracks = {name: _Track(0, 0, 0) for name in self._surfaces}
        self._tracks[LINKS] = _Track(2, 2, 2)

    def start(self, published: Mapping[str, int], certified: Mapping[str, int]) -> None:
        """Go on after a restart.

        Args:
            published: Track to the number that is to be given out next (absent: from the beginning).
            certified: Track to the number that the fold, as restored, certifies next. What lies between the
                two is wanted from the owner's store (:meth:`wanted`).
        """
        for name, track in self._tracks.items():
            track.next_out = track.next_in = published.get(name, track.next_out)
            track.certified = max(certified.get(name, track.next_in), track.next_in)
            track.open.clear()
            track.early.clear()

    def on_effects(self, effects: Iterable[Effect], state: State) -> tuple[list[Thing], list[Signature]]:
        """The effects of a certified entry, in order, with the state after it.

        Returns:
            What was certified, for the owner to store, and this node's own signatures, to send to the others.
        """
        self._members = frozenset(state.roster.members)
        things: list[Thing] = []
        signatures: list[Signature] = []
        for effect in effects:
            thing = _thing(effect, state)
            if thing is None:
                continue
            track, number = place(thing)
            if number < self._tracks[track].certified:
                continue
            self._tracks[track].certified = number + 1
            things.append(thing)
            signatures.extend(self._take_in(thing))
        return things, signatures

    def hand_in(self, thing: Thing) -> list[Signature]:
        """Something certified earlier, from the owner's store, next in the order of its track.

        Returns:
            This node's own signature, to send to the others; nothing when the thing is not wanted.
        """
        track, number = place(thing)
        if number != self._tracks[track].next_in or number >= self._tracks[track].certified:
            return []
        return self._take_in(thing)

    def wanted(self) -> list[tuple[str, int, int]]:
        """What to hand in from the store: track, first number, how many (as far as there is room)."""
        found = []
        for name, track in self._tracks.items():
            count = min(track.certified - track.next_in, self._max_open - len(track.open))
            if count > 0:
                found.append((name, track.next_in, count))
        return found

    def on_signature(self, signature: Signature) -> Verdict:
        """A signature came in, from whomever."""
        track = self._tracks.get(signature.track)
        if track is None:
            return Verdict.STRANGER
        if signature.number < track.next_out:
            return Verdict.REPEAT
        entry = track.open.get(signature.number)
        if entry is not None:
            return self._count(entry, signature.peer_id, signature.signature)
        if self._members and signature.peer_id not in self._members:
            return Verdict.STRANGER
        if (
            not self._members
            or signature.number < track.certified
            or signature.number >= track.certified + EARLY
        ):
            return Verdict.DROPPED
        track.early.setdefault(signature.number, {})[signature.peer_id] = signature.signature
        return Verdict.EARLY

    def on_complete(self, complete: Complete) -> Verdict:
        """A whole item or link came in, that another node completed; it stands by its signatures alone."""
        signed: Sequence[tuple[bytes, bytes]]
        if isinstance(complete, Published):
            signed, name, number = complete.item.certificate.signatures, complete.surface, complete.item.seq
        else:
            signed, name, number = complete.signatures, LINKS, complete.change.version
        track = self._tracks.get(name)
        if track is None:
            return Verdict.STRANGER
        entry = track.open.get(number)
        if entry is None:
            return Verdict.REPEAT if number < track.next_out else Verdict.DROPPED
        if not _same(entry.thing, complete):
            return Verdict.WRONG
        verdicts = [self._count(entry, peer_id, signature) for peer_id, signature in signed]
        return Verdict.COUNTED if entry.complete else next(iter(verdicts), Verdict.DROPPED)

    def take(self) -> list[Complete]:
        """What has become publishable, each track in its order; it is given out once."""
        done: list[Complete] = []
        for track in self._tracks.values():
            while (entry := track.open.get(track.next_out)) is not None and entry.complete:
                del track.open[track.next_out]
                track.next_out += 1
                done.append(_finish(entry))
        return done

    def missing(self, limit: int = 64) -> list[Missing]:
        """What is incomplete, oldest first, at most ``limit`` of each track: ask these peers again."""
        found = []
        for name, track in self._tracks.items():
            for number, entry in list(track.open.items())[:limit]:
                if not entry.complete:
                    absent = tuple(sorted(entry.members - entry.signatures.keys() - {self._me}))
                    needed = majority(len(entry.members)) - len(entry.signatures)
                    found.append(Missing(name, number, needed, absent))
        return found

    def reply(self, track: str, number: int) -> Signature | None:
        """This node's own signature, when it is among the last; else the owner looks in its store."""
        signature = self._own.get((track, number))
        return None if signature is None else Signature(track, number, self._me, signature)

    def sign_again(self, thing: Thing) -> Signature | None:
        """This node's signature over something from its store; ``None`` when it is not for it to sign."""
        track, number = place(thing)
        if self._me not in members(thing):
            return None
        return Signature(track, number, self._me, self._sign(self._message(thing)))

    def _take_in(self, thing: Thing) -> list[Signature]:
        name, number = place(thing)
        track = self._tracks[name]
        own = self.sign_again(thing)
        if own is not None:
            self._own[name, number] = own.signature
            if len(self._own) > OWN:
                self._own.popitem(last=False)
        early = track.early.pop(number, {})
        if number == track.next_in and len(track.open) < self._max_open:
            track.next_in += 1
            entry = _Open(thing, self._message(thing), members(thing))
            track.open[number] = entry
            if own is not None:
                entry.signatures[self._me] = own.signature
            for peer_id, signature in early.items():
                self._count(entry, peer_id, signature)
        return [] if own is None else [own]

    def _count(self, entry: _Open, peer_id: bytes, signature: bytes) -> Verdict:
        if peer_id not in entry.members:
            return Verdict.STRANGER
        if peer_id in entry.signatures:
            return Verdict.REPEAT
        if not self._verifier(peer_id, entry.message, signature):
            self.wrong[peer_id] = self.wrong.get(peer_id, 0) + 1
            return Verdict.WRONG
        entry.signatures[peer_id] = signature
        return Verdict.COUNTED

    def _message(self, thing: Thing) -> bytes:
        if isinstance(thing, Certified):
            surface_id = self._surfaces[thing.surface]
            return item_message(self._fingerprint, surface_id, thing.seq, thing.height, thing.item)
        return link_message(self._fingerprint, thing.previous, thing.height, thing.change)


def _thing(effect: Effect, state: State) -> Thing | None:
    roster = Roster(state.roster.version, tuple(state.roster.members))
    if isinstance(effect, PublishFact):
        return Certified(effect.surface, effect.seq, effect.height, Fact(effect.data), roster)
    if isinstance(effect, PublishMarker):
        return Certified(effect.surface, effect.seq, effect.height, effect.marker, roster)
    if isinstance(effect, RosterChanged):
        add = effect.action == "add"
        before = set(roster.members) - {effect.peer_id} if add else {*roster.members, effect.peer_id}
        previous = Roster(effect.version - 1, tuple(sorted(before)))
        return CertifiedLink(effect.height, RosterChange(add, effect.peer_id, effect.version), previous)
    return None


def _same(thing: Thing, complete: Complete) -> bool:
    if isinstance(thing, Certified):
        item = complete.item if isinstance(complete, Published) else None
        return item is not None and (item.height, item.item) == (thing.height, thing.item)
    return isinstance(complete, RosterLink) and (complete.height, complete.change) == (
        thing.height,
        thing.change,
    )


def _finish(entry: _Open) -> Complete:
    thing = entry.thing
    if isinstance(thing, Certified):
        signed = certificate(thing.roster.version, entry.signatures)
        return Published(thing.surface, SurfaceItem(thing.seq, thing.height, thing.item, signed))
    return RosterLink(thing.height, thing.change, tuple(sorted(entry.signatures.items())))
