"""One node, as small as a committee gets, for everything that looks at the API alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.committee import Committee, running_committee, wait_for


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Committee]:
    """A committee of one node that runs."""
    with running_committee(tmp_path_factory.mktemp("single") / "acme", names=["node-a"]) as committee:
        wait_for("the first items", lambda: committee.status("node-a")["surfaces"][0]["next_seq"] > 2)
        yield committee
