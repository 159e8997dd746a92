"""Tick, retirement, handover and void: what time and the end of an organism do.

The first certified Tick at or past ``effective_at`` seals the machine: the marker is the last item of every
surface, the lease is free, and every later command is refused. A tick that stops coming has a wall-clock time
to fall back on; where an Almanac gives the tick, that time is required.
"""

from __future__ import annotations

from organismctl.committee.command import Amend, Cancel, Handover, Schedule, Tick, VoidEvidence
from organismctl.committee.machine.effects import (
    Effect,
    Effects,
    EvidenceVoided,
    HandedOver,
    LeaseEnded,
    PublishMarker,
    Refused,
    RetirementChanged,
    Sealed,
)
from organismctl.committee.machine.governing import fence_fault
from organismctl.committee.machine.state import HandoverState, Retirement, State
from organismctl.committee.moment import MAX_MS, Moment
from organismctl.identity.surface_item import RetirementMarker


def tick(state: State, command: Tick) -> Effects:
    """Move certified time forward: leases expire, and a due retirement seals."""
    if not state.tick_ms < command.unix_ms <= MAX_MS:
        return (Refused("tick", f"certified time stands at {state.tick_ms} ms"),)
    state.tick_ms = command.unix_ms
    state.ticks += 1
    effects: list[Effect] = []
    if state.lease is not None and state.lease.until_ms < state.tick_ms:
        effects.append(_end_lease(state, "expired"))
    retirement = state.retirement
    if retirement is not None and _due(state, retirement.effective_at):
        effects.extend(_seal(state, retirement))
    return tuple(effects)


def _due(state: State, moment: Moment) -> bool:
    if moment.tick is not None and state.tick_number >= moment.tick:
        return True
    return moment.unix_ms is not None and state.tick_ms >= moment.unix_ms


def _end_lease(state: State, cause: str) -> LeaseEnded:
    held = state.lease
    assert held is not None  # noqa: S101 # the callers have seen it
    state.lease = None
    return LeaseEnded(held.change, held.holder, state.fence, cause)


def _seal(state: State, retirement: Retirement) -> Effects:
    marker = RetirementMarker(
        effective_at=str(retirement.effective_at),
        replacement=retirement.replacement,
        reason=retirement.reason,
    )
    effects: list[Effect] = [
        PublishMarker(name, state.next_seq, state.height, marker) for name in state.config.surfaces
    ]
    state.next_seq += 1
    state.marker = marker
    state.sealed_height = state.height
    if state.lease is not None:
        effects.append(_end_lease(state, "sealed"))
    effects.append(Sealed(state.height))
    return tuple(effects)


def schedule(state: State, command: Schedule) -> Effects:
    """Schedule the retirement."""
    if state.retirement is not None:
        return (Refused("retirement", "one is scheduled already; amend or cancel it"),)
    return _set(state, command, "scheduled")


def amend(state: State, command: Amend) -> Effects:
    """Replace the scheduled retirement."""
    if state.retirement is None:
        return (Refused("retirement", "none is scheduled"),)
    return _set(state, command, "amended")


def _set(state: State, command: Schedule | Amend, action: str) -> Effects:
    moment = command.effective_at
    refused = fence_fault(state, command.fence)
    if refused is None and moment.tick is None and moment.unix_ms is None:
        refused = Refused("retirement", "it has no moment")
    if refused is None and moment.tick is not None and moment.unix_ms is None and state.config.almanacs:
        refused = Refused(
            "retirement",
            "the Almanac's ticks may stop: give a time to fall back on (tick:N or TIME)",
        )
    if refused is not None:
        return (refused,)
    state.retirement = Retirement(moment, command.replacement, command.reason)
    return (RetirementChanged(action, moment, command.replacement, command.reason),)


def cancel(state: State, command: Cancel) -> Effects:
    """Cancel the scheduled retirement."""
    refused = fence_fault(state, command.fence)
    if refused is not None:
        return (refused,)
    gone = state.retirement
    if gone is None:
        return (Refused("retirement", "none is scheduled"),)
    if state.handover is not None:
        return (Refused("retirement", "the organism has handed over: it can only go forward"),)
    state.retirement = None
    return (RetirementChanged("cancelled", gone.effective_at, gone.replacement, command.reason),)


def handover(state: State, command: Handover) -> Effects:
    """Name the successor and the cut; what is open past the cut is the successor's to observe."""
    refused = fence_fault(state, command.fence) or _handover_fault(state, command)
    if refused is not None:
        return (refused,)
    state.handover = HandoverState(command.fingerprint, command.cut, state.height)
    last = min((point.clock_event for point in command.cut), default=0)
    state.joins = {event: join for event, join in state.joins.items() if event <= last}
    return (HandedOver(command.fingerprint, command.cut),)


def _handover_fault(state: State, command: Handover) -> Refused | None:  # rules in order
    cut = {point.stable_id: point.clock_event for point in command.cut}
    if state.handover is not None:
        return Refused("handover", "the organism has handed over already")
    if command.fingerprint == state.config.fingerprint:
        return Refused("handover", "the successor has the same fingerprint")
    if len(cut) != len(command.cut) or cut.keys() != {item.stable_id for item in state.config.inputs}:
        return Refused("handover", "the cut names every folded spanned member once")
    if state.config.fold == "join":
        if len(set(cut.values())) > 1:
            return Refused("handover", "a join is cut at one clock event")
        if state.applied is not None and any(event < state.applied for event in cut.values()):
            return Refused("handover", f"clock event {state.applied} is published already")
        return None
    for item in state.config.inputs:
        seen = state.marks[item].clock_event
        if seen is not None and seen > cut[item.stable_id]:
            return Refused("handover", f"clock event {seen} of a spanned member is observed already")
    return None


def void_evidence(state: State, command: VoidEvidence) -> Effects:
    """Say that replays may pass an Observe; the state stays as it is, so every node still folds alike."""
    refused = fence_fault(state, command.fence)
    if refused is None and not 0 < command.height < state.height:
        refused = Refused("void", "no earlier entry has this height")
    if refused is not None:
        return (refused,)
    return (EvidenceVoided(command.height, command.pointer, command.reason),)
