"""Fixtures that start real committees; the factory is in tests/support/committee.py, for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.committee import Committee, running_committee


@pytest.fixture
def committee(tmp_path: Path, carrier: str) -> Iterator[Committee]:
    """Three nodes of a ticker that run."""
    with running_committee(tmp_path / "acme", carrier=carrier) as running:
        yield running
