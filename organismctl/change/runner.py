"""The engine: runs any procedure step by step, and survives being killed anywhere.

Order of every action, each point on disk before the next begins:

1. the step's proof is looked for: when it is there, the step is done and nothing is done twice;
2. its precondition is looked at anew, never taken from the plan's old snapshot;
3. the fence: a certified renewal of the lease (where the step needs it); another runner's takeover stops us
here; 4. the line ``intent`` is written and fsynced, with the id under which the action happens once;
5. the action;
6. the line ``acted``;
7. the proof is awaited until its deadline, then the line ``verified``.

Killed between 4 and 6, the next runner looks for the proof first, and otherwise repeats the action under the
same intent id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from organismctl.change.canonical import clean
from organismctl.change.crash import crash_point
from organismctl.change.errors import (
    JournalError,
    LedgerRefusedError,
    ParkedError,
    StalledError,
    StepRefusedError,
    SupersededError,
    TransientError,
)
from organismctl.change.journal import Journal
from organismctl.change.lease import Guard
from organismctl.change.narration import Clock, Narrator, Silent
from organismctl.change.plan import Plan
from organismctl.change.state import StepState, View, fold
from organismctl.change.step import Intent, Probe, Procedure, Seen, Step
from organismctl.errors import OrganismError, RefusedError, UnreachableError

if TYPE_CHECKING:
    from organismctl.identity.config import Json

T = TypeVar("T")

RELEASE_PATIENCE_S = 5.0
"""How long giving the lease back is tried; after that it expires by itself."""


class Runner:
    """Runs one change.

    Args:
        plan: What to do.
        procedure: The same, able to act.
        journal: Open, on the local disk.
        guard: The lease.
        who: ``operator``, ``host``, ``pid`` of this runner, for the journal.
        narrator: Whom to tell.
        clock: The clock.
        fenced: Raises :class:`SupersededError` when the journal's copies show another runner; called before
            every action, beside the lease.
        checkpoint: Called before and after every action (``crash.py``).
    """

    def __init__(
        self,
        plan: Plan,
        procedure: Procedure,
        journal: Journal,
        guard: Guard,
        *,
        who: Mapping[str, Json],
        narrator: Narrator | None = None,
        clock: Clock | None = None,
        fenced: Callable[[], None] = lambda: None,
        checkpoint: Callable[[str], None] = crash_point,
    ) -> None:
        self.plan = plan
        self.procedure = procedure
        self.journal = journal
        self.guard = guard
        self.who: dict[str, Any] = dict(who)
        self.narrator = narrator or Silent()
        self.clock = clock or Clock()
        self.fenced = fenced
        guard.fence = journal.fence
        self.checkpoint = checkpoint

    def run(self, opening: str = "opened") -> View:
        """Run to the end, from wherever the journal stands.

        Args:
            opening: ``opened``, ``resumed`` or ``taken-over``.

        Returns:
            The change as it then stands: done, or aborted when the way back had begun.

        Raises:
            ParkedError: It waits for people or a date; not a fault.
            StepRefusedError: A precondition does not hold.
            StalledError: A proof did not come in time.
            SupersededError: Another runner took over.
            JournalError: The journal cannot be written.
        """
        view = self._open(opening)
        if view.state.final:
            return view
        if view.aborting:
            over = self.procedure.no_way_back()
            if over is None:
                return self._guarded(self._undo_all)
            self.journal.append("aborting", over=clean(over))
        return self._guarded(self._run_all)

    def abort(self, opening: str = "resumed") -> View:
        """Take back what was done, last step first.

        Raises:
            StepRefusedError: The point of no return has been passed, or may have been.
            Others: As :meth:`run`.
        """
        view = self.view()
        if view.state.final:
            raise StepRefusedError(f"the change is {view.state.value} already")
        over = self.procedure.no_way_back()
        if view.no_return or over:
            raise StepRefusedError(
                f"change {self.plan.id} only goes forward: {over or 'its point of no return is passed'}",
                advice=f"`organismctl change resume {self.plan.id}` completes it",
            )
        self._open(opening)
        if not self.view().aborting:
            self.journal.append("aborting")
        return self._guarded(self._undo_all)

    def view(self) -> View:
        """The change as its journal stands."""
        return fold(self.plan, self.journal.lines)

    def _open(self, opening: str) -> View:
        view = self.view()
        if opening == "taken-over":
            # Above every fence in the journal, also where no lease can say so: after the seal there is none.
            self.journal.fence += 1
        if not view.state.final:
            self.journal.append(opening, **self.who)
        return view

    def _guarded(self, work: Callable[[], View]) -> View:
        """Run, and leave the journal saying why it ended; the lease is given back in every orderly end."""
        try:
            return work()
        except ParkedError as parked:
            self._give_back()
            self.journal.append(
                "parked",
                self.view().current,
                waits_for=clean(parked.waits_for),
                until_ms=parked.until_ms,
                advice=parked.advice,
            )
            raise
        except (JournalError, SupersededError):
            # Nothing more may be written: the disk refuses it, or the journal belongs to another runner now.
            if self.guard.held:
                self._give_back()
            raise
        except OrganismError as exc:
            self._end("failed", exc.message, exc.advice)
            raise
        except KeyboardInterrupt:
            self._end("stopped", "stopped by the operator", f"organismctl change resume {self.plan.id}")
            raise

    def _end(self, kind: str, error: str, advice: str | None) -> None:
        if not any(line.kind == "intent" for line in self.journal.lines):
            # Nothing was begun, so nothing is left to resume: the change is over, not in the way of the next.
            self.journal.append("aborted", error=clean(error), advice=advice)
            self._give_back()
            return
        self.journal.append(kind, self.view().current, error=clean(error), advice=advice)
        self._give_back()

    def _run_all(self) -> View:
        steps = self.procedure.steps
        for number, step in enumerate(steps, 1):
            if self.view().steps[step.name].state is StepState.DONE:
                continue
            self.narrator.step(number, len(steps), step.title)
            self._run_step(number, step)
        return self._finish("done")

    def _finish(self, kind: str) -> View:
        self.fenced()
        self.checkpoint("finish:before")
        self._give_back()
        self.checkpoint("finish:after")
        self.journal.append(kind)
        return self.view()

    def _run_step(self, number: int, step: Step) -> None:
        if step.leased and number == 1:
            self._hold()
        began = self.clock.monotonic()
        seen = self._look(step.verify)
        if seen.seen is Seen.YES:
            already = self.view().steps[step.name].state is StepState.PENDING
            self.narrator.say(f"{'already so' if already and step.act else 'seen'}: {seen.detail}")
            self.journal.append("verified", step.name, detail=clean(seen.detail), already=already or None)
            return
        if step.leased:
            self._hold()
        if step.act is not None:
            self._await(step, step.ready, "the precondition", began)
            self._act(step, step.act, "act", began)
        seen = self._await(step, step.verify, "the proof", began)
        self.journal.append("verified", step.name, detail=clean(seen.detail))
        self.narrator.say(f"seen: {seen.detail}")

    def _act(
        self, step: Step, action: Callable[[Intent], Mapping[str, Json] | None], phase: str, began: float
    ) -> None:
        self.fenced()
        if step.leased:
            self._certain(step, self.guard.check, began)
            self.journal.fence = self.guard.fence
        undo = phase == "undo"
        intent = Intent(
            self.plan.id,
            step.name,
            phase,
            self._undo_attempt(step.name) if undo else self.view().steps[step.name].attempt,
            self.journal.fence,
        )
        point = f"undo:{step.name}" if undo else step.name
        self.journal.append("intent", step.name, phase=phase, intent=intent.id, attempt=intent.attempt)
        self.checkpoint(f"{point}:before")
        try:
            result = self._certain(step, lambda: action(intent), began)
        except LedgerRefusedError as exc:
            self.journal.append("refused", step.name, phase=phase, intent=intent.id, error=clean(exc.message))
            if not undo and self._look(step.verify).seen is Seen.YES:
                return
            raise StepRefusedError(
                f"{step.title}: the committee refused: {exc.message}", advice=exc.advice
            ) from exc
        self.checkpoint(f"{point}:after")
        self.journal.append("acted", step.name, phase=phase, intent=intent.id, result=dict(result or {}))

    def _undo_attempt(self, name: str) -> int:
        refused = [line for line in self.journal.lines if line.kind == "refused" and line.step == name]
        return 1 + len([line for line in refused if line.data.get("phase") == "undo"])

    def _undo_all(self) -> View:
        self._hold()
        steps = list(self.procedure.steps)
        for step in reversed(steps):
            state = self.view().steps[step.name].state
            if step.act is None or state in {StepState.PENDING, StepState.UNDONE}:
                continue
            if self.view().steps[step.name].already:
                # It was so before we came; it is not ours to take back.
                continue
            if step.undo is None:
                self.journal.append("note", step.name, text=f"not undone: {step.no_undo}")
                self.narrator.say(f"not undone: {step.title}: {step.no_undo}")
                continue
            self.narrator.say(f"undoing: {step.title}")
            self._act(step, step.undo, "undo", self.clock.monotonic())
            self.journal.append("undone", step.name)
        return self._finish("aborted")

    def _hold(self) -> None:
        if self.guard.held:
            return
        self.fenced()
        began = self.clock.monotonic()
        self.checkpoint("lease:before")
        # The local lock and the journal prove that an earlier runner of this change on this machine is dead;
        # on another machine `takeover` is what the operator asked for.
        again = len(self.journal.lines) > 1
        self._certain(None, lambda: self.guard.acquire(takeover=again), began)
        self.checkpoint("lease:after")
        self.journal.fence = self.guard.fence
        self.journal.append("lease", text="acquired")

    def _give_back(self) -> None:
        """Release, for a few seconds at most: a committee that cannot say now lets it expire."""
        end = self.clock.monotonic() + RELEASE_PATIENCE_S
        while True:
            try:
                self.guard.release()
            except (TransientError, UnreachableError) as exc:
                if self.clock.monotonic() < end:
                    self.clock.sleep(0.2)
                    continue
                self.narrator.say(f"the lease could not be given back ({exc.message}); it expires by itself")
            except RefusedError:
                pass
            return

    def _certain(self, step: Step | None, call: Callable[[], T], began: float) -> T:
        """Call until the outcome is certain, at most until the step's deadline."""
        limit = step.deadline_s if step is not None else 60.0
        pause = 0.05
        while True:
            try:
                return call()
            except (TransientError, UnreachableError) as exc:
                waited = self.clock.monotonic() - began
                blocker = exc.blocker if isinstance(exc, TransientError) else exc.message
                if waited >= limit:
                    what = step.title if step is not None else "the lease"
                    raise StalledError(
                        f"{what}: no certain outcome within {limit:.0f} s: {blocker}",
                        advice=f"restore a majority, then `organismctl change resume {self.plan.id}`",
                    ) from exc
                self.narrator.waiting("a certain outcome", waited, limit, clean(blocker))
                self.clock.sleep(pause)
                pause = min(pause * 1.6, 0.5)

    def _look(self, probe: Callable[[], Probe]) -> Probe:
        try:
            return probe()
        except (TransientError, UnreachableError) as exc:
            return Probe.wait(exc.message, exc.blocker if isinstance(exc, TransientError) else exc.message)

    def _await(self, step: Step, probe: Callable[[], Probe], what: str, began: float) -> Probe:
        pause = 0.05
        while True:
            seen = self._look(probe)
            if seen.seen is Seen.YES:
                return seen
            if seen.seen is Seen.NO:
                raise StepRefusedError(f"{step.title}: {seen.detail}", advice=seen.advice)
            if seen.seen is Seen.PARK:
                if step.may_park:
                    raise ParkedError(seen.detail, seen.until_ms, advice=seen.advice)
                raise StepRefusedError(f"{step.title}: {seen.detail}", advice=seen.advice)
            waited = self.clock.monotonic() - began
            if waited >= step.deadline_s:
                raise StalledError(
                    f"{step.title}: {what} did not come within {step.deadline_s:.0f} s: {seen.detail}"
                    + (f"; blocked by {seen.blocker}" if seen.blocker else ""),
                    advice=f"remove what blocks it, then `organismctl change resume {self.plan.id}`",
                )
            self.narrator.waiting(f"{what}: {seen.detail}", waited, step.deadline_s, seen.blocker)
            if step.leased:
                self.guard.keep()
            self.fenced()
            self.clock.sleep(pause)
            pause = min(pause * 1.5, 0.5)


__all__ = ["Clock", "Narrator", "Runner", "Silent", "View"]
