"""A coalition's Atlas: as a document, as a node serves it, and as a real mosaik map."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from organismctl.check.finding import Status
from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.identity.digest import h, uid
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.surface_item import Certificate, SurfaceItem, encode_item
from organismctl.identity.surface_item import Fact as FactItem
from organismctl.observe.atlas import Atlas
from organismctl.observe.card import Card
from organismctl.observe.snapshot import MALFORMED, OBSERVER, UNREACHABLE, Fact
from tests.check.worlds import STABLE, card, organism, pick, run
from tests.observe.servers import Answer, serving
from tests.support.committee import wait_for
from tests.support.mosaik import require_engine

NETWORK = organism().config.network
OTHER = h(b"another member").hex()
MEMBERS = {"beta": STABLE}
CARD: dict[str, Any] = dict(card().value)  # type: ignore[arg-type]


def look(where: str, members: dict[str, str] = MEMBERS, **how: Any) -> list[Fact]:
    return list(Atlas("example", where, members, NETWORK, **how).look())


def item(seq: int, value: Any) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return encode_item(SurfaceItem(seq, seq, FactItem(data), Certificate(1, ())))


def test_a_document_of_either_form(tmp_path: Path) -> None:
    for number, document in enumerate(({"cards": [CARD, 7]}, {STABLE[:40]: CARD, "x": {"stable_id": OTHER}})):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document))
        (found,) = look(str(path))
        assert (found.subject, found.value) == ("beta", CARD)
    (tmp_path / "none.json").write_text('{"cards": []}')
    (missing,) = look(str(tmp_path / "none.json"))
    assert missing.cause == MALFORMED
    (away,) = look(str(tmp_path / "nowhere.json"))
    assert away.cause == UNREACHABLE
    (absent,) = look(str(path), {"gamma": "ef" * 32})
    assert "no card of it" in (absent.reason or "")


def test_a_member_that_moved_is_found_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "atlas.json"
    path.write_text(json.dumps({"cards": [{**CARD, "stable_id": OTHER}]}))
    row = pick(run("identity", look(str(path))), "SPAN-MOVED")
    assert row.status is Status.BAD
    assert row.values["act"] == ["nodes", "integrators", "coalitions"]
    assert "organismctl fingerprint diff" in row.summary


def test_a_node_that_serves_the_map() -> None:
    items = [item(0, {**CARD, "content_hash": "0" * 64}), item(1, b"\xff no card"), item(2, CARD)]

    def answer(path: str, _auth: str | None) -> Answer:
        start = int(path.partition("from=")[2].partition("&")[0])
        page = items[start : start + 2]
        texts = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in page]
        return 200, {"items": texts, "next": start + len(page), "sealed": False}

    with serving(answer) as url:
        (found,) = look(f"{url}/v1/surfaces/atlas/items")
        assert found.value == CARD
    with serving(lambda _path, _auth: (200, {"hello": "world"})) as url:
        (other,) = look(f"{url}/v1/surfaces/atlas/items")
        assert other.cause == MALFORMED


def test_a_card_that_flaps_or_contradicts_the_atlas(tmp_path: Path) -> None:
    answers: list[Any] = [CARD, {**CARD, "content_hash": "0" * 64}] * 2

    with serving(lambda _path, _auth: (200, answers.pop(0))) as url:
        twice = list(Card("beta", url, 2).look())
        assert len(twice) == 2
        rows = run("identity", twice)
        assert pick(rows, "SPAN-CARD-CONTRADICTS").status is Status.BAD
        assert pick(rows, "SPAN-CONTENT").status is Status.BAD
    path = tmp_path / "atlas.json"
    path.write_text(json.dumps({"cards": [{**CARD, "retired": {"effective_at": "2026-12-01T00:00Z"}}]}))
    rows = run("identity", [card(), *look(str(path))])
    assert "retired" in pick(rows, "SPAN-CARD-CONTRADICTS").summary
    path.write_text(json.dumps({"cards": [CARD]}))
    assert pick(run("identity", [card(), *look(str(path))]), "SPAN-CARD-CONTRADICTS").status is Status.OK


@pytest.fixture
def world() -> Iterator[tuple[Any, Any, bytes]]:
    """A relay, and a writer of a map on it."""
    require_engine()
    engine = load_engine()
    relay = engine.Relay.start("127.0.0.1", 0)
    seed = h(b"the atlas' writer")
    network = engine.Network.start(NETWORK, seed, relay=relay.url, bind=["127.0.0.1:0"])
    try:
        yield relay, network, peer_id_from_seed(seed)
    finally:
        network.close()
        relay.close()


def test_a_real_mosaik_map(world: tuple[Any, Any, bytes]) -> None:
    relay, network, peer = world
    place = f"map:example.atlas@{peer.hex()}@{network.addresses[0]}"
    writer = network.map_writer(uid("example.atlas"))
    wait_for("the map is online", writer.online)
    writer.insert(0, item(0, {**CARD, "content_hash": "0" * 64}), 30.0)
    writer.insert(1, item(1, CARD), 30.0)
    (found,) = look(place, relay=relay.url, join_s=30.0)
    assert found.value == CARD, found.reason
    assert pick(run("identity", [found]), "SPAN-CONTENT").status is Status.OK
    writer.close()


def test_a_map_without_an_engine_or_a_network_is_the_observers_trouble() -> None:
    require_engine()
    place = f"map:example.atlas@{'ab' * 32}@127.0.0.1:9"
    (found,) = look(place, relay="http://127.0.0.1:9", join_s=1.0)
    assert found.cause == OBSERVER
