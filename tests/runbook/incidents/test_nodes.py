"""Nodes that are away, a disk that is lost, a ledger that differs: staged on one committee, one after the other."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from organismctl.committee.ledger.entry import chain
from tests.support.committee import Committee, running_committee
from tests.support.incident import ESCALATE, Stage, down, stage_on, tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_nodes_and_their_ledgers(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Each incident begins where the one before has ended."""
    options: dict[str, Any] = {"spares": ["node-d", "node-e"], "period": "500ms", "extra": ESCALATE}
    with running_committee(tmp_path / "acme", **options) as committee:
        assert tool("lock", "init", "--organism", str(committee.folder))[0] == 0
        staged = stage_on(committee, record_property)
        short_of_quorum(staged, committee)
        nobody_leads(staged, committee)
        a_node_is_down(staged, committee)
        a_node_lost_its_disk(staged, committee)
        a_ledger_differs(staged, committee)


def short_of_quorum(staged: Stage, committee: Committee) -> None:
    with staged("short of quorum") as it:
        it.well()
        it.begin()
        down(committee, "node-b", "node-c")
        it.found("COMMITTEE-QUORUM")
        it.run("COMMITTEE-QUORUM")
        assert it.report["runbook"] == "committee-short"
        # The surface may have gone stale meanwhile: then that, and nothing else, is shown as well.
        assert it.chosen in (["A majority is away"], ["A majority is away", "A surface is stale or silent"])
        assert sorted(it.ran) == [(f"committee start --node node-{one}", 0) for one in "bc"]
        it.well()


def nobody_leads(staged: Stage, committee: Committee) -> None:
    with staged("no leader") as it:
        down(committee, "node-a", "node-b", "node-c")
        it.found("LEADER-UNIQUE", status="unknown")
        it.run("leader")
        # The election may still go on when the nodes are back: then that, and nothing else, is shown as well.
        assert it.chosen in (
            ["Nobody proposes, and nodes are away"],
            ["Nobody proposes, and nodes are away", "Nobody proposes, though a majority is there"],
        )
        it.well()


def a_node_is_down(staged: Stage, committee: Committee) -> None:
    with staged("a node down") as it:
        down(committee, "node-c")
        it.found("MEMBER-UNREACHABLE", "node-c", "unknown")
        it.run("node-down")
        assert "It does not answer" in it.chosen
        assert "It stays away" not in it.chosen
        assert it.ran == [("committee start --node node-c", 0)]
        it.well()


def a_node_lost_its_disk(staged: Stage, committee: Committee) -> None:
    with staged("a node lost its disk") as it:
        down(committee, "node-c")
        for file in committee.data("node-c").glob("*.sqlite*"):
            file.unlink()
        it.found("MEMBER-UNREACHABLE", "node-c", "unknown")
        it.run("node-down")
        assert it.chosen[-1] == "It stays away"
        assert it.ran[-1][0].startswith("rotate member --dead node-c --in node-d")
        it.well()
        forget(committee, "node-c")


def a_ledger_differs(staged: Stage, committee: Committee) -> None:
    with staged("a diverged ledger") as it:
        committee.agree("node-a", "node-b", "node-d", at_least=10)
        it.begin()
        down(committee, "node-b")
        rewrite(committee.data("node-b"))
        committee.start("node-b")
        it.found("LEDGER-DIVERGED")
        # Whoever meets it stops, too, though its own ledger is sound; who that is, chance decides.
        it.found("NODE-STOPPED")
        it.run("LEDGER-DIVERGED")
        assert it.chosen[0] == "A minority holds another ledger"
        assert {exit_code for _, exit_code in it.ran} == {0}
        first, *again, last = [line for line, _ in it.ran]
        assert first.startswith("committee stop --node node-b")
        assert again
        assert {*again} <= {f"committee start --node node-{one} --restart" for one in "ad"}
        assert last.startswith("rotate member --dead node-b --in node-e")
        it.well()


def forget(committee: Committee, name: str) -> None:
    """Take a node out of deployment.toml, as the runbook says: it is no spare any more."""
    head, *nodes = committee.deployment.read_text().split("[[node]]\n")
    kept = [one for one in nodes if not one.startswith(f'name = "{name}"')]
    assert len(kept) == len(nodes) - 1

    committee.deployment.write_text("[[node]]\n".join([head, *kept]))


def rewrite(folder: Path) -> None:
    """Give a node's ledger another history, whose chain proves: two certified commands in the other order."""
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        (certified,) = db.execute("SELECT value FROM meta WHERE key = 'certified'").fetchone()
        first = int(certified) - 3
        rows = db.execute(
            "SELECT height, command, digest FROM entries WHERE height >= ? ORDER BY height", (first - 1,)
        )
        (_, _, digest), *after = rows.fetchall()
        # What was verified once is not read again: the checkpoint stands below it.
        db.execute("UPDATE meta SET value = ? WHERE key = 'checkpoint'", (b"%d" % (first - 1),))
        db.execute("UPDATE meta SET value = ? WHERE key = 'checkpoint_digest'", (digest,))
        commands = [command for _, command, _ in after]
        commands[0], commands[1] = commands[1], commands[0]
        assert commands[0] != commands[1]
        for (height, _, _), command in zip(after, commands, strict=True):
            digest = chain(digest, height, command)
            db.execute(
                "UPDATE entries SET command = ?, digest = ? WHERE height = ?", (command, digest, height)
            )
