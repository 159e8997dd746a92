"""Genesis, roster, lease and drain: who is on the committee and who may act.

The roster rule is the ledger's (:meth:`organismctl.committee.ledger.roster.Roster.apply`) and depends on
nothing but the roster and the change, so ledger and machine cannot come to different answers. A runner's
fence is no part of it: a change that is in cannot be made again, and an older runner that makes it first has
done the very step that the newer one wants.
"""

from __future__ import annotations

from organismctl.committee.command import MAX_TTL_MS, Drain, Genesis, Lease, Roster
from organismctl.committee.ledger.roster import Action, RosterChange
from organismctl.committee.ledger.roster import Roster as LedgerRoster
from organismctl.committee.machine.effects import (
    DrainChanged,
    Effects,
    LeaseEnded,
    LeaseGranted,
    LeaseRefused,
    Refused,
    RosterChanged,
    Started,
)
from organismctl.committee.machine.state import LeaseState, State
from organismctl.identity.roster import roster_digest


def genesis(state: State, command: Genesis) -> Effects:
    """Start the machine with its first roster, version 1."""
    refused = _genesis_fault(state, command)
    if refused is not None:
        return (refused,)
    state.started = True
    state.roster = LedgerRoster.of(command.members)
    if command.succession is not None:
        state.floor = {cut.stable_id: cut.clock_event for cut in command.succession.cut}
        if state.config.fold == "join" and state.floor:
            state.applied = max(state.floor.values())
    return (Started(command.fingerprint),)


def _genesis_fault(state: State, command: Genesis) -> Refused | None:
    if state.started:
        return Refused("started", "the machine has its Genesis already")
    if command.fingerprint != state.config.fingerprint:
        return Refused(
            "genesis", "it names another fingerprint than the config that this node was started with"
        )
    expected = state.config.genesis_roster
    if expected is not None and roster_digest(command.members) != expected:
        return Refused("genesis", "its roster is not the one that [genesis] names")
    if command.succession is not None:
        named = [cut.stable_id for cut in command.succession.cut]
        if len(set(named)) != len(named):
            return Refused("genesis", "its cut names a spanned member twice")
    return None


def roster(state: State, command: Roster) -> Effects:
    """Add one or remove one, by the ledger's own rule."""
    version = state.roster_version + 1
    if command.version not in (None, version):
        return (Refused("roster-version", f"the roster has version {version - 1}; the next is {version}"),)
    try:
        change = RosterChange(Action(command.action), command.peer_id, command.incarnation)
        state.roster = state.roster.apply(change)
    except ValueError as exc:
        return (Refused("roster", str(exc)),)
    state.drained.discard(command.peer_id)
    return (RosterChanged(version, command.action, command.peer_id, state.height),)


def fence_fault(state: State, fence: int | None) -> Refused | None:
    """Why a runner with this fence may not act; a command without a fence is nobody's change."""
    if fence is None or (state.lease is not None and fence == state.fence):
        return None
    return Refused("fence", f"fence {fence} does not hold the lease (the last one given is {state.fence})")


def lease(state: State, command: Lease) -> Effects:  # rules in order
    """Acquire, renew, release or take over."""
    if state.tick_ms == 0:
        return (_lease_refused(state, "no Tick is certified yet, so a lease could not expire"),)
    if command.action == "acquire":
        return _acquire(state, command)
    if command.action == "takeover":
        return _takeover(state, command)
    held = state.lease
    if held is None or (command.fence, command.change) != (state.fence, held.change):
        return (_lease_refused(state, "the lease is not yours any more"),)
    if command.action == "release":
        state.lease = None
        return (LeaseEnded(held.change, held.holder, state.fence, "released"),)
    if command.ttl_ms == 0:
        return (_lease_refused(state, "a lease lasts at least a millisecond"),)
    return _grant(state, held.change, held.holder, held.since_ms, command.ttl_ms)


def _acquire(state: State, command: Lease) -> Effects:
    if state.lease is not None:
        return (_lease_refused(state, "another runner has the lease"),)
    return _fresh(state, command)


def _takeover(state: State, command: Lease) -> Effects:
    if command.fence != state.fence:
        return (_lease_refused(state, f"fence {command.fence} is not the last one given, {state.fence}"),)
    if state.lease is not None and command.change != state.lease.change:
        return (_lease_refused(state, "the lease belongs to another change"),)
    return _fresh(state, command)


def _fresh(state: State, command: Lease) -> Effects:
    if not 0 < command.ttl_ms <= MAX_TTL_MS:
        return (_lease_refused(state, f"a lease lasts from 1 to {MAX_TTL_MS} ms"),)
    state.fence += 1
    return _grant(state, command.change, command.holder, state.tick_ms, command.ttl_ms)


def _grant(state: State, change: str, holder: str, since_ms: int, ttl_ms: int) -> Effects:
    until = state.tick_ms + min(ttl_ms, MAX_TTL_MS)
    state.lease = LeaseState(change, holder, since_ms, until)
    return (LeaseGranted(change, holder, state.fence, since_ms, until),)


def _lease_refused(state: State, reason: str) -> LeaseRefused:
    held = state.lease
    if held is None:
        return LeaseRefused(reason, None, None, state.fence, 0, 0)
    return LeaseRefused(reason, held.change, held.holder, state.fence, held.since_ms, held.until_ms)


def drain(state: State, command: Drain) -> Effects:
    """Mark a member as drained, as long as a majority stays undrained; or take the mark away."""
    refused = fence_fault(state, command.fence)
    if refused is not None:
        return (refused,)
    members = state.roster.members
    if command.peer_id not in members:
        return (Refused("drain", "it is no member"),)
    marked = command.peer_id in state.drained
    if command.drained and not marked:
        left = len(members) - len(state.drained) - 1
        if left < state.roster.majority:
            return (Refused("drain", f"{left} of {len(members)} would be left undrained: no majority"),)
        state.drained.add(command.peer_id)
    elif not command.drained:
        state.drained.discard(command.peer_id)
    return (DrainChanged(command.peer_id, command.drained),)
