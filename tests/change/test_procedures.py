"""The procedures on the real machine: every crash point, dead nodes, refusals, parking, takeover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from organismctl.change.copies import Copies
from organismctl.change.crash import points
from organismctl.change.errors import ParkedError, StepRefusedError, SupersededError
from organismctl.change.journal import Journal
from organismctl.change.lease import Lease
from organismctl.change.plan import Moves, Plan, PlannedStep
from organismctl.change.procedure import build, names
from organismctl.change.runner import Runner
from organismctl.change.site import Coalition, Limits, Site, Verdict
from organismctl.change.state import State
from tests.change.sim import Committee, SimEyes, SimNode, peer, sim_site
from tests.change.test_runner import kill_at
from tests.change.toy import FakeClock, Killed

ROTATE: dict[str, Any] = {"out": "node-a", "in": "node-d"}


class Desk:
    """One operator's desk over a simulated committee."""

    def __init__(self, folder: Path, name: str, parameters: dict[str, Any], **site: Any) -> None:
        self.clock = FakeClock()
        self.committee = Committee(self.clock)
        self.first_version = self.committee.state.roster_version
        self.folder = folder
        self.name = name
        self.parameters = parameters
        self.site_options = site
        self.plan = self.make_plan()

    def site(self) -> Site:
        return sim_site(self.committee, self.folder, **self.site_options)

    def make_plan(self) -> Plan:
        procedure = build(self.name, self.site(), self.parameters)
        return Plan(
            id="20261124T000000Z-sim-1",
            procedure=self.name,
            organism="acme.settlement",
            what=self.name,
            why="",
            operator="alice",
            created_ms=self.clock.now_ms(),
            parameters=self.parameters,
            moves=Moves(),
            facts=procedure.facts(),
            steps=tuple(PlannedStep.of(step) for step in procedure.steps),
        )

    def runner(
        self,
        checkpoint: Callable[[str], None] = lambda _name: None,
        *,
        folder: Path | None = None,
        holder: str = "alice",
    ) -> Runner:
        site = self.site()
        journal = Journal.open((folder or self.folder) / "journal.jsonl", self.plan.hash, self.clock.now_ms)
        copies = Copies(self.plan, [SimNode(self.committee, name) for name in self.committee.names])
        copies.begin(journal.lines)
        journal.listen(copies.send)
        site = replace(site, note_risk=lambda code, why: journal.append("risk", code=code, why=why) and None)
        return Runner(
            self.plan,
            build(self.name, site, self.parameters),
            journal,
            Lease(site.fleet, self.plan.id, holder, self.clock.monotonic),
            who={"operator": holder, "host": "host", "pid": 1},
            clock=self.clock,
            fenced=copies.check,
            checkpoint=checkpoint,
        )

    def acting(self) -> list[str]:
        return [step.name for step in self.plan.steps if step.acts]


def rotated(desk: Desk) -> None:
    committee = desk.committee
    assert {committee.name_of(seat) for seat in committee.state.roster.members} == {
        "node-b",
        "node-c",
        "node-d",
    }
    assert committee.up == {"node-b", "node-c", "node-d"}
    assert committee.starts == ["node-d"], "started once"
    assert committee.flags == {"node-a": False, "node-b": True, "node-c": True, "node-d": True}
    assert committee.state.lease is None
    kinds = Counter(kind for kind, _ in committee.commands if not kind.startswith("lease"))
    assert kinds["roster:add"] == kinds["roster:remove"] == 1
    assert committee.state.roster_version == desk.first_version + 2, "one add and one remove, once each"


def test_the_procedures_are_found_by_their_files() -> None:
    assert {"rotate member", "retire"} <= set(names())


def test_a_rotation(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE)
    passed: list[str] = []
    assert desk.runner(passed.append).run().state is State.DONE
    rotated(desk)
    # `leader-elsewhere` needs no action here: draining the leader already moved it.
    assert passed == [point for point in points(desk.acting()) if not point.startswith("leader-elsewhere")]


@pytest.mark.parametrize(
    "point", points(["start-in", "roster-add", "drain", "roster-remove", "stop-out", "write-roster"])
)
@pytest.mark.parametrize("leader_dies", [False, True])
def test_a_rotation_killed_anywhere_completes(tmp_path: Path, point: str, leader_dies: bool) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE)
    with pytest.raises(Killed):
        desk.runner(kill_at(point)).run()
    if leader_dies and desk.committee.proposer not in {None, "node-a"}:
        leader = desk.committee.proposer
        assert leader is not None
        desk.committee.up.discard(leader)
        desk.committee.elect()
        desk.committee.up.add(leader)
    assert desk.runner().run("resumed").state is State.DONE
    rotated(desk)


def test_tickets_that_do_not_outlive_it_refuse_the_rotation(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE)
    runner = desk.runner()
    eyes = runner.procedure.site.eyes  # type: ignore[attr-defined]
    assert isinstance(eyes, SimEyes)
    eyes.tickets = [Verdict("TICKET-HORIZON", "bad", "node-d × acme", "ends in 3 min")]
    with pytest.raises(StepRefusedError, match="TICKET-HORIZON node-d"):
        runner.run()
    assert desk.runner().view().state is State.ABORTED, "nothing was begun, so nothing is in the way"
    assert desk.committee.starts == []


@pytest.mark.parametrize("down", ["node-b", "node-c"])
def test_never_below_a_majority_of_the_roster(tmp_path: Path, down: str) -> None:
    """With one of three down, four members would need three: the rotation may go on only with B counted."""
    desk = Desk(tmp_path, "rotate member", ROTATE)
    desk.committee.up.discard(down)
    procedure = build("rotate member", desk.site(), ROTATE)
    assert procedure.refusals() == []
    desk.committee.up -= {"node-b", "node-c"}
    assert any("a majority is 2" in why for why in procedure.refusals())


def test_refusals_are_all_told_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE)
    wrong = build("rotate member", desk.site(), {"out": "node-d", "in": "node-b"})
    told = "; ".join(wrong.refusals())
    assert "node-d is not on the certified roster" in told
    assert "node-b is on the certified roster already" in told
    assert "not a spare" in told


def test_a_dead_member_must_be_shown_fenced(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", {**ROTATE, "dead": True}, can_tell=False)
    desk.committee.up.discard("node-a")
    with pytest.raises(StepRefusedError, match="not shown to be off"):
        desk.runner().run()
    other = tmp_path / "accepted"
    other.mkdir()
    desk = Desk(
        other,
        "rotate member",
        {**ROTATE, "dead": True},
        can_tell=False,
        accepted=frozenset({"MEMBER-UNFENCED"}),
    )
    desk.committee.up.discard("node-a")
    runner = desk.runner()
    assert runner.run().state is State.DONE
    rotated(desk)
    assert any(
        line.kind == "risk" and line.data["code"] == "MEMBER-UNFENCED" for line in runner.journal.lines
    )


def test_a_dead_member_that_is_fenced(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", {**ROTATE, "dead": True})
    desk.committee.up.discard("node-a")
    assert desk.runner().run().state is State.DONE
    rotated(desk)
    assert "drain" not in [step.name for step in desk.plan.steps]


@pytest.mark.parametrize("point", ["start-in:after", "roster-add:before", "roster-add:after", "drain:after"])
def test_an_abort_takes_the_rotation_back(tmp_path: Path, point: str) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE)
    with pytest.raises(Killed):
        desk.runner(kill_at(point)).run()
    assert desk.runner().abort().state is State.ABORTED
    committee = desk.committee
    assert {committee.name_of(seat) for seat in committee.state.roster.members} == {
        "node-a",
        "node-b",
        "node-c",
    }
    assert committee.up == {"node-a", "node-b", "node-c"}
    assert committee.state.drained == set()
    assert committee.state.lease is None


def test_after_the_removal_there_is_no_way_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE)
    with pytest.raises(Killed):
        desk.runner(kill_at("stop-out:before")).run()
    with pytest.raises(StepRefusedError, match="only goes forward"):
        desk.runner().abort()
    desk.runner().run("resumed")
    rotated(desk)


def test_a_manual_start_parks_and_a_resume_looks(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE, manual=frozenset({"node-d"}))
    with pytest.raises(ParkedError, match="a person to start node-d"):
        desk.runner().run()
    assert desk.committee.state.lease is None
    assert desk.runner().view().in_the_way, "it waits in the middle of things"
    desk.committee.up.add("node-d")
    desk.committee.starts.append("node-d")
    assert desk.runner().run("resumed").state is State.DONE
    rotated(desk)


def test_a_takeover_on_another_machine_continues_and_stops_the_old_runner(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "rotate member", ROTATE)
    other = tmp_path / "other-machine"
    other.mkdir()

    def overtake(name: str) -> None:
        if name != "drain:after":
            return
        held = SimNode(desk.committee, "node-b").get(desk.plan.id)
        assert held is not None
        (other / "journal.jsonl").write_text("".join(f"{line}\n" for line in held[1]))
        taken = desk.runner(folder=other, holder="bob")
        taken.fenced = lambda: None
        assert taken.run("taken-over").state is State.DONE

    with pytest.raises(SupersededError, match="taken over"):
        desk.runner(overtake).run()
    rotated(desk)
    versions = {tuple(copy) for copy in desk.committee.copies[desk.plan.id].values()}
    assert len({copy[-1] for copy in versions}) >= 1


# retire

RETIRE: dict[str, Any] = {
    "effective_at": "2026-09-21T14:13:40Z",
    "replacement": None,
    "reason": "moved",
    "nodes": ["node-a", "node-b", "node-c"],
    "ticks_now": None,
}
"""20 s after the clock's start, 2026-09-21T14:13:20Z."""


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


def test_peers_are_distinct() -> None:
    assert len({peer(name) for name in Committee(FakeClock()).names}) == 4


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
