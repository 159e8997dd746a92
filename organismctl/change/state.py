"""What a journal says about its change: a fold over its lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from organismctl.change.canonical import iso
from organismctl.change.journal import Line
from organismctl.change.plan import Plan


class State(StrEnum):
    """Where a change stands."""

    PLANNED = "planned"
    """No runner has begun."""
    RUNNING = "running"
    """A runner acts now."""
    PARKED = "parked"
    """Waits for people or a date; holds no lease."""
    INTERRUPTED = "interrupted"
    """Its runner ended before it did; resumable."""
    ABORTED = "aborted"
    """Undone; final."""
    DONE = "done"
    """Done; final."""

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self in {State.ABORTED, State.DONE}


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    BEGUN = "begun"
    """Its action was announced; whether it happened is for the next look to say."""
    ACTED = "acted"
    """Its action returned; the proof is outstanding."""
    DONE = "done"
    UNDONE = "undone"


@dataclass(slots=True)
class StepView:
    """One step as the journal tells it.

    Attributes:
        state: Where it stands.
        attempt: The number of the present attempt, from 1.
        already: The proof was there before any action.
        detail: The last thing that was said about it.
        began_ms: When it was first mentioned, Unix ms.
        ended_ms: When its proof was seen.
    """

    state: StepState = StepState.PENDING
    attempt: int = 1
    already: bool = False
    detail: str = ""
    began_ms: int | None = None
    ended_ms: int | None = None


@dataclass(slots=True)
class View:
    """One change as its plan and journal tell it.

    Attributes:
        plan: The plan.
        state: Where it stands; ``RUNNING`` is for whoever knows the locks to say, see :func:`fold`.
        steps: Step name to view, in the plan's order.
        waits_for: What a parked change waits for.
        until_ms: Until when, Unix ms.
        problem: What stopped an interrupted one, when it could still say.
        advice: The next step then.
        runner: Who began last: operator, host, pid.
        fence: The greatest fence in the journal.
        aborting: Whether the way back has begun.
        no_return: Whether the point of no return has been passed, or may have been.
        updated_ms: Time of the last line.
        notes: Notes, risks and repairs in order.
    """

    plan: Plan
    state: State = State.PLANNED
    steps: dict[str, StepView] = field(default_factory=dict)
    waits_for: str | None = None
    until_ms: int | None = None
    problem: str | None = None
    advice: str | None = None
    runner: dict[str, Any] = field(default_factory=dict)
    fence: int = 0
    aborting: bool = False
    no_return: bool = False
    updated_ms: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def in_the_way(self) -> bool:
        """Whether other changes have to wait for this one.

        Not when it is over, was never begun, or waits at a step that needs no lease (a date that is far off).
        """
        if self.state.final or self.state is State.PLANNED:
            return False
        planned = next((step for step in self.plan.steps if step.name == self.current), None)
        return not (self.state is State.PARKED and planned is not None and not planned.leased)

    @property
    def current(self) -> str | None:
        """Name of the first step that is not done; ``None`` when all are."""
        return next((name for name, step in self.steps.items() if step.state is not StepState.DONE), None)

    def as_json(self, lines: Sequence[Line] | None = None) -> dict[str, Any]:
        """The document of ``change show --format json``; with ``lines`` the journal too."""
        plan = self.plan
        titles = {step.name: step for step in plan.steps}
        return {
            "schema": 1,
            "id": plan.id,
            "procedure": plan.procedure,
            "organism": plan.organism,
            "what": plan.what,
            "why": plan.why,
            "state": self.state.value,
            "aborting": self.aborting,
            "no_return": self.no_return,
            "waits_for": self.waits_for,
            "until": None if self.until_ms is None else iso(self.until_ms),
            "problem": self.problem,
            "advice": self.advice,
            "runner": self.runner or None,
            "fence": self.fence,
            "created": iso(plan.created_ms),
            "updated": None if self.updated_ms is None else iso(self.updated_ms),
            "plan_hash": plan.hash,
            "moves": plan.as_json()["moves"],
            "steps": [
                {
                    "name": name,
                    "title": titles[name].title if name in titles else name,
                    "state": step.state.value,
                    "attempt": step.attempt,
                    "already": step.already,
                    "detail": step.detail,
                    "began": None if step.began_ms is None else iso(step.began_ms),
                    "ended": None if step.ended_ms is None else iso(step.ended_ms),
                    "no_undo": titles[name].undo if name in titles else None,
                }
                for name, step in self.steps.items()
            ],
            "notes": self.notes,
            **({"lines": [_line_json(line) for line in lines]} if lines is not None else {}),
        }


def fold(plan: Plan, lines: Sequence[Line], *, running: bool = False) -> View:
    """Read a journal.

    Args:
        plan: The plan it belongs to.
        lines: Its lines, already checked.
        running: Whether a runner is known to act now (its lock or its lease is held).
    """
    view = View(plan, steps={step.name: StepView() for step in plan.steps})
    for line in lines:
        _take(view, line)
    if running and view.state is State.INTERRUPTED:
        view.state = State.RUNNING
    return view


def _take(view: View, line: Line) -> None:
    view.updated_ms = line.at_ms
    view.fence = max(view.fence, line.fence)
    if line.step is not None and line.step in view.steps:
        _take_step(view, view.steps[line.step], line)
    match line.kind:
        case "opened" | "resumed" | "taken-over":
            view.runner = {key: line.data[key] for key in ("operator", "host", "pid") if key in line.data}
            view.runner["since"] = iso(line.at_ms)
            _set(view, State.INTERRUPTED)
        case "parked":
            _set(view, State.PARKED)
            view.waits_for = str(line.data.get("waits_for", ""))
            until = line.data.get("until_ms")
            view.until_ms = until if isinstance(until, int) else None
            view.advice = _text(line, "advice")
        case "failed" | "stopped":
            _set(view, State.INTERRUPTED)
            view.problem, view.advice = _text(line, "error"), _text(line, "advice")
        case "aborting":
            view.aborting = "over" not in line.data
        case "aborted":
            _set(view, State.ABORTED)
        case "done":
            _set(view, State.DONE)
        case "note" | "repaired" | "risk":
            view.notes.append(_text(line, "why") or _text(line, "text") or line.kind)
        case _:
            pass


def _set(view: View, state: State) -> None:
    view.state = state
    view.waits_for = view.until_ms = view.problem = view.advice = None


def _take_step(view: View, step: StepView, line: Line) -> None:
    step.began_ms = step.began_ms if step.began_ms is not None else line.at_ms
    undo = line.data.get("phase") == "undo"
    planned = next(item for item in view.plan.steps if item.name == line.step)
    match line.kind:
        case "intent" if not undo:
            step.state = StepState.BEGUN
            view.no_return = view.no_return or planned.point_of_no_return
        case "acted" if not undo:
            step.state = StepState.ACTED
        case "refused" if not undo:
            step.state = StepState.PENDING
            step.attempt += 1
            if planned.point_of_no_return:
                view.no_return = False
        case "verified":
            step.state = StepState.DONE
            step.already = line.data.get("already") is True
            step.ended_ms = line.at_ms
            view.no_return = view.no_return or planned.point_of_no_return
        case "undone":
            step.state = StepState.UNDONE
        case _:
            pass
    step.detail = _text(line, "detail") or _text(line, "error") or step.detail


def _text(line: Line, key: str) -> str | None:
    value = line.data.get(key)
    return value if isinstance(value, str) and value else None


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "seq": line.seq,
        "at": iso(line.at_ms),
        "kind": line.kind,
        "step": line.step,
        "fence": line.fence,
        "data": dict(line.data),
        "hash": line.hash,
    }
