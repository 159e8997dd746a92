"""Nodes on mosaik: their surfaces as streams and maps, their tickets, and what they read of others on the wire."""

from __future__ import annotations

import base64
import json
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.committee.carrier.mosaik_network import START_S
from organismctl.committee.node.settings import load_settings
from organismctl.identity.digest import derive
from organismctl.identity.peer_entry import Catalog, read_catalog
from organismctl.identity.surface_item import SurfaceItem, decode_item
from organismctl.identity.validator import JWT_CLASS
from tests.support.committee import Committee, Span, make_committee, running_committee, wait_for
from tests.support.mosaik import admit, require_engine

MARKER = (1 << 64) - 1


@contextmanager
def onlooker(committee: Committee, seed: bytes) -> Iterator[Any]:
    """A peer of the committee's network that is none of its nodes: the extension's own network."""
    settings = load_settings(committee.deployment, "node-a")
    assert settings.mosaik is not None
    told = settings.mosaik.network
    peers = [(settings.peer_id, [told.bind]), *((peer, list(where)) for peer, where in told.bootstrap)]
    network = load_engine().Network.start(
        told.network, seed, relay=told.relay, bind=["127.0.0.1:0"], bootstrap=peers
    )
    try:
        yield network
    finally:
        network.close()


def surface_id(committee: Committee) -> bytes:
    return load_settings(committee.deployment, "node-a").identity.surface_ids["facts"]


def subscribed(network: Any, stream_id: bytes) -> Callable[[], list[SurfaceItem]]:
    """Subscribes; gives what reads all items that came so far."""
    inbox = network.inbox()
    subscription = inbox.subscribe(stream_id, 1)
    items: list[SurfaceItem] = []

    def read() -> list[SurfaceItem]:
        items.extend(decode_item(data) for _, data in inbox.recv(0.05))
        return items

    # The subscription ends with its handle.
    read.subscription = subscription  # type: ignore[attr-defined]
    return read


def test_a_surface_is_a_stream_and_the_marker_comes_to_whoever_subscribes(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", carrier="mosaik") as committee:
        committee.agree(at_least=3)
        stream_id = surface_id(committee)
        with onlooker(committee, b"\x31" * 32) as network:
            read = subscribed(network, stream_id)

            def unbroken() -> bool:
                seen = {item.seq for item in read()}
                return len(seen) > 3 and seen == set(range(min(seen), max(seen) + 1))

            # Every node sends every item, but a link to each is made on its own: an earlier item may come later.
            wait_for("items, none left out between the first and the last", unbroken, 60)

            def subscribers() -> int:
                return int(committee.status("node-a")["mosaik"]["surfaces"][0]["subscribers"])

            # The items may have come from another node.
            wait_for("the subscription at node-a", lambda: subscribers() == 1, 60)
            with committee.client("node-a") as client:
                client.retire("2020-01-01T00:00:00Z", reason="done", request_id="retire-1")
            wait_for("the marker", lambda: any(item.retirement for item in read()), 60)
        with onlooker(committee, b"\x32" * 32) as network:
            late = subscribed(network, stream_id)
            wait_for("the marker for one who came late", lambda: any(item.retirement for item in late()), 60)


def test_a_node_that_waits_for_its_relay_ends_when_it_is_told_to(tmp_path: Path) -> None:
    require_engine()
    committee = make_committee(tmp_path / "acme", carrier="mosaik", names=["node-a"])
    port, committee.relay_port = committee.relay_port, None
    with socket.create_server(("127.0.0.1", port or 0)) as mute:
        mute.settimeout(60)
        committee.start(wait=False)
        try:
            connection, _ = mute.accept()
            with connection:
                process = committee.processes["node-a"]
                process.send_signal(signal.SIGTERM)
                # Less than the patience of a network's start.
                assert process.wait(START_S / 2) == 0
        finally:
            committee.close()
    assert "stops before it has started" in committee.log("node-a")


def catalog_of(committee: Committee, name: str) -> Catalog:
    """What a node tells of its catalog over HTTP."""
    with urllib.request.urlopen(f"{committee.url(name)}/v1/wire/catalog") as response:
        text = json.load(response)["catalog"]
    return read_catalog(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_the_catalog_is_told_over_http(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", carrier="mosaik") as committee:
        committee.bonded()
        catalog = catalog_of(committee, "node-a")
        assert not catalog.problems
        peers = {bytes.fromhex(committee.status(name)["peer_id"]) for name in committee.names}
        assert {one.entry.peer_id for one in catalog.entries} == peers
        group = bytes.fromhex(committee.status("node-a")["group_id"])
        assert all(group in one.entry.groups for one in catalog.entries)
        assert committee.status("node-a")["mosaik"]["group_id"] == group.hex()


def published(committee: Committee, name: str) -> dict[bytes, set[str]]:
    """Peer id to ticket ids, as a node's catalog has them."""
    entries = [one.entry for one in catalog_of(committee, name).entries]
    return {entry.peer_id: {ticket.id.hex() for ticket in entry.tickets} for entry in entries}


def test_a_ticket_that_was_sent_is_on_the_wire_at_once_and_the_older_one_is_not(tmp_path: Path) -> None:
    span = Span("up", "11" * 32, "22" * 32, ("http://127.0.0.1:9",))
    options: dict[str, Any] = {"spans": [span], "fold": "fan-in", "names": ["node-a"]}
    with running_committee(tmp_path / "acme", carrier="mosaik", **options) as committee:
        peer = bytes.fromhex(committee.status("node-a")["peer_id"])
        (own,) = published(committee, "node-a")[peer]
        # Many times: the node looks at its files by itself too, between the new one and the end of the old one.
        for many in range(20):
            ticket = b"ticket %d" % many
            with committee.client("node-a") as client:
                client.install_ticket("up", JWT_CLASS, ticket, replace=True)
            assert published(committee, "node-a")[peer] == {own, derive(JWT_CLASS, ticket).hex()}


def test_tickets_are_renewed_without_a_bond_being_dropped(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", carrier="mosaik") as committee:
        committee.bonded()
        (before,) = committee.status("node-a")["mosaik"]["admission"]
        assert before["valid"]
        admit(committee.deployment, *committee.names, serial=60)
        height = committee.agree()
        dropped = 0

        def renewed() -> bool:
            nonlocal dropped
            dropped += sum(not bond["connected"] for bond in committee.status("node-b")["bonds"])
            (after,) = committee.status("node-a")["mosaik"]["admission"]
            ids = {one for shown in published(committee, "node-c").values() for one in shown}
            return after["ticket_id"] in ids and before["ticket_id"] not in ids

        wait_for("renewed", renewed, 60)
        committee.agree(at_least=height + 10)
        assert dropped == 0


def test_a_first_ticket_that_comes_after_the_start_makes_bonds(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", carrier="mosaik") as committee:
        committee.stop()
        text = committee.deployment.read_text()
        line = 'tickets = ["tickets/node-a.admission.ticket"]\n'
        assert line in text
        committee.deployment.write_text(text.replace(line, ""))
        committee.start()

        def bonds(name: str) -> set[str]:
            return {one["name"] for one in committee.status(name)["bonds"] if one["connected"]}

        wait_for("the others are bonded", lambda: bonds("node-b") == {"node-c"}, 60)
        assert committee.status("node-a")["mosaik"]["admission"] == []
        committee.deployment.write_text(text + "\nnot TOML")
        wait_for("a broken file is said", lambda: "is not read again" in committee.log("node-a"), 30)
        committee.deployment.write_text(text)
        wait_for("it is bonded too", lambda: bonds("node-b") == {"node-a", "node-c"}, 60)
        (held,) = committee.status("node-a")["mosaik"]["admission"]
        assert held["valid"]


def test_a_map_surface_is_filled_by_whoever_is_there(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", carrier="mosaik", surface="map") as committee:

        def stands(name: str) -> Callable[[], bool]:
            def look() -> bool:
                status = committee.status(name)
                (surface,) = status["mosaik"]["surfaces"]
                return bool(
                    surface["stands"] >= 5 and surface["stands"] >= status["surfaces"][0]["next_seq"] - 3
                )

            return look

        wait_for("the map is filled", stands("node-a"), 90)
        # All are gone, and with them what mosaik kept in memory: it is written again.
        committee.stop()
        committee.start()
        wait_for("the map is filled again", stands("node-c"), 90)
        with committee.client("node-a") as client:
            client.retire("2020-01-01T00:00:00Z", request_id="retire-1")

        def whole() -> bool:
            status = committee.status("node-b")
            (surface,) = status["mosaik"]["surfaces"]
            return bool(status["sealed"] and surface["stands"] == status["surfaces"][0]["next_seq"])

        wait_for("the marker stands", whole, 60)


def entries(committee: Committee) -> str:
    settings = load_settings(committee.deployment, "node-a")
    assert settings.mosaik is not None
    peers = [(settings.peer_id, settings.mosaik.network.bind)]
    peers += [(peer, where[0]) for peer, where in settings.mosaik.network.bootstrap]
    return ", ".join(f'"{peer.hex()}@{where}"' for peer, where in peers)


def subscription(committee: Committee, name: str) -> Any:
    with committee.client(name, "read") as client:
        return client.subscriptions()[0]


def spanning(folder: Path, beta: Committee, *, endpoints: bool) -> Any:
    """Options of a committee that spans another one on the wire, over that one's relay."""
    with beta.client("node-a", None) as client:
        card, surfaces = client.card(), client.surfaces()
    span = Span(
        "beta",
        card["stable_id"],
        surfaces.surfaces[0].id.hex(),
        tuple(beta.url(name) for name in beta.names) if endpoints else (),
        kind="organism",
        content_hash=surfaces.fingerprint.hex(),
    )
    return {"folder": folder, "spans": [span], "fold": "fan-in", "carrier": "mosaik", "organism": "acme.span"}


@contextmanager
def reading(beta: Committee, **options: Any) -> Iterator[Committee]:
    """A committee whose spanned member is read on the wire."""
    from tests.support.committee import make_committee

    committee = make_committee(**options)
    text = committee.deployment.read_text().replace(
        'name = "beta"\n', f'name = "beta"\npeers = [{entries(beta)}]\n'
    )
    committee.deployment.write_text(text)
    committee.start()
    try:
        yield committee
    finally:
        committee.close()


def test_a_spanned_organism_is_read_from_its_stream(tmp_path: Path) -> None:
    require_engine()
    # Two nodes, so that every item comes twice.
    names = ["node-a", "node-b"]
    with running_committee(tmp_path / "beta", organism="beta.ticker", carrier="mosaik", names=names) as beta:
        beta.agree(at_least=5)
        with reading(beta, **spanning(tmp_path / "acme", beta, endpoints=False)) as acme:
            wait_for("observed", lambda: subscription(acme, "node-a").observed > 3, 90)

            def missed() -> Any:
                every = (subscription(acme, name) for name in acme.names)
                return next((one for one in every if one.state == "live" and "no replay" in one.reason), None)

            # One that begins after the others certified its first item has missed nothing; the first of them has.
            seen = wait_for("one that is live says what it missed", missed)
            assert "not proven" in seen.reason
            acme.agree()
            with beta.client("node-a") as client:
                client.retire("2020-01-01T00:00:00Z", reason="over", request_id="retire-1")
            wait_for("retired", lambda: subscription(acme, "node-c").state == "retired", 60)


def test_what_a_stream_did_not_bring_comes_from_the_node_apis(tmp_path: Path) -> None:
    require_engine()
    names = ["node-a"]
    with running_committee(tmp_path / "beta", organism="beta.ticker", carrier="mosaik", names=names) as beta:
        beta.agree(at_least=10)
        with reading(beta, names=names, **spanning(tmp_path / "acme", beta, endpoints=True)) as acme:
            wait_for("observed", lambda: subscription(acme, "node-a").observed > 10, 90)
            seen = subscription(acme, "node-a")
            assert (seen.state, seen.reason) == ("live", "")
            # From the first item on: nothing was left out.
            assert seen.position == seen.observed - 1
            acme.agree()
