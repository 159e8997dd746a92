"""The door to the ledger: commands of the API come in here, and leave with their height and effects, or a reason."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from organismctl.committee.command import Command, Roster, encode_command
from organismctl.committee.ledger.effects import Certified, Outcome, Reason, Refused, Unknown
from organismctl.committee.ledger.roster import Action, RosterChange
from organismctl.committee.ledger.runner import LedgerRunner
from organismctl.committee.machine import Effects, refusal
from organismctl.committee.node.applying import Applier

APPEND_S = 6.0
"""How long a command waits for a majority."""
TRY_S = 2.5
"""How long one try of a command with a request id may take: a proposer that dies costs no more than this."""
ROSTER_S = 2.0
"""How long a roster change waits for this node to learn of the one before."""
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Done:
    """A certified command: its height and effects."""

    height: int
    effects: Effects


@dataclass(frozen=True, slots=True)
class Declined:
    """A command that is refused at the door, for certain: a code and one sentence."""

    code: str
    reason: str


class Door:
    """See the module.

    Args:
        runner: The ledger.
        applier: The fold, which tells the effects.
    """

    def __init__(self, runner: LedgerRunner, applier: Applier) -> None:
        self._runner = runner
        self._applier = applier

    async def append(self, command: Command, timeout: float = APPEND_S) -> Done | Declined | Outcome:
        """Certify a command.

        Returns:
            :class:`Done` when it is certified (perhaps refused by the machine: see its effects); else the ledger's
            outcome.
        """
        if self._applier.state.sealed:
            return Declined("sealed", "the organism is retired: every command is refused")
        known = self._applier.state.requests.get(command.request_id) if command.request_id else None
        if known is not None:
            return Done(known, await self._applier.effects(known))
        if isinstance(command, Roster):
            if (moved := await self._roster_moved(command)) is not None:
                return moved
            outcome = await self._change_roster(command, timeout)
            if (
                isinstance(outcome, Refused)
                and command.version is not None
                and self._is_gone(command.version)
            ):
                # A node that was behind hears only now that the roster has moved.
                return self._another(command.version)
        else:
            outcome = await self._propose(command, timeout)
        if not isinstance(outcome, Certified):
            return outcome
        effects = await self._effects(outcome.height, timeout)
        if effects is None:
            return Unknown("it is certified, but this node's fold stands still", outcome.height)
        if refusal(effects) is None and command.request_id is not None:
            first = self._applier.state.requests.get(command.request_id, outcome.height)
            if first != outcome.height:
                return Done(first, await self._applier.effects(first))
        return Done(outcome.height, effects)

    async def _effects(self, height: int, timeout: float) -> Effects | None:
        try:
            async with asyncio.timeout(timeout):
                return await self._applier.effects(height)
        except TimeoutError:
            return None

    async def _propose(self, command: Command, timeout: float) -> Outcome:
        """Append; what has a request id is tried again when a try went astray, for it is applied once at most."""
        payload = encode_command(command)[1:]
        end = time.monotonic() + timeout
        unsure: Unknown | None = None
        while True:
            left = end - time.monotonic()
            patience = left if command.request_id is None else min(left, TRY_S)
            outcome = await self._runner.append(payload, timeout=patience)
            if isinstance(outcome, Unknown):
                unsure = outcome
            elif isinstance(outcome, Certified) or unsure is None:
                return outcome
            # Refused now, but an earlier try may yet be certified: that is not a refusal.
            if command.request_id is None or end - time.monotonic() < PAUSE_S:
                return unsure
            await asyncio.sleep(PAUSE_S)

    async def _change_roster(self, command: Roster, timeout: float) -> Outcome:
        """Certify a roster change; a learner that the proposer has not heard of yet is waited for."""
        change = RosterChange(Action(command.action), command.peer_id, command.incarnation)
        end = time.monotonic() + ROSTER_S
        while True:
            outcome = await self._runner.change_roster(change, timeout=timeout)
            waits = (
                isinstance(outcome, Refused)
                and outcome.reason is Reason.INVALID
                and change.action is Action.ADD
            )
            if not waits or change.peer in self._runner.status().roster.members or time.monotonic() > end:
                return outcome
            await asyncio.sleep(PAUSE_S)

    async def _roster_moved(self, command: Roster) -> Declined | None:
        """Why a roster change for a certain version cannot stand any more; waits when this node is behind."""
        end = time.monotonic() + ROSTER_S
        while command.version is not None:
            if command.version == self._runner.status().roster.version + 1:
                break
            if time.monotonic() > end or self._is_gone(command.version):
                return self._another(command.version)
            await asyncio.sleep(PAUSE_S)
        return None

    def _is_gone(self, version: int) -> bool:
        return version <= self._runner.status().roster.version

    def _another(self, wanted: int) -> Declined:
        version = self._runner.status().roster.version
        text = f"the roster has version {version}; the next is {version + 1}, not {wanted}"
        return Declined("roster-version", text)
