"""Observe and Apply: how observations become facts.

Rules, in the order in which they are tried:

1. A position at or below the input's mark is a duplicate: nothing happens.
2. ``after`` must name the mark, and the upstream clock never goes back. Hence an input that was observed at a
   clock event will report nothing earlier any more: it has *passed* everything before it.
3. The hash and a majority's vouches must stand.
4. ``join``: the first observation of an input at a clock event counts. Facts are made in the order of clock
   events: of a complete one at once; of one that can never be complete (its missing inputs passed it) a
   degraded fact under ``partial`` and none under ``wait``; of an incomplete one, under ``partial``, when its
   deadline is over in certified time. Whatever else is incomplete holds up what comes after it.
5. ``fan-in``: one fact per observation, in the order of the log. ``ticker``: one fact per period of certified
   time, whose clock event is ``Unix ms // period``.
"""

from __future__ import annotations

from organismctl.committee.command import Apply, Observe
from organismctl.committee.evidence import Pointer, Verifier, verify_vouches
from organismctl.committee.machine.effects import (
    Effect,
    Effects,
    Ignored,
    Observed,
    PublishFact,
    Refused,
    Skipped,
)
from organismctl.committee.machine.fact import Fact, Input, encode_fact
from organismctl.committee.machine.state import MAX_OPEN, Join, Mark, State

_DUPLICATE = Ignored("duplicate", "this position was observed already")
_LATE = Ignored("late", "a fact of this clock event, or of a later one, was made already")
_SAME = Ignored("duplicate", "this input reported this clock event already")
_NOTHING = Ignored("nothing-ready", "nothing is ready up to this clock event")


def observe(state: State, command: Observe, verifier: Verifier) -> Effects:
    """Take an observation in, or say why not."""
    pointer = command.pointer
    source = Input(pointer.stable_id, pointer.surface_id)
    mark = state.marks.get(source)
    if mark is None:
        return (Refused("not-spanned", "this surface is no input of the organism"),)
    if mark.position is not None and pointer.position <= mark.position:
        return (_DUPLICATE,)
    refused = _order(state, command, mark)
    if refused is not None:
        return (refused,)
    result = verify_vouches(
        pointer,
        command.event,
        command.vouches,
        state.roster.members.keys(),
        state.config.fingerprint,
        verifier=verifier,
    )
    if not result:
        return (Refused("evidence", result.reason),)
    effects = _take(state, source, pointer)
    if not isinstance(effects[0], Refused):
        mark.position = pointer.position
        mark.clock_event = pointer.clock_event
        mark.count += 1
    return effects


def _order(state: State, command: Observe, mark: Mark) -> Refused | None:
    pointer = command.pointer
    if command.after is not None and command.after != mark.position:
        return Refused("out-of-order", f"position {mark.position} was observed last, not {command.after}")
    if mark.clock_event is not None and pointer.clock_event < mark.clock_event:
        return Refused("clock-back", f"the input's clock stands at {mark.clock_event}")
    if state.handover is not None:
        cut = next((c.clock_event for c in state.handover.cut if c.stable_id == pointer.stable_id), None)
        if cut is not None and pointer.clock_event > cut:
            return Refused("past-cut", f"handed over after clock event {cut}")
    return None


def _take(state: State, source: Input, pointer: Pointer) -> Effects:  # rules in order
    event = pointer.clock_event
    if source not in state.config.folded:
        return (Observed(pointer),)
    if event <= state.floor.get(pointer.stable_id, -1):
        return (Ignored("late", "the predecessor served this clock event"),)
    if state.config.fold == "fan-in":
        if len(state.pending) >= MAX_OPEN:
            return (Refused("too-many-open", f"{MAX_OPEN} observations wait for Apply"),)
        state.pending.append(pointer)
        return (Observed(pointer),)
    if state.applied is not None and event <= state.applied:
        return (_LATE,)
    join = state.joins.get(event)
    if join is None:
        return _open(state, source, pointer)
    if source in join.observations:
        return (_SAME,)
    join.observations[source] = pointer
    return (Observed(pointer),)


def _open(state: State, source: Input, pointer: Pointer) -> Effects:
    event = pointer.clock_event
    given_up: list[Effect] = []
    if state.config.stall == "wait":
        passed = _passed(state, event, (source,))
        if passed:
            return (Skipped(event, passed),)
        if len(state.joins) >= MAX_OPEN:
            # What this input passes by with this very event can never be complete. Without this, an input
            # that comes back past everything which waits for it could never be heard again.
            for old in sorted(state.joins):
                if old < event and source not in state.joins[old].observations:
                    del state.joins[old]
                    given_up.append(Skipped(old, (source,)))
    if len(state.joins) >= MAX_OPEN:
        return (Refused("too-many-open", f"{MAX_OPEN} clock events wait for Apply"),)
    state.joins[event] = Join(state.tick_ms, {source: pointer})
    return (Observed(pointer), *given_up)


def _passed(state: State, event: int, present: tuple[Input, ...] | dict[Input, Pointer]) -> tuple[Input, ...]:
    """The inputs that are not present at a clock event and have gone past it."""
    marks = state.marks
    found = []
    for item in state.config.inputs:
        clock = marks[item].clock_event
        if clock is not None and clock > event and item not in present:
            found.append(item)
    return tuple(found)


def apply(state: State, command: Apply) -> Effects:
    """Make facts of what is ready."""
    fold = state.config.fold
    if fold == "ticker":
        return _ticker(state, command)
    if fold == "fan-in":
        return _fan_in(state, command)
    return _join(state, command)


def _ticker(state: State, command: Apply) -> Effects:
    event = command.through
    if state.handover is not None:
        return (Refused("past-cut", "handed over"),)
    if state.applied is not None and event <= state.applied:
        return (Ignored("late", "this period has its fact already"),)
    if event * state.config.period_ms > state.tick_ms:
        return (Refused("early", "certified time has not reached this period"),)
    state.applied = event
    return _publish(state, Fact(fold="ticker", clock_event=event, tick_ms=state.tick_ms))


def _fan_in(state: State, command: Apply) -> Effects:
    ready = [pointer for pointer in state.pending if pointer.clock_event <= command.through]
    if not ready:
        return (_NOTHING,)
    state.pending = [pointer for pointer in state.pending if pointer.clock_event > command.through]
    effects: list[Effect] = []
    for pointer in ready:
        fact = Fact(
            fold="fan-in",
            clock_event=pointer.clock_event,
            tick_ms=state.tick_ms,
            observations=(pointer,),
        )
        effects.extend(_publish(state, fact))
    return tuple(effects)


def _join(state: State, command: Apply) -> Effects:
    effects: list[Effect] = []
    partial = state.config.stall == "partial"
    for event in sorted(item for item in state.joins if item <= command.through):
        join = state.joins[event]
        missing = tuple(item for item in state.config.inputs if item not in join.observations)
        if missing:
            passed = _passed(state, event, join.observations)
            if passed and not partial:
                del state.joins[event]
                effects.append(Skipped(event, missing))
                continue
            due = state.tick_ms >= join.opened_ms + state.config.apply_deadline_ms
            if not partial or not (due or len(passed) == len(missing)):
                break
        del state.joins[event]
        state.applied = event
        observations = tuple(join.observations[item] for item in sorted(join.observations))
        fact = Fact(
            fold="join",
            clock_event=event,
            tick_ms=state.tick_ms,
            observations=observations,
            missing=missing,
        )
        effects.extend(_publish(state, fact))
    return tuple(effects) or (_NOTHING,)


def ready_through(state: State, tick_ms: int) -> int | None:
    """Up to where an Apply would do something, once certified time has reached ``tick_ms``.

    Args:
        state: The state; not changed.
        tick_ms: The certified time to reckon with, at least the state's own.

    Returns:
        What to give to ``Apply.through``, or ``None`` when an Apply would change nothing.
    """
    config = state.config
    if config.fold == "ticker":
        event = tick_ms // config.period_ms
        return event if tick_ms and (state.applied is None or event > state.applied) else None
    if config.fold == "fan-in":
        return max((pointer.clock_event for pointer in state.pending), default=None)
    if not state.joins:
        return None
    first = min(state.joins)
    join = state.joins[first]
    missing = len(config.inputs) - len(join.observations)
    passed = len(_passed(state, first, join.observations)) if missing else 0
    if config.stall == "wait":
        ready = not missing or bool(passed)
    else:
        ready = missing == passed or tick_ms >= join.opened_ms + config.apply_deadline_ms
    return max(state.joins) if ready else None


def _publish(state: State, fact: Fact) -> Effects:
    data = encode_fact(fact)
    seq = state.next_seq
    state.next_seq += 1
    return tuple(PublishFact(name, seq, state.height, data) for name in state.config.surfaces)
