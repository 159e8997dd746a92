"""The network itself: what each fault stops, and that nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.hosts.net import Host, Net, leftovers, network, sweep
from tests.hosts.probe import echoing, passes
from tests.hosts.shell import run
from tests.support.committee import wait_for

pytestmark = [pytest.mark.usefixtures("across_hosts"), pytest.mark.timeout(600)]


def reaches(net: Net, cut: Host | None = None) -> dict[tuple[int, int], int]:
    """How many of 5 datagrams come back, for each ordered pair of hosts; none may to or from the one that is cut."""
    return {
        (one.number, other.number): passes(one, other.address, must="none" if cut in (one, other) else "all")[
            "back"
        ]
        for one in net.hosts
        for other in net.hosts
        if one is not other
    }


def test_a_cut_host_is_alone_and_is_not_told_so() -> None:
    with network(3) as net, echoing(*net.hosts):
        assert set(reaches(net).values()) == {5}
        net.hosts[0].cut()
        assert {pair for pair, back in reaches(net, net.hosts[0]).items() if back} == {(2, 3), (3, 2)}
        assert passes(net.hosts[0], net.hosts[1].address, must="none")["errors"] == 0
        net.hosts[0].heal()
        assert set(reaches(net).values()) == {5}
    assert leftovers(os.getpid()) == []


def test_a_deaf_host_is_still_heard() -> None:
    with network(2) as net, echoing(*net.hosts):
        deaf, other = net.hosts
        deaf.deafen(other)
        assert passes(deaf, other.address, must="none")["back"] == 0
        assert passes(other, deaf.address, must="none")["back"] == 0
        # Five echoes and five questions came as far as its input; the questions of its own did arrive.
        rules = deaf.inside("nft", "list", "table", "inet", "cable")
        wait_for("ten packets that were dropped", lambda: "packets 10 " in run(*rules))
        deaf.heal()
        assert passes(deaf, other.address)["back"] == 5


def test_loss_takes_its_share_of_single_packets() -> None:
    with network(2) as net, echoing(*net.hosts):
        net.hosts[0].lose(20)
        back = passes(net.hosts[0], net.hosts[1].address, 1000, must="some")["back"]
        # Both directions must do well: 64 % of 1,000; five standard deviations are 76.
        assert 640 - 76 < back < 640 + 76


def test_a_delay_line_delays_each_direction_and_keeps_the_other_faults() -> None:
    with network(2) as net, echoing(*net.hosts):
        slow, other = net.hosts
        slow.delay(40, jitter_ms=5, seed=7)
        for sender, to in ((slow, other.address), (other, slow.address)):
            seen = passes(sender, to)
            assert seen["back"] == 5
            assert seen["fastest_ms"] >= 80
        slow.cut()
        assert passes(slow, other.address, must="none")["back"] == 0
        slow.heal()
        assert passes(slow, other.address)["back"] == 5


def test_what_a_killed_process_left_is_swept_away() -> None:
    code = (
        "import os\nfrom tests.hosts.net import network\n"
        "with network(1): print(os.getpid(), flush=True); os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    owner = int(done.stdout)
    assert len(leftovers(owner)) == 1
    sweep()
    assert leftovers(owner) == []
