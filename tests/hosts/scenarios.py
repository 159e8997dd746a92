"""The scenarios that both the tests and the soak run: 1 to 3, on a fleet of any size, with given timings.

Every wait is for a condition, but for the length of a cut. A scenario gives its row; who calls it judges.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence

from tests.hosts.bare import Bare
from tests.hosts.fleet import Fleet
from tests.hosts.load import Load, Record, load
from tests.hosts.table import Row
from tests.hosts.verdict import judge
from tests.support.committee import wait_for

WARM = 10
"""Acknowledgements of each client before anything goes wrong, and after it."""
RETURN_S = 120.0
"""How long a healed node may take to bond and to acknowledge again."""


def hold(seconds: float) -> None:
    """The length of a cut itself."""
    time.sleep(seconds)


def row(fleet: Fleet, scenario: str, record: Record, note: str = "") -> Row:
    """The verdict on all nodes that run, as a row."""
    verdict = judge(fleet, record)
    return Row(
        scenario=scenario,
        nodes=len(fleet.founders),
        carrier="organismctl",
        acknowledged=verdict.acknowledged,
        lost=verdict.lost,
        diverged=verdict.diverged,
        gap_s=record.longest_gap(),
        refused=record.faults.total(),
        note=note,
    )


def acknowledged(writing: Load, nodes: Sequence[str], timeout: float = RETURN_S) -> None:
    """Wait until the client of each node has :data:`WARM` acknowledgements more, from now on."""
    now = time.monotonic()
    record = writing.record
    wait_for(
        f"clients of {list(nodes)} are acknowledged ({dict(record.faults)})",
        lambda: all(record.count(node, now) >= WARM for node in nodes),
        timeout,
    )


def alone_by(writing: Load, node: str, cut: float) -> int:
    """How many acknowledgements a node gave that had been cut off for a second: there can be none."""
    alone = writing.record.count(node, cut + 1.0)
    assert not alone, f"{node}, cut off, acknowledged {alone} writes"
    return alone


def leader_cut(fleet: Fleet, cut_s: float) -> Row:
    """1: the proposer is cut off for a while under load, then healed."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        leader = fleet.proposer()
        fleet.host(leader).cut()
        cut = time.monotonic()
        hold(cut_s)
        rest = [name for name in fleet.founders if name != leader]
        assert all(writing.record.count(name, cut) for name in rest), "the others stood still"
        alone = alone_by(writing, leader, cut)
        fleet.host(leader).heal()
        healed = time.monotonic()
        acknowledged(writing, fleet.founders)
    back = min(ack.at for ack in writing.record.acks if ack.node == leader and ack.at > healed) - healed
    note = f"acknowledged by the one cut off: {alone}; it is back {back:.1f} s after healing"
    return row(fleet, f"leader cut off {cut_s:.0f} s", writing.record, note)


def follower_cut(fleet: Fleet, cut_s: float) -> Row:
    """2: a follower is cut off until it leads alone in mosaik; the others move on; then it is healed."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        leader = fleet.proposer()
        follower = [name for name in fleet.founders if name != leader][-1]
        rest = [name for name in fleet.founders if name != follower]
        fleet.host(follower).cut()
        cut = time.monotonic()
        wait_for(f"{follower} leads alone in mosaik", lambda: fleet.leads_alone(follower), 60)
        hold(max(0.0, cut_s - (time.monotonic() - cut)))
        acknowledged(writing, rest)
        moved = writing.record.count(since=cut)
        alone = alone_by(writing, follower, cut)
        fleet.host(follower).heal()
        acknowledged(writing, fleet.founders)
    note = f"others moved on by {moved}; acknowledged by the one cut off: {alone}"
    return row(fleet, "follower cut off, elects itself", writing.record, note)


def some_restarted(fleet: Fleet, down_s: float = 0.0) -> Row:
    """3a: a majority is stopped, down for a while, and started again, under load."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        stopped = fleet.founders[: len(fleet.founders) // 2 + 1]
        fleet.stop(*stopped)
        hold(down_s)
        fleet.start(*stopped)
        acknowledged(writing, fleet.founders)
    return row(fleet, f"{len(stopped)} of {len(fleet.founders)} stopped, restarted", writing.record)


def all_restarted(fleet: Fleet, down_s: float = 0.0) -> Row:
    """3b: all are killed, down for a while, and started again, under load."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        fleet.kill(*fleet.founders)
        hold(down_s)
        fleet.start(*fleet.founders)
        acknowledged(writing, fleet.founders)
    return row(fleet, "all killed, restarted", writing.record)


def disk_lost(fleet: Fleet) -> Row:
    """3c: a node and its disk are lost; it comes back as the spare, under another peer id."""
    lost, spare = fleet.founders[-1], fleet.spares[0]
    rest = fleet.founders[:-1]
    with load(fleet, *rest, member=rest[0]) as writing:
        acknowledged(writing, rest)
        fleet.kill(lost)
        for path in fleet.data(lost).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        began = time.monotonic()
        fleet.rotate("--dead", lost, "--in", spare)
        took = time.monotonic() - began
        acknowledged(writing, rest)
    note = f"rotated in {took:.0f} s; judged on {', '.join([*rest, spare])}"
    return row(fleet, "a disk lost, new peer id", writing.record, note)


def bare_leader_cut(bare: Bare, cut_s: float) -> Row:
    """The baseline of 1: the same cut on a bare Group."""
    began = time.monotonic()
    for node in bare.nodes:
        node.ask("load")
    _counted(bare, WARM)
    leader = bare.leader()
    leader.host.cut()
    cut = time.monotonic()
    hold(cut_s)
    healed = time.monotonic()
    leader.host.heal()
    bare.bonded(RETURN_S)
    _counted(bare, WARM)
    for node in bare.nodes:
        node.ask("rest")
    record = bare.record(began, time.monotonic())
    alone = sum(cut + 1.0 <= ack.at < healed for ack in record.acks if ack.node == leader.name)
    bare.settled()
    found = bare.judge(record)
    return Row(
        scenario=f"leader cut off {cut_s:.0f} s",
        nodes=len(bare.nodes),
        carrier="bare mosaik",
        acknowledged=len(record.acks),
        lost=found.lost,
        diverged=found.diverged,
        gap_s=record.longest_gap(),
        refused=record.faults.total(),
        note=f"acknowledged by the one cut off: {alone}; on no majority's machines: {found.lost_by_most}",
    )


def _counted(bare: Bare, more: int) -> None:
    """Wait until each client has that many acknowledgements more."""
    before = {node.name: node.ask("count") for node in bare.nodes}
    wait_for(
        "clients of the bare group are acknowledged",
        lambda: all(node.ask("count") >= before[node.name] + more for node in bare.nodes),
        RETURN_S,
    )
