"""A ticket that a real mosaik producer refuses: the incident that only the wire has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from organismctl.files.secret import create_secret
from tests.support.alpha import ISSUER, Alpha, spanning_alpha
from tests.support.committee import Committee
from tests.support.incident import ESCALATE, LEAD, stage_on, tool

pytestmark = pytest.mark.slow
CONTACT = "ops@alpha.example"


def test_our_ticket_is_refused(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with spanning_alpha(tmp_path, lapsed=("node-b",)) as (committee, alpha):
        stage_a_ticket_that_is_refused(committee, alpha, record_property)


def stage_a_ticket_that_is_refused(
    committee: Committee, alpha: Alpha, record_property: Callable[[str, object], None]
) -> None:
    text = committee.deployment.read_text().replace("peers = [", f'contact = "{CONTACT}"\npeers = [')
    committee.deployment.write_text(text + ESCALATE)
    at = ["--organism", str(committee.folder)]
    assert tool("lock", "init", *at)[0] == 0
    staged = stage_on(committee, record_property)
    with alpha.pulse(), staged("dark: our ticket is refused") as it:
        it.found("SPAN-REFUSED", "node-b × alpha")
        _, shown, _ = tool("runbook", "run", "span-dark", "--dry-run", "--no-wire", *at)
        assert "## Our ticket" in shown, "whose side it is, the runbook of what is dark tells"
        it.run("SPAN-REFUSED", "--set", f"bundle={renewed(committee)}")
        assert it.report["runbook"] == "tickets"
        assert it.chosen[0] == "A ticket has to be renewed"
        assert [(line.split()[1], code) for line, code in it.ran][:2] == [("import", 0), ("install", 0)]
        assert CONTACT in it.shown
        assert LEAD in it.shown
        it.well("tickets")
        it.well("subscriptions")


def renewed(committee: Committee) -> str:
    """What alpha's issuer sends back to our request: a bundle."""
    names = {name: committee.folder / name for name in ("alpha.key", "request.json", "bundle.json")}
    create_secret(names["alpha.key"], json.dumps({"alg": "EdDSA", "secret": ISSUER.hex()}))
    asked, bundle = str(names["request.json"]), str(names["bundle.json"])
    for words in (
        ["request", "--span", "alpha", "-o", asked, "--organism", str(committee.folder)],
        ["issue", "--key", str(names["alpha.key"]), "--request", asked, "-o", bundle],
    ):
        code, _, err = tool("tickets", *words)
        assert code == 0, err
    return bundle
