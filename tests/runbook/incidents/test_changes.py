"""Identities, versions and changes of a running committee: staged on one committee, one after the other."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import organismctl
from tests.support.committee import Committee, running_committee
from tests.support.incident import ESCALATE, Stage, astray, down, killed_at, stage_on, tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_committee_that_is_changed(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Each incident begins where the one before has ended; the last one ends the organism."""
    extra = ESCALATE + '[thresholds]\nlead_time = "0s"\n'
    with running_committee(tmp_path / "acme", spares=["node-d"], period="500ms", extra=extra) as committee:
        assert tool("lock", "init", "--organism", str(committee.folder))[0] == 0
        staged = stage_on(committee, record_property)
        a_forked_group(staged, committee)
        an_upgrade(staged, committee)
        a_planned_rotation(staged)
        a_lost_laptop(staged, committee)
        a_key_that_may_be_known(staged)
        lost_files(staged, committee)
        an_identity_that_drifts(staged, committee)
        a_retirement(staged)


def a_forked_group(staged: Stage, committee: Committee) -> None:
    with staged("a forked group") as it:
        it.well()
        it.begin()
        down(committee, "node-c")
        folder = committee.folder / "astray"
        folder.mkdir()
        text = committee.deployment.read_text()
        text = text.replace('"secrets/', '"../secrets/').replace('"nodes/', '"../nodes/')
        (folder / "deployment.toml").write_text(text)
        organism = (committee.folder / "organism.toml").read_text()
        (folder / "organism.toml").write_text(organism.replace("[content]", '[content]\nodd = "yes"'))
        astray(committee, "node-c", folder / "deployment.toml")
        it.found("GROUP-FORKED")
        it.run("group-forked")
        assert it.chosen == ["Some run another identity than the most"]
        assert it.ran == [("committee start --node node-c --restart", 0)]
        it.well()


def an_upgrade(staged: Stage, committee: Committee) -> None:
    """One node was left behind under the version before."""
    with staged("an upgrade left half done") as it:
        old = committee.folder / "old"
        shutil.copytree(Path(organismctl.__file__).parent, old / "organismctl")
        about = old / "organismctl" / "__init__.py"
        about.write_text(about.read_text().replace(organismctl.__version__, "0.0.9"))
        down(committee, "node-b")
        astray(committee, "node-b", committee.deployment, env={**os.environ, "PYTHONPATH": str(old)}, cwd=old)
        it.found("VERSION-SKEW", status="warn")
        it.run("VERSION-SKEW")
        assert it.report["runbook"] == "upgrade"
        assert it.chosen == ["Versions differ"]
        assert it.ran == [("committee start --node node-b --restart", 0)]
        it.well()
        it.found("VERSION-SKEW", status="ok")


def a_planned_rotation(staged: Stage) -> None:
    with staged("a planned rotation") as it:
        it.run("rotate-member", "--set", "out=node-a")
        assert it.ran == [("rotate member --out node-a --in node-d --reason planned --yes", 0)]
        it.well()


def a_lost_laptop(staged: Stage, committee: Committee) -> None:
    with staged("a lost laptop") as it:
        killed_at(committee, "drain:after", "rotate", "member", "--out", "node-b", "--in", "node-a", "--yes")
        (committee.folder / ".organism" / "changes").rename(committee.folder / "the-lost-laptop")
        it.found("ROSTER-DRIFT")
        it.run("lost-laptop")
        assert it.chosen == ["A change was left half done"]
        assert it.ran == [("change takeover --yes", 0)]
        it.well()


def a_key_that_may_be_known(staged: Stage) -> None:
    with staged("a suspected key compromise") as it:
        it.run("key-compromise", "--set", "out=node-c")
        (ran,) = it.ran
        assert ran[0].startswith("rotate member --out node-c --in node-b")
        assert ran[1] == 0
        it.well()


def lost_files(staged: Stage, committee: Committee) -> None:
    """The operator's own files are lost; what comes back from version control is older than it should be."""
    with staged("files lost, and restored") as it:
        organism = committee.folder / "organism.toml"
        right = organism.read_text()
        organism.write_text(right.replace('period = "500ms"', 'period = "300ms"'))
        it.found("FINGERPRINT-DRIFT")
        it.run("backup-restore", code=2)
        organism.write_text(right)
        it.run("backup-restore")
        it.well()


def an_identity_that_drifts(staged: Stage, committee: Committee) -> None:
    """An edit that nobody meant: without a reason nothing is accepted, and taking it back heals it."""
    with staged("an identity drift") as it:
        organism = committee.folder / "organism.toml"
        right = organism.read_text()
        organism.write_text(right.replace('period = "500ms"', 'period = "250ms"'))
        it.found("FINGERPRINT-DRIFT")
        it.run("identity-drift", code=2)
        assert it.chosen[0] == "Our own config has moved"
        assert it.ran == [], "nobody gave a reason"
        organism.write_text(right)
        it.well()


def a_retirement(staged: Stage) -> None:
    with staged("a retirement") as it:
        # A whole runbook looks and plans before it acts, and a moment that is past by then is refused.
        at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=45)
        it.run("retirement", "--set", f"effective_at={at:%Y-%m-%dT%H:%M:%SZ}")
        assert it.chosen == ["Nothing is scheduled"]
        it.found("ORGANISM-SEALED", status="warn")
        it.run("retirement")
        assert it.chosen == ["It is sealed"]
        it.well()
