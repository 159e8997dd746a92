"""3: a majority restarted, all killed and restarted, a disk lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.conftest import Told
from tests.hosts.fleet import fleet
from tests.hosts.scenarios import all_restarted, disk_lost, some_restarted

pytestmark = [pytest.mark.usefixtures("real_mosaik"), pytest.mark.timeout(1500), pytest.mark.slow]


def test_restarts_and_a_lost_disk_lose_nothing(tmp_path: Path, tell: Told) -> None:
    with fleet(tmp_path, spares=1) as running:
        tell(some_restarted(running))
        tell(all_restarted(running))
        tell(disk_lost(running))
