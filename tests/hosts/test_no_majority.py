"""6: a majority is gone: no write is taken, reads go on and say how old they are, the check says so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from organismctl.committee.client import NoMajorityError
from organismctl.committee.client_http import APPEND_TIMEOUT_S
from tests.hosts.conftest import Told
from tests.hosts.fleet import fleet
from tests.hosts.load import load
from tests.hosts.scenarios import acknowledged, row
from tests.support.committee import wait_for

pytestmark = [pytest.mark.usefixtures("real_mosaik"), pytest.mark.timeout(1500), pytest.mark.slow]


def test_without_a_majority_writes_are_refused_and_reads_say_their_age(tmp_path: Path, tell: Told) -> None:
    with fleet(tmp_path) as running:
        last, *gone = running.founders
        with load(running) as writing:
            acknowledged(writing, running.founders)
            running.kill(*gone)
            fell = time.monotonic()
            wait_for("a write is refused", lambda: "refused" in writing.record.faults, 60)
            command = {
                "type": "drain",
                "peer_id": running.peer_id(last).hex(),
                "drained": False,
                "fence": None,
            }
            began = time.monotonic()
            with pytest.raises(NoMajorityError, match="majority"):
                running.append(last, command)
            took = time.monotonic() - began
            assert took < APPEND_TIMEOUT_S
            assert not writing.record.count(since=fell + 1.0)
            status = running.status(last)
            with running.client(last, None) as reader:
                fact = reader.surfaces().surfaces[0]
                assert reader.items(fact.name).next == fact.next_seq > 0
            # Every read says from when it is: the last certified Tick, the last item of a surface.
            age = status["now_ms"] / 1000 - status["tick"]
            assert age >= 2
            assert fact.last_item_ms is not None
            assert status["now_ms"] - fact.last_item_ms >= 2000
            checked = running.tool("check", "committee")
            assert checked.returncode == 6, f"{checked.stdout}\n{checked.stderr}"
            running.start(*gone)
            acknowledged(writing, running.founders)
        slowest = max(writing.record.slowest.get(kind, 0.0) for kind in ("refused", "unknown"))
        tell(
            row(
                running,
                "a majority gone, then back",
                writing.record,
                f"refused after {took:.1f} s, the slowest answer {slowest:.1f} s; reads {age:.0f} s old, and said so; "
                "check committee: exit 6",
            )
        )
