"""The driver's pure core: upstream events in, commands to propose out; no I/O, no clock of its own.

Every node runs one. It takes what its subscriptions bring (one per input, never aggregated), so that it can
vouch for what it saw itself and can go on at once when it becomes the ledger's proposer. Only then it acts:

1. *Vouch.* For the first events of each lane it asks the committee for vouches, again and again with growing
   pauses, until a majority has vouched (:class:`RequestVouches`).
2. *Observe.* Vouched events are proposed in the order of their lane. ``Observe.after`` makes the order a rule
   of the machine, so retries and pipelining can neither double an event nor leave one out.
3. *Tick* each period, and *Apply* when something is ready: after each Tick, and at once when certified
   observations complete a fact.

Everything that is proposed may be lost or doubled: the machine ignores repeats, and what has no outcome
after :data:`OUTCOME_MS` is proposed again. What the certified mark has passed is forgotten. Under ``partial``
an input that does not answer holds up nothing; under ``wait`` :class:`DriverStatus` names it, and since when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from organismctl.committee.command import Apply, Command, Observe, Tick
from organismctl.committee.evidence import (
    Pointer,
    Verifier,
    Vouch,
    point,
    verify_signature,
    vouch_message,
)
from organismctl.committee.lane import Lane, LaneStatus, Link, UpstreamEvent, Waiting
from organismctl.committee.machine import Input, MachineConfig, State, ready_through
from organismctl.identity.roster import majority

__all__ = [
    "Action",
    "Driver",
    "DriverStatus",
    "LaneStatus",
    "Link",
    "Propose",
    "RequestVouches",
    "Stall",
    "UpstreamEvent",
]

MAX_GATHERING = 32
"""Events of a lane for which vouches are gathered at once."""
MAX_LANE_FLIGHT = 32
"""Observe commands of a lane that are proposed and have no outcome yet."""
MAX_FLIGHT = 128
"""Observe commands of all lanes that are proposed and have no outcome yet."""
OUTCOME_MS = 10_000
"""After this long without an outcome a proposal is forgotten and made again."""
ASK_MS = 500
"""The first pause before vouches are asked for again; it doubles up to :data:`ASK_MAX_MS`."""
ASK_MAX_MS = 8_000
PAUSE_MS = 500
"""How long a lane waits after a refusal that time may cure."""


@dataclass(frozen=True, slots=True)
class RequestVouches:
    """Ask this node and every other of the roster to vouch; answers go to :meth:`Driver.on_vouch`."""

    pointer: Pointer
    event: bytes


@dataclass(frozen=True, slots=True)
class Propose:
    """Append to the ledger; the outcome goes to :meth:`Driver.on_outcome` with the token."""

    token: int
    command: Command


Action: TypeAlias = "RequestVouches | Propose"


@dataclass(frozen=True, slots=True)
class Stall:
    """An input that the next fact waits for, since when (certified Unix ms), at which clock event."""

    source: Input
    since_ms: int
    clock_event: int


@dataclass(frozen=True, slots=True)
class DriverStatus:
    """What the driver sees.

    Attributes:
        lanes: Every input, also those of which nothing came.
        waiting_for: Inputs that hold up the next fact (under ``partial`` until its deadline).
        clock_behind_ms: By how much the node's clock is behind certified time; it ticks again when it has
            caught up. 0 when it is not.
    """

    lanes: tuple[LaneStatus, ...]
    waiting_for: tuple[Stall, ...]
    clock_behind_ms: int


@dataclass(slots=True)
class _Flight:
    lane: Lane | None
    kind: str
    since_ms: int


class Driver:
    """See the module.

    Args:
        config: The machine's config.
        verifier: How a vouch's signature is checked before it counts; share the node's ``CachedVerifier``.
    """

    def __init__(self, config: MachineConfig, *, verifier: Verifier = verify_signature) -> None:
        self.config = config
        self.lanes = {source: Lane(source) for source in dict.fromkeys((*config.inputs, *config.almanacs))}
        self.bad_vouches: dict[bytes, int] = {}
        self._verifier = verifier
        self._proposer = False
        self._members: frozenset[bytes] = frozenset()
        self._token = 0
        self._flights: dict[int, _Flight] = {}
        self._next_tick_ms = 0
        self._apply_due = False
        self._apply_pause_ms = 0
        self._clock_behind_ms = 0

    # What comes in.

    def on_event(self, source: Input, event: UpstreamEvent, now_ms: int) -> bool:
        """An event came in.

        Returns:
            Whether it was taken (or known); ``False``: read on later, from :meth:`next_position`.
        """
        lane = self.lanes[source]
        pointer = point(source.stable_id, source.surface_id, event.clock_event, event.position, event.event)
        lane.link, lane.reason = Link.LIVE, ""
        return lane.take(pointer, event.event, now_ms)

    def on_link(self, source: Input, link: Link, reason: str = "") -> None:
        """The subscription's own state changed."""
        lane = self.lanes[source]
        lane.link, lane.reason = link, reason

    def on_vouch(self, pointer: Pointer, vouch: Vouch) -> bool:
        """A committee member (this node too) answered.

        Returns:
            Whether it counts: the event still waits, and the vouch is a member's and valid. Invalid ones are
            counted in :attr:`bad_vouches`.
        """
        lane = self.lanes.get(Input(pointer.stable_id, pointer.surface_id))
        item = lane.find(pointer) if lane is not None else None
        if item is None or vouch.peer_id in item.vouches:
            return item is not None
        if vouch.peer_id not in self._members:
            return False
        message = vouch_message(self.config.fingerprint, pointer)
        if not self._verifier(vouch.peer_id, message, vouch.signature):
            self.bad_vouches[vouch.peer_id] = self.bad_vouches.get(vouch.peer_id, 0) + 1
            return False
        item.vouches[vouch.peer_id] = vouch
        return True

    def on_denied(self, pointer: Pointer, peer_id: bytes) -> None:
        """A committee member can never vouch: upstream answered, and has no such event (any more).

        When so many say so that a majority is out of reach, the event is given up, and counted: it would hold
        up its lane for ever. A member that merely could not ask upstream says nothing.
        """
        lane = self.lanes.get(Input(pointer.stable_id, pointer.surface_id))
        if lane is not None:
            lane.deny(pointer, peer_id, self._members, majority(len(self._members)))

    def on_state(self, state: State, *, proposer: bool) -> None:
        """Certified entries were applied, or the proposer's role changed.

        Args:
            state: The fold's state; only read, not kept.
            proposer: Whether this node is the ledger's proposer.
        """
        if proposer != self._proposer:
            self._proposer = proposer
            self._flights.clear()
            self._next_tick_ms = 0
            for lane in self.lanes.values():
                lane.rewind()
        members = frozenset(state.roster.members)
        if members != self._members:
            self._members = members
            self.bad_vouches = {peer: count for peer, count in self.bad_vouches.items() if peer in members}
        for source, lane in self.lanes.items():
            mark = state.marks[source]
            if mark.position != lane.position:
                lane.settle(mark.position)
        self._apply_due = True

    def on_outcome(self, token: int, refusal: str | None, now_ms: int) -> None:
        """A proposal has its outcome.

        Args:
            token: As in :class:`Propose`.
            refusal: ``None`` when it was certified and not refused; the code of a
                :class:`~organismctl.committee.machine.Refused` effect; or any other word when the ledger did
                not take it or the outcome is unknown (``no_majority``, ``outcome_unknown``).
            now_ms: The time.
        """
        flight = self._flights.pop(token, None)
        if flight is None or refusal is None:
            return
        lane = flight.lane
        if lane is None:
            if flight.kind == "apply":
                self._apply_pause_ms = now_ms + PAUSE_MS
            return
        if refusal in ("sealed", "past-cut", "not-spanned"):
            lane.halted = refusal
        elif refusal == "clock-back":
            lane.drop(token)
        elif refusal == "evidence":
            for item in lane.queue:
                item.asked_ms = None if item.token == token else item.asked_ms
        lane.not_before_ms = now_ms + PAUSE_MS
        for item in lane.queue:
            if item.token is not None and (item.token >= token or item.token not in self._flights):
                self._flights.pop(item.token, None)
                item.token = None

    # What goes out.

    def poll(self, state: State, now_ms: int) -> list[Action]:
        """What is to be done now; call it after any input, and at least every period.

        Args:
            state: The fold's state; only read.
            now_ms: The node's clock, Unix ms.
        """
        if not self._proposer or not state.started or state.sealed:
            return []
        self._expire(now_ms)
        actions: list[Action] = []
        for lane in self.lanes.values():
            if lane.halted is None:
                self._gather(lane, now_ms, actions)
                self._observe(lane, now_ms, actions)
        tick_ms = self._tick(state, now_ms, actions)
        self._apply(state, tick_ms, now_ms, actions)
        return actions

    def wake_ms(self, now_ms: int) -> int:
        """When :meth:`poll` is worth calling again without any input."""
        return min(self._next_tick_ms, now_ms + ASK_MS) if self._proposer else now_ms + self.config.period_ms

    def _expire(self, now_ms: int) -> None:
        late = [token for token, flight in self._flights.items() if now_ms - flight.since_ms >= OUTCOME_MS]
        for token in late:
            self.on_outcome(token, "outcome_unknown", now_ms)

    def _gather(self, lane: Lane, now_ms: int, actions: list[Action]) -> None:
        needed = majority(len(self._members))
        for number, item in enumerate(lane.queue):
            if number >= MAX_GATHERING:
                return
            if item.valid(self._members) < needed and self._ask_now(item, now_ms):
                item.asked_ms = now_ms
                item.asked += 1
                actions.append(RequestVouches(item.pointer, item.event))

    @staticmethod
    def _ask_now(item: Waiting, now_ms: int) -> bool:
        if item.asked_ms is None:
            return True
        pause = min(ASK_MAX_MS, ASK_MS << min(item.asked - 1, 8))
        return now_ms - item.asked_ms >= pause

    def _observe(self, lane: Lane, now_ms: int, actions: list[Action]) -> None:
        if now_ms < lane.not_before_ms:
            return
        flying = sum(flight.kind == "observe" for flight in self._flights.values())
        mine = sum(item.token is not None for item in lane.queue)
        needed = majority(len(self._members))
        for item, after in lane.proposable(needed, self._members):
            if flying >= MAX_FLIGHT or mine >= MAX_LANE_FLIGHT:
                return
            vouches = [item.vouches[peer] for peer in sorted(item.vouches) if peer in self._members]
            command = Observe(
                pointer=item.pointer, event=item.event, vouches=tuple(vouches[:needed]), after=after
            )
            item.token = self._propose(lane, "observe", command, now_ms, actions)
            flying += 1
            mine += 1

    def _tick(self, state: State, now_ms: int, actions: list[Action]) -> int:
        self._clock_behind_ms = max(0, state.tick_ms - now_ms)
        if now_ms < self._next_tick_ms and self._next_tick_ms - now_ms <= self.config.period_ms:
            return state.tick_ms
        self._apply_due = True
        if now_ms <= state.tick_ms or self._flying("tick"):
            return state.tick_ms
        self._next_tick_ms = now_ms - now_ms % self.config.period_ms + self.config.period_ms
        self._propose(None, "tick", Tick(unix_ms=now_ms), now_ms, actions)
        return now_ms

    def _apply(self, state: State, tick_ms: int, now_ms: int, actions: list[Action]) -> None:
        if not self._apply_due or now_ms < self._apply_pause_ms or self._flying("apply"):
            return
        self._apply_due = False
        if state.handover is not None and self.config.fold == "ticker":
            return
        through = ready_through(state, tick_ms)
        if through is not None:
            self._propose(None, "apply", Apply(through=through), now_ms, actions)

    def _flying(self, kind: str) -> bool:
        return any(flight.kind == kind for flight in self._flights.values())

    def _propose(
        self, lane: Lane | None, kind: str, command: Command, now_ms: int, actions: list[Action]
    ) -> int:
        self._token += 1
        self._flights[self._token] = _Flight(lane, kind, now_ms)
        actions.append(Propose(self._token, command))
        return self._token

    # What others ask.

    def knows(self, pointer: Pointer) -> bool:
        """Whether this node saw the very event: then it may vouch without resolving it."""
        lane = self.lanes.get(Input(pointer.stable_id, pointer.surface_id))
        return lane is not None and lane.known.get(pointer.position) == pointer

    def next_position(self, source: Input) -> int:
        """From where on to subscribe or read on."""
        return self.lanes[source].next_position

    def room(self, source: Input) -> int:
        """How many more events the lane takes now."""
        return self.lanes[source].room

    def status(self, state: State) -> DriverStatus:
        """What is to be seen, each input by itself."""
        needed = majority(len(self._members)) if self._members else 0
        lanes = [
            lane.status(state.marks[source].count, needed, self._members)
            for source, lane in self.lanes.items()
        ]
        return DriverStatus(tuple(lanes), self._stalls(state), self._clock_behind_ms)

    def _stalls(self, state: State) -> tuple[Stall, ...]:
        if not state.joins:
            return ()
        event = min(state.joins)
        join = state.joins[event]
        return tuple(
            Stall(source, join.opened_ms, event)
            for source in self.config.inputs
            if source not in join.observations
        )
