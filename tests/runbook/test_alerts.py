"""Whoever is woken by an alert finds its runbook, and in it a section for each finding that the alert stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from organismctl.check.codes import CODES
from organismctl.cli.app import run
from organismctl.runbook.library import Library
from organismctl.runbook.model import ESCALATION, PROOF, Kind, Runbook
from tests.cli.conftest import acme, here

__all__ = ["acme", "here"]  # fixtures


def rules(folder: Path, carrier: str) -> list[dict[str, Any]]:
    """Every alert that `export prometheus` writes."""
    (folder / "deployment.toml").write_text(f'schema = 1\ncarrier = "{carrier}"\n')
    assert run(["export", "prometheus", "-o", "rules.yml"]) == 0
    (group,) = yaml.safe_load((folder / "rules.yml").read_text())["groups"]
    return list(group["rules"])


@pytest.mark.parametrize("carrier", ["loopback", "mosaik"])
def test_the_runbook_of_each_alert_answers_each_of_its_codes(acme: Path, carrier: str) -> None:
    made = rules(acme, carrier)
    told: set[str] = set()
    lacks = []
    for rule in made:
        name, codes = rule["labels"]["runbook"], rule["annotations"]["codes"].split()
        assert name == rule["annotations"]["runbook"]
        told.update(codes)
        book = Library().load(name)
        lacks += [
            f"{rule['alert']}: {name} does not answer {code}" for code in codes if not answers(book, code)
        ]
    assert lacks == []
    if carrier == "mosaik":
        assert told == set(CODES), "every code has an alert"


def answers(book: Runbook, code: str) -> bool:
    """Whether a section applies by a code, at the verdict that the code has when something is wrong."""
    wrong = CODES[code].default.value
    return code in book.front.codes and any(
        term.code == code and not term.absent and wrong in term.statuses
        for section in book.sections
        if section.when
        for one in section.when.alternatives
        for term in one
    )


@pytest.mark.parametrize("name", Library().paths())
def test_each_says_how_it_is_known_that_it_worked_whom_to_turn_to_and_how_long_it_takes(name: str) -> None:
    book = Library().load(name)
    by_title = {section.title: section for section in book.sections}
    assert any(block.kind is Kind.PROBE for block in by_title[PROOF].blocks)
    text = "\n".join(block.text for block in by_title[ESCALATION].blocks)
    assert any(whom in text for whom in ("{escalate}", "{contact}"))
    assert book.front.takes
