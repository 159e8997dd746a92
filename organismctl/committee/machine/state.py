"""The machine's state: bounded, canonical, and owned by whoever folds.

It holds the roster, one mark per input, the open facts (at most :data:`MAX_OPEN`), the lease, the retirement
and the last :data:`MAX_REQUESTS` request ids; nothing in it grows with the log. ``step`` changes it in place,
so it belongs to one fold; take :meth:`State.copy` to ask what a command would do.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from organismctl.committee.command import CutPoint
from organismctl.committee.evidence import Pointer
from organismctl.committee.ledger.roster import NOBODY, Roster
from organismctl.committee.ledger.wire import Writer
from organismctl.committee.machine.fact import MAX_INPUTS, Input
from organismctl.committee.moment import Moment
from organismctl.errors import InputError
from organismctl.identity.surface_item import RetirementMarker

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig

MAX_OPEN = 1024
"""Clock events (fan-in: observations) that may wait for Apply at once."""
MAX_REQUESTS = 1024
"""How many request ids are remembered."""


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """What the machine takes from the OrganismConfig; the fingerprint stands for all of it.

    Attributes:
        fingerprint: 32 bytes.
        inputs: What the fold reads, in order: every surface with a decoder of every spanned member. An
            Almanac only gives the tick and is not folded, unless nothing else is spanned.
        almanacs: The surfaces of spanned Almanacs: they give the tick.
        fold: ``join``, ``fan-in`` or ``ticker``.
        stall: ``wait`` or ``partial``.
        apply_deadline_ms: How long ``partial`` waits, in certified time.
        period_ms: The ticker's period.
        surfaces: Names of our own surfaces; every fact goes to each of them under one seq.
        genesis_roster: Digest that the first roster must have, when it is known.
    """

    fingerprint: bytes
    inputs: tuple[Input, ...]
    almanacs: tuple[Input, ...]
    fold: str
    stall: str
    apply_deadline_ms: int
    period_ms: int
    surfaces: tuple[str, ...]
    genesis_roster: bytes | None = None
    folded: frozenset[Input] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folded", frozenset(self.inputs))

    @staticmethod
    def of(config: OrganismConfig, fingerprint: bytes) -> MachineConfig:
        """The machine's share of a config.

        Raises:
            InputError: It has more than :data:`MAX_INPUTS` inputs, or a fold without inputs.
        """
        fold = config.driver.fold
        read = {
            Input(member.stable_id, surface.id): member.kind == "almanac"
            for member in config.span
            for surface in member.surfaces
            if surface.decode is not None
        }
        almanacs = sorted(item for item, almanac in read.items() if almanac)
        inputs = sorted(item for item, almanac in read.items() if not almanac) or almanacs
        if len(read) > MAX_INPUTS:
            raise InputError(f"{len(read)} inputs, where at most {MAX_INPUTS} are possible")
        if fold != "ticker" and not inputs:
            raise InputError(
                f"driver.fold = {fold!r} has nothing to fold",
                advice='give a [[span.surface]] a `decode`, or use fold = "ticker"',
            )
        return MachineConfig(
            fingerprint=fingerprint,
            inputs=tuple(inputs) if fold != "ticker" else (),
            almanacs=tuple(almanacs),
            fold=fold,
            stall=config.driver.stall,
            apply_deadline_ms=config.driver.apply_deadline_ms,
            period_ms=config.driver.period_ms,
            surfaces=tuple(surface.name for surface in config.surfaces),
            genesis_roster=config.genesis.roster if config.genesis else None,
        )


@dataclass(slots=True)
class Mark:
    """How far an input was observed: the last position and clock event (``None``: nothing yet)."""

    position: int | None = None
    clock_event: int | None = None
    count: int = 0


@dataclass(slots=True)
class Join:
    """A clock event that waits for Apply: since when (certified time), and what is in."""

    opened_ms: int
    observations: dict[Input, Pointer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The lease as it is held."""

    change: str
    holder: str
    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """The scheduled retirement."""

    effective_at: Moment
    replacement: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class HandoverState:
    """The successor and the cut."""

    fingerprint: bytes
    cut: tuple[CutPoint, ...]
    height: int


@dataclass(slots=True)
class State:
    """See the module; everything is as of ``height`` (after the seal: the height of the seal)."""

    config: MachineConfig
    height: int = -1
    started: bool = False
    roster: Roster = NOBODY
    drained: set[bytes] = field(default_factory=set)
    marks: dict[Input, Mark] = field(default_factory=dict)
    floor: dict[bytes, int] = field(default_factory=dict)
    """From Genesis' cut: the last clock event of each spanned member that the predecessor serves."""
    joins: dict[int, Join] = field(default_factory=dict)
    pending: list[Pointer] = field(default_factory=list)
    applied: int | None = None
    next_seq: int = 0
    tick_ms: int = 0
    ticks: int = 0
    fence: int = 0
    lease: LeaseState | None = None
    retirement: Retirement | None = None
    handover: HandoverState | None = None
    sealed_height: int | None = None
    marker: RetirementMarker | None = None
    requests: OrderedDict[str, int] = field(default_factory=OrderedDict)
    request_pieces: deque[bytes] = field(default_factory=deque)
    """The encoding of each request id with its height, so that a digest does not encode a thousand anew."""

    @property
    def sealed(self) -> bool:
        """Whether the organism is retired."""
        return self.sealed_height is not None

    @property
    def roster_version(self) -> int:
        """The roster's version: 1 for the first, 0 before Genesis."""
        return self.roster.version

    @property
    def tick(self) -> int:
        """The committed tick: Unix seconds of the last certified Tick."""
        return self.tick_ms // 1000

    @property
    def tick_number(self) -> int:
        """What ``tick:N`` is compared with: the Almanac's clock where one is spanned, else the Tick count."""
        clocks = [self.marks[item].clock_event for item in self.config.almanacs]
        return max((clock for clock in clocks if clock is not None), default=0 if clocks else self.ticks)

    def copy(self) -> State:
        """An independent copy: O(state), not O(log)."""
        return replace(
            self,
            drained=set(self.drained),
            marks={key: replace(mark) for key, mark in self.marks.items()},
            floor=dict(self.floor),
            joins={
                event: Join(join.opened_ms, dict(join.observations)) for event, join in self.joins.items()
            },
            pending=list(self.pending),
            requests=OrderedDict(self.requests),
            request_pieces=deque(self.request_pieces),
        )

    def remember(self, request_id: str) -> None:
        """Note that a request was applied at the present height."""
        self.add_request(request_id, self.height)

    def add_request(self, request_id: str, height: int) -> None:
        """Add a request that is not there yet; the oldest is forgotten beyond the bound."""
        self.requests[request_id] = height
        self.request_pieces.append(Writer().blob(request_id.encode()).u64(height).done())
        if len(self.requests) > MAX_REQUESTS:
            self.requests.popitem(last=False)
            self.request_pieces.popleft()


def initial_state(config: MachineConfig) -> State:
    """The state before the first entry."""
    return State(config, marks={item: Mark() for item in (*config.inputs, *config.almanacs)})
