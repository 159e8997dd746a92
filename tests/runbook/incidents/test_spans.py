"""Spanned members that are dark, and what our admission rests on: staged on one committee, one after the other."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from organismctl.change.issuing import make_key
from tests.support.committee import Committee, wait_for
from tests.support.incident import Stage, astray, down, stage_on, tool
from tests.support.spanning import ALPHA_CONTACT, BETA_CONTACT, CONTENT, KEY, NEXT_KEY, Spanning, spanning

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Spanning]:
    """Three nodes and a spare that join alpha, which admits by tickets, and beta."""
    with spanning(tmp_path / "acme") as made:
        yield made


def test_spanned_members(world: Spanning, record_property: Callable[[str, object], None]) -> None:
    """Each incident begins where the one before has ended."""
    assert tool("lock", "init", "--organism", str(world.committee.folder))[0] == 0
    staged = stage_on(world.committee, record_property)
    their_producer_is_gone(staged, world)
    they_say_nothing(staged, world)
    our_own_subscription(staged, world)
    the_way_between(staged, world)
    a_ticket_near_its_end(staged, world)
    another_root(staged, world)
    another_content(staged, world)
    evidence_that_is_gone(staged, world)


@contextmanager
def their_operator(committee: Committee, told: str, what: Callable[[], None]) -> Iterator[None]:
    """Somebody who mends their side once the run has shown a section, by which they are called."""
    before = {*journals(committee)}

    def wait() -> None:
        wait_for(told, lambda: any(told in one.read_text() for one in journals(committee) - before), 60)
        what()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(60)


def journals(committee: Committee) -> set[Path]:
    return {*(committee.folder / ".organism" / "runbooks").glob("*/journal.jsonl")}


def their_producer_is_gone(staged: Stage, world: Spanning) -> None:
    with staged("dark: nobody produces it") as it:
        it.well()
        it.begin()
        world.beta.silent = True
        it.found("SPAN-PRODUCER-GONE", "beta")
        title = "Their side: nobody produces it"
        with their_operator(world.committee, title, lambda: setattr(world.beta, "silent", False)):
            it.run("SPAN-PRODUCER-GONE")
        assert it.chosen[0] == title
        assert it.ran == []
        assert BETA_CONTACT in it.shown
        it.well()


def they_say_nothing(staged: Stage, world: Spanning) -> None:
    with staged("dark: it serves, and says nothing") as it:
        world.muted.add("beta")
        it.found("MEMBER-DARK", "beta")
        title = "Their side: it serves, and says nothing"
        with their_operator(world.committee, title, lambda: world.speak(world.beta)):
            it.run("span-dark")
        assert title in it.chosen
        assert it.ran == []
        assert BETA_CONTACT in it.shown
        it.well()


def our_own_subscription(staged: Stage, world: Spanning) -> None:
    committee = world.committee
    with staged("dark: one node's subscription") as it:
        down(committee, "node-b")
        other = committee.folder / "astray.toml"
        other.write_text(committee.deployment.read_text().replace(world.beta.url, "http://127.0.0.1:9"))
        astray(committee, "node-b", other)
        it.found("SPAN-SUBSCRIPTION", "node-b × beta")
        it.run("SPAN-SUBSCRIPTION")
        assert it.chosen[0] == "One node of ours does not hear it"
        assert it.ran == [("committee start --node node-b --restart", 0)]
        it.well()


def the_way_between(staged: Stage, world: Spanning) -> None:
    """Beta has moved; its new address stands in the file, and our nodes go on knocking at the old one."""
    with staged("dark: the way between") as it:
        old = world.beta.url
        world.beta.move()
        world.committee.deployment.write_text(
            world.committee.deployment.read_text().replace(old, world.beta.url)
        )
        it.found("SPAN-SUBSCRIPTION", "node-a × beta")
        it.run("span-dark")
        assert it.chosen[0] == "None of ours hears it, and others do"
        assert sorted(it.ran) == [(f"committee start --node node-{one} --restart", 0) for one in "abc"]
        assert BETA_CONTACT in it.shown
        it.well()


def a_ticket_near_its_end(staged: Stage, world: Spanning) -> None:
    with staged("a ticket near its end") as it:
        world.admit("1d", "node-b")
        it.found("TICKET-HORIZON", "node-b × alpha")
        it.run("TICKET-HORIZON", code=3)
        assert it.chosen == ["A ticket has to be renewed"]
        assert it.ran == [], "the issuer has not answered yet"
        assert ALPHA_CONTACT in it.shown
        it.run("tickets", "--set", f"bundle={world.issue(KEY, '30d')}")
        assert [(line.split()[1], exit_code) for line, exit_code in it.ran] == [("import", 0), ("install", 0)]
        it.well()


def another_root(staged: Stage, world: Spanning) -> None:
    """Alpha's root moves: both roots coexist until its cut-over, and our fingerprint stays."""
    with staged("an issuance root rotated") as it:
        organism = world.committee.folder / "organism.toml"
        stanza = make_key(world.committee.folder / NEXT_KEY, "EdDSA", "alpha")
        before = organism.read_text()
        coming = before.replace("[[span.issuer]]", f"{stanza.replace('current', 'next')}[[span.issuer]]", 1)
        gone = re.sub(r"\[\[span\.issuer\]\]\nstate = \"current\".*?\n(?=\[)", "", coming, flags=re.DOTALL)
        organism.write_text(coming)
        root = world.root("next")
        organism.write_text(before)
        world.publish(world.alpha, content_hash=CONTENT, issuance_root=[root])
        it.found("SPAN-ISSUER", "alpha")
        it.run("SPAN-ISSUER", code=2)
        assert it.report["runbook"] == "issuance-root"
        assert it.chosen == ["Its root has moved, or is about to"]
        assert it.ran == []
        assert ALPHA_CONTACT in it.shown
        organism.write_text(coming)
        it.run("issuance-root", "--set", f"bundle={world.issue(NEXT_KEY, '40d')}", code=2)
        assert [(line.split()[1], exit_code) for line, exit_code in it.ran] == [("import", 0), ("install", 0)]
        assert "They have cut over" in it.chosen
        organism.write_text(gone.replace('state = "next"', 'state = "current"'))
        world.restart()
        it.run("issuance-root")
        it.well()


def another_content(staged: Stage, world: Spanning) -> None:
    with staged("a spanned member that drifts") as it:
        right = {"content_hash": CONTENT, "issuance_root": [world.root()]}
        world.publish(world.alpha, **{**right, "content_hash": "ab" * 32})
        it.found("SPAN-CONTENT", "alpha")
        it.run("SPAN-CONTENT", code=2)
        assert it.report["runbook"] == "identity-drift"
        assert it.chosen == ["A spanned member is not what we pinned"]
        assert it.ran == []
        assert ALPHA_CONTACT in it.shown
        world.publish(world.alpha, **right)
        it.well()


def evidence_that_is_gone(staged: Stage, world: Spanning) -> None:
    with staged("evidence that is gone") as it:
        for seq in (0, 1):
            world.alpha.forget(seq)
        it.found("EVIDENCE-UNRESOLVED", "alpha")
        world.committee.start("node-d")
        it.found("EVIDENCE-UNRESOLVED", "node-d")
        it.run("evidence", code=6)
        assert it.ran == [], "nobody said why: nothing is voided"
        assert ALPHA_CONTACT in it.shown
        it.run("evidence", "--set", "reason=compacted upstream", code=3)
        assert "A node stands still" in it.chosen
        assert [exit_code for _, exit_code in it.ran] == [0]
        it.found("EVIDENCE-UNRESOLVED", "node-d", "ok")
        it.found("EVIDENCE-UNRESOLVED", "alpha", "ok")
        it.well("committee")
