"""Real processes: the runner killed at every crash point, the leader node killed in the middle of every action.

Rotations share a committee (they rotate it round and round); a retirement needs one of its own. After each walk:
the change is done, every command stands in the ledger once, whatever was acknowledged is still there at its
height, and the surface has no hole on any node.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from organismctl.change.crash import points
from organismctl.change.journal import read_journal
from organismctl.change.plan import read_plan
from organismctl.change.state import State, fold
from organismctl.committee.node.process import look
from organismctl.errors import OrganismError
from organismctl.files.deployment import load_deployment
from organismctl.files.organism import load_organism
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.surface_item import decode_item, encode_body
from organismctl.observe.surface import Pin, Prover
from tests.change.witness import Witness
from tests.support.committee import Committee, running_committee, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROTATION = (
    "start-in",
    "roster-add",
    "drain",
    "leader-elsewhere",
    "roster-remove",
    "stop-out",
    "write-roster",
)
RETIREMENT = ("announce", "schedule", "stop-node-a", "stop-node-b", "stop-node-c")
BEFORE_THE_SEAL = [
    point for point in points(RETIREMENT) if point.startswith(("lease", "announce", "schedule"))
]
AFTER_THE_SEAL = [point for point in points(RETIREMENT) if point not in BEFORE_THE_SEAL]
EXTRA = '[thresholds]\nlead_time = "0s"\nchange_deadline = "2m"\n[retire]\nlinger = "1h"\n'


def ctl(
    committee: Committee, *args: str, env: dict[str, str] | None = None, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "organismctl", *args, "--organism", str(committee.deployment)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, **(env or {})},
    )
    assert code is None or done.returncode == code, (
        f"{args} gave {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


def rehearsal(**what: str) -> dict[str, str]:
    return {"ORGANISMCTL_REHEARSAL": "1", **{f"ORGANISMCTL_{key}": value for key, value in what.items()}}


class Walk:
    """A committee that changes walk over."""

    def __init__(self, committee: Committee, witness: Witness) -> None:
        self.committee = committee
        self.witness = witness
        self.items: dict[int, bytes] = {}

    def alive(self) -> list[str]:
        return [name for name in self.committee.names if look(self.committee.data(name)).running]

    def leader(self) -> str:
        def find() -> str | None:
            for name in self.alive():
                try:
                    if self.committee.status(name)["role"] == "proposer":
                        return name
                except OrganismError:
                    continue
            return None

        return wait_for("a leader", find)

    def leader_or_last(self) -> str:
        """The leader; of a sealed committee, which needs none any more, any node that runs."""
        alive = [name for name in self.alive() if name != "node-d"] or self.alive()
        return alive[-1] if self.committee.status(alive[-1])["sealed"] else self.leader()

    def kill(self, name: str) -> None:
        """SIGKILL of a node, whoever started it."""
        pid = look(self.committee.data(name)).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        process = self.committee.processes.get(name)
        if process is not None and process.pid == pid:
            process.wait(10)
        wait_for(f"{name} is gone", lambda: not look(self.committee.data(name)).running)

    def ledger(self) -> list[dict[str, Any]]:
        """Every certified command, from the node that has most; every node that runs agrees on it."""
        logs: dict[str, list[tuple[int, bytes, dict[str, Any]]]] = {}
        for name in self.alive():
            entries: list[Any] = []
            with self.committee.client(name, "read") as client:
                while True:
                    page = client.log(len(entries), 1000)
                    entries += page.entries
                    if not page.entries:
                        break
            logs[name] = [(entry.height, entry.digest, dict(entry.command)) for entry in entries]
        longest = max(logs.values(), key=len)
        for name, log in logs.items():
            assert log == longest[: len(log)], f"{name} has another ledger"
        for height, request in list(self.witness.acknowledged.items()):  # the witness goes on writing
            if height < len(longest):
                assert longest[height][2].get("request_id") == request, (
                    f"acknowledged height {height} was lost"
                )
        return [command for _, _, command in longest]

    def surface(self) -> None:
        """Every node that runs serves every item once, in order, proven; nothing that was seen before changed."""
        config = load_organism(self.committee.folder / "organism.toml").config
        identity = identity_of(config)
        assert config.genesis is not None
        prover = Prover(
            Pin(identity.fingerprint, config.genesis.roster, identity.surface_ids["facts"], "facts")
        )
        for name in self.alive():
            with self.committee.client(name, None) as client:
                prover.learn(client)
                seq = 0
                while True:
                    page = client.items("facts", seq, 1000)
                    for data in page.items:
                        # Only the new ones are proven anew: signatures are what costs.
                        item = decode_item(data) if seq in self.items else prover.item(data, client)
                        assert item.seq == seq, f"{name}: a hole before {item.seq}"
                        assert self.items.setdefault(seq, encode_body(item.item)) == encode_body(item.item)
                        seq += 1
                    if not page.items:
                        break
            assert seq > 0


def rotate_args(walk: Walk, *, out_leads: bool) -> tuple[str, str]:
    """Who goes out and who comes in, as the file stands."""
    nodes = load_deployment(walk.committee.deployment).nodes
    spare = next(node.name for node in nodes if not node.roster)
    leader = walk.leader()
    seats = [node.name for node in nodes if node.roster]
    return next(name for name in seats if (name == leader) is out_leads), spare


def rotated(walk: Walk, out: str, into: str, before: int) -> None:
    """The rotation is complete, and nothing in it was done twice."""
    peers = {node.name: node.peer_id.hex() for node in load_deployment(walk.committee.deployment).nodes}
    names = {peer: name for name, peer in peers.items()}
    assert sorted(walk.alive()) == sorted({*walk.committee.names} - {out}), (
        "the old node is off, the new one runs"
    )
    new = walk.ledger()[before:]
    acts = Counter(
        (str(command["type"]), str(command.get("action", "")), names.get(str(command.get("peer_id"))))
        for command in new
        if command["type"] in {"roster", "drain"}
    )
    assert acts == {("roster", "add", into): 1, ("drain", "", out): 1, ("roster", "remove", out): 1}
    status = walk.committee.status(walk.leader())
    assert status["lease"] is None
    assert {member["peer_id"] for member in status["roster"]["members"]} == {
        peer for name, peer in peers.items() if name != out
    }
    walk.surface()


@contextmanager
def walk_over(folder: Path) -> Iterator[Walk]:
    with running_committee(folder, spares=("node-d",), extra=EXTRA) as committee:
        wait_for("a first tick", lambda: committee.status(committee.proposer())["tick"])
        committee.bonded("node-a", "node-b", "node-c")
        with Witness(committee) as witness:
            yield Walk(committee, witness)


@pytest.fixture(scope="module")
def round_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with walk_over(tmp_path_factory.mktemp("rotations") / "c") as walk:
        yield walk


def state_of(committee: Committee) -> State:
    """The latest change as this machine's plan and journal tell it."""
    folder = max((committee.folder / ".organism" / "changes").glob("*/plan.json")).parent
    plan = read_plan(folder / "plan.json")
    return fold(plan, read_journal(folder / "journal.jsonl", plan.hash).lines).state


@pytest.mark.parametrize("point", points(ROTATION))
def test_a_rotation_whose_runner_is_killed(round_table: Walk, point: str) -> None:
    walk = round_table
    out, into = rotate_args(walk, out_leads=True)
    before = len(walk.ledger())
    args = ("rotate", "member", "--out", out, "--in", into, "--yes")
    done = ctl(walk.committee, *args, env=rehearsal(CRASH_AT=point), code=None)
    if done.returncode == 0:
        # Draining the leader may have moved it already: then there is nothing to do, and no point to pass.
        assert point.startswith("leader-elsewhere"), done.stderr
    else:
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert state_of(walk.committee) is State.INTERRUPTED
        ctl(walk.committee, "change", "resume")
        assert state_of(walk.committee) is State.DONE
    rotated(walk, out, into, before)


@pytest.mark.parametrize("action", ROTATION)
def test_a_rotation_whose_leader_node_is_killed(round_table: Walk, action: str) -> None:
    """The runner is stopped between its "before" line and the action; the leader dies; the runner goes on."""
    walk = round_table
    out, into = rotate_args(walk, out_leads=action == "leader-elsewhere")
    before = len(walk.ledger())
    paused(
        walk, action, "rotate", "member", "--out", out, "--in", into, "--yes", back=lambda dead: dead != out
    )
    rotated(walk, out, into, before)


def paused(walk: Walk, action: str, *args: str, back: Callable[[str], bool]) -> None:
    """Run a change, kill the leader in the middle of an action, and start that node again as a supervisor would."""
    committee = walk.committee
    told = committee.folder / "paused.err"
    with told.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "organismctl", *args, "--organism", str(committee.deployment)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            env={**os.environ, **rehearsal(PAUSE_AT=f"{action}:before")},
        )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            # Ended without passing the point: there was nothing to do there.
            process.returncode = os.waitstatus_to_exitcode(status)
            assert (action, process.returncode) == ("leader-elsewhere", 0), told.read_text()
            return
        leader = walk.leader_or_last()
        walk.kill(leader)
        os.kill(process.pid, signal.SIGCONT)
        if back(leader):
            time.sleep(0.3)
            serve = [sys.executable, "-m", "organismctl", "committee", "serve", "--node", leader, "--detach"]
            subprocess.run(
                [*serve, "--deployment", str(committee.deployment)], check=True, capture_output=True
            )
        if process.wait(150) != 0:
            ctl(committee, "change", "resume")
    finally:
        if process.returncode is None:
            process.kill()
            process.wait(10)


def retire_args(walk: Walk) -> tuple[str, ...]:
    """A moment far enough for two runs of the command: a past one is refused.

    How long a run takes is measured on this committee. The moment stays within the 60 s of ``--wait``, beyond which a
    run would park instead of waiting for it.
    """
    began = time.monotonic()
    ctl(walk.committee, "retire", "--effective-at", _ahead(3600), "--dry-run", code=2)
    seconds = min(max(20.0, 8 * (time.monotonic() - began)), 55.0)
    return ("retire", "--effective-at", _ahead(seconds), "--reason", "walked", "--yes")


def _ahead(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def linger(walk: Walk, *, short: bool) -> None:
    """Nodes read the linger period when they start, the operator's commands each time.

    So the nodes stay until they are stopped, though the change waits for a second only.
    """
    path = walk.committee.deployment
    old, new = ('"1h"', '"1s"') if short else ('"1s"', '"1h"')
    path.write_text(path.read_text().replace(f"linger = {old}", f"linger = {new}"))


def retired(walk: Walk) -> None:
    assert [name for name in walk.alive() if name != "node-d"] == [], "every node is stopped"
    # Started again, they serve the past: the marker is the last item, and the schedule stands once.
    linger(walk, short=False)
    walk.committee.start("node-a", "node-b", "node-c")
    wait_for("the sealed ledger", lambda: all(walk.committee.status(name)["sealed"] for name in walk.alive()))
    commands = walk.ledger()
    assert sum(command["type"] == "schedule" for command in commands) == 1, "scheduled once"
    walk.surface()
    last = walk.items[max(walk.items)]
    assert last[0] == 1, "the last item is the marker"
    ctl(walk.committee, "retire", "verify")  # node-d, a spare that is off, serves no surface
    with pytest.raises(OrganismError, match="retired"):
        walk.committee.append("node-a", {"type": "apply", "through": 0}, "after-the-seal")


@pytest.mark.parametrize("point", BEFORE_THE_SEAL)
def test_a_retirement_whose_runner_is_killed(tmp_path: Path, point: str) -> None:
    with walk_over(tmp_path / "c") as walk:
        linger(walk, short=True)
        done = ctl(walk.committee, *retire_args(walk), env=rehearsal(CRASH_AT=point), code=None)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert state_of(walk.committee) is State.INTERRUPTED
        ctl(walk.committee, "change", "resume")
        assert state_of(walk.committee) is State.DONE
        retired(walk)


def test_a_retirement_whose_runner_is_killed_at_every_point_after_the_seal(tmp_path: Path) -> None:
    """One retirement, its runner killed at each point in turn: every resume runs into the next one."""
    with walk_over(tmp_path / "c") as walk:
        linger(walk, short=True)
        args = retire_args(walk)
        for point in AFTER_THE_SEAL:
            done = ctl(walk.committee, *args, env=rehearsal(CRASH_AT=point), code=None)
            assert done.returncode == -signal.SIGKILL, f"{point}: {done.stderr}"
            assert state_of(walk.committee) is State.INTERRUPTED
            args = ("change", "resume")
        ctl(walk.committee, *args)
        assert state_of(walk.committee) is State.DONE
        retired(walk)


@pytest.mark.parametrize("action", RETIREMENT[:2])
def test_a_retirement_whose_leader_node_is_killed(tmp_path: Path, action: str) -> None:
    with walk_over(tmp_path / "c") as walk:
        linger(walk, short=True)
        paused(walk, action, *retire_args(walk), back=lambda _dead: True)
        retired(walk)


@pytest.mark.parametrize("action", RETIREMENT[2:])
def test_a_retirement_whose_leader_node_is_killed_while_nodes_are_stopped(
    tmp_path: Path, action: str
) -> None:
    """A node that is dead already is not started again: it was about to be stopped."""
    with walk_over(tmp_path / "c") as walk:
        linger(walk, short=True)
        paused(walk, action, *retire_args(walk), back=lambda _dead: False)
        retired(walk)


def test_the_number_of_points_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rotation, retirement = points(ROTATION), points(RETIREMENT)
    leaders = len(ROTATION) + len(RETIREMENT)
    with capsys.disabled():
        sys.stdout.write(
            f"\ncrash points walked with real processes: rotate member {len(rotation)}, retire {len(retirement)}, "
            f"leader killed in the middle of {leaders} actions: {len(rotation) + len(retirement) + leaders} in all\n"
        )
    assert (len(rotation), len(retirement), leaders) == (18, 14, 12)
