"""4: an asymmetric cut, 20 % packet loss, 100 ms of delay between hosts, a clock 40 s ahead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.conftest import Told
from tests.hosts.fleet import Fleet, fleet
from tests.hosts.load import load
from tests.hosts.scenarios import acknowledged, hold, row
from tests.hosts.table import Row
from tests.support.committee import wait_for

pytestmark = [pytest.mark.usefixtures("real_mosaik"), pytest.mark.timeout(1500), pytest.mark.slow]
HOLD_S = 12.0
"""Longer than mosaik takes to end a bond (5 s) and to elect (2.5 s)."""
BAD_S = 8.0
LOOK_MS = 900
"""How long a look at two clocks may take: less than what tells a clock 40 s ahead from one 39 s ahead."""
SEED = 20_261_124


def test_bad_lines_and_a_bad_clock_lose_nothing(tmp_path: Path, tell: Told) -> None:
    with fleet(tmp_path) as running:
        tell(deaf_leader(running))
        tell(loss(running))
        tell(clock(running))
        tell(delay(running))


def deaf_leader(fleet: Fleet) -> Row:
    """The proposer hears nobody; everybody hears it."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        leader = fleet.proposer()
        fleet.host(leader).deafen()
        hold(HOLD_S)
        acknowledged(writing, [name for name in fleet.founders if name != leader])
        fleet.host(leader).heal()
        acknowledged(writing, fleet.founders)
    return row(fleet, f"leader hears nobody for {HOLD_S:.0f} s", writing.record)


def loss(fleet: Fleet) -> Row:
    """Each host loses 20 % of its packets in each direction."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        for name in fleet.founders:
            fleet.host(name).lose(20)
        lossy = writing.record.count()
        hold(BAD_S)
        lossy = writing.record.count() - lossy
        for name in fleet.founders:
            fleet.host(name).heal()
        acknowledged(writing, fleet.founders)
    return row(fleet, "20 % loss on each cable", writing.record, f"{lossy / BAD_S:.0f}/s under loss")


def delay(fleet: Fleet) -> Row:
    """100 ms from host to host in each direction: half of it on each of the two cables."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        for number, name in enumerate(fleet.founders):
            fleet.host(name).delay(50, jitter_ms=5, seed=SEED + number)
        slow = writing.record.count()
        hold(BAD_S)
        slow = writing.record.count() - slow
    assert slow, "no write went through the delay lines"
    return row(fleet, "100 ms from host to host", writing.record, f"{slow / BAD_S:.0f}/s under delay")


def clock(fleet: Fleet) -> Row:
    """One node's clock is 40 s ahead; it leads for a while."""
    ahead = fleet.founders[-1]
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        fleet.stop(ahead)
        fleet.skew(ahead, 40.0)
        fleet.start(ahead)
        fleet.bonded()
        low, high = wait_for("a quick look at both clocks", lambda: skew_s(fleet, ahead), 60)
        assert 39 < low <= high < 42, (low, high)
        acknowledged(writing, fleet.founders)
        lead(fleet, ahead)
        acknowledged(writing, fleet.founders)
        lead(fleet, fleet.founders[0])
        acknowledged(writing, fleet.founders)
    return row(fleet, "a clock 40 s ahead, leading in between", writing.record)


def skew_s(fleet: Fleet, name: str) -> tuple[float, float] | None:
    """What a node's clock is ahead of another's, in seconds, from and to; nothing when the look itself took long."""
    other = fleet.founders[0]
    before, there, after = (fleet.status(one)["now_ms"] for one in (other, name, other))
    return ((there - after) / 1000, (there - before) / 1000) if after - before < LOOK_MS else None


def lead(fleet: Fleet, name: str) -> None:
    """Let the proposers step down until this node proposes."""

    def look() -> bool:
        now = fleet.proposer()
        if now != name:
            with fleet.client(now) as client:
                client.step_down()
        return fleet.proposer() == name

    wait_for(f"{name} proposes", look, 60)
