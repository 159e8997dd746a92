"""Incidents of a spanned member on real mosaik streams: a ticket that ended, silence, a flood, a marker, an end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.files.deployment import load_deployment
from organismctl.identity.digest import h, uid
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.surface_item import (
    Certificate,
    Fact,
    Item,
    RetirementMarker,
    SurfaceItem,
    encode_item,
)
from tests.cli.test_span_incidents import JOURNAL, find, first, quicken
from tests.support.committee import Committee, Span, free_ports, make_committee, wait_for
from tests.support.incident import check
from tests.support.mosaik import require_engine

ISSUER = h(b"the issuer of alpha, a test key")
SEED = h(b"alpha's producer, a test seed")
OBSERVER = h(b"the observer, a test seed")
STREAM = h(b"alpha's events")
SUBJECT = "alpha / events"
DAY_S = 86_400
SHORT, LONG = 32, 32 * 1024
"""A producer that holds so few items for a consumer, and items that fill the link's own room soon."""


class Alpha:
    """A lattice on the wire: one producer of one stream that asks for tickets."""

    def __init__(self, relay: str, port: int, buffer: int = 100_000) -> None:
        engine = load_engine()
        self.network = engine.Network.start(
            uid("mosaik.universe"), SEED, relay=relay, bind=[f"127.0.0.1:{port}"]
        )
        key = [("EdDSA", public_key("EdDSA", ISSUER))]
        validator = engine.Validator.jwt(key, issuers=["alpha"])
        self.producer = self.network.producer(STREAM, validators=[validator], buffer=buffer)
        self.port = port
        self.seq = 0

    def send(self, item: Item | None = None) -> None:
        data = item if item is not None else Fact(b"alpha %d" % self.seq)
        self.producer.send(encode_item(SurfaceItem(self.seq, self.seq, data, Certificate(1, ()))))
        self.seq += 1

    def flood(self, count: int) -> None:
        for _ in range(count):
            self.send()

    def serves(self, committee: Committee) -> set[str]:
        """The nodes that are subscribed now."""
        subscribed = set(self.producer.consumers())
        nodes = load_deployment(committee.deployment).nodes
        return {node.name for node in nodes if node.peer_id in subscribed}

    @contextlib.contextmanager
    def pulse(self) -> Iterator[None]:
        """An event ten times a second, as long as the block lasts."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(0.1):
                self.send()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(5)


def paper(committee: Committee, name: str, peer: bytes, days: float) -> None:
    """A ticket of a peer for alpha."""
    now = int(time.time())
    ticket = issue_jwt(
        "EdDSA", ISSUER, peer, issued_at_s=now - 9 * DAY_S, expires_at_s=now + round(days * DAY_S), issuer="alpha"
    )  # fmt: skip
    path = committee.folder / "tickets" / f"{name}.alpha.ticket"
    path.write_bytes(ticket)
    path.chmod(0o600)


@contextlib.contextmanager
def spanning_alpha(
    folder: Path, lapsed: tuple[str, ...] = (), **alpha_s: int
) -> Iterator[tuple[Committee, Alpha]]:
    """Three nodes on mosaik that read alpha's stream; the tickets of those lapsed ended yesterday."""
    require_engine()
    (port,) = free_ports(1)
    issuer = (
        '[[span.issuer]]\nstate = "current"\ntype = "jwt"\nissuers = ["alpha"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{public_key("EdDSA", ISSUER).hex()}" }}]\n'
    )
    span = Span("alpha", f"{7:064x}", STREAM.hex(), (), extra=issuer)
    committee = make_committee(folder / "acme", spans=[span], fold="fan-in", carrier="mosaik")
    quicken(committee)
    place = f"{peer_id_from_seed(SEED).hex()}@127.0.0.1:{port}"
    text = committee.deployment.read_text().replace("endpoints = []", f'peers = ["{place}"]')
    for name in committee.names:
        text += f'[[span.ticket]]\nnode = "{name}"\nfile = "tickets/{name}.alpha.ticket"\n'
    committee.deployment.write_text(text)
    for node in load_deployment(committee.deployment).nodes:
        paper(committee, node.name, node.peer_id, -1 if node.name in lapsed else 30)
    alpha = None
    try:
        committee.start_relay()
        alpha = Alpha(f"http://127.0.0.1:{committee.relay_port}", port, **alpha_s)
        committee.start()
        committee.bonded()
        yield committee, alpha
    finally:
        if alpha is not None:
            alpha.network.close()
        committee.close()
        print("\n".join(JOURNAL))


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
        alpha.send()
        _, row, _ = first(committee, "alpha drops node-c as a slow consumer", "SPAN-SLOW-CONSUMER",
                          f"node-c × {SUBJECT}", "warn")  # fmt: skip
        assert row["values"]["missed"] > 0
        assert row["values"]["nodes_without_loss"] == ["node-a", "node-b"]
        assert "it was dropped as a slow consumer" in row["summary"]
        slow.send_signal(signal.SIGSTOP)
        wait_for("it drops the node again", lambda: _dropped(alpha, committee, "node-c"), 60)
        alpha.network.close()
        Alpha(f"http://127.0.0.1:{committee.relay_port}", alpha.port).network.close()
        slow.send_signal(signal.SIGCONT)


def stage_a_ticket_that_ended_is_named_with_its_step(committee: Committee, alpha: Alpha) -> None:
    with alpha.pulse():
        first(committee, "nothing", "SPAN-SUBSCRIPTION", f"node-a × {SUBJECT}", "ok")
        exit_code, row, rows = first(
            committee, "node-b's ticket ended", "SPAN-REFUSED", f"node-b × {SUBJECT}", "bad"
        )
        assert (exit_code, row["values"]["side"]) == (6, "ticket")
        assert "step expired" in row["summary"]
        wait_for(
            "the others hear it",
            lambda: find(check(committee, "subscriptions")[1], "MEMBER-DARK", SUBJECT)["status"] == "ok",
        )
        # The observer has no ticket either: that is its own trouble, and no finding about alpha.
        _, rows = check(committee, "subscriptions", "--listen", "1s")
        assert find(rows, "MEMBER-DARK", SUBJECT)["status"] == "ok"
        assert not [one for one in rows if one["code"] == "SPAN-REFUSED" and "observer" in one["subject"]]
        _, rows = check(committee, "identity", "--listen", "1s")
        assert [one["status"] for one in rows if one["code"] == "OBSERVER-REFUSED"] == ["unknown"]
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
            patience=60,
        )


def stage_an_observer_with_a_ticket_hears_what_nodes_hear(committee: Committee, alpha: Alpha) -> None:
    seed = committee.folder / "secrets" / "observer.key"
    seed.write_text(OBSERVER.hex())
    seed.chmod(0o600)
    paper(committee, "observer", peer_id_from_seed(OBSERVER), 30)
    text = committee.deployment.read_text()
    shown = '[observer]\nkey = "secrets/observer.key"\ntickets = ["tickets/observer.alpha.ticket"]\n'
    committee.deployment.write_text(text.replace("[secrets]\n", f"{shown}[secrets]\n"))
    with alpha.pulse():
        _, rows = check(committee, "subscriptions", "--listen", "2s")
    row = find(rows, "MEMBER-DARK", SUBJECT)
    assert row["status"] == "ok"
    assert "observer" in row["values"]["listeners"]
    lag = find(rows, "SPAN-LAG", f"node-a × {SUBJECT}")
    assert lag["limits"]["rate_per_s"] > 0


def stage_silence_and_an_end_on_the_wire(committee: Committee, alpha: Alpha) -> None:
    exit_code, row, _ = first(committee, "alpha goes silent on the wire", "MEMBER-DARK", SUBJECT)
    assert exit_code == 6
    assert "their side" in row["summary"]
    alpha.network.close()
    exit_code, row, _ = first(committee, "alpha's process ends", "SPAN-PRODUCER-GONE", SUBJECT)
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
            patience=90,
        )
        again.send(RetirementMarker("tick:99 or 2126-12-01T00:00:00Z", "alpha-2", "moved"))
        _, row, _ = first(committee, "alpha retires on the wire", "SPAN-RETIRING", SUBJECT, "warn")
        assert row["values"]["replacement"] == "alpha-2"
        flood = threading.Thread(target=again.flood, args=(200_000,), daemon=True)
        flood.start()
        _, rows = check(committee, "identity", "--listen", "2s")
        flood.join(60)
        heard = [one for one in rows if one["code"] == "SPAN-HEARD"]
        assert heard, [(one["code"], one["subject"], one["summary"]) for one in rows]
        assert "events at once" in note(f"200,000 events at once: {heard[0]['summary']}")
    finally:
        again.network.close()


def note(text: str) -> str:
    """Keep a line for the journal."""
    JOURNAL.append(text)
    return text
