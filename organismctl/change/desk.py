"""An operator's desk for one organism: plan, apply, resume, take over, abort, look.

The command line calls this and prints; nothing here prints, prompts or exits.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import clean, iso
from organismctl.change.copies import Copies, Target
from organismctl.change.errors import (
    BusyError,
    StepRefusedError,
    SupersededError,
    TamperedError,
    TransientError,
)
from organismctl.change.journal import Journal
from organismctl.change.lease import Lease
from organismctl.change.lock import LocalLock
from organismctl.change.plan import Moves, Plan, PlannedStep, new_id
from organismctl.change.procedure import build
from organismctl.change.runner import Clock, Narrator, Runner, Silent
from organismctl.change.state import View, fold
from organismctl.change.store import Change, Store
from organismctl.errors import OrganismError, RefusedError

if TYPE_CHECKING:
    from organismctl.change.site import Site
    from organismctl.identity.config import Json

SiteMaker = Callable[..., "Site"]


@dataclass(slots=True, kw_only=True)
class Desk:
    """Everything that a command about changes needs.

    Attributes:
        organism: The organism's name.
        operator: Who stands in journals.
        store: Where changes are kept.
        targets: Where copies go.
        make_site: Makes the organism for one change: ``make_site(change=…, folder=…, accepted_risks=…,
            note_risk=…)``.
        narrator: Whom to tell.
        clock: The clock.
        accepted_risks: Codes from ``--accept-risk``.
        judge: What the checks say now; stands in the plan.
    """

    organism: str
    operator: str
    store: Store
    targets: tuple[Target, ...]
    make_site: SiteMaker
    narrator: Narrator = field(default_factory=Silent)
    clock: Clock = field(default_factory=Clock)
    accepted_risks: frozenset[str] = frozenset()
    judge: Callable[[], list[dict[str, Json]]] = list

    def site(self, change: str = "", note_risk: Callable[[str, str], None] = lambda _c, _w: None) -> Site:
        """The organism, able to be looked at and acted on."""
        return self.make_site(
            change=change,
            folder=self.store.folder / (change or "none"),
            accepted_risks=self.accepted_risks,
            note_risk=note_risk,
        )

    def plan(
        self,
        procedure: str,
        parameters: Mapping[str, Json],
        *,
        what: str,
        why: str = "",
        moves: Moves | None = None,
        notes: Iterable[str] = (),
    ) -> Plan:
        """Make a plan from what stands now.

        Raises:
            RefusedError: It is not to be begun, with every reason.
        """
        change = new_id(procedure, self.clock.now_ms())
        able = build(procedure, self.site(change), parameters)
        self._refuse(able.refusals(), what)
        return Plan(
            id=change,
            procedure=procedure,
            organism=self.organism,
            what=clean(what),
            why=clean(why),
            operator=clean(self.operator, 200),
            created_ms=self.clock.now_ms(),
            parameters=dict(parameters),
            moves=moves or Moves(),
            findings=self.judge(),
            facts=able.facts(),
            steps=tuple(PlannedStep.of(step) for step in able.steps),
            notes=tuple(clean(note) for note in notes),
        )

    def apply(self, plan: Plan) -> View:
        """Run a plan from its beginning.

        Raises:
            StalePlanError: The world moved since it was made.
            BusyError: Another change is in the way.
            Others: As :meth:`Runner.run`.
        """
        self._ours(plan)
        with self._lock(plan.id):
            self._nothing_in_the_way(plan)
            able = build(plan.procedure, self.site(plan.id), plan.parameters)
            plan.check_fresh(able.facts())
            self._refuse(able.refusals(), plan.what)
            journal = self.store.create(plan, self.clock.now_ms)
            return self._runner(plan, journal).run("opened")

    def resume(self, change: str) -> View:
        """Go on with a change of this machine.

        Raises:
            SupersededError: It goes on elsewhere.
            TamperedError: The journal differs from a copy.
            Others: As :meth:`Runner.run`.
        """
        with self._lock(change):
            plan, journal = self.store.open(change, self.clock.now_ms)
            self._ours(plan)
            if fold(plan, journal.lines).state.final:
                return fold(plan, journal.lines)
            self._compare(change, journal)
            return self._runner(plan, journal).run("resumed")

    def takeover(self, change: str) -> View:
        """Go on with a change of another runner, here or elsewhere; that one stops at its next fence.

        Raises:
            Others: As :meth:`resume`.
        """
        with self._lock(change):
            found = self.store.load(change)
            self._ours(found.best.plan)
            if found.view.state.final:
                return found.view
            self.store.adopt(found.best)
            plan, journal = self.store.open(change, self.clock.now_ms)
            return self._runner(plan, journal).run("taken-over")

    def abort(self, change: str) -> View:
        """Take a change back.

        Raises:
            StepRefusedError: It only goes forward.
            Others: As :meth:`resume`.
        """
        with self._lock(change):
            plan, journal = self.store.open(change, self.clock.now_ms)
            self._ours(plan)
            self._compare(change, journal)
            return self._runner(plan, journal).abort()

    def abort_elsewhere(self, change: str) -> View:
        """Take a change back that another machine began: its journal is adopted first.

        Raises:
            Others: As :meth:`abort`.
        """
        with self._lock(change):
            found = self.store.load(change)
            self._ours(found.best.plan)
            self.store.adopt(found.best)
            plan, journal = self.store.open(change, self.clock.now_ms)
            return self._runner(plan, journal).abort("taken-over")

    def changes(self) -> list[Change]:
        """Every change that is known here or anywhere in reach, oldest first; what cannot be read is said."""
        lease = self._lease_of()
        found = []
        for change in self.store.ids():
            try:
                found.append(self.store.load(change, lease_of=lease, deep=False))
            except OrganismError as exc:
                self.narrator.say(f"change {change} cannot be read: {exc.message}")
        return found

    def show(self, change: str) -> Change:
        """One change, merged from here and from the copies."""
        return self.store.load(change, lease_of=self._lease_of())

    def unfinished(self) -> list[Change]:
        """Changes that are neither over nor unbegun."""
        return [change for change in self.changes() if change.view.state not in _OVER]

    def _lease_of(self) -> str | None:
        try:
            held = self.site().fleet.lease()
        except TransientError:
            return None
        return held.change if held is not None and held.live else None

    def _nothing_in_the_way(self, plan: Plan) -> None:
        for change in self.store.unfinished():
            if change.id != plan.id and change.view.in_the_way:
                runner = change.view.runner
                raise BusyError(
                    f"change {change.id} ({change.view.plan.what}) is {change.view.state.value}, begun by "
                    f"{clean(str(runner.get('operator', 'unknown')), 100)} on "
                    f"{clean(str(runner.get('host', 'unknown')), 100)} at {runner.get('since', 'unknown')}",
                    advice=f"complete it first: `organismctl change resume {change.id}` (takeover, abort)",
                )

    def _compare(self, change: str, journal: Journal) -> None:
        """The copies may be behind; they must not be ahead or say something else."""
        found = self.store.load(change)
        ours = journal.lines
        fence = max((line.fence for line in ours), default=0)
        for copy in found.copies:
            for number, (mine, theirs) in enumerate(zip(ours, copy.lines, strict=False), 1):
                if mine.text == theirs.text:
                    continue
                if theirs.fence < mine.fence:
                    break  # the branch of a runner that this one took over from
                if copy.rank > (fence, len(ours)):
                    self._elsewhere(change, copy.origin)
                raise TamperedError(journal.path, number, f"it differs from the copy on {copy.origin}")
            else:
                if len(copy.lines) > len(ours):
                    self._elsewhere(change, copy.origin)

    def _elsewhere(self, change: str, origin: str) -> None:
        raise SupersededError(
            f"{origin} holds later lines of {change}: another runner went on with it",
            advice=f"`organismctl change show {change}`; `change takeover {change}` when that one is dead",
        )

    def _runner(self, plan: Plan, journal: Journal) -> Runner:
        copies = Copies(plan, self.targets, say=self.narrator.say)
        copies.begin(journal.lines)
        journal.listen(copies.send)
        told = {str(line.data.get("code")) for line in journal.lines if line.kind == "risk"}
        self.accepted_risks = self.accepted_risks | told

        def note_risk(code: str, why: str) -> None:
            if code not in told:
                told.add(code)
                journal.append("risk", code=code, why=clean(why))

        site = self.site(plan.id, note_risk)
        who = self._who(plan.id)
        holder = f"{who['operator']} ({who['host']}, process {who['pid']})"
        printable = "".join(char for char in holder if char.isprintable())
        return Runner(
            plan,
            build(plan.procedure, site, plan.parameters),
            journal,
            Lease(site.fleet, plan.id, printable[:200], self.clock.monotonic),
            who={key: who[key] for key in ("operator", "host", "pid")},
            narrator=self.narrator,
            clock=self.clock,
            fenced=copies.check,
        )

    def _who(self, change: str) -> dict[str, Any]:
        return {
            "change": change,
            "operator": clean(self.operator, 100),
            "host": clean(socket.gethostname(), 60),
            "pid": os.getpid(),
            "since": iso(self.clock.now_ms()),
        }

    def _lock(self, change: str) -> LocalLock:
        return LocalLock(self.store.lock_path, self._who(change))

    def _ours(self, plan: Plan) -> None:
        if plan.organism != self.organism:
            raise StepRefusedError(
                f"plan {plan.id} is of {clean(plan.organism, 100)}, this is {self.organism}",
                advice="name the organism that is meant: --organism",
            )

    def _refuse(self, why: list[str], what: str) -> None:
        if why:
            raise RefusedError(f"{what}: refused: " + "; ".join(why), advice=UNBEGUN)


UNBEGUN = (
    "nothing was begun: mend what is named, then run it again; `organismctl status` shows how all stands"
)
_OVER = frozenset({"done", "aborted", "planned"})
