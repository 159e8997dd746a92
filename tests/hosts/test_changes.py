"""5: a member is rotated, and a node's ticket runs out and is renewed, both under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.conftest import Told
from tests.hosts.fleet import Fleet, fleet
from tests.hosts.load import load
from tests.hosts.scenarios import acknowledged, row
from tests.hosts.table import Row
from tests.support.committee import wait_for

pytestmark = [pytest.mark.usefixtures("real_mosaik"), pytest.mark.timeout(1500), pytest.mark.slow]
LASTS_S = 15.0


def test_rotation_and_expiry_lose_nothing(tmp_path: Path, tell: Told) -> None:
    with fleet(tmp_path, spares=1) as running:
        tell(expiry(running))
        tell(rotation(running))


def rotation(fleet: Fleet) -> Row:
    """The proposer is rotated out and the spare in."""
    leaving, coming = fleet.proposer(), fleet.spares[0]
    rest = [name for name in fleet.founders if name != leaving]
    with load(fleet, member=rest[0]) as writing:
        acknowledged(writing, fleet.founders)
        fleet.rotate("--out", leaving, "--in", coming)
        acknowledged(writing, rest)
    assert {one["name"] for one in fleet.status(coming)["roster"]["members"]} == {*rest, coming}
    return row(fleet, "the leader rotated out under load", writing.record)


def expiry(fleet: Fleet) -> Row:
    """A follower's ticket runs out: its bonds end; a fresh one brings it back without a restart."""
    with load(fleet) as writing:
        acknowledged(writing, fleet.founders)
        leader = fleet.proposer()
        name = next(one for one in fleet.founders if one != leader)
        rest = [one for one in fleet.founders if one != name]
        fleet.admit(name, LASTS_S)
        wait_for(
            f"the bonds of {name} end",
            lambda: (
                not any(
                    bond["connected"]
                    for one in rest
                    for bond in fleet.status(one)["bonds"]
                    if bond["name"] == name
                )
            ),
            60,
        )
        acknowledged(writing, rest)
        fleet.admit(name)
        fleet.bonded(*fleet.founders)
        acknowledged(writing, fleet.founders)
    return row(fleet, "a node's ticket expires, is renewed", writing.record)
