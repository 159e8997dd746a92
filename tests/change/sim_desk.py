"""One operator's desk over a simulated committee, and the parameters of the procedures tried on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from organismctl.change.copies import Copies
from organismctl.change.journal import Journal
from organismctl.change.lease import Lease
from organismctl.change.plan import Moves, Plan, PlannedStep
from organismctl.change.procedure import build
from organismctl.change.runner import Runner
from organismctl.change.site import Site
from tests.change.sim import Committee, SimNode, sim_site
from tests.change.toy import FakeClock

ROTATE: dict[str, Any] = {"out": "node-a", "in": "node-d"}
RETIRE: dict[str, Any] = {
    "effective_at": "2026-09-21T14:13:40Z",
    "replacement": None,
    "reason": "moved",
    "nodes": ["node-a", "node-b", "node-c"],
    "ticks_now": None,
}
"""20 s after the clock's start, 2026-09-21T14:13:20Z."""


class Desk:
    """One operator's desk over a simulated committee."""

    def __init__(self, folder: Path, name: str, parameters: dict[str, Any], **site: Any) -> None:
        self.clock = FakeClock()
        self.committee = Committee(self.clock)
        self.first_version = self.committee.state.roster_version
        self.folder = folder
        self.name = name
        self.parameters = parameters
        self.site_options = site
        self.plan = self.make_plan()

    def site(self) -> Site:
        return sim_site(self.committee, self.folder, **self.site_options)

    def make_plan(self) -> Plan:
        procedure = build(self.name, self.site(), self.parameters)
        return Plan(
            id="20261124T000000Z-sim-1",
            procedure=self.name,
            organism="acme.settlement",
            what=self.name,
            why="",
            operator="alice",
            created_ms=self.clock.now_ms(),
            parameters=self.parameters,
            moves=Moves(),
            facts=procedure.facts(),
            steps=tuple(PlannedStep.of(step) for step in procedure.steps),
        )

    def runner(
        self,
        checkpoint: Callable[[str], None] = lambda _name: None,
        *,
        folder: Path | None = None,
        holder: str = "alice",
    ) -> Runner:
        site = self.site()
        journal = Journal.open((folder or self.folder) / "journal.jsonl", self.plan.hash, self.clock.now_ms)
        copies = Copies(self.plan, [SimNode(self.committee, name) for name in self.committee.names])
        copies.begin(journal.lines)
        journal.listen(copies.send)
        site = replace(site, note_risk=lambda code, why: journal.append("risk", code=code, why=why) and None)
        return Runner(
            self.plan,
            build(self.name, site, self.parameters),
            journal,
            Lease(site.fleet, self.plan.id, holder, self.clock.monotonic),
            who={"operator": holder, "host": "host", "pid": 1},
            clock=self.clock,
            fenced=copies.check,
            checkpoint=checkpoint,
        )

    def acting(self) -> list[str]:
        return [step.name for step in self.plan.steps if step.acts]
