"""The reference is what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from organismctl.check.codes import CODES
from organismctl.cli.reference import EXITS, main, pages
from organismctl.exits import Exit

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", pages())
def test_a_page_is_fresh(name: str) -> None:
    assert (FOLDER / name).read_text() == pages()[name], "run `make docs`"


def test_nothing_else_is_there_and_the_generator_writes_it(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(
        path.name for path in (tmp_path / "new").iterdir()
    )
    assert main([]) == 64


def test_every_code_exit_and_route_is_named() -> None:
    made = pages()
    assert list(EXITS) == list(Exit)
    for code in CODES:
        assert f"\n## {code}\n" in made["finding-codes.md"]
    routes = {
        tuple(line.split("`")[1:4:2]): line for line in made["node-api.md"].split("\n") if "`/v1" in line
    }
    assert "| operate |" in routes["POST", "/v1/drain"]
    assert "| read |" in routes["GET", "/v1/status"]
    assert "| open |" in routes["GET", "/v1/card"]
