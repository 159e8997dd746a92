"""Rotations on the real machine: every crash point, dead nodes, refusals, parking, takeover."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from organismctl.change.crash import points
from organismctl.change.errors import ParkedError, StepRefusedError, SupersededError
from organismctl.change.procedure import build, names
from organismctl.change.site import Verdict
from organismctl.change.state import State
from tests.change.sim import Committee, SimEyes, SimNode, peer
from tests.change.sim_desk import ROTATE, Desk
from tests.change.test_runner import kill_at
from tests.change.toy import FakeClock, Killed


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
    assert "are the names swapped? It would be --out node-b --in node-d" in told
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


def test_peers_are_distinct() -> None:
    assert len({peer(name) for name in Committee(FakeClock()).names}) == 4
