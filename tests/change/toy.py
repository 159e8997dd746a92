"""A small world and a procedure over it: for the engine's own tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organismctl.change.errors import LedgerRefusedError
from organismctl.change.journal import Journal
from organismctl.change.lease import Held, Lease
from organismctl.change.plan import Moves, Plan, PlannedStep
from organismctl.change.runner import Clock, Runner
from organismctl.change.step import Intent, Probe, Step


class Killed(
    BaseException
):  # not an Exception: nothing in the engine may catch it, as nothing catches SIGKILL
    """The process is gone."""


class FakeClock(Clock):
    """A clock whose sleep is instant."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def now_ms(self) -> int:
        return int(self.at * 1000)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class ToyLedger:
    """A ledger of one process: commands once by request id, and the lease's rules."""

    clock: FakeClock
    held: Held | None = None
    fences: int = 0
    until: float = 0.0
    applied: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def append(self, command: Mapping[str, Any], request_id: str) -> Mapping[str, Any]:
        if request_id in self.applied:
            return {"height": list(self.applied).index(request_id)}
        if command["type"] == "lease":
            self._lease(command)
        else:
            self.log.append(str(command["what"]))
        self.applied[request_id] = command
        return {"height": len(self.applied)}

    def _lease(self, command: Mapping[str, Any]) -> None:
        now = self.lease()
        match command["action"]:
            case "acquire" if now is not None and now.live:
                raise LedgerRefusedError("the lease is held")
            case "takeover" if now is None or now.fence != command["fence"]:
                raise LedgerRefusedError("another fence")
            case "renew" | "release" if now is None or not now.live or now.fence != command["fence"]:
                raise LedgerRefusedError("not the holder")
            case _:
                pass
        if command["action"] == "release":
            self.held = None
            return
        if command["action"] != "renew":
            self.fences += 1
            self.held = Held(command["change"], command["holder"], self.fences, self.clock.now_ms())
        self.until = self.clock.monotonic() + command["ttl_ms"] / 1000

    def lease(self) -> Held | None:
        if self.held is None:
            return None
        live = self.clock.monotonic() < self.until
        return Held(self.held.change, self.held.holder, self.held.fence, self.held.since_ms, live)

    def sealed(self) -> bool:
        return False


class Toy:
    """Four steps: a look, a ledger write, a process that is started, another ledger write (no way back)."""

    def __init__(self, ledger: ToyLedger, running: set[str], *, date: float | None = None) -> None:
        self.ledger = ledger
        self.running = running
        self.starts: list[str] = []
        self.date = date
        self.block: str | None = None

    def facts(self) -> dict[str, Any]:
        return {"roster": ["a", "b"]}

    def refusals(self) -> list[str]:
        return []

    def no_way_back(self) -> str | None:
        return None

    def _write(self, what: str) -> Callable[[Intent], dict[str, Any]]:
        return lambda intent: dict(self.ledger.append({"type": "toy", "what": what}, intent.id))

    def _written(self, what: str, unless: str | None = None) -> Callable[[], Probe]:
        def look() -> Probe:
            if what == self.block:
                return Probe.wait(f"{what} is not in sight", blocker="node-x")
            log = self.ledger.log
            return (
                Probe.yes(f"{what} stands") if what in log and unless not in log else Probe.wait(f"no {what}")
            )

        return look

    def _start(self, _intent: Intent) -> dict[str, Any]:
        if "p" not in self.running:
            self.running.add("p")
            self.starts.append("p")
        return {}

    def _stop(self, _intent: Intent) -> None:
        self.running.discard("p")

    def _dated(self) -> Probe:
        if self.date is not None and self.ledger.clock.monotonic() < self.date:
            return Probe.park("the date", int(self.date * 1000))
        return Probe.yes("the date is there")

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step(
                name="look", title="look first", verify=lambda: Probe.yes("all well"), no_undo="it only looks"
            ),
            Step(
                name="add",
                title="write add",
                act=self._write("add"),
                verify=self._written("add", "remove-add"),
                undo=self._write("remove-add"),
            ),
            Step(
                name="start",
                title="start p",
                act=self._start,
                verify=lambda: Probe.yes("p runs") if "p" in self.running else Probe.wait("p does not run"),
                undo=self._stop,
            ),
            Step(
                name="date",
                title="wait for the date",
                verify=self._dated,
                no_undo="it only waits",
                may_park=True,
            ),
            Step(
                name="cut",
                title="write cut",
                act=self._write("cut"),
                verify=self._written("cut"),
                no_undo="a cut stands",
                point_of_no_return=True,
                deadline_s=5,
            ),
        )


ACTING = ("add", "start", "cut")


def toy_plan(toy: Toy, change: str = "20261124T000000Z-toy-1") -> Plan:
    return Plan(
        id=change,
        procedure="toy",
        organism="acme.settlement",
        what="a toy change",
        why="to see the engine",
        operator="alice@acme",
        created_ms=1_790_000_000_000,
        parameters={},
        moves=Moves(),
        facts=toy.facts(),
        steps=tuple(PlannedStep.of(step) for step in toy.steps),
    )


@dataclass
class World:
    """Everything that outlives a runner: the disk, the ledger, the processes."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    running: set[str] = field(default_factory=set)
    date: float | None = None

    def __post_init__(self) -> None:
        self.ledger = ToyLedger(self.clock)
        self.toy = Toy(self.ledger, self.running, date=self.date)
        self.plan = toy_plan(self.toy)

    def runner(
        self, checkpoint: Callable[[str], None] = lambda _name: None, *, holder: str = "alice (host, 1)"
    ) -> Runner:
        journal = Journal.open(self.folder / "journal.jsonl", self.plan.hash, self.clock.now_ms)
        lease = Lease(self.ledger, self.plan.id, holder, self.clock.monotonic)
        return Runner(
            self.plan,
            self.toy,
            journal,
            lease,
            who={"operator": "alice", "host": "host", "pid": 1},
            clock=self.clock,
            checkpoint=checkpoint,
        )
