"""The commands on a real committee: plans, prompts, two runners, takeover from another folder, retirement."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from organismctl.report.schema import schemas
from tests.change.test_crash_walk import Walk, ctl, rehearsal, rotate_args, rotated, walk_over

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with walk_over(tmp_path_factory.mktemp("commands") / "c") as found:
        yield found


def at(deployment: Path, *args: str, code: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "organismctl", *args, "--organism", str(deployment)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == code, f"{args} gave {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def test_a_dry_run_prints_the_plan_and_exits_2(walk: Walk) -> None:
    out, into = rotate_args(walk, out_leads=False)
    args = ("rotate", "member", "--out", out, "--in", into)
    plan = json.loads(ctl(walk.committee, *args, "--dry-run", "--format", "json", code=2).stdout)
    jsonschema.validate(plan, schemas()["plan.schema.json"])
    assert plan["moves"] == {"fingerprint": "none", "group_id": "none", "integrators": "none"}
    told = ctl(walk.committee, *args, "--dry-run", code=2)
    assert (
        f"{len([row for row in plan['findings'] if row['status'] == 'ok'])} ok (--format json" in told.stdout
    )
    assert " ok: " not in told.stdout, "what stands well is counted, so that the steps are in sight"
    # A spare that is off is as it should be: nobody speaks of it.
    assert "could not be asked" not in told.stderr + ctl(walk.committee, "change", "list").stderr
    assert "needs a confirmation" in ctl(walk.committee, *args, code=64).stderr
    assert json.loads(ctl(walk.committee, "change", "list", "--format", "json").stdout)["changes"] == []
    swapped = ctl(walk.committee, "rotate", "member", "--out", into, "--in", out, "--yes", code=4).stderr
    assert f"are the names swapped? It would be --out {out} --in {into}" in swapped
    assert "next: nothing was begun: mend what is named" in swapped


def test_a_wrong_token_is_not_taken_for_nodes_that_are_away(walk: Walk) -> None:
    folder = walk.committee.folder
    (folder / "wrong.token").write_text("obviously-fake-token\n")
    (folder / "wrong.token").chmod(0o600)
    other = folder / "deployment-wrong.toml"
    text = walk.committee.deployment.read_text()
    other.write_text('state = ".organism-w"\n' + text.replace("secrets/operate.token", "wrong.token"))
    out, into = rotate_args(walk, out_leads=False)
    told = at(other, "rotate", "member", "--out", out, "--in", into, "--yes", code=4).stderr
    assert "no node lets us look" in told
    assert "refuses our token" in told
    assert "no node answers" not in told
    other.unlink()


def test_a_plan_is_written_and_applied_once(walk: Walk, tmp_path: Path) -> None:
    out, into = rotate_args(walk, out_leads=False)
    before = len(walk.ledger())
    file = tmp_path / "plan.json"
    ctl(
        walk.committee,
        "rotate",
        "member",
        "--out",
        out,
        "--in",
        into,
        "--reason",
        "a new host",
        "--plan-out",
        str(file),
    )
    ctl(walk.committee, "change", "apply", str(file), "--yes")
    rotated(walk, out, into, before)
    assert "stale" in ctl(walk.committee, "change", "apply", str(file), "--yes", code=4).stderr
    shown = json.loads(ctl(walk.committee, "change", "show", "--format", "json").stdout)
    assert shown["state"] == "done"
    assert "  why       a new host\n" in ctl(walk.committee, "change", "show").stdout
    jsonschema.validate(shown, schemas()["change-show.schema.json"])
    history = json.loads(ctl(walk.committee, "change", "history", "--format", "json").stdout)
    jsonschema.validate(history, schemas()["change-history.schema.json"])


def test_two_runners_and_a_takeover_from_another_folder(walk: Walk) -> None:
    """One runner is stopped in the middle; others are told of it, here and elsewhere; a takeover fences it."""
    committee = walk.committee
    other = committee.folder / "deployment-b.toml"
    other.write_text('state = ".organism-b"\n' + committee.deployment.read_text())
    out, into = rotate_args(walk, out_leads=False)
    before = len(walk.ledger())
    argv = [sys.executable, "-m", "organismctl", "rotate", "member", "--out", out, "--in", into, "--yes"]
    with (committee.folder / "first.err").open("wb") as err:
        process = subprocess.Popen(
            [*argv, "--organism", str(committee.deployment)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            env={**os.environ, **rehearsal(PAUSE_AT="roster-add:after")},
        )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        listed = json.loads(ctl(committee, "change", "list", "--format", "json").stdout)
        change = listed["changes"][-1]
        assert change["state"] == "running"
        told = ctl(committee, "change", "resume", change["id"], code=4).stderr
        assert f"is being run by {change['runner']['operator']}" in told
        assert f"(process {process.pid}) since 20" in told
        # Another machine knows of it by the copies on the nodes.
        at(other, "change", "resume", change["id"], code=1)
        at(other, "change", "takeover", change["id"], "--yes", code=0)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(60) == 4
        assert "taken over" in (committee.folder / "first.err").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    committee.deployment.write_text(other.read_text().replace('state = ".organism-b"\n', "", 1))
    rotated(walk, out, into, before)
    assert "another runner" in ctl(committee, "change", "resume", change["id"], code=4).stderr


def test_a_dead_member_is_replaced(walk: Walk) -> None:
    out, into = rotate_args(walk, out_leads=True)
    walk.kill(out)
    assert (
        "does not answer"
        in ctl(walk.committee, "rotate", "member", "--out", out, "--in", into, "--yes", code=4).stderr
    )
    ctl(walk.committee, "rotate", "member", "--dead", out, "--in", into, "--yes")
    names = {member["name"] for member in walk.committee.status(walk.leader())["roster"]["members"]}
    assert names == {*walk.committee.names} - {out}
    walk.ledger()
    walk.surface()


def test_a_retirement_is_parked_amended_and_cancelled(walk: Walk) -> None:
    committee = walk.committee
    assert (
        "needs a confirmation"
        in ctl(committee, "retire", "--effective-at", "2126-01-01T00:00Z", code=64).stderr
    )
    assert "parked" in ctl(committee, "retire", "--effective-at", "2126-01-01T00:00Z", "--yes").stderr
    status = committee.status(walk.leader())
    assert status["retirement"]["effective_at"] == "2126-01-01T00:00:00Z"
    assert status["lease"] is None, "a parked change holds no lease"
    ctl(committee, "retire", "amend", "--effective-at", "2127-01-01T00:00Z", "--yes")
    assert committee.status(walk.leader())["retirement"]["effective_at"] == "2127-01-01T00:00:00Z"
    past = ctl(committee, "retire", "amend", "--effective-at", "2020-01-01T00:00Z", "--yes", code=4)
    assert "is past" in past.stderr
    assert committee.status(walk.leader())["retirement"]["effective_at"] == "2127-01-01T00:00:00Z"
    garbled = ctl(
        committee,
        "retire",
        "amend",
        "--effective-at",
        "2128-01-01T00:00Z",
        "--reason",
        "a\nb",
        "--yes",
        code=64,
    )
    assert "--reason" in garbled.stderr
    told = ctl(committee, "retire", "verify", "--format", "json", code=6)
    jsonschema.validate(json.loads(told.stdout), schemas()["retire-verify.schema.json"])
    ctl(committee, "retire", "cancel", "--yes")
    assert committee.status(walk.leader())["retirement"] is None
    walk.surface()
