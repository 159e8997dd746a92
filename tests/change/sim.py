"""A committee in one process, on the real machine: for the procedures' own tests (not for the ledger's).

It keeps one certified log, which every node that is up has at once; what a procedure looks at and what it
may not do (leases, fences, drains, roster rules, the seal) comes from ``organismctl.committee.machine``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organismctl.change.copies import ContradictionError, MissingLinesError
from organismctl.change.errors import LedgerRefusedError, ParkedError, TransientError
from organismctl.change.executor import Outcome
from organismctl.change.fleet import Fleet
from organismctl.change.site import Coalition, Ending, Limits, Member, Site, Verdict
from organismctl.committee.command import Genesis, Tick, command_from_json
from organismctl.committee.machine import step
from organismctl.committee.machine.effects import LeaseRefused, Refused, effect_to_json
from organismctl.committee.machine.state import MachineConfig, initial_state
from organismctl.errors import UnreachableError
from tests.change.toy import FakeClock

FINGERPRINT = bytes([7]) * 32


def peer(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@dataclass
class Committee:
    """The log, the machine, and which processes run."""

    clock: FakeClock
    names: tuple[str, ...] = ("node-a", "node-b", "node-c", "node-d")
    seats: tuple[str, ...] = ("node-a", "node-b", "node-c")
    up: set[str] = field(default_factory=lambda: {"node-a", "node-b", "node-c"})
    flags: dict[str, bool] = field(default_factory=dict)
    proposer: str | None = "node-a"
    ticking: bool = True
    commands: list[tuple[str, str | None]] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    copies: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    plans: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = MachineConfig(FINGERPRINT, (), (), "ticker", "wait", 1000, 1000, ("facts",))
        self.state = initial_state(config)
        members = tuple(sorted(peer(name) for name in self.seats))
        self.state, _ = step(self.state, 0, Genesis(fingerprint=FINGERPRINT, members=members))
        self.digests = ["00" * 32]
        self.flags = {name: name in self.seats for name in self.names}
        self.tick()

    def name_of(self, peer_id: bytes) -> str:
        return next(name for name in self.names if peer(name) == peer_id)

    def _apply(self, command: Any) -> Sequence[Any]:
        self.state, effects = step(self.state, len(self.digests), command)
        self.digests.append(
            hashlib.sha256(f"{self.digests[-1]}{type(command).__name__}".encode()).hexdigest()
        )
        return effects

    def tick(self) -> None:
        if self.ticking and not self.state.sealed and self.state.tick_ms < self.clock.now_ms():
            self._apply(Tick(unix_ms=self.clock.now_ms()))

    def elect(self) -> None:
        members = [self.name_of(seat) for seat in self.state.roster.members]
        live = [name for name in members if name in self.up]
        if len(live) < self.state.roster.majority:
            self.proposer = None
        elif self.proposer not in live or peer(self.proposer) in self.state.drained:
            fit = [name for name in live if peer(name) not in self.state.drained]
            self.proposer = sorted(fit)[0] if fit else None

    def append(self, command: Mapping[str, Any], request_id: str) -> Mapping[str, Any]:
        self.elect()
        if self.proposer is None:
            raise TransientError("no majority", blocker="no majority")
        self.tick()
        raw = dict(command)
        if raw["type"] != "roster":
            raw["request_id"] = request_id
        self.commands.append((str(raw["type"]) + ":" + str(raw.get("action", "")), request_id))
        effects = self._apply(command_from_json(raw))
        for effect in effects:
            if isinstance(effect, LeaseRefused):
                raise LedgerRefusedError(effect.reason, code="lease")
            if isinstance(effect, Refused):
                raise LedgerRefusedError(effect.reason, code=effect.code)
        self.elect()
        return {"height": len(self.digests) - 1, "effects": [effect_to_json(effect) for effect in effects]}


class SimNode:
    """One node of the committee."""

    def __init__(self, committee: Committee, name: str) -> None:
        self.committee = committee
        self.name = name
        self.peer_id = peer(name).hex()

    def _up(self) -> None:
        if self.name not in self.committee.up:
            raise UnreachableError(f"{self.name}: connection refused")

    def status(self) -> Mapping[str, Any]:
        self._up()
        committee = self.committee
        committee.elect()
        committee.tick()
        state = committee.state
        members = [seat.hex() for seat in state.roster.members]
        inside = self.peer_id in members
        role = "proposer" if committee.proposer == self.name else "acceptor" if inside else "learner"
        lease = state.lease
        return {
            "peer_id": self.peer_id,
            "fingerprint": FINGERPRINT.hex(),
            "group_id": None,
            "role": role,
            "proposer": None if committee.proposer is None else peer(committee.proposer).hex(),
            "roster": {"version": state.roster_version, "members": [{"peer_id": item} for item in members]},
            "ledger": {"certified": len(committee.digests) - 1},
            "bonds": [
                {"peer_id": peer(name).hex(), "connected": name in committee.up} for name in committee.names
            ],
            "drained": [item.hex() for item in state.drained],
            "lease": None
            if lease is None
            else {
                "change": lease.change,
                "holder": lease.holder,
                "fence": state.fence,
                "since_ms": lease.since_ms,
            },
            "retirement": None
            if state.retirement is None
            else {"effective_at": str(state.retirement.effective_at), "sealed": state.sealed},
            "sealed": state.sealed,
            "tick": state.tick,
            "surfaces": [{"name": "facts", "next_seq": state.next_seq}],
            "stopped": None,
        }

    def digest(self, height: int) -> str | None:
        self._up()
        return self.committee.digests[height] if height < len(self.committee.digests) else None

    def append(self, command: Mapping[str, Any], request_id: str) -> Mapping[str, Any]:
        self._up()
        return self.committee.append(command, request_id)

    def step_down(self) -> None:
        self._up()
        if self.committee.proposer == self.name:
            self.committee.proposer = None
            self.committee.elect()

    # the change store

    @property
    def spare(self) -> bool:
        return False

    def ids(self) -> list[str]:
        try:
            self._up()
        except UnreachableError as exc:
            raise TransientError(exc.message) from exc
        return [change for change, held in self.committee.copies.items() if self.name in held]

    def get(self, change: str) -> tuple[str, list[str]] | None:
        if change not in self.ids():
            return None
        return self.committee.plans[change], list(self.committee.copies[change][self.name])

    def put(self, change: str, plan: str | None, start: int, lines: Sequence[str]) -> None:
        self.ids()
        if plan is not None:
            self.committee.plans.setdefault(change, plan)
        held = self.committee.copies.setdefault(change, {}).setdefault(self.name, [])
        if len(held) < start:
            raise MissingLinesError("fewer")
        if held[start : start + len(lines)] != list(lines)[: len(held) - start]:
            raise ContradictionError("other lines")
        held.extend(list(lines)[len(held) - start :])


class SimExecutor:
    """Starts and stops a simulated process; ``fenced`` is as good as the committee's word."""

    def __init__(
        self, committee: Committee, name: str, *, can_tell: bool = True, manual: bool = False
    ) -> None:
        self.committee = committee
        self.name = name
        self.can_tell = can_tell
        self.manual = manual

    def start(self) -> Outcome:
        if self.manual:
            raise ParkedError(f"a person to start {self.name}")
        if self.name not in self.committee.up:
            self.committee.up.add(self.name)
            self.committee.starts.append(self.name)
        return Outcome("started")

    def stop(self) -> Outcome:
        self.committee.up.discard(self.name)
        return Outcome("stopped")

    def fenced(self) -> bool | None:
        return self.name not in self.committee.up if self.can_tell else None


@dataclass
class SimEyes:
    committee: Committee
    tickets: list[Verdict] = field(default_factory=list)
    expired: bool | None = False
    entries: list[Mapping[str, Any]] = field(default_factory=list)

    def tickets_outlive(self, nodes: Sequence[str], until_ms: int) -> list[Verdict]:
        return [verdict for verdict in self.tickets if verdict.subject.split(" ")[0] in nodes]

    def tickets_expired(self, node: str, now_ms: int) -> bool | None:
        return self.expired

    def endings(self) -> list[Ending]:
        sealed = self.committee.state.sealed
        last = self.committee.state.next_seq - 1
        return [
            Ending(name, "facts", sealed, "the marker" if sealed else "no marker", 1, last)
            for name in sorted(self.committee.up)
        ]

    def chronicle(self, where: str) -> Sequence[Mapping[str, Any]]:
        return self.entries


@dataclass
class SimRoster:
    committee: Committee

    def read(self) -> Mapping[str, bool]:
        return dict(self.committee.flags)

    def write(self, flags: Mapping[str, bool]) -> None:
        self.committee.flags.update(flags)


def sim_site(
    committee: Committee,
    folder: Path,
    *,
    can_tell: bool = True,
    manual: frozenset[str] = frozenset(),
    accepted: frozenset[str] = frozenset(),
    limits: Limits | None = None,
    coalitions: tuple[Coalition, ...] = (),
    note_risk: Callable[[str, str], None] = lambda _code, _why: None,
) -> Site:
    nodes = [SimNode(committee, name) for name in committee.names]
    return Site(
        organism="acme.settlement",
        fingerprint=FINGERPRINT.hex(),
        group_id=None,
        stable_id="55" * 32,
        surfaces=("facts",),
        members=tuple(
            Member(name, peer(name).hex(), f"http://{name}", "command", committee.flags[name])
            for name in committee.names
        ),
        fleet=Fleet(nodes),
        executor=lambda name: SimExecutor(committee, name, can_tell=can_tell, manual=name in manual),
        eyes=SimEyes(committee),
        roster_file=SimRoster(committee),
        limits=limits or Limits(lead_time_s=0.0, linger_s=2.0),
        now_ms=committee.clock.now_ms,
        folder=folder,
        change="20261124T000000Z-sim-1",
        accepted_risks=accepted,
        coalitions=coalitions,
        note_risk=note_risk,
    )
