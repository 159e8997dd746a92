"""``step``: one certified command, one new state, its effects.

Invariants, whatever the commands:

1. Deterministic and total: the outcome is a function of state, height and command; a bad command is a
   :class:`Refused` effect and changes nothing but the height.
2. A fact's or marker's seq is the last one plus one; once sealed, nothing changes any more.
3. The fence only grows; at most one change holds the lease, under the greatest fence.
4. Facts are made in rising order of clock events (``join``, ``ticker``), or in the order of the log
   (``fan-in``); no observation is in two facts.
5. The state's size is bounded by inputs, roster, :data:`MAX_OPEN` and :data:`MAX_REQUESTS`.
6. A request id that was applied is not applied again while it is among the last :data:`MAX_REQUESTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from organismctl.committee.command import (
    Amend,
    Apply,
    Barrier,
    Cancel,
    Command,
    CommandError,
    Drain,
    Genesis,
    Handover,
    Lease,
    Observe,
    Roster,
    Schedule,
    Tick,
    VoidEvidence,
    decode_command,
)
from organismctl.committee.evidence import Verifier, verify_signature
from organismctl.committee.machine import folding, governing, retiring
from organismctl.committee.machine.effects import Effects, Ignored, LeaseRefused, Refused
from organismctl.committee.machine.state import State

_SEALED: Effects = (Refused("sealed", "the organism is retired: every command is refused"),)
_NOT_STARTED: Effects = (Refused("not-started", "the first command is Genesis"),)


def _barrier(state: State, command: Barrier) -> Effects:  # noqa: ARG001
    return ()


_HANDLERS: dict[type, Callable[[State, Any], Effects]] = {
    Genesis: governing.genesis,
    Barrier: _barrier,
    Roster: governing.roster,
    Apply: folding.apply,
    Tick: retiring.tick,
    Lease: governing.lease,
    Drain: governing.drain,
    Schedule: retiring.schedule,
    Amend: retiring.amend,
    Cancel: retiring.cancel,
    Handover: retiring.handover,
    VoidEvidence: retiring.void_evidence,
}


def step(
    state: State, height: int, command: Command, verifier: Verifier = verify_signature
) -> tuple[State, Effects]:
    """Apply one certified command.

    Args:
        state: The state before; changed in place, and returned.
        height: The entry's height: one more than the last.
        command: The command.
        verifier: How a vouch's signature is checked; must answer as :func:`verify_signature` would (a cache),
            or stand for an answer that was found before (``evidence.trust_certified``, which see).

    Returns:
        The state after, and the effects in order.

    Raises:
        ValueError: ``height`` does not follow; a defect of the caller.
    """
    if state.sealed_height is not None:
        return state, _SEALED
    if height != state.height + 1:
        raise ValueError(f"height {height} does not follow {state.height}")
    state.height = height
    request_id = command.request_id
    if request_id is not None and request_id in state.requests:
        return state, (Ignored("request", f"applied at height {state.requests[request_id]}"),)
    kind = type(command)
    if not state.started and kind is not Genesis and kind is not Barrier:
        return state, _NOT_STARTED
    if isinstance(command, Observe):
        effects = folding.observe(state, command, verifier)
    else:
        effects = _HANDLERS[kind](state, command)
    if request_id is not None and not (effects and isinstance(effects[0], Refused | LeaseRefused)):
        state.remember(request_id)
    return state, effects


def step_bytes(
    state: State, height: int, data: bytes, verifier: Verifier = verify_signature
) -> tuple[State, Effects]:
    """Apply one certified entry's command bytes; bytes that are no command are refused, the same everywhere.

    Raises:
        ValueError: See :func:`step`.
    """
    if state.sealed_height is not None:
        return state, _SEALED
    try:
        command = decode_command(data)
    except CommandError as exc:
        if height != state.height + 1:
            raise ValueError(f"height {height} does not follow {state.height}") from exc
        state.height = height
        return state, (Refused("malformed", exc.message),)
    return step(state, height, command, verifier)


def dry_run(state: State, command: Command, verifier: Verifier = verify_signature) -> Effects:
    """What a command would do as the next entry; the state stays as it is. For asking at the door."""
    return step(state.copy(), state.height + 1, command, verifier)[1]
