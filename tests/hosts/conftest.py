"""Fixtures of the tests across hosts: one at a time on a machine, and never skipped where all must run."""

from __future__ import annotations

import fcntl
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.shell import missing
from tests.hosts.table import PROPERTY, Row

Told = Callable[[Row], None]


def _needed(why: str | None) -> None:
    """Skip with the reason; where all must run, tests/conftest.py makes a failure of that."""
    if why is not None:
        pytest.skip(why)


@pytest.fixture
def across_hosts() -> Iterator[None]:
    """The machine to itself, among the tests across hosts: their clocks are those of real elections."""
    _needed(missing())
    with (Path(tempfile.gettempdir()) / "organismctl-tests-hosts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
