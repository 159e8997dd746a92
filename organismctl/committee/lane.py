"""One lane of the driver: what came in on one surface of one spanned member, and how far each event is.

Lanes know nothing of each other, so an upstream that does not answer holds up nobody's lane but its own.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from organismctl.committee.evidence import Pointer, Vouch
from organismctl.committee.machine import Input

MAX_BUFFERED = 256
"""Events that wait in a lane; then the subscription is not read on until some are certified."""
MAX_KNOWN = 2048
"""Events of a lane that a node remembers to have seen, so that it can vouch for them when asked."""


@dataclass(frozen=True, slots=True)
class UpstreamEvent:
    """One event as it came from upstream; ``position`` (the seq) rises, ``clock_event`` never goes back."""

    position: int
    clock_event: int
    event: bytes


class Link(StrEnum):
    """What the subscription itself says."""

    CONNECTING = "connecting"
    LIVE = "live"
    REFUSED = "refused"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One input, by itself.

    Attributes:
        source: The surface.
        link: The subscription's state, with its reason.
        received: Events that came in here.
        observed: Events that the committee has certified.
        position: The last certified position.
        buffered: Events that wait here.
        in_flight: Of these, proposed ones.
        vouches: Valid vouches of the first one that lacks a majority, of how many; ``None`` when none lacks.
        unvouchable: Events that were given up, because too many members can never vouch for them.
        rewritten: Events that upstream changed before they were certified.
        last_event_ms: When the last event came in.
        halted: Why nothing is proposed from it any more, or ``None``.
    """

    source: Input
    link: Link
    reason: str
    received: int
    observed: int
    position: int | None
    buffered: int
    in_flight: int
    vouches: tuple[int, int] | None
    unvouchable: int
    rewritten: int
    last_event_ms: int | None
    halted: str | None


@dataclass(slots=True)
class Waiting:
    """An event that is not certified yet.

    Attributes:
        pointer: Its evidence pointer.
        event: Its bytes.
        vouches: Valid vouches by peer id.
        denied: Members who say that they can never vouch: upstream has no such event.
        asked_ms: When vouches were last asked for, or ``None``.
        asked: How often they were.
        token: The proposal that carries it, or ``None``.
    """

    pointer: Pointer
    event: bytes
    vouches: dict[bytes, Vouch] = field(default_factory=dict)
    denied: set[bytes] = field(default_factory=set)
    asked_ms: int | None = None
    asked: int = 0
    token: int | None = None

    def valid(self, roster: Collection[bytes]) -> int:
        """How many members of the roster vouch for it."""
        return sum(peer_id in roster for peer_id in self.vouches)


@dataclass(slots=True)
class Lane:
    """See the module; times are the owner's Unix ms.

    Attributes:
        source: The surface.
        link: The subscription's state, with its reason.
        position: The certified mark: everything up to it is done with.
        queue: Events past the mark, by rising position.
        known: Position to pointer of what was seen, newest last.
        received: Events that came in (repeats not counted).
        unvouchable: Events that were given up, because too many members can never vouch for them.
        rewritten: Events that upstream changed before they were certified.
        not_before_ms: Nothing is proposed before.
        halted: Why this lane proposes nothing any more, or ``None``.
    """

    source: Input
    link: Link = Link.CONNECTING
    reason: str = ""
    position: int | None = None
    queue: deque[Waiting] = field(default_factory=deque)
    known: OrderedDict[int, Pointer] = field(default_factory=OrderedDict)
    received: int = 0
    unvouchable: int = 0
    rewritten: int = 0
    last_event_ms: int | None = None
    not_before_ms: int = 0
    halted: str | None = None

    @property
    def next_position(self) -> int:
        """From where on events are wanted: what to subscribe from."""
        if self.queue:
            return self.queue[-1].pointer.position + 1
        return 0 if self.position is None else self.position + 1

    @property
    def room(self) -> int:
        """How many more events it takes now."""
        return max(0, MAX_BUFFERED - len(self.queue))

    def take(self, pointer: Pointer, event: bytes, now_ms: int) -> bool:
        """Take an event in.

        Returns:
            Whether it is in or was known; ``False``: no room, read it again later.
        """
        self.last_event_ms = now_ms
        if self.known.get(pointer.position) != pointer:
            self._know(pointer, event)
        if pointer.position < self.next_position:
            return True
        if not self.room:
            return False
        self.received += 1
        self.queue.append(Waiting(pointer, event))
        return True

    def _know(self, pointer: Pointer, event: bytes) -> None:
        if pointer.position in self.known:
            # Upstream has another event in this place now. What is not proposed yet follows it: nobody who
            # comes later could vouch for the old one.
            self.rewritten += 1
            for number, item in enumerate(self.queue):
                if item.pointer.position == pointer.position and item.token is None:
                    self.queue[number] = Waiting(pointer, event)
        self.known[pointer.position] = pointer
        self.known.move_to_end(pointer.position)
        if len(self.known) > MAX_KNOWN:
            self.known.popitem(last=False)

    def deny(self, pointer: Pointer, peer_id: bytes, roster: Collection[bytes], needed: int) -> None:
        """A member can never vouch for an event; when a majority is out of reach, the event is given up."""
        item = self.find(pointer)
        if item is None or peer_id not in roster:
            return
        item.denied.add(peer_id)
        if len(roster) - sum(peer in roster for peer in item.denied) < needed:
            self.queue.remove(item)
            self.unvouchable += 1

    def settle(self, position: int | None) -> None:
        """Forget what the certified mark has passed."""
        self.position = position
        while position is not None and self.queue and self.queue[0].pointer.position <= position:
            self.queue.popleft()

    def rewind(self) -> None:
        """No proposal of this lane is under way any more; what is queued is proposed anew, in order."""
        for item in self.queue:
            item.token = None

    def drop(self, token: int) -> None:
        """Give up the event that a proposal carried: it can never stand."""
        self.queue = deque(item for item in self.queue if item.token != token)

    def find(self, pointer: Pointer) -> Waiting | None:
        """The queued event with this pointer."""
        return next((item for item in self.queue if item.pointer == pointer), None)

    def proposable(self, needed: int, roster: Collection[bytes]) -> Iterator[tuple[Waiting, int | None]]:
        """Queued events that may be proposed now, in order, each with the position that precedes it."""
        after = self.position
        for item in self.queue:
            if item.valid(roster) < needed:
                return
            if item.token is None:
                yield item, after
            after = item.pointer.position

    def status(self, observed: int, needed: int, roster: Collection[bytes]) -> LaneStatus:
        """What is to be seen of this lane."""
        lacking = next((item for item in self.queue if item.valid(roster) < needed), None)
        return LaneStatus(
            source=self.source,
            link=self.link,
            reason=self.reason,
            received=self.received,
            observed=observed,
            position=self.position,
            buffered=len(self.queue),
            in_flight=sum(item.token is not None for item in self.queue),
            vouches=None if lacking is None else (lacking.valid(roster), needed),
            unvouchable=self.unvouchable,
            rewritten=self.rewritten,
            last_event_ms=self.last_event_ms,
            halted=self.halted,
        )
