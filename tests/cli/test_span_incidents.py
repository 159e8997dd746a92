"""Incidents of spanned members staged on real processes: the first finding, whose side it names, the exit code."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from organismctl.cli.app import run
from tests.support.committee import SERVE, Committee, Span, quicken, running_committee, wait_for
from tests.support.finding import JOURNAL, Rows, find, first
from tests.support.incident import check
from tests.support.upstream import Lattice, lattices, pulse

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[tuple[Committee, Lattice, Lattice]]:
    """Three nodes that join two lattices, whose clocks have a period of 200 ms."""
    with lattices("alpha", "beta") as (alpha, beta):
        for one in (alpha, beta):
            one.emit(2)
        folder = tmp_path / "acme"
        spans = [alpha.span(), beta.span()]
        with running_committee(folder, spans=spans, fold="join") as committee:
            quicken(committee)
            yield committee, alpha, beta
    print("\n".join(JOURNAL))


def test_the_incidents_of_two_spanned_members(joined: tuple[Committee, Lattice, Lattice]) -> None:
    """One after the other on one committee: each begins where the one before has ended."""
    stage_healthy_and_then_one_member_is_dark(*joined)
    stage_a_producer_that_is_down_and_one_that_refuses(*joined)
    stage_one_node_of_ours_is_told_from_the_others(*joined)
    stage_a_spanned_member_retires(*joined)


def stage_healthy_and_then_one_member_is_dark(committee: Committee, alpha: Lattice, beta: Lattice) -> None:
    with pulse(alpha.emit, beta.emit):
        first(committee, "nothing", "MEMBER-DARK", "beta / events", "ok")
        wait_for("all is well", lambda: check(committee, "subscriptions")[0] == 0)
    with pulse(alpha.emit):

        def beta_alone_is_dark(exit_code: int, row: dict[str, Any], rows: Rows) -> None:
            assert exit_code == 6
            assert "their side" in row["summary"]
            assert find(rows, "MEMBER-DARK", "alpha / events")["status"] == "ok"

        first(committee, "beta goes silent", "MEMBER-DARK", "beta / events", judge=beta_alone_is_dark)

        def beta_alone_is_waited_for(exit_code: int, row: dict[str, Any], rows: Rows) -> None:
            assert exit_code == 6
            assert row["values"]["since_ms"] < time.time() * 1000
            assert not [one for one in rows if one["code"] == "STALL-WAITING" and "alpha" in one["subject"]]

        first(
            committee,
            "the fold waits (beta silent)",
            "STALL-WAITING",
            "beta / events",
            judge=beta_alone_is_waited_for,
        )


def stage_a_producer_that_is_down_and_one_that_refuses(
    committee: Committee, alpha: Lattice, beta: Lattice
) -> None:
    with pulse(alpha.emit, beta.emit):
        beta.silent = True

        def beta_alone_is_gone(exit_code: int, row: dict[str, Any], rows: Rows) -> None:
            assert exit_code == 6
            assert "their side" in row["summary"]
            assert find(rows, "SPAN-PRODUCER-GONE", "alpha / events")["status"] == "ok"

        first(
            committee,
            "beta's endpoint is down",
            "SPAN-PRODUCER-GONE",
            "beta / events",
            judge=beta_alone_is_gone,
        )
        beta.silent = False
        beta.refuses = True

        def beta_refuses(exit_code: int, row: dict[str, Any], _: Rows) -> None:
            assert (exit_code, row["values"]["side"]) == (6, "theirs")

        first(
            committee,
            "beta refuses ours, and serves others",
            "SPAN-REFUSED",
            "node-a × beta / events",
            judge=beta_refuses,
        )
        beta.refuses = False
        wait_for("all is well again", lambda: check(committee, "subscriptions")[0] == 0)


def stage_one_node_of_ours_is_told_from_the_others(
    committee: Committee, alpha: Lattice, beta: Lattice
) -> None:
    def node_b_alone(exit_code: int, row: dict[str, Any], rows: Rows) -> None:
        # Whose side it is, is known once the others have heard an event that node-b has not.
        assert (exit_code, row["values"]["side"]) == (6, "node")
        assert find(rows, "SPAN-SUBSCRIPTION", "node-a × beta / events")["status"] == "ok"

    with pulse(alpha.emit, beta.emit):
        committee.stop("node-b")
        other = committee.folder / "astray.toml"
        other.write_text(committee.deployment.read_text().replace(beta.url, "http://127.0.0.1:9"))
        with (committee.data("node-b") / "node.log").open("ab") as log:
            committee.processes["node-b"] = subprocess.Popen(
                [*SERVE, "--node", "node-b", "--deployment", str(other)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        committee.wait_up("node-b")
        what, subject = "node-b cannot reach beta", "node-b × beta / events"
        first(committee, what, "SPAN-SUBSCRIPTION", subject, judge=node_b_alone)
        first(committee, what, "MEMBER-DARK", "beta / events", "ok")
    committee.stop("node-b")
    committee.start("node-b")


def stage_a_spanned_member_retires(committee: Committee, _alpha: Lattice, beta: Lattice) -> None:
    beta.retire("beta-2 \x1b[31mred\x1b[0m")

    def retiring(exit_code: int, row: dict[str, Any], rows: Rows) -> None:
        assert row["values"]["replacement"].startswith("beta-2")
        assert row["values"]["effective_at"] == "2126-12-01T00:00:00Z"
        assert find(rows, "SPAN-SUBSCRIPTION", "node-a × beta / events")["status"] == "ok"
        assert exit_code != 0  # alpha is silent, and the fold waits

    first(committee, "beta retires", "SPAN-RETIRING", "beta / events", "warn", judge=retiring)
    for form in ("table", "junit", "github", "prometheus"):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            run(["check", "subscriptions", "--organism", str(committee.folder), "--format", form])
        assert "SPAN-RETIRING" in out.getvalue(), form
        assert "\x1b" not in out.getvalue(), form


def test_evidence_that_is_compacted_away(tmp_path: Path) -> None:
    with lattices("alpha") as (alpha,):
        alpha.emit(6)
        options: Any = {"spans": [alpha.span()], "fold": "fan-in", "spares": ["node-d"]}
        with running_committee(tmp_path / "acme", **options) as committee:
            quicken(committee)
            first(committee, "nothing", "EVIDENCE-UNRESOLVED", "alpha / events", "ok", "evidence")
            wait_for("all is evidence", lambda: looked_up(committee) == 6)
            assert check(committee, "evidence")[0] in (0, 5)
            alpha.forget(0)
            alpha.forget(1)

            def both_are_gone(exit_code: int, row: dict[str, Any], rows: Rows) -> None:
                assert exit_code == 6
                assert [one["position"] for one in row["values"]["not_resolving"]] == [0, 1]
                assert find(rows, "EVIDENCE-RETENTION", "alpha / events")["status"] == "bad"

            first(
                committee,
                "alpha compacts events 0 and 1",
                "EVIDENCE-UNRESOLVED",
                "alpha / events",
                "bad",
                "evidence",
                judge=both_are_gone,
            )
            committee.start("node-d")

            def stands_at_the_first(exit_code: int, row: dict[str, Any], _: Rows) -> None:
                assert exit_code == 6
                assert row["values"]["void"]["pointer"]["position"] == 0

            first(
                committee,
                "a new node replays",
                "EVIDENCE-UNRESOLVED",
                "node-d",
                "bad",
                "evidence",
                judge=stands_at_the_first,
            )
            void_what_is_gone(committee, 0)
            void_what_is_gone(committee, 1)
            first(committee, "what is gone is voided", "EVIDENCE-UNRESOLVED", "node-d", "ok", "evidence")
            first(
                committee, "what is gone is voided", "EVIDENCE-UNRESOLVED", "alpha / events", "ok", "evidence"
            )


def compact(upstream: Committee, name: str, before: int) -> None:
    """Let a real node forget the items of its surface up to a seq, as a compaction of its store does."""
    upstream.kill(name)
    with contextlib.closing(sqlite3.connect(upstream.data(name) / "node.sqlite")) as db, db:
        db.execute("DELETE FROM signed WHERE lane = 0 AND seq < ?", (before,))
    upstream.start(name)


def test_a_real_upstream_that_compacts(tmp_path: Path) -> None:
    with running_committee(tmp_path / "beta", organism="beta.ticker", names=["b-1"]) as beta:
        wait_for("beta's facts", lambda: beta.status("b-1")["surfaces"][0]["next_seq"] > 12)
        compact(beta, "b-1", 5)
        with beta.client("b-1", None) as client:
            stable, surfaces = client.card()["stable_id"], client.surfaces()
        ends = (beta.url("b-1"),)
        span = Span(
            "beta", stable, surfaces.surfaces[0].id.hex(), ends, "organism", surfaces.fingerprint.hex()
        )
        options: Any = {"spans": [span], "fold": "fan-in", "names": ["a-1"], "spares": ["a-2"]}
        with running_committee(tmp_path / "acme", **options) as acme:
            quicken(acme)
            subject = "beta / events"
            _, row, _ = first(acme, "beta keeps a window", "EVIDENCE-RETENTION", subject, "bad", "evidence")
            # The rate is that of the window itself: at most a fact each 200 ms, less on a busy machine.
            assert 0 < row["values"]["rate_per_s"] < 6
            assert row["values"]["lost_at_ms"] > time.time() * 1000 - 60_000
            assert row["values"]["oldest_needed"] >= 5
            wait_for("more evidence", lambda: acme.status("a-1")["surfaces"][0]["next_seq"] > 8)
            compact(beta, "b-1", row["values"]["oldest_needed"] + 3)

            def three_are_gone(exit_code: int, row: dict[str, Any], _: Rows) -> None:
                assert exit_code == 6
                assert len(row["values"]["not_resolving"]) == 3

            what, code = "beta compacts on", "EVIDENCE-UNRESOLVED"
            first(acme, what, code, subject, "bad", "evidence", judge=three_are_gone)
            acme.start("a-2")

            def stands_at_beta(exit_code: int, row: dict[str, Any], _: Rows) -> None:
                assert exit_code == 6
                assert row["values"]["void"]["pointer"]["stable_id"] == stable

            first(acme, "a-2 replays", code, "a-2", "bad", "evidence", judge=stands_at_beta)
            wait_for("a-2 stands", lambda: acme.status("a-2")["role"] == "stopped")
            assert acme.status("a-1")["stopped"] is None


def unresolved(committee: Committee, subject: str) -> dict[str, Any]:
    """Values of the finding of a subject; none as long as a look does not show it."""
    _, rows = check(committee, "evidence")
    found = [row for row in rows if (row["code"], row["subject"]) == ("EVIDENCE-UNRESOLVED", subject)]
    assert len(found) <= 1, found
    return dict(found[0]["values"]) if found else {}


def looked_up(committee: Committee) -> int:
    return int(unresolved(committee, "alpha / events").get("looked_up", 0))


def void_at(committee: Committee, position: int) -> dict[str, Any] | None:
    """The command that the finding offers, once it is for this position."""
    void = unresolved(committee, "node-d").get("void")
    return dict(void) if void and void["pointer"]["position"] == position else None


def void_what_is_gone(committee: Committee, position: int) -> None:
    offered = wait_for(f"node-d stands at {position}", lambda: void_at(committee, position))
    void = {**offered, "reason": "compacted upstream"}
    # By one request id: what was certified without an answer in time is certified once.
    wait_for(f"{position} is void", lambda: [committee.append("node-a", void, f"void-{position}")])


def test_partial_facts_are_degraded(tmp_path: Path) -> None:
    with lattices("alpha", "beta") as (alpha, beta):
        beta.silent = True
        alpha.emit(3)
        spans = [alpha.span(), beta.span()]
        with running_committee(
            tmp_path / "acme", spans=spans, fold="join", stall="partial", names=["a-1"]
        ) as acme:
            quicken(acme)

            def beta_is_lacking(_: int, row: dict[str, Any], __: Rows) -> None:
                assert row["values"]["lacks"] == {"beta / events": row["values"]["degraded"]}

            what = "beta is away, stall = partial"
            first(acme, what, "FACT-DEGRADED", "facts", "warn", judge=beta_is_lacking)
