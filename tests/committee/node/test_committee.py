"""A real committee of three processes: what it promises, under kills."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from organismctl.committee.client import (
    NodeClient,
    NodeError,
    NodeRefusedError,
    NoMajorityError,
)
from organismctl.committee.strict import blob
from organismctl.errors import OrganismError, UnreachableError
from organismctl.identity.roster import Roster, decode_link, roster_digest, verify_chain
from organismctl.identity.surface_item import SurfaceItem, decode_item, verify_item
from tests.support.committee import Committee, running_committee, wait_for
from tests.support.mosaik import both_carriers


def rosters(client: NodeClient) -> tuple[bytes, bytes, dict[int, Roster]]:
    """Fingerprint, surface id, and every roster, proven."""
    told = client.roster()
    first = Roster(1, tuple(bytes.fromhex(one["peer_id"]) for one in told["genesis"]["members"]))
    surfaces = client.surfaces()
    links = [decode_link(blob(one, "link")) for one in told["links"]]
    proven = verify_chain(surfaces.fingerprint, roster_digest(first.members), first, links)
    return surfaces.fingerprint, surfaces.surfaces[0].id, {one.version: one for one in proven}


class Integrator(threading.Thread):
    """Follows a surface through every node in turn, as an integrator would."""

    def __init__(self, committee: Committee) -> None:
        super().__init__(daemon=True)
        self.committee = committee
        self.items: list[SurfaceItem] = []
        self.done = threading.Event()

    def run(self) -> None:
        turn = 0
        while not self.done.is_set() and not (self.items and self.items[-1].retirement):
            name = self.committee.names[turn % len(self.committee.names)]
            turn += 1
            start = self.items[-1].seq + 1 if self.items else 0
            try:
                with self.committee.client(name, None, timeout=1.0) as client:
                    for line in client.follow("facts", start):
                        self.items.append(decode_item(line.item))
                        if self.done.is_set():
                            return
            except OrganismError:
                time.sleep(0.05)

    def check(self, client: NodeClient) -> None:
        """Every seq once, in order, each certificate valid."""
        assert [item.seq for item in self.items] == list(range(len(self.items)))
        fingerprint, surface, known = rosters(client)
        for item in self.items:
            roster = known[item.certificate.roster_version]
            assert verify_item(item, fingerprint, surface, roster).verified


def note(client: NodeClient, number: int, peer: str) -> int:
    """A command that changes nothing, but stands in the log."""
    command = {"type": "drain", "peer_id": peer, "drained": False, "fence": None}
    return client.append(command, f"request-{number}").height


@both_carriers
def test_all_nodes_agree_and_publish(committee: Committee) -> None:
    assert committee.agree(at_least=5) >= 5
    status = committee.status("node-a")
    assert len(status["roster"]["members"]) == 3
    assert status["roster"]["version"] == 1
    assert status["carrier"] == ("loopback" if committee.relay_port is None else "mosaik")
    assert status["one_host"] is (committee.relay_port is None)
    committee.bonded()
    integrator = Integrator(committee)
    integrator.start()
    wait_for("items", lambda: len(integrator.items) > 5)
    integrator.done.set()
    integrator.join(10)
    with committee.client("node-b") as client:
        integrator.check(client)


@both_carriers
def test_two_nodes_lost_refuses_in_bounded_time(committee: Committee) -> None:
    proposer = committee.proposer()
    peer = committee.status(proposer)["peer_id"]
    committee.kill(*[name for name in committee.names if name != proposer])
    with committee.client(proposer) as client:
        began = time.monotonic()
        with pytest.raises((NoMajorityError, NodeError)) as caught:
            note(client, 1, peer)
        assert caught.value.code in ("no_majority", "outcome_unknown")
        wait_for("no majority is seen", lambda: _refuses(client, peer))
        began = time.monotonic()
        with pytest.raises(NoMajorityError, match="majority") as refused:
            note(client, 2, peer)
        assert time.monotonic() - began < 10
        assert refused.value.advice
        assert client.health().ok
    committee.start()
    committee.agree(at_least=5)


def _refuses(client: NodeClient, peer: str) -> bool:
    try:
        note(client, 3, peer)
    except NoMajorityError:
        return True
    except NodeError:
        return False
    return False


@both_carriers
def test_kill_of_the_proposer_under_load_loses_nothing(committee: Committee) -> None:
    peer = committee.status("node-a")["peer_id"]
    acknowledged: dict[int, int] = {}
    stop = threading.Event()
    integrator = Integrator(committee)
    integrator.start()

    def load(offset: int) -> None:
        number = offset
        while not stop.is_set():
            for name in committee.names:
                try:
                    with committee.client(name, timeout=2.0) as client:
                        while not stop.is_set():
                            acknowledged[number] = note(client, number, peer)
                            number += 4
                except (UnreachableError, NodeError):
                    continue

    threads = [threading.Thread(target=load, args=(offset,), daemon=True) for offset in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        _more(acknowledged)
        proposer = committee.proposer()
        committee.kill(proposer)
        _more(acknowledged)
        committee.start(proposer)
    stop.set()
    for thread in threads:
        thread.join(30)
    committee.kill()
    committee.start()
    top = committee.agree(at_least=max(acknowledged.values()))
    for name in committee.names:
        assert _requests(committee, name, top) >= set(acknowledged)
    before = len(integrator.items)
    wait_for("the surface goes on", lambda: len(integrator.items) > before + 3)
    integrator.done.set()
    integrator.join(10)
    with committee.client("node-c") as client:
        integrator.check(client)


def _more(acknowledged: dict[int, int]) -> None:
    seen = len(acknowledged)
    wait_for("commands go through", lambda: len(acknowledged) > seen + 20)


def _requests(committee: Committee, name: str, top: int) -> set[int]:
    found: set[int] = set()
    start = 0
    with committee.client(name, "read") as client:
        while start <= top:
            page = client.log(start, 1000)
            for entry in page.entries:
                request = str(entry.command.get("request_id", ""))
                if request.startswith("request-"):
                    found.add(int(request.removeprefix("request-")))
            start = page.entries[-1].height + 1
    return found


def test_the_same_request_id_is_applied_once(committee: Committee) -> None:
    committee.proposer()
    peer = committee.status("node-a")["peer_id"]
    command = {"type": "drain", "peer_id": peer, "drained": True, "fence": None}
    first = committee.append("node-a", command, "once")
    for name in committee.names:
        again = committee.append(name, command, "once")
        assert again.height == first.height
    assert committee.status("node-b")["drained"] == [peer]


@both_carriers
def test_restart_of_all_goes_on(committee: Committee) -> None:
    height = committee.agree(at_least=10)
    committee.stop()
    committee.start()
    assert committee.agree(at_least=height + 5) > height
    assert committee.status("node-a")["surfaces"][0]["next_seq"] > 0


@both_carriers
def test_a_lost_disk_does_not_vote_again(committee: Committee) -> None:
    from organismctl.committee.ledger.store import create_learner

    committee.agree(at_least=5)
    committee.kill("node-c")
    data = committee.data("node-c")
    data.rename(data.with_name("lost"))
    create_learner(data)
    committee.start("node-c")
    stopped = wait_for("a loud stop", lambda: committee.status("node-c")["stopped"])
    assert "lost-store" in stopped
    with committee.client("node-c", None) as client:
        assert not client.health().ok
    committee.agree("node-a", "node-b", at_least=20)


@both_carriers
def test_a_learner_joins_and_drain_hands_over(tmp_path: Path, carrier: str) -> None:
    with running_committee(tmp_path / "acme", spares=["node-d"], carrier=carrier) as committee:
        committee.agree("node-a", "node-b", "node-c", at_least=20)
        committee.start("node-d")
        committee.agree(at_least=25)
        assert committee.status("node-d")["role"] == "learner"
        new = committee.status("node-d")["peer_id"]
        added = {"type": "roster", "action": "add", "peer_id": new, "incarnation": 0, "version": 2}
        committee.bonded()
        committee.append("node-a", added)
        for name in ("node-d", "node-b"):
            wait_for(
                f"roster of four on {name}",
                lambda name=name: len(committee.status(name)["roster"]["members"]) == 4,
            )
        with pytest.raises(NodeRefusedError) as moved:
            committee.append("node-b", added)
        assert moved.value.code == "roster-version"
        proposer = committee.proposer()
        leaving = committee.status(proposer)["peer_id"]
        with committee.client(proposer) as client:
            client.drain(bytes.fromhex(leaving))
        wait_for("another proposer", lambda: committee.proposer() != proposer)
        rest = [name for name in committee.names if name != proposer]
        removed = {"type": "roster", "action": "remove", "peer_id": leaving, "incarnation": 0, "version": 3}
        committee.append(rest[0], removed)
        committee.stop(proposer)
        committee.agree(*rest, at_least=committee.status(rest[0])["ledger"]["certified"] + 5)
        with committee.client("node-d", "read") as client:
            wait_for("the chain", lambda: len(client.roster()["links"]) == 2)
            assert sorted(rosters(client)[2]) == [1, 2, 3]
            items = client.items("facts", 0, 1000).items
            fingerprint, surface, known = rosters(client)
            assert len(items) > 5
            for data in items:
                item = decode_item(data)
                roster = known[item.certificate.roster_version]
                assert verify_item(item, fingerprint, surface, roster).verified


@both_carriers
def test_retirement_seals_and_everything_is_refused(committee: Committee) -> None:
    integrator = Integrator(committee)
    integrator.start()
    committee.agree(at_least=5)
    with committee.client("node-a") as client:
        client.retire("2020-01-01T00:00:00Z", reason="end of the test", request_id="retire-1")
    for name in committee.names:
        wait_for("sealed", lambda name=name: committee.status(name)["sealed"])
    integrator.join(20)
    assert integrator.items[-1].retirement is not None
    assert integrator.items[-1].retirement.reason == "end of the test"
    peer = committee.status("node-a")["peer_id"]
    committee.kill()
    committee.start()
    committee.proposer()
    for name in committee.names:
        # Until a node has heard of the seal again, it looks for a majority first.
        wait_for("sealed again", lambda name=name: committee.status(name)["sealed"], 60)
        with committee.client(name) as client:
            with pytest.raises(NodeRefusedError) as refused:
                note(client, 9, peer)
            assert refused.value.code == "sealed"
            wait_for("surface", lambda client=client: client.surfaces().surfaces[0].sealed)
            integrator.check(client)
            lines = list(client.follow("facts", 0))
            assert decode_item(lines[-1].item).retirement is not None
            assert client.card()["retired"]["reason"] == "end of the test"
    committee.agree()


@both_carriers
def test_a_retired_node_lingers_and_then_stops(tmp_path: Path, carrier: str) -> None:
    with running_committee(
        tmp_path / "acme", names=["node-a"], extra='[retire]\nlinger = "8s"\n', carrier=carrier
    ) as committee:
        committee.agree(at_least=3)
        with committee.client("node-a") as client:
            client.retire("2020-01-01T00:00:00Z")
            lines = list(client.follow("facts", 0))
            assert decode_item(lines[-1].item).retirement is not None
            assert client.health().sealed
        assert committee.processes["node-a"].wait(40) == 0
