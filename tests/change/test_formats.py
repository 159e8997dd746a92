"""The examples under docs/formats: what the code writes, byte for byte, and what it reads.

``python -m tests.change.test_formats`` writes those that the code makes anew.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from organismctl.change.journal import read_journal
from organismctl.change.plan import parse_plan, read_plan
from organismctl.change.procedure._retirement import announcement, in_chronicles
from organismctl.change.site import Coalition
from organismctl.change.state import State, fold
from organismctl.change.step import Seen
from organismctl.change.wiring import _entries
from organismctl.identity.surface_item import RetirementMarker
from organismctl.report.schema import schemas
from tests.change.sim import Committee, sim_site
from tests.change.sim_desk import RETIRE, ROTATE, Desk
from tests.change.toy import FakeClock

FOLDER = Path(__file__).parents[2] / "docs" / "formats"
AGAIN = "run: python -m tests.change.test_formats"


def made() -> dict[str, bytes]:
    """Name to content of every example that the code makes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        desk = Desk(folder, "rotate member", ROTATE)
        desk.runner().run()
        site = sim_site(Committee(FakeClock()), folder)
        document = announcement(site, RETIRE, kind="retirement")
        return {
            "plan.json": desk.plan.text(),
            "journal.jsonl": (folder / "journal.jsonl").read_bytes(),
            "announcement.json": (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(),
        }


@pytest.fixture(scope="module")
def fresh() -> dict[str, bytes]:
    return made()


@pytest.mark.parametrize("name", ["plan.json", "journal.jsonl", "announcement.json"])
def test_the_examples_are_what_the_code_writes(fresh: dict[str, bytes], name: str) -> None:
    assert (FOLDER / name).read_bytes() == fresh[name], AGAIN


def test_the_examples_prove() -> None:
    plan = read_plan(FOLDER / "plan.json")
    lines = read_journal(FOLDER / "journal.jsonl", plan.hash).lines
    assert fold(plan, lines).state is State.DONE
    assert parse_plan(plan.text(), "again") == plan


def test_plan_and_change_validate_against_their_schemas() -> None:
    plan = read_plan(FOLDER / "plan.json")
    lines = read_journal(FOLDER / "journal.jsonl", plan.hash).lines
    view = fold(plan, lines)
    jsonschema.validate(plan.as_json(), schemas()["plan.schema.json"])
    jsonschema.validate(view.as_json(), schemas()["change.schema.json"])
    assert {"state", "steps"} <= view.as_json().keys()


def test_the_marker_has_the_fields_of_the_surfaces_marker() -> None:
    value: dict[str, Any] = json.loads((FOLDER / "marker.json").read_text())
    assert RetirementMarker(**value).effective_at == "2026-12-01T00:00:00Z"


def test_the_chronicle_is_read(tmp_path: Path) -> None:
    site = sim_site(
        Committee(FakeClock()), tmp_path, coalitions=(Coalition("example", "chronicle.json", None),)
    )
    site.eyes.entries.extend(_entries((FOLDER / "chronicle.json").read_bytes(), "chronicle.json"))  # type: ignore[attr-defined]
    assert in_chronicles(site).seen is Seen.YES


if __name__ == "__main__":
    for example, content in made().items():
        (FOLDER / example).write_bytes(content)
