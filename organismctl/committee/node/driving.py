"""The driver at work: wakes when something came in or time passed, and carries out what its pure core asks for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from organismctl.committee.command import encode_command
from organismctl.committee.driver import Driver, Propose, RequestVouches
from organismctl.committee.ledger.core import Role
from organismctl.committee.ledger.effects import Certified, Refused
from organismctl.committee.ledger.runner import LedgerRunner
from organismctl.committee.machine import refusal
from organismctl.committee.node.applying import Applier
from organismctl.committee.node.vouching import Vouching

PROPOSAL_S = 5.0
LONGEST_S = 0.5
log = logging.getLogger(__name__)


class DriverLoop:
    """Runs one driver.

    Args:
        driver: The pure core.
        runner: The ledger.
        applier: The fold.
        vouching: Gathers vouches.
        now_ms: The wall clock.
    """

    def __init__(
        self,
        driver: Driver,
        runner: LedgerRunner,
        applier: Applier,
        vouching: Vouching,
        now_ms: Callable[[], int],
    ) -> None:
        self._driver = driver
        self._runner = runner
        self._applier = applier
        self._vouching = vouching
        self._now_ms = now_ms
        self._awake = asyncio.Event()
        self._state_moved = True
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Something came in."""
        self._awake.set()

    def moved(self) -> None:
        """The state moved on."""
        self._state_moved = True
        self._awake.set()

    async def run(self) -> None:
        """Drive for ever."""
        was: tuple[bool, int] | None = None
        while True:
            proposer = self._runner.status().role is Role.PROPOSER and self._applier.fault is None
            now = (proposer, self._applier.fold.height)
            if now != was or self._state_moved:
                was, self._state_moved = now, False
                self._driver.on_state(self._applier.state, proposer=proposer)
            now_ms = self._now_ms()
            for action in self._driver.poll(self._applier.state, now_ms):
                if isinstance(action, RequestVouches):
                    members = self._applier.state.roster.members
                    self._vouching.request(action.pointer, action.event, members)
                else:
                    self._spawn(action)
            # Vouches of this node's own are in now: with a roster of one they are already a majority.
            await self._sleep(
                min(LONGEST_S, max(0.0, (self._driver.wake_ms(now_ms) - self._now_ms()) / 1000))
            )

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.002)):
                await self._awake.wait()
        self._awake.clear()

    def _spawn(self, action: Propose) -> None:
        task = asyncio.get_running_loop().create_task(self._propose(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _propose(self, action: Propose) -> None:
        payload = encode_command(action.command)[1:]
        outcome = await self._runner.append(payload, timeout=PROPOSAL_S)
        word: str | None
        if isinstance(outcome, Certified):
            refused = refusal(await self._applier.effects(outcome.height))
            word = None if refused is None else getattr(refused, "code", "lease")
        else:
            word = outcome.reason.value if isinstance(outcome, Refused) else "outcome_unknown"
        self._driver.on_outcome(action.token, word, self._now_ms())
        self.wake()

    async def close(self) -> None:
        """Forget what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
