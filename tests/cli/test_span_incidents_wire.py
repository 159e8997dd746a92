"""Incidents of a spanned member on real mosaik streams: a ticket that ended, silence, a flood, a marker, an end."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from organismctl.files.deployment import load_deployment
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.surface_item import Fact, RetirementMarker
from tests.support.alpha import OBSERVER, SUBJECT, Alpha, paper, spanning_alpha
from tests.support.committee import Committee, wait_for
from tests.support.finding import JOURNAL, Rows, find, first
from tests.support.incident import check
from tests.support.waiting import wait_until_holds

pytestmark = pytest.mark.timeout(900)
SHORT, LONG = 32, 32 * 1024
"""A producer that holds so few items for a consumer, and items that fill the link's own room soon."""


def test_the_incidents_of_a_spanned_member_on_the_wire(tmp_path: Path) -> None:
    """One after the other on one committee: each begins where the one before has ended."""
    with spanning_alpha(tmp_path, lapsed=("node-b",)) as wired:
        stage_a_ticket_that_ended_is_named_with_its_step(*wired)
        stage_an_observer_with_a_ticket_hears_what_nodes_hear(*wired)
        stage_silence_and_an_end_on_the_wire(*wired)
        stage_a_marker_and_then_a_flood_on_the_wire(*wired)


def test_a_node_that_stands_still_is_dropped_as_a_slow_consumer(tmp_path: Path) -> None:
    """Its process is stopped, as a host that swaps stops it; mosaik's producer waits for nobody.

    Its end is held up by nobody either: the port is free when it has closed.
    """
    with spanning_alpha(tmp_path, buffer=SHORT) as (committee, alpha):
        # What was heard before tells afterwards what is missing.
        with alpha.pulse():
            wait_for(
                "all have heard it", lambda: all(_heard(committee, name) for name in committee.names), 90
            )
        slow = committee.processes["node-c"]
        slow.send_signal(signal.SIGSTOP)
        try:
            wait_for("it drops the node that stands still", lambda: _dropped(alpha, committee, "node-c"), 60)
        finally:
            slow.send_signal(signal.SIGCONT)
        wait_for("the node is subscribed again", lambda: "node-c" in alpha.serves(committee), 90)

        def node_c_alone_lost_some(_: int, row: dict[str, Any], __: Rows) -> None:
            assert row["values"]["missed"] > 0
            assert row["values"]["nodes_without_loss"] == ["node-a", "node-b"]
            assert "it was dropped as a slow consumer" in row["summary"]

        # What it has missed it knows by the next event that it hears.
        with alpha.pulse():
            first(committee, "alpha drops node-c as a slow consumer", "SPAN-SLOW-CONSUMER", f"node-c × {SUBJECT}",
                  "warn", judge=node_c_alone_lost_some)  # fmt: skip
        slow.send_signal(signal.SIGSTOP)
        wait_for("it drops the node again", lambda: _dropped(alpha, committee, "node-c"), 60)
        alpha.network.close()
        Alpha(f"http://127.0.0.1:{committee.relay_port}", alpha.port).network.close()
        slow.send_signal(signal.SIGCONT)


def stage_a_ticket_that_ended_is_named_with_its_step(committee: Committee, alpha: Alpha) -> None:
    with alpha.pulse():
        first(committee, "nothing", "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}", "ok")

        def by_its_ticket(exit_code: int, row: dict[str, Any], _: Rows) -> None:
            assert (exit_code, row["values"]["side"]) == (6, "ticket")
            assert "step expired" in row["summary"]

        what, code = "node-b's ticket ended", "SPAN-REFUSED"
        first(committee, what, code, f"node-b × {SUBJECT}", "bad", judge=by_its_ticket)

        def others_hear_it(seen: tuple[int, Rows]) -> None:
            assert find(seen[1], "MEMBER-DARK", SUBJECT)["status"] == "ok"

        wait_until_holds("the others hear it", lambda: check(committee, "subscriptions"), others_hear_it)

        # The observer has no ticket either: that is its own trouble, and no finding about alpha.
        def nothing_about_alpha(seen: tuple[int, Rows]) -> None:
            assert find(seen[1], "MEMBER-DARK", SUBJECT)["status"] == "ok"
            refused = [one for one in seen[1] if one["code"] == "SPAN-REFUSED"]
            assert not [one for one in refused if "observer" in one["subject"]]

        wait_until_holds(
            "nothing is told of alpha",
            lambda: check(committee, "subscriptions", "--listen", "1s"),
            nothing_about_alpha,
        )

        def the_observers_own(seen: tuple[int, Rows]) -> None:
            assert [one["status"] for one in seen[1] if one["code"] == "OBSERVER-REFUSED"] == ["unknown"]

        wait_until_holds(
            "the observer's trouble is told",
            lambda: check(committee, "identity", "--listen", "1s"),
            the_observers_own,
        )
        peer = next(
            node.peer_id for node in load_deployment(committee.deployment).nodes if node.name == "node-b"
        )
        paper(committee, "node-b", peer, 30)
        first(
            committee,
            "node-b's ticket is renewed",
            "SPAN-SUBSCRIPTION",
            f"node-b × {SUBJECT}",
            "ok",
        )


def stage_an_observer_with_a_ticket_hears_what_nodes_hear(committee: Committee, alpha: Alpha) -> None:
    seed = committee.folder / "secrets" / "observer.key"
    seed.write_text(OBSERVER.hex())
    seed.chmod(0o600)
    paper(committee, "observer", peer_id_from_seed(OBSERVER), 30)
    text = committee.deployment.read_text()
    shown = '[observer]\nkey = "secrets/observer.key"\ntickets = ["tickets/observer.alpha.ticket"]\n'
    committee.deployment.write_text(text.replace("[secrets]\n", f"{shown}[secrets]\n"))

    def the_observer_hears_it(seen: tuple[int, Rows]) -> None:
        row = find(seen[1], "MEMBER-DARK", SUBJECT)
        assert row["status"] == "ok"
        assert "observer" in row["values"]["listeners"]
        lag = find(seen[1], "SPAN-LAG", f"node-a × {SUBJECT}")
        assert lag["limits"]["rate_per_s"] > 0

    with alpha.pulse():
        wait_until_holds(
            "the observer hears alpha",
            lambda: check(committee, "subscriptions", "--listen", "2s"),
            the_observer_hears_it,
        )


def stage_silence_and_an_end_on_the_wire(committee: Committee, alpha: Alpha) -> None:
    def their_side(exit_code: int, row: dict[str, Any], _: Rows) -> None:
        assert exit_code == 6
        assert "their side" in row["summary"]

    first(committee, "alpha goes silent on the wire", "MEMBER-DARK", SUBJECT, judge=their_side)
    alpha.network.close()
    exit_code, _, _ = first(committee, "alpha's process ends", "SPAN-PRODUCER-GONE", SUBJECT)
    assert exit_code == 6


def _heard(committee: Committee, name: str) -> bool:
    with committee.client(name, "read") as client:
        (one,) = client.subscriptions()
    return one.received > 0


def _dropped(alpha: Alpha, committee: Committee, name: str) -> bool:
    """Send a long event; whether the node is subscribed no more. A burst would make others slow on a busy machine."""
    alpha.send(Fact(bytes(LONG)))
    return name not in alpha.serves(committee)


def stage_a_marker_and_then_a_flood_on_the_wire(committee: Committee, alpha: Alpha) -> None:
    text = committee.deployment.read_text()
    port = int(text.partition('peers = ["')[2].partition('"')[0].rpartition(":")[2])
    again = Alpha(f"http://127.0.0.1:{committee.relay_port}", port)
    again.seq = alpha.seq
    try:
        first(
            committee,
            "alpha's process is back",
            "SPAN-SUBSCRIPTION",
            f"node-a × {SUBJECT}",
            "ok",
        )
        again.send(RetirementMarker("tick:99 or 2126-12-01T00:00:00Z", "alpha-2", "moved"))
        _, row, _ = first(committee, "alpha retires on the wire", "SPAN-RETIRING", SUBJECT, "warn")
        assert row["values"]["replacement"] == "alpha-2"

        def flooded() -> Rows:
            flood = threading.Thread(target=again.flood, args=(200_000,), daemon=True)
            flood.start()
            _, rows = check(committee, "identity", "--listen", "2s")
            flood.join()
            return rows

        def heard_as_a_flood(rows: Rows) -> None:
            heard = [one for one in rows if one["code"] == "SPAN-HEARD"]
            assert heard, [(one["code"], one["subject"], one["summary"]) for one in rows]
            assert "events at once" in note(f"200,000 events at once: {heard[0]['summary']}")

        wait_until_holds("a flood is heard", flooded, heard_as_a_flood)
    finally:
        again.network.close()


def note(text: str) -> str:
    """Keep a line for the journal."""
    JOURNAL.append(text)
    return text
