"""Which hosts only this host reaches."""

from __future__ import annotations

import pytest

from organismctl.files.hosts import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_host_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "127.example", "localhost.example", "[::1]", "", None]
)
def test_others_reach_it(host: str | None) -> None:
    assert not is_loopback(host)
