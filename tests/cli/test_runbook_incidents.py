"""Incidents staged on real committees: the runbook, run with --yes, picks the section that helps, and all is well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_span_incidents import check, find, pulse, quicken
from tests.support.committee import SERVE, Committee, running_committee, wait_for
from tests.support.upstream import lattices

pytestmark = pytest.mark.slow
WAYS = "When to escalate", "How to know that it worked"


def run(committee: Committee, name: str, *args: str, code: int | None = 0) -> dict[str, Any]:
    """Run a runbook to its end; its report. What was chosen and how long it took goes to standard output."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "organismctl", "runbook", "run", name, "--yes", "--format", "json", "--no-wire",
         "--organism", str(committee.folder), *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=240, env=dict(os.environ),
    )  # fmt: skip
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    print(f"{name} | {'; '.join(chosen(report))} | {time.monotonic() - begun:.1f} s | exit {done.returncode}")
    return report


def chosen(report: dict[str, Any]) -> list[str]:
    return [one["title"] for one in report["sections"] if one["when"] and one["applies"]]


def ran(report: dict[str, Any]) -> list[tuple[str, int]]:
    return [
        (one["line"], one["exit"])
        for part in report["sections"]
        for one in part["steps"]
        if one["kind"] == "run"
    ]


def well(committee: Committee, name: str = "committee") -> None:
    wait_for(f"{name} is well", lambda: check(committee, name)[0] == 0, 60)


def broken(committee: Committee, code: str, status: str = "bad", name: str = "committee") -> None:
    def look() -> bool:
        return any(row["code"] == code and row["status"] == status for row in check(committee, name)[1])

    wait_for(f"{code} {status}", look, 60)


def test_a_node_down_no_quorum_no_leader_and_a_dead_node(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", spares=["node-d"]) as committee:
        well(committee)
        committee.kill("node-c")
        broken(committee, "MEMBER-UNREACHABLE", "unknown")
        report = run(committee, "node-down")
        assert "It does not answer" in chosen(report)
        assert "It stays away" not in chosen(report)
        assert ran(report) == [("organismctl committee start --node node-c", 0)]
        well(committee)

        from organismctl.committee.node.process import stop

        stop(committee.data("node-c"), patience=5)
        committee.kill("node-b")
        broken(committee, "COMMITTEE-QUORUM")
        report = run(committee, "COMMITTEE-QUORUM")
        assert report["runbook"] == "committee-short"
        assert chosen(report)[0] == "A majority is away"
        assert sorted(ran(report)) == [(f"organismctl committee start --node node-{one}", 0) for one in "bc"]
        well(committee)

        for name in ("node-b", "node-c"):
            stop(committee.data(name), patience=5)
        committee.kill("node-a")
        broken(committee, "LEADER-UNIQUE", "unknown")
        report = run(committee, "leader")
        assert chosen(report) == ["Nobody proposes, and nodes are away"]
        well(committee)

        stop(committee.data("node-c"), patience=5)
        (committee.data("node-c") / "ledger.sqlite").unlink(missing_ok=True)
        for file in committee.data("node-c").glob("*.sqlite*"):
            file.unlink()
        broken(committee, "MEMBER-UNREACHABLE", "unknown")
        report = run(committee, "node-down", code=None)
        assert "It stays away" in chosen(report)
        assert ran(report)[-1][0].startswith("organismctl rotate member --dead node-c --in node-d")
        assert ran(report)[-1][1] == 0
        well(committee)


def test_a_forked_group_a_planned_rotation_and_a_change_that_was_left(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", spares=["node-d"]) as committee:
        well(committee)
        committee.stop("node-c")
        astray = committee.folder / "astray"
        astray.mkdir()
        text = committee.deployment.read_text()
        text = text.replace('"secrets/', '"../secrets/').replace('"nodes/', '"../nodes/')
        (astray / "deployment.toml").write_text(text)
        organism = (committee.folder / "organism.toml").read_text()
        (astray / "organism.toml").write_text(organism.replace("[content]", '[content]\nodd = "yes"'))
        with (committee.data("node-c") / "node.log").open("ab") as log:
            committee.processes["node-c"] = subprocess.Popen(
                [*SERVE, "--node", "node-c", "--deployment", str(astray / "deployment.toml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        committee.wait_up("node-c")
        broken(committee, "GROUP-FORKED")
        report = run(committee, "group-forked")
        assert chosen(report) == ["Some run another identity than the most"]
        assert ran(report) == [("organismctl committee start --node node-c --restart", 0)]
        well(committee)

        report = run(committee, "rotate-member", "--set", "out=node-a")
        assert next(line for line, _ in ran(report)).startswith(
            "organismctl rotate member --out node-a --in node-d"
        )
        well(committee)

        env = {**os.environ, "ORGANISMCTL_REHEARSAL": "1", "ORGANISMCTL_CRASH_AT": "drain:after"}
        killed = subprocess.run(
            [sys.executable, "-m", "organismctl", "rotate", "member", "--out", "node-b", "--in", "node-a", "--yes",
             "--organism", str(committee.folder)],
            stdin=subprocess.DEVNULL, capture_output=True, check=False, env=env,
        )  # fmt: skip
        assert killed.returncode == -9, killed.stderr
        (committee.folder / ".organism" / "changes").rename(committee.folder / "the-lost-laptop")
        broken(committee, "ROSTER-DRIFT")
        report = run(committee, "lost-laptop")
        assert chosen(report) == ["A change was left half done"]
        assert ran(report) == [("organismctl change takeover --yes", 0)]
        well(committee)


def test_a_spanned_member_dark_on_whose_side(tmp_path: Path) -> None:
    with lattices("alpha", "beta") as (alpha, beta):
        for one in (alpha, beta):
            one.emit(2)
        spans = [alpha.span(), beta.span()]
        with running_committee(tmp_path / "acme", spans=spans, fold="join") as committee, pulse(alpha, beta):
            quicken(committee)
            well(committee, "subscriptions")
            beta.silent = True
            broken(committee, "SPAN-PRODUCER-GONE", name="subscriptions")
            their_operator = _later(6.0, lambda: setattr(beta, "silent", False))
            report = run(committee, "span-dark")
            their_operator.join(30)
            assert chosen(report)[0] == "Their side: nobody produces it"
            assert not ran(report)
            well(committee, "subscriptions")

            committee.stop("node-b")
            other = committee.folder / "astray.toml"
            other.write_text(committee.deployment.read_text().replace(beta.url, "http://127.0.0.1:9"))
            with (committee.data("node-b") / "node.log").open("ab") as log:
                committee.processes["node-b"] = subprocess.Popen(
                    [*SERVE, "--node", "node-b", "--deployment", str(other)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
            committee.wait_up("node-b")
            broken(committee, "SPAN-SUBSCRIPTION", name="subscriptions")
            report = run(committee, "SPAN-SUBSCRIPTION")
            assert chosen(report)[0] == "One node of ours does not hear it"
            assert ran(report) == [("organismctl committee start --node node-b --restart", 0)]
            well(committee, "subscriptions")


def test_an_evidence_pointer_that_fails_on_replay(tmp_path: Path) -> None:
    with lattices("alpha") as (alpha,):
        alpha.emit(6)
        options: Any = {"spans": [alpha.span()], "fold": "fan-in", "spares": ["node-d"]}
        with running_committee(tmp_path / "acme", **options) as committee:
            quicken(committee)

            def looked_up() -> int:
                row = find(check(committee, "evidence")[1], "EVIDENCE-UNRESOLVED", "alpha / events")
                return int(row["values"].get("looked_up", 0))

            wait_for("all is evidence", lambda: looked_up() == 6)
            alpha.forget(0)
            alpha.forget(1)
            committee.start("node-d")
            wait_for("node-d rejects it", lambda: _stands(committee, "node-d"), 60)
            report = run(committee, "evidence", code=None)
            assert not ran(report), "nobody said why: nothing is voided"
            report = run(committee, "evidence", "--set", "reason=compacted upstream", code=None)
            assert "A node stands still" in chosen(report)
            assert [exit_code for _, exit_code in ran(report)] == [0]
            rows = check(committee, "evidence")[1]
            assert find(rows, "EVIDENCE-UNRESOLVED", "node-d")["status"] == "ok"
            assert find(rows, "EVIDENCE-UNRESOLVED", "alpha / events")["status"] == "ok"


def _stands(committee: Committee, name: str) -> bool:
    rows = check(committee, "evidence")[1]
    return any((row["subject"], row["status"]) == (name, "bad") for row in rows)


def _later(seconds: float, what: Callable[[], None]) -> Any:
    import threading

    timer = threading.Timer(seconds, what)
    timer.start()
    return timer
