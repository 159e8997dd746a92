"""Fixtures of the tests across hosts: one at a time on a machine, and never skipped where all must run."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import MUST_RUN
from tests.hosts.shell import missing


@pytest.fixture
def across_hosts() -> Iterator[None]:
    """The machine to itself, among the tests across hosts: their clocks are those of real elections."""
    why = missing()
    if why is not None:
        if os.environ.get(MUST_RUN):
            pytest.fail(f"nothing may be skipped here, but {why}")
        pytest.skip(why)
    with (Path(tempfile.gettempdir()) / "organismctl-tests-hosts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
