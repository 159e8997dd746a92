"""Which sources of the wire a deployment has; nothing is asked here."""

from __future__ import annotations

from pathlib import Path

import pytest

from organismctl.errors import InputError
from organismctl.files.deployment import Deployment, parse_deployment
from organismctl.identity.digest import h
from organismctl.identity.peer_entry import EntryPoint
from organismctl.observe.snapshot import Fact, Snapshot
from organismctl.observe.snapshot_file import holds_tickets, without_tickets
from organismctl.observe.sources import ALL_KINDS, Given, WireLook, observer_of, sources_for, ticket_paths
from organismctl.observe.wire.sources import StreamSource, WireSource
from organismctl.observe.wire_via import ViaSource, point_of
from tests.check.wire_worlds import BETA_DOOR, BETA_STREAM, DOORS, SURFACE, wired
from tests.check.worlds import NAMES, PEERS, deployment, organism

STREAMS = (bytes.fromhex(SURFACE),)


def wire(side: Deployment, look: WireLook | None = None) -> list[object]:
    """The sources that look at the wire."""
    kinds = [kind for kind in ALL_KINDS if kind.startswith("wire.")]
    return list(sources_for(kinds, organism(), side, look).sources)


def test_without_an_address_nothing_is_asked() -> None:
    assert wire(deployment()) == []
    assert wire(wired(), WireLook(leave_out=True)) == []


def test_roster_and_spanned_members_are_entry_points_and_spares_are_not() -> None:
    spare = f'[[node]]\nname = "node-d"\npeer_id = "{"d" * 64}"\naddress = "127.0.0.1:7309"\nroster = false\n'
    (source,) = wire(wired(spare))
    assert isinstance(source, WireSource)
    assert [str(point) for point in source.entry_points] == [*DOORS.values(), BETA_DOOR]
    assert [peer.hex() for peer in source.expected] == [PEERS[name] for name in NAMES]
    assert source.network == organism().config.network


def test_streams_are_listened_to_where_they_were_asked_for() -> None:
    own = wire(wired(), WireLook(streams=STREAMS, listen_s=1))[1:]
    assert all(isinstance(one, StreamSource) for one in own)
    assert [one.subject for one in own if isinstance(one, StreamSource)] == [
        f"{SURFACE}@{PEERS[name]}" for name in NAMES
    ]
    (theirs,) = wire(wired(), WireLook(spans=True, listen_s=1))[1:]
    assert isinstance(theirs, StreamSource)
    assert theirs.subject.startswith(f"{BETA_STREAM}@")


def test_via_asks_nodes_by_name() -> None:
    (source,) = wire(wired(), WireLook(via=("node-b",)))
    assert isinstance(source, ViaSource)
    (want, *_) = source.wants()
    assert (want.subject, want.source) == (DOORS["node-b"], "node-api http://127.0.0.1:7102 (via node-b)")
    with pytest.raises(InputError, match="no node is called"):
        wire(wired(), WireLook(via=("nobody",)))
    with pytest.raises(InputError, match="has no url"):
        wire(deployment(url=False), WireLook(via=("node-a",)))
    assert point_of(h(b"x"), None, "https://host.example/api") == EntryPoint(h(b"x"), "host.example", 443)


def test_the_observer_is_read_from_files_and_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "observer.key").write_text(h(b"a test observer").hex() + "\n")
    (tmp_path / "observer.key").chmod(0o600)
    (tmp_path / "one.ticket").write_text(" a.b.c \n")
    more = '[observer]\nkey = "observer.key"\ntickets = ["one.ticket"]\n'
    side = parse_deployment("schema = 1\n" + more, tmp_path / "deployment.toml")
    observer = observer_of(side)
    assert observer.seed == h(b"a test observer")
    assert [one.data for one in observer.tickets] == [b"a.b.c"]
    assert h(b"a test observer").hex() not in repr(observer)
    assert "a.b.c" not in repr(observer)
    (tmp_path / "observer.key").chmod(0o644)
    looks = parse_deployment(
        f'schema = 1\n{more}[[node]]\nname = "a"\npeer_id = "{PEERS["node-a"]}"\naddress = "127.0.0.1:1"\n',
        tmp_path / "deployment.toml",
    )
    (given,) = wire(looks, WireLook(streams=STREAMS, listen_s=1))[1:]
    assert isinstance(given, Given)
    assert given.fact.cause == "observer"
    assert list(given.look()) == [given.fact]
    assert given.wants()[0].subject == given.fact.subject


def test_tickets_for_our_own_committee_are_files_too() -> None:
    side = parse_deployment(
        f'schema = 1\n[[node]]\nname = "node-a"\npeer_id = "{PEERS["node-a"]}"\ntickets = ["a.ticket"]\n',
        Path("/nowhere/deployment.toml"),
    )
    (path,) = ticket_paths(organism(), side)
    assert (path.subject, path.name) == ("node-a × committee", "a.ticket")


def test_a_peers_tickets_are_taken_out_of_what_is_shown() -> None:
    told = {"tickets": [{"class": "c", "ticket_id": "i", "data": "secret"}, 7], "streams": []}
    odd = Fact("wire.peer", "b", {"tickets": 3}, "wire", seen_ms=1)
    look = Snapshot(1, (Fact("wire.peer", "a", told, "wire", seen_ms=1), odd))  # type: ignore[arg-type]
    assert holds_tickets(look)
    bare = without_tickets(look)
    assert not holds_tickets(bare)
    assert bare.facts[0].value == {"tickets": [{"class": "c", "ticket_id": "i"}, None], "streams": []}
    assert bare.facts[1] is odd
