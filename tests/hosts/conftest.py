"""Fixtures of the tests across hosts: two at a time on a machine, and never skipped where all must run."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.shell import missing
from tests.hosts.table import PROPERTY, Row

Told = Callable[[Row], None]
AT_A_TIME = 2
"""Scenarios that run side by side: most of their time is the length of a cut, but nodes start at full load."""
TURN_S = 0.2


def _needed(why: str | None) -> None:
    """Skip with the reason; where all must run, tests/conftest.py makes a failure of that."""
    if why is not None:
        pytest.skip(why)


@pytest.fixture
def across_hosts() -> Iterator[None]:
    """One of the machine's few places for a scenario: their clocks are those of real elections."""
    _needed(missing())
    with contextlib.ExitStack() as files:
        folder = Path(tempfile.gettempdir())
        places = [
            files.enter_context((folder / f"organismctl-tests-hosts-{number}.lock").open("w"))
            for number in range(AT_A_TIME)
        ]
        while not any(_taken(place.fileno()) for place in places):
            time.sleep(TURN_S)
        yield


def _taken(place: int) -> bool:
    """Take a place, if it is free."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.fixture
def real_mosaik(across_hosts: None) -> None:
    """Hosts, and the engine that real mosaik needs."""
    if importlib.util.find_spec("organismctl_engine") is None:
        _needed("the engine (organismctl-engine) is not installed")


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Told:
    """Put a row into the table at the end of the run, then judge it as organismctl's promise has it."""

    def told(row: Row) -> None:
        record_property(PROPERTY, row.text())
        if row.carrier == "organismctl":
            assert row.acknowledged, row
            assert (row.lost, row.diverged) == (0, 0), row

    return told
