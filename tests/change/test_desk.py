"""The desk: two runners at once, copies, takeover from another machine, stale plans, tampering."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from organismctl.change.canonical import canonical
from organismctl.change.copies import FolderTarget
from organismctl.change.desk import Desk
from organismctl.change.errors import (
    BusyError,
    ParkedError,
    PlanError,
    StalePlanError,
    StepRefusedError,
    SupersededError,
    TamperedError,
)
from organismctl.change.journal import make_line, read_journal
from organismctl.change.plan import parse_plan, read_plan, write_plan
from organismctl.change.site import Limits
from organismctl.change.state import State
from organismctl.change.store import Store
from organismctl.errors import InputError, RefusedError
from organismctl.exits import Exit
from tests.change.sim import Committee, SimNode, sim_site
from tests.change.sim_desk import RETIRE, ROTATE
from tests.change.toy import FakeClock, Killed


class Recorder:
    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, number: int, count: int, title: str) -> None:
        self.said.append(f"{number}/{count} {title}")

    def say(self, text: str) -> None:
        self.said.append(text)

    def waiting(self, what: str, since_s: float, until_s: float, blocker: str | None) -> None:
        self.said.append(f"waiting: {what}, {since_s:.1f} of {until_s:.0f} s, blocker {blocker}")


def desk_at(
    committee: Committee, folder: Path, operator: str = "alice", shared: Path | None = None, **options: Any
) -> Desk:
    targets: list[Any] = [SimNode(committee, name) for name in committee.names]
    if shared is not None:
        targets.append(FolderTarget(shared))

    def site(**given: Any) -> Any:
        made = sim_site(
            committee,
            given["folder"],
            accepted=given["accepted_risks"],
            note_risk=given["note_risk"],
            **options,
        )
        object.__setattr__(made, "change", given["change"])
        return made

    return Desk(
        organism="acme.settlement",
        operator=operator,
        store=Store(folder / "changes", targets),
        targets=tuple(targets),
        make_site=site,
        narrator=Recorder(),
        clock=committee.clock,
    )


@pytest.fixture
def committee() -> Committee:
    return Committee(FakeClock())


def killed_at(monkeypatch: pytest.MonkeyPatch, point: str, run: Callable[[], Any]) -> None:
    """Run, and die at a point as if by SIGKILL."""

    def kill(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("organismctl.change.runner.Runner.__init__.__kwdefaults__", {}, raising=False)
        from organismctl.change import runner

        original = runner.Runner.__init__

        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **{**kwargs, "checkpoint": kill})

        patch.setattr(runner.Runner, "__init__", init)
        with pytest.raises(Killed):
            run()


def planned(desk: Desk, **parameters: Any) -> Any:
    return desk.plan("rotate member", {**ROTATE, **parameters}, what="rotate node-a out, node-d in")


def test_plan_and_apply(committee: Committee, tmp_path: Path) -> None:
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    write_plan(tmp_path / "plan.json", plan)
    assert desk.apply(read_plan(tmp_path / "plan.json")).state is State.DONE
    assert [change.view.state for change in desk.changes()] == [State.DONE]
    with pytest.raises((RefusedError, PlanError)):
        desk.apply(plan)


def test_an_edited_plan_is_refused(committee: Committee, tmp_path: Path) -> None:
    plan = planned(desk_at(committee, tmp_path))
    raw = plan.text().replace(b"node-d", b"node-c")
    with pytest.raises(PlanError, match="edited"):
        parse_plan(raw, "plan.json")
    for bad in (b"", b"[]", b"{}", b'{"schema":1}', b"[" * 5000, plan.text()[:-20]):
        with pytest.raises(PlanError):
            parse_plan(bad, "plan.json")


def test_a_stale_plan_is_refused_and_says_what_moved(committee: Committee, tmp_path: Path) -> None:
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    committee.flags["node-d"] = True
    with pytest.raises(StalePlanError, match=r"in: was .*now ") as caught:
        desk.apply(plan)
    assert caught.value.exit is Exit.REFUSED
    assert desk.changes() == [], "nothing was begun"


def test_refused_with_every_reason(committee: Committee, tmp_path: Path) -> None:
    committee.up -= {"node-b", "node-c"}
    with pytest.raises(RefusedError, match="majority") as caught:
        planned(desk_at(committee, tmp_path))
    assert caught.value.exit is Exit.REFUSED


def test_two_runners_on_one_machine(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    inside, go = threading.Event(), threading.Event()

    from organismctl.change import runner

    original = runner.Runner.run

    def slow(self: Any, opening: str = "opened") -> Any:
        inside.set()
        assert go.wait(20)
        return original(self, opening)

    monkeypatch.setattr(runner.Runner, "run", slow)
    thread = threading.Thread(target=desk.apply, args=(plan,))
    thread.start()
    try:
        assert inside.wait(20)
        other = desk_at(committee, tmp_path, "bob")
        with pytest.raises(BusyError, match=rf"{plan.id} is being run by alice on .* since 20") as caught:
            other.apply(planned(other))
        assert caught.value.exit is Exit.REFUSED
        assert other.show(plan.id).view.state is not State.DONE
    finally:
        go.set()
        thread.join(20)
    assert desk.show(plan.id).view.state is State.DONE


def test_two_runners_on_two_machines(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, other = desk_at(committee, tmp_path / "a"), desk_at(committee, tmp_path / "b", "bob")
    second = planned(other)
    killed_at(monkeypatch, "drain:before", lambda: desk.apply(planned(desk)))
    with pytest.raises(BusyError, match=r"begun by alice on .* at 20"):
        other.apply(second)


def test_takeover_from_a_second_folder(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, other = desk_at(committee, tmp_path / "a"), desk_at(committee, tmp_path / "b", "bob")
    plan = planned(desk)
    killed_at(monkeypatch, "drain:after", lambda: desk.apply(plan))
    with pytest.raises(InputError, match="no change"):
        other.resume(plan.id)
    assert other.takeover(plan.id).state is State.DONE
    assert {committee.name_of(seat) for seat in committee.state.roster.members} == {
        "node-b",
        "node-c",
        "node-d",
    }
    with pytest.raises(SupersededError, match="another runner went on"):
        desk.resume(plan.id)
    shown = desk.show(plan.id)
    assert shown.view.state is State.DONE
    assert shown.best.origin != "this machine"
    assert shown.view.runner["operator"] == "bob"


def test_takeover_through_a_shared_folder_when_no_node_answers(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(committee, tmp_path / "a", shared=tmp_path / "shared")
    killed_at(monkeypatch, "start-in:after", lambda: desk.apply(planned(desk)))
    change = desk.store.ids()[0]
    committee.up.clear()
    other = desk_at(committee, tmp_path / "b", "bob", shared=tmp_path / "shared")
    assert other.show(change).view.state is State.INTERRUPTED
    committee.up |= {"node-a", "node-b", "node-c", "node-d"}
    assert other.takeover(change).state is State.DONE
    lines = (tmp_path / "shared" / change / "journal.jsonl").read_text().splitlines()
    assert lines == (tmp_path / "b" / "changes" / change / "journal.jsonl").read_text().splitlines()


def test_a_rewritten_journal_is_found_by_the_copies(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody edits a line and computes all hashes anew: the chain proves, the copies do not agree."""
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    killed_at(monkeypatch, "drain:after", lambda: desk.apply(plan))
    path = desk.store.folder / plan.id / "journal.jsonl"
    lines = read_journal(path, plan.hash).lines
    prev, new = plan.hash, []
    for line in lines:
        data = {**line.data, "said": "forged"} if line.seq == 3 else line.data
        made = make_line(
            seq=line.seq,
            at_ms=line.at_ms,
            kind=line.kind,
            step=line.step,
            fence=line.fence,
            data=data,
            prev=prev,
        )
        prev = made.hash
        new.append(made.text)
    path.write_text("".join(f"{text}\n" for text in new))
    assert read_journal(path, plan.hash).lines, "the chain itself proves"
    with pytest.raises(TamperedError, match=r"line 4 was edited: it differs from the copy on node-"):
        desk.resume(plan.id)
    assert any("line 4 differs" in fault for fault in desk.show(plan.id).faults)


def test_a_cut_off_journal_is_found_by_the_copies(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    killed_at(monkeypatch, "drain:after", lambda: desk.apply(plan))
    path = desk.store.folder / plan.id / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    with pytest.raises(SupersededError, match="later lines"):
        desk.resume(plan.id)
    assert desk.takeover(plan.id).state is State.DONE


def test_an_edited_line_is_named_by_resume_and_show(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    killed_at(monkeypatch, "drain:after", lambda: desk.apply(plan))
    path = desk.store.folder / plan.id / "journal.jsonl"
    content = path.read_bytes().splitlines(keepends=True)
    content[4] = content[4].replace(b'"kind":"', b'"kind": "')
    path.write_bytes(b"".join(content))
    with pytest.raises(TamperedError, match="line 5 was edited"):
        desk.resume(plan.id)
    shown = desk.show(plan.id)
    assert any("line 5 was edited" in fault for fault in shown.faults)
    assert shown.best.origin.startswith("node") or len(shown.best.lines) > 4


def test_a_parked_retirement_lets_a_rotation_pass_and_the_other_way_not(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(committee, tmp_path, limits=Limits(lead_time_s=0))
    with pytest.raises(ParkedError):
        desk.apply(desk.plan("retire", {**RETIRE, "effective_at": "2026-12-01T00:00:00Z"}, what="retire"))
    killed_at(monkeypatch, "drain:after", lambda: desk.apply(planned(desk)))
    retirement = next(change for change in desk.changes() if change.view.state is State.PARKED)
    rotation = next(change for change in desk.changes() if change.view.state is State.INTERRUPTED)
    assert not retirement.view.in_the_way
    assert rotation.view.in_the_way
    assert desk.resume(rotation.id).state is State.DONE
    assert desk.abort(retirement.id).state is State.ABORTED
    with pytest.raises(StepRefusedError, match="done already"):
        desk.abort(rotation.id)


def test_a_copy_that_is_behind_is_caught_up(
    committee: Committee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    committee.up.discard("node-c")
    killed_at(monkeypatch, "roster-add:before", lambda: desk.apply(plan))
    committee.up.add("node-c")
    assert desk.resume(plan.id).state is State.DONE
    copies = committee.copies[plan.id]
    assert copies["node-c"] == copies["node-b"]


def test_another_organisms_plan_is_refused(committee: Committee, tmp_path: Path) -> None:
    desk = desk_at(committee, tmp_path)
    plan = planned(desk)
    desk.organism = "beta.other"
    with pytest.raises(StepRefusedError, match=r"is of acme.settlement, this is beta.other"):
        desk.apply(plan)


@pytest.mark.parametrize("change", ["../../etc", "a/b", "", "x" * 200, "-x"])
def test_ids_that_are_paths_are_refused(committee: Committee, tmp_path: Path, change: str) -> None:
    with pytest.raises(InputError, match="not the id"):
        desk_at(committee, tmp_path).show(change)


def test_the_lock_is_free_after_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom organismctl.change.lock import LocalLock\n"
        f"lock = LocalLock(Path({str(path)!r}), {{'change': 'c'}})\nlock.__enter__()\nprint('held', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -9
    from organismctl.change.lock import LocalLock, holder

    assert holder(path) is None
    with LocalLock(path, {"change": "d"}):
        assert holder(path) == {"change": "d"}
        with pytest.raises(BusyError, match="change d is being run by"):
            LocalLock(path, {}).__enter__()


def test_change_json_is_canonical_and_complete(committee: Committee, tmp_path: Path) -> None:
    desk = desk_at(committee, tmp_path)
    desk.apply(planned(desk))
    change = desk.changes()[0]
    shown = change.view.as_json(change.best.lines)
    assert shown["state"] == "done"
    assert [step["state"] for step in shown["steps"]] == ["done"] * len(change.view.plan.steps)
    assert canonical(shown)
