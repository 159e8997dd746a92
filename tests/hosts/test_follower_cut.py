"""2: a follower is cut off, leads alone in mosaik, and comes back to others who certified more meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.conftest import Told
from tests.hosts.fleet import fleet
from tests.hosts.scenarios import follower_cut

pytestmark = [pytest.mark.usefixtures("real_mosaik"), pytest.mark.timeout(1500), pytest.mark.slow]


def test_a_follower_that_elects_itself_overwrites_nothing(tmp_path: Path, tell: Told) -> None:
    with fleet(tmp_path) as running:
        tell(follower_cut(running, 0.0))
