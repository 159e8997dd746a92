from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from organismctl.files.deployment import parse_deployment
from organismctl.observe.card import Card
from organismctl.observe.look import observe
from organismctl.observe.node_api import (
    CONFIG,
    DIGEST,
    EVIDENCE,
    STATUS,
    SUBSCRIPTIONS,
    SURFACES,
    TICKETS,
    Address,
    NodeApi,
    common_height,
)
from organismctl.observe.snapshot import MALFORMED, NOT_ASKED, OBSERVER, UNREACHABLE, Fact, Snapshot
from organismctl.observe.sources import ALL_KINDS, sources_for
from organismctl.observe.ticket_files import TicketFiles, TicketPath, read_ticket_file
from tests.check.worlds import NAMES, PEERS, card, organism, status, ticket, ticket_id
from tests.observe.servers import Answer, fault, serving

CANARY = "canary-token-of-the-test"


def ask(url: str | None, kind: str = STATUS, **how: Any) -> Fact:
    (fact,) = NodeApi(Address("node-a", url, **how), kind, 7).look()
    return fact


def test_a_node_is_seen_with_its_token() -> None:
    def answer(path: str, auth: str | None) -> Answer:
        assert (path, auth) == ("/v1/status", f"Bearer {CANARY}")
        return 200, status("node-a")

    with serving(answer) as url:
        fact = ask(url, token=CANARY)
    assert fact.value == status("node-a")
    assert fact.took_ms is not None
    assert fact.source == f"node-api {url}"
    assert CANARY not in repr(Address("node-a", url, token=CANARY))


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (fault(401, "unauthorized"), OBSERVER),
        (fault(403, "forbidden"), OBSERVER),
        (fault(503, "busy"), UNREACHABLE),
        (fault(404, "not_found"), UNREACHABLE),
        ((500, b"<html>"), MALFORMED),
        ((200, b"not json"), MALFORMED),
        ((200, b"[1]"), MALFORMED),
        ((200, b"[" * 100_000), MALFORMED),
        ((200, b"x" * (17 << 20)), MALFORMED),
    ],
)
def test_whose_trouble_an_answer_is(answer: Answer, cause: str) -> None:
    with serving(lambda _path, _auth: answer) as url:
        fact = ask(url, timeout_s=10)
    assert (fact.seen, fact.cause) == (False, cause)
    assert fact.value is None


def test_nobody_there_nowhere_to_ask_and_no_token() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert ask(url).cause == UNREACHABLE
    assert ask(None).cause == NOT_ASKED
    assert ask(url, token_problem="its mode is wider than 0600").cause == OBSERVER
    assert ask(url, token="bad\ntoken").cause == OBSERVER
    assert ask("https://127.0.0.1:1", ca="/nowhere.pem").cause == OBSERVER


def test_a_node_that_never_ends_is_unreachable_in_time() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        fact = ask(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout_s=0.2)
    assert fact.cause == UNREACHABLE
    assert "no answer in time" in (fact.reason or "")


def test_an_answer_that_is_cut_off_is_unreachable() -> None:
    import threading

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def cut() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")

        thread = threading.Thread(target=cut)
        thread.start()
        fact = ask(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert fact.cause == UNREACHABLE


def test_tickets_config_and_digest() -> None:
    row = {
        "span": "beta",
        "class": "a" * 64,
        "ticket_id": "b" * 64,
        "horizon_ms": None,
        "valid": True,
        "failing_step": None,
    }
    answers = {
        "/v1/tickets": {"tickets": [row]},
        "/v1/config": {"fingerprint": "c" * 64, "group_id": None, "fields": {}},
        "/v1/log/digest?at=7": {"height": 7, "digest": "d" * 64, "state_digest": None},
    }
    with serving(lambda path, _auth: (200, answers[path])) as url:
        assert ask(url, TICKETS).value == {"tickets": [row]}
        assert ask(url, CONFIG).value == answers["/v1/config"]
        assert ask(url, DIGEST).value == answers["/v1/log/digest?at=7"]


def _told(name: str, certified: Any) -> Fact:
    return Fact(STATUS, name, {"ledger": {"certified": certified}}, "x", seen_ms=1)


def test_digests_are_asked_for_only_where_heights_differ() -> None:
    more = common_height([Address(name, "http://127.0.0.1:1") for name in NAMES])
    assert more(Snapshot(0, tuple(_told(name, 5) for name in NAMES))) == ()
    asked = more(Snapshot(0, (_told("node-a", 5), _told("node-b", 9), _told("node-c", "x"))))
    assert [(one.address.node, one.height) for one in asked if isinstance(one, NodeApi)] == [
        ("node-a", 5),
        ("node-b", 5),
    ]


def test_ticket_files(tmp_path: Path) -> None:
    data = ticket("node-a")
    good = tmp_path / "good"
    good.write_bytes(data + b"\n")
    fact = read_ticket_file(TicketPath("node-a", "beta", good, "good"))
    assert isinstance(fact.value, dict)
    assert fact.value["ticket_id"] == ticket_id(data)
    gone = read_ticket_file(TicketPath("node-a", "beta", tmp_path / "gone", "gone"))
    assert gone.seen
    assert gone.value == {"node": "node-a", "span": "beta", "file": "gone", "absent": True}
    large = tmp_path / "large"
    large.write_bytes(b"x" * (65 << 10))
    os.mkfifo(tmp_path / "fifo")
    for name in ("large", "fifo", "."):
        assert read_ticket_file(TicketPath("node-a", "beta", tmp_path / name, name)).cause == OBSERVER
    assert len(observe([TicketFiles([TicketPath("n", "s", good, "good")] * 3)]).facts) == 3


def test_cards(tmp_path: Path) -> None:
    value = card().value
    (tmp_path / "card.json").write_text(json.dumps(value))
    (tmp_path / "bad.json").write_text("[]")

    def look(where: str | None) -> Fact:
        (fact,) = Card("beta", where, 2).look()
        return fact

    assert look(str(tmp_path / "card.json")).value == value
    assert look(str(tmp_path / "bad.json")).cause == MALFORMED
    assert look(str(tmp_path / "none.json")).cause == UNREACHABLE
    assert look(None).cause == NOT_ASKED
    answers: dict[str, Answer] = {
        "/card": (200, value), "/gone": (404, {}), "/bad": (200, b"\xff"), "/big": (200, b" " * (2 << 20)),
        "/moved": (302, b""),
    }  # fmt: skip
    with serving(lambda path, _auth: answers[path]) as url:
        assert look(f"{url}/card").value == value
        assert look(f"{url}/bad").cause == MALFORMED
        for path in ("/gone", "/big", "/moved"):
            assert look(url + path).cause == UNREACHABLE


def test_the_sources_of_a_deployment(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    token = tmp_path / "secrets" / "read.token"
    token.write_text(CANARY)
    text = "\n".join(
        ["schema = 1", "[secrets]", 'read_token = "secrets/read.token"', "[[node]]", 'name = "node-a"',
         f'peer_id = "{PEERS["node-a"]}"', 'url = "http://127.0.0.1:1"', "[[node]]", 'name = "spare"',
         f'peer_id = "{PEERS["node-d"]}"', "roster = false", "[[span]]", 'name = "beta"', "[[span.ticket]]",
         'node = "node-a"', 'file = "t"']
    )  # fmt: skip
    side = parse_deployment(text, tmp_path / "deployment.toml")
    token.chmod(0o644)
    loud = observe(sources_for(ALL_KINDS, organism(), side).sources)
    assert {fact.cause for fact in loud.of(STATUS)} == {OBSERVER}
    token.chmod(0o600)
    looked = observe(sources_for(ALL_KINDS, organism(), side).sources)
    assert [(fact.kind, fact.subject, fact.cause) for fact in looked.facts] == [
        (STATUS, "node-a", UNREACHABLE), (CONFIG, "node-a", UNREACHABLE), (TICKETS, "node-a", UNREACHABLE),
        (SUBSCRIPTIONS, "node-a", UNREACHABLE), (EVIDENCE, "node-a", UNREACHABLE),
        (SURFACES, "node-a", UNREACHABLE),
        ("ticket.file", "node-a × beta", None), ("span.card", "beta", NOT_ASKED),
    ]  # fmt: skip
    assert CANARY not in repr(looked) + repr(loud)
    assert sources_for(ALL_KINDS, organism(), None).sources == ()
