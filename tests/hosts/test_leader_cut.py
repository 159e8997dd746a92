"""1: the leader is cut off for 30 s under load; on bare mosaik the same, to see what it loses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.bare import bare_group
from tests.hosts.conftest import Told
from tests.hosts.fleet import fleet
from tests.hosts.scenarios import bare_leader_cut, leader_cut

pytestmark = [pytest.mark.usefixtures("real_mosaik"), pytest.mark.timeout(1500), pytest.mark.slow]
CUT_S = 30.0


def test_a_leader_that_is_cut_off_loses_nothing(tmp_path: Path, tell: Told) -> None:
    with fleet(tmp_path) as running:
        tell(leader_cut(running, CUT_S))


def test_bare_mosaik_loses_what_it_acknowledged(tmp_path: Path, tell: Told) -> None:
    with bare_group(tmp_path) as bare:
        row = bare_leader_cut(bare, CUT_S)
    tell(row)
    assert row.lost > 0, "the baseline lost nothing: does the cut still cut?"
    assert row.diverged > 0
