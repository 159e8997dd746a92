"""The engine on a toy procedure: killed anywhere, any number of times, it does everything once."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from organismctl.change.crash import points
from organismctl.change.errors import (
    BusyError,
    JournalError,
    ParkedError,
    StalledError,
    StepRefusedError,
    SupersededError,
)
from organismctl.change.journal import Journal, read_journal
from organismctl.change.lease import Lease
from organismctl.change.state import State, StepState
from tests.change.toy import ACTING, Killed, World


def kill_at(point: str):
    def checkpoint(name: str) -> None:
        if name == point:
            raise Killed

    return checkpoint


def complete(world: World) -> None:
    view = world.runner().run("resumed")
    assert view.state is State.DONE
    assert all(step.state is StepState.DONE for step in view.steps.values())
    assert Counter(world.ledger.log) == {"add": 1, "cut": 1}, "each command once, whatever happened"
    assert world.toy.starts == ["p"], "started once"
    assert world.ledger.lease() is None, "the lease was given back"


def test_an_undisturbed_run_does_every_step_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    passed: list[str] = []
    view = world.runner(passed.append).run()
    assert view.state is State.DONE
    assert passed == points(ACTING), "every point is passed, in order, and none besides"
    assert Counter(world.ledger.log) == {"add": 1, "cut": 1}


@pytest.mark.parametrize("point", points(ACTING))
def test_killed_at_a_point_a_resume_completes(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    with pytest.raises(Killed):
        world.runner(kill_at(point)).run()
    complete(world)


@given(kills=st.lists(st.integers(0, 12), max_size=8), tear=st.lists(st.integers(0, 200), max_size=8))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_killed_again_and_again_with_torn_lines(kills: list[int], tear: list[int]) -> None:
    """Each run dies at its n-th checkpoint, and the line that was being written may be torn."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for index, after in enumerate(kills):
            left = [after]

            def checkpoint(_name: str, left: list[int] = left) -> None:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1

            try:
                world.runner(checkpoint).run()
            except Killed:
                if index < len(tear):
                    with (Path(folder) / "journal.jsonl").open("ab") as file:
                        file.write(
                            b'{"at":"2026-11-24T00:00:00.000Z","data":{},"fence":1,"hash":"ab'[: tear[index]]
                        )
            else:
                break
        complete(world)


def test_the_date_parks_and_holds_no_lease(tmp_path: Path) -> None:
    world = World(tmp_path, date=1_790_000_000.0 + 86_400)
    with pytest.raises(ParkedError, match="the date"):
        world.runner().run()
    view = world.runner().view()
    assert view.state is State.PARKED
    assert view.until_ms == 1_790_086_400_000
    assert world.ledger.lease() is None
    with pytest.raises(ParkedError):
        world.runner().run("resumed")
    world.clock.at += 90_000
    complete(world)


def test_a_stall_names_the_blocker_and_is_resumable(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.toy.block = "cut"
    with pytest.raises(StalledError, match="blocked by node-x"):
        world.runner().run()
    view = world.runner().view()
    assert view.state is State.INTERRUPTED
    assert view.problem is not None
    assert "node-x" in view.problem
    world.toy.block = None
    complete(world)


def test_abort_before_the_point_of_no_return_takes_everything_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(Killed):
        world.runner(kill_at("cut:before")).run()
    # The intent to cut stands in the journal: nobody knows whether it was done, so there is no way back.
    with pytest.raises(StepRefusedError, match="point of no return"):
        world.runner().abort()
    other = World(tmp_path / "other")
    (tmp_path / "other").mkdir()
    with pytest.raises(Killed):
        other.runner(kill_at("start:after")).run()
    view = other.runner().abort()
    assert view.state is State.ABORTED
    assert other.ledger.log == ["add", "remove-add"]
    assert other.running == set()
    with pytest.raises(StepRefusedError, match="aborted already"):
        other.runner().abort()


@pytest.mark.parametrize(
    "point", ["undo:start:before", "undo:start:after", "undo:add:after", "finish:before"]
)
def test_an_abort_that_is_killed_goes_on(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    with pytest.raises(Killed):
        world.runner(kill_at("start:after")).run()
    with pytest.raises(Killed):
        world.runner(kill_at(point)).abort()
    assert world.runner().view().aborting
    assert world.runner().run("resumed").state is State.ABORTED
    assert world.ledger.log == ["add", "remove-add"]
    assert world.running == set()


def test_what_was_so_before_is_not_taken_back(tmp_path: Path) -> None:
    world = World(tmp_path, date=1_790_000_000.0 + 86_400)
    world.running.add("p")
    with pytest.raises(ParkedError):
        world.runner().run()
    world.runner().abort()
    assert world.running == {"p"}, "p ran before the change, and goes on"


def test_a_takeover_stops_the_old_runner_before_it_acts(tmp_path: Path) -> None:
    world = World(tmp_path)

    def overtake(name: str) -> None:
        if name == "add:after":
            Lease(world.ledger, world.plan.id, "bob (other, 2)", world.clock.monotonic).acquire(takeover=True)

    with pytest.raises(SupersededError, match="bob"):
        world.runner(overtake).run()
    assert world.toy.starts == [], "the next action was not begun"
    held = world.ledger.lease()
    assert held is not None
    assert held.holder == "bob (other, 2)", "the old runner does not give another's lease back"


def test_another_change_keeps_this_one_out_and_leaves_nothing_behind(tmp_path: Path) -> None:
    world = World(tmp_path)
    Lease(world.ledger, "20261124T000000Z-other-1", "bob (other, 2)", world.clock.monotonic).acquire(
        takeover=False
    )
    with pytest.raises(BusyError, match=r"other-1 holds the lease: bob .*since 2026-"):
        world.runner().run()
    assert world.runner().view().state is State.ABORTED


def test_an_expired_lease_is_regained_only_when_nobody_acted_since(tmp_path: Path) -> None:
    world = World(tmp_path)
    lease = Lease(world.ledger, world.plan.id, "alice", world.clock.monotonic)
    lease.acquire(takeover=False)
    world.clock.at += 3600
    lease.check()
    assert lease.fence == 2
    world.clock.at += 3600
    other = Lease(world.ledger, "20261124T000000Z-other-1", "bob", world.clock.monotonic)
    other.acquire(takeover=False)
    other.release()
    with pytest.raises(SupersededError):
        lease.check()


def test_nothing_is_done_when_the_line_before_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    runner = world.runner()
    append = Journal.append

    def full(self: Journal, kind: str, step: str | None = None, **data: object):
        if kind == "intent":
            raise JournalError("the journal cannot be written (No space left on device)")
        return append(self, kind, step, **data)

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(JournalError, match="No space"):
        runner.run()
    assert world.ledger.log == []
    assert world.ledger.lease() is None
    monkeypatch.undo()
    complete(world)


def test_a_clock_set_back_is_tolerated_and_said(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(Killed):
        world.runner(kill_at("add:after")).run()
    world.clock.at -= 10_000
    world.ledger.until -= 10_000
    complete(world)
    lines = read_journal(tmp_path / "journal.jsonl", world.plan.hash).lines
    assert [line.seq for line in lines] == list(range(len(lines)))
    assert any(line.data.get("clock_back_ms", 0) >= 9_000_000 for line in lines)
