"""A forwarded append is run at most once, whatever comes again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from organismctl.committee.ledger import forwarding
from organismctl.committee.ledger.effects import Certified, Outcome, Unknown
from organismctl.committee.ledger.entry import NO_EPOCH, Epoch
from organismctl.committee.ledger.forwarding import Served, heard
from organismctl.committee.ledger.messages import Forward, Forwarded

ME, SENDER = bytes([1]) * 32, bytes([2]) * 32
BEGAN = 5
EPOCH = Epoch(BEGAN + 1, ME)


def story(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test that runs in a loop of its own."""

    def run() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    run.__doc__ = test.__doc__
    return run


class Ledger:
    """Counts what it is asked to append."""

    def __init__(self) -> None:
        self.ran: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, command: bytes, seconds: float) -> Outcome:
        assert 0 < seconds <= forwarding.LONGEST
        await self.gate.wait()
        self.ran.append(command)
        return Certified(len(self.ran), bytes(32))


def copy(request: int, *, again: bool = False, epoch: Epoch = EPOCH, process: int = 7) -> Forward:
    return Forward(process, request, epoch, again, b"command %d" % request, 90_000)


def outcome(answer: Forwarded | None) -> Outcome:
    assert answer is not None
    return heard(answer)


@story
async def test_a_copy_of_what_was_run_gets_the_same_answer() -> None:
    ledger = Ledger()
    served = Served(ME, BEGAN, ledger.run)
    first = await served.serve(SENDER, copy(1))
    assert await served.serve(SENDER, copy(1, again=True)) == first
    assert await served.serve(SENDER, copy(1)) == first
    assert ledger.ran == [b"command 1"]


@story
async def test_a_copy_of_what_still_runs_is_left_to_it() -> None:
    ledger = Ledger()
    ledger.gate.clear()
    served = Served(ME, BEGAN, ledger.run)
    running = asyncio.ensure_future(served.serve(SENDER, copy(1)))
    await asyncio.sleep(0)
    assert await served.serve(SENDER, copy(1, again=True)) is None
    ledger.gate.set()
    assert isinstance(outcome(await running), Certified)
    assert ledger.ran == [b"command 1"]


@story
async def test_when_the_first_copy_was_lost_a_later_one_is_run() -> None:
    ledger = Ledger()
    served = Served(ME, BEGAN, ledger.run)
    assert isinstance(outcome(await served.serve(SENDER, copy(1, again=True))), Certified)
    assert ledger.ran == [b"command 1"]


@story
async def test_what_the_process_before_may_have_run_is_not_run_again() -> None:
    ledger = Ledger()
    served = Served(ME, BEGAN, ledger.run)
    for epoch in (Epoch(BEGAN, ME), Epoch(BEGAN + 1, SENDER), NO_EPOCH):
        answer = await served.serve(SENDER, copy(1, again=True, epoch=epoch))
        assert isinstance(outcome(answer), Unknown), epoch
    assert ledger.ran == []


@story
async def test_other_processes_have_numbers_of_their_own() -> None:
    ledger = Ledger()
    served = Served(ME, BEGAN, ledger.run)
    await served.serve(SENDER, copy(1))
    await served.serve(SENDER, copy(1, process=8))
    await served.serve(ME, copy(1))
    assert len(ledger.ran) == 3


@story
async def test_what_is_forgotten_is_not_run_again() -> None:
    ledger = Ledger()
    served = Served(ME, BEGAN, ledger.run)
    for number in range(1, 2 * forwarding.KEPT + 2):
        await served.serve(SENDER, copy(number))
    count = len(ledger.ran)
    assert isinstance(outcome(await served.serve(SENDER, copy(1, again=True))), Unknown)
    assert isinstance(outcome(await served.serve(SENDER, copy(2 * forwarding.KEPT, again=True))), Certified)
    assert len(ledger.ran) == count
