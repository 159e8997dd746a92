"""Subscriptions, evidence, and upstreams that misbehave, with real nodes and a lattice that the test controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from organismctl.committee.machine import decode_fact
from organismctl.identity.surface_item import Fact, decode_item
from tests.support.committee import Committee, Span, running_committee, wait_for
from tests.support.upstream import lattices


def facts(committee: Committee, name: str = "node-a") -> list[Any]:
    with committee.client(name, None) as client:
        items = [decode_item(data).item for data in client.items("facts").items]
    return [decode_fact(item.data) for item in items if isinstance(item, Fact)]


def subscription(committee: Committee, name: str, span: str) -> Any:
    with committee.client(name, "read") as client:
        return next(one for one in client.subscriptions() if one.span == span)


def test_a_join_over_two_lattices(tmp_path: Path) -> None:
    with lattices("alpha", "beta") as (alpha, beta):
        alpha.emit(3)
        beta.emit(2)
        spans = [alpha.span(), beta.span()]
        with running_committee(tmp_path / "acme", spans=spans, fold="join") as committee:
            wait_for("two facts", lambda: len(facts(committee)) == 2)
            assert [fact.clock_event for fact in facts(committee)] == [0, 1]
            beta.emit(1)
            wait_for("three facts", lambda: len(facts(committee)) == 3)
            alpha.emit(20)
            beta.emit(20)
            wait_for("all facts", lambda: len(facts(committee, "node-c")) == 23)

            def heard(name: str) -> bool:
                seen = subscription(committee, name, "alpha")
                return (seen.state, seen.observed, seen.received) == ("live", 23, 23)

            for name in committee.names:
                wait_for(f"{name} is live, and has heard and observed all", lambda name=name: heard(name))
            with committee.client("node-b", "read") as client:
                assert {one.state for one in client.evidence()} <= {"vouched", "resolved", "unknown"}
            committee.agree()


def test_a_silent_upstream_holds_up_nothing_else(tmp_path: Path) -> None:
    with lattices("alpha", "beta") as (alpha, beta):
        beta.silent = True
        spans = [alpha.span(), beta.span()]
        with running_committee(tmp_path / "acme", spans=spans, fold="fan-in") as committee:
            alpha.emit(5)
            wait_for("facts of alpha", lambda: len(facts(committee)) == 5)
            seen = subscription(committee, "node-a", "beta")
            assert (seen.state, seen.received) == ("connecting", 0)
            assert seen.reason
            beta.silent = False
            beta.emit(2)
            wait_for("facts of both", lambda: len(facts(committee)) == 7)
            beta.retire()
            wait_for("retired", lambda: subscription(committee, "node-a", "beta").state == "retired")
            assert subscription(committee, "node-a", "beta").marker["effective_at"] == "2126-12-01T00:00:00Z"


def test_evidence_that_is_gone_stops_a_replay_until_it_is_voided(tmp_path: Path) -> None:
    with lattices("alpha") as (alpha,):
        alpha.emit(4)
        options = {"spans": [alpha.span()], "fold": "fan-in", "spares": ["node-d"]}
        with running_committee(tmp_path / "acme", **options) as committee:
            wait_for("facts", lambda: len(facts(committee)) == 4)
            alpha.forget(2)
            committee.start("node-d")
            stopped = wait_for("a loud stop", lambda: committee.status("node-d")["stopped"])
            assert "EVIDENCE-UNRESOLVED" in stopped
            status = committee.status("node-d")
            assert status["role"] == "stopped"
            with committee.client("node-d", "read") as client:
                assert not client.health().ok
                gone = next(one for one in client.evidence() if one.state == "gone")
            assert gone.pointer["position"] == 2
            # It goes on storing what the others certify.
            height = committee.status("node-a")["ledger"]["certified"]
            wait_for("the ledger", lambda: committee.status("node-d")["ledger"]["certified"] >= height)
            assert committee.status("node-d")["ledger"]["applied"] == gone.height - 1
            void = {"type": "void_evidence", "height": gone.height, "pointer": gone.pointer}
            committee.append("node-a", {**void, "reason": "compacted upstream", "fence": None}, "void-1")
            wait_for("it goes on", lambda: committee.status("node-d")["stopped"] is None)
            committee.agree(at_least=height)
            wait_for("all facts", lambda: len(facts(committee, "node-d")) == 4)


def test_an_organism_upstream_is_proven(tmp_path: Path) -> None:
    with running_committee(tmp_path / "beta", organism="beta.ticker", names=["b-1"]) as beta:
        with beta.client("b-1", None) as client:
            card, surfaces = client.card(), client.surfaces()
        span = Span(
            "beta",
            card["stable_id"],
            surfaces.surfaces[0].id.hex(),
            (beta.url("b-1"),),
            kind="organism",
            content_hash=surfaces.fingerprint.hex(),
        )
        with running_committee(tmp_path / "acme", spans=[span], fold="fan-in", names=["a-1"]) as acme:
            wait_for("facts of beta", lambda: len(facts(acme, "a-1")) > 3)
            assert subscription(acme, "a-1", "beta").state == "live"
        moved = Span(**{**span.__dict__, "content_hash": "00" * 32})
        with running_committee(tmp_path / "acme2", spans=[moved], fold="fan-in", names=["a-1"]) as acme:
            seen = wait_for("refused", lambda: _refused(acme))
            assert "pinned" in seen.reason


def _refused(acme: Committee) -> Any:
    seen = subscription(acme, "a-1", "beta")
    return seen if seen.state == "refused" else None
