"""Retirements on the real machine: every crash point, far dates, amendments, cancelling, blockers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from organismctl.change.crash import points
from organismctl.change.errors import ParkedError, StepRefusedError
from organismctl.change.procedure import build
from organismctl.change.site import Coalition, Limits
from organismctl.change.state import State
from tests.change.sim import SimNode
from tests.change.sim_desk import RETIRE, Desk
from tests.change.test_runner import kill_at
from tests.change.toy import Killed


def retired(desk: Desk) -> None:
    assert desk.committee.state.sealed
    assert desk.committee.up <= {"node-d"}
    kinds = Counter(kind for kind, _ in desk.committee.commands if not kind.startswith("lease"))
    assert kinds["schedule:"] == 1, "scheduled once"
    assert (desk.folder / "announcement.json").exists()


def test_a_retirement(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "retire", RETIRE)
    passed: list[str] = []
    assert desk.runner(passed.append).run().state is State.DONE
    retired(desk)
    assert passed == points(desk.acting())


@pytest.mark.parametrize(
    "point", points(["announce", "schedule", "stop-node-a", "stop-node-b", "stop-node-c"])
)
def test_a_retirement_killed_anywhere_completes(tmp_path: Path, point: str) -> None:
    desk = Desk(tmp_path, "retire", RETIRE)
    with pytest.raises(Killed):
        desk.runner(kill_at(point)).run()
    assert desk.runner().run("resumed").state is State.DONE
    retired(desk)


def test_a_far_date_parks_without_a_lease_and_lets_others_pass(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "retire", {**RETIRE, "effective_at": "2026-12-01T00:00:00Z"})
    with pytest.raises(ParkedError, match="2026-12-01"):
        desk.runner().run()
    assert desk.committee.state.lease is None
    assert not desk.runner().view().in_the_way
    desk.clock.at += 71 * 86_400
    assert desk.runner().run("resumed").state is State.DONE
    retired(desk)


def test_a_retirement_is_cancelled_until_the_seal(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "retire", {**RETIRE, "effective_at": "2026-12-01T00:00:00Z"})
    with pytest.raises(ParkedError):
        desk.runner().run()
    assert desk.runner().abort().state is State.ABORTED
    assert desk.committee.state.retirement is None
    assert (tmp_path / "announcement-cancelled.json").read_bytes().count(b"retirement-cancelled") == 1


def test_after_the_seal_there_is_no_cancel(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "retire", {**RETIRE, "effective_at": "2026-12-01T00:00:00Z"})
    with pytest.raises(ParkedError):
        desk.runner().run()
    desk.clock.at += 71 * 86_400
    SimNode(desk.committee, "node-a").status()
    assert desk.committee.state.sealed
    with pytest.raises(StepRefusedError, match="only goes forward: the organism is sealed"):
        desk.runner().abort()
    assert desk.runner().run("resumed").state is State.DONE
    retired(desk)


def test_the_lead_time_is_owed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "retire", RETIRE, limits=Limits(lead_time_s=86_400))
    told = build("retire", desk.site(), RETIRE).refusals()
    assert told == [
        "integrators are owed 24.0 h notice (thresholds.lead_time): not before 2026-09-22T14:13:20Z"
    ]


def test_a_moment_that_is_past_is_not_begun(tmp_path: Path) -> None:
    """At planning, and again when the plan is applied: it may have waited in a file since."""
    desk = Desk(tmp_path, "retire", RETIRE)
    assert build("retire", desk.site(), RETIRE).refusals() == []
    desk.clock.at += 366 * 86_400
    (why,) = build("retire", desk.site(), RETIRE).refusals()
    assert "is past: the organism would be sealed at once" in why
    (why,) = build("retire", desk.site(), {**RETIRE, "effective_at": "2020-01-01T00:00:00Z"}).refusals()
    assert "is past" in why


@pytest.mark.parametrize("procedure", ["retire", "retire amend"])
def test_without_a_majority_it_is_refused_at_once(tmp_path: Path, procedure: str) -> None:
    desk = Desk(tmp_path, "retire", {**RETIRE, "effective_at": "2026-12-01T00:00:00Z"})
    if procedure == "retire amend":
        with pytest.raises(ParkedError):
            desk.runner().run()
    desk.committee.up = {"node-a"}
    told = build(procedure, desk.site(), {**RETIRE, "effective_at": "2026-12-02T00:00:00Z"}).refusals()
    assert told == ["now, 1 of 3 committee members are up, a majority is 2 (missing: node-b, node-c)"]


def test_a_retirement_that_was_left_lying_is_not_scheduled_after_its_moment(tmp_path: Path) -> None:
    """A resume looks anew: sealing at once is not what was planned."""
    desk = Desk(tmp_path, "retire", RETIRE)
    runner = desk.runner()
    desk.clock.at += 366 * 86_400
    with pytest.raises(StepRefusedError, match="is past: the organism would be sealed at once"):
        runner.run()
    assert desk.committee.state.retirement is None


def test_the_chronicle_is_waited_for(tmp_path: Path) -> None:
    coalition = Coalition("example", "chronicle.json", "noc@example.example")
    desk = Desk(tmp_path, "retire", RETIRE, coalitions=(coalition,))
    with pytest.raises(ParkedError, match=r"OrganismRetired in the Chronicle of example \(contact noc"):
        desk.runner().run()
    runner = desk.runner()
    runner.procedure.site.eyes.entries.append({"kind": "OrganismRetired", "stable_id": "55" * 32})  # type: ignore[attr-defined]
    assert runner.run("resumed").state is State.DONE


def test_a_seal_that_does_not_come_names_the_blocker(tmp_path: Path) -> None:
    from organismctl.change.errors import StalledError

    desk = Desk(tmp_path, "retire", RETIRE)
    runner = desk.runner()
    desk.committee.ticking = True

    def stop_ticks(name: str) -> None:
        if name == "schedule:after":
            desk.committee.ticking = False

    runner.checkpoint = stop_ticks
    with pytest.raises(StalledError, match="blocked by node-a, node-b, node-c"):
        runner.run()


def test_a_parked_retirement_follows_an_amendment(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "retire", {**RETIRE, "effective_at": "2026-12-01T00:00:00Z"})
    with pytest.raises(ParkedError):
        desk.runner().run()
    (tmp_path / "amend").mkdir()
    amend = Desk(tmp_path / "amend", "retire", RETIRE)
    amend.committee, amend.clock = desk.committee, desk.clock
    amend.name, amend.parameters = (
        "retire amend",
        {"effective_at": "2026-10-01T00:00:00Z", "replacement": None},
    )
    amend.plan = replace(amend.make_plan(), id="20261124T000000Z-sim-2")
    assert amend.runner().run().state is State.DONE
    assert str(desk.committee.state.retirement.effective_at) == "2026-10-01T00:00:00Z"  # type: ignore[union-attr]
    assert b"retirement-amended" in (tmp_path / "amend" / "announcement.json").read_bytes()
    desk.clock.at += 10 * 86_400
    assert desk.runner().run("resumed").state is State.DONE
    retired(desk)
    told = build("retire amend", desk.site(), amend.parameters).refusals()
    assert told == ["no node answers: " + "; ".join(desk.site().fleet.survey().unseen.values())]
