"""Who may call what, within which limits, and that nothing secret ever comes out."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from organismctl.committee.api.limits import MAX_BODY, MAX_STREAMS, Buckets
from organismctl.committee.client import NodeAccessError, NodeBusyError, NodeNotFoundError, NodeRefusedError
from organismctl.committee.strict import b64
from organismctl.errors import InputError
from organismctl.files.secret import create_secret
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.validator import JWT_CLASS
from tests.support.committee import Committee, Span, running_committee, wait_for

CANARY = "canary-secret-not-a-real-one-4711"


def ask(committee: Committee, method: str, path: str, **given: Any) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", committee.ports["node-a"], timeout=10)
    try:
        connection.request(method, path, **given)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


READ = ["/v1/status", "/v1/config", "/v1/tickets", "/v1/subscriptions", "/v1/log", "/v1/log/digest?at=0"]
READ += ["/v1/evidence", "/v1/changes", "/v1/changes/x", "/v1/metrics"]
OPERATE = [
    "/v1/ledger/append",
    "/v1/drain",
    "/v1/step-down",
    "/v1/retire",
    "/v1/retire/amend",
    "/v1/retire/cancel",
]
OPERATE += ["/v1/changes/x", "/v1/tickets", "/v1/stop"]


@pytest.mark.parametrize("token", [None, "", "wrong", "Bearer", "ü"])
def test_nothing_without_a_token(single: Committee, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode("latin-1")}
    for method, paths in (("GET", READ), ("POST", OPERATE)):
        for path in paths:
            status, body = ask(
                single, method, path, headers=headers, body=b"{}" if method == "POST" else None
            )
            assert status == 401, path
            assert json.loads(body)["error"]["code"] == "unauthorized"


def test_the_read_scope_cannot_act(single: Committee) -> None:
    headers = {"Authorization": f"Bearer {single.token('read')}", "content-type": "application/json"}
    for path in READ:
        assert ask(single, "GET", path, headers=headers)[0] in (200, 404), path
    bodies = {
        "/v1/drain": {"node": "0" * 64, "drained": True},
        "/v1/ledger/append": {"command": {"type": "tick", "unix_ms": 1}},
        "/v1/retire": {"effective_at": "2030-01-01T00:00Z"},
        "/v1/retire/amend": {"effective_at": "2030-01-01T00:00Z"},
        "/v1/changes/x": {"from": 0, "lines": []},
        "/v1/tickets": {"span": "x", "class": "0" * 64, "data": "AA"},
    }
    for path in OPERATE:
        status, body = ask(single, "POST", path, headers=headers, body=json.dumps(bodies.get(path, {})))
        assert (status, json.loads(body)["error"]["code"]) == (403, "forbidden"), path


def test_what_is_open_is_open(single: Committee) -> None:
    for path in (
        "/v1/health",
        "/v1/surfaces",
        "/v1/surfaces/facts/items",
        "/v1/roster",
        "/v1/card",
        "/openapi.json",
    ):
        assert ask(single, "GET", path)[0] == 200, path


def test_errors_have_one_form(single: Committee) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/v1/surfaces/nothing/items", 404),
        ("DELETE", "/v1/health", 405),
        ("GET", "/v1/surfaces/facts/items?from=x", 422),
        ("GET", "/v1/surfaces/facts/items?from=-1", 422),
    ):
        found, body = ask(single, method, path)
        assert found == status
        assert set(json.loads(body)["error"]) == {"code", "message", "advice", "effects"}


def test_a_body_is_bounded(single: Committee) -> None:
    headers = {"Authorization": f"Bearer {single.token()}", "Content-Length": str(MAX_BODY + 1)}
    status, body = ask(single, "POST", "/v1/ledger/append", headers=headers)
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
    with socket.create_connection(("127.0.0.1", single.ports["node-a"]), timeout=10) as raw:
        raw.sendall(
            b"POST /v1/drain HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer " + single.token().encode() + b"\r\n\r\n"
        )
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(2 * MAX_BODY // 0x10000):
                raw.sendall(chunk)
            answer = raw.recv(100)
        except OSError:
            answer = b""
    assert b" 200 " not in answer
    assert ask(single, "GET", "/v1/health")[0] == 200


def test_the_rate_of_one_caller_is_bounded() -> None:
    buckets = Buckets(rate=10, burst=20)
    taken = [buckets.take("a", 100.0) for _ in range(25)]
    assert taken == [True] * 20 + [False] * 5
    assert buckets.take("b", 100.0)
    assert [buckets.take("a", 100.5) for _ in range(6)] == [True] * 5 + [False]


def test_open_streams_are_bounded(single: Committee) -> None:
    sockets = []
    try:
        for _ in range(MAX_STREAMS):
            one = socket.create_connection(("127.0.0.1", single.ports["node-a"]), timeout=10)
            one.sendall(b"GET /v1/surfaces/facts/follow?from=0 HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200" in one.recv(20)
            sockets.append(one)

        def full() -> bool:
            with single.client("node-a", None) as client, pytest.raises(NodeBusyError):
                next(client.follow("facts"))
            return True

        assert full()
    finally:
        for one in sockets:
            one.close()

    def free() -> bool:
        with single.client("node-a", None) as client:
            return next(client.follow("facts")).seq == 0

    wait_for("streams are free again", free)


def test_change_copies(single: Committee) -> None:
    with single.client("node-a") as client:
        with pytest.raises(NodeNotFoundError):
            client.change("c-1")
        with pytest.raises(NodeRefusedError) as missing:
            client.put_change("c-1", None, 0, ["one"])
        assert missing.value.code == "missing_lines"
        client.put_change("c-1", {"id": "c-1"}, 0, ["one", "two"])
        client.put_change("c-1", {"id": "c-1"}, 1, ["two", "three"])
        with pytest.raises(NodeRefusedError) as other:
            client.put_change("c-1", None, 1, ["other"])
        assert other.value.code == "contradiction"
        with pytest.raises(NodeRefusedError) as gap:
            client.put_change("c-1", None, 9, ["nine"])
        assert gap.value.code == "missing_lines"
        with pytest.raises(NodeRefusedError):
            client.put_change("c-1", {"id": "other"}, 3, [])
        copy = client.change("c-1")
        assert (copy.plan, copy.lines) == ({"id": "c-1"}, ("one", "two", "three"))
        assert [(one.id, one.lines) for one in client.changes()] == [("c-1", 3)]


def test_a_refused_command_says_why(single: Committee) -> None:
    peer = single.status("node-a")["peer_id"]
    with single.client("node-a") as client:
        with pytest.raises(NodeRefusedError) as refused:
            client.drain(bytes.fromhex(peer))
        assert refused.value.code == "drain"
        lease = {
            "type": "lease",
            "action": "acquire",
            "change": "c-1",
            "holder": "me",
            "fence": 0,
            "ttl_ms": 60_000,
        }
        granted = client.append(lease, "lease-1")
        assert granted.effects[0]["type"] == "lease_granted"
        assert client.append(lease, "lease-1") == granted
        with pytest.raises(NodeRefusedError) as busy:
            client.append({**lease, "change": "c-2", "holder": "you"}, "lease-2")
        assert busy.value.effects[0]["holder"] == "me"
        assert client.status()["lease"]["holder"] == "me"


def test_canaries_come_out_nowhere(tmp_path: Path) -> None:
    """A secret and tickets planted in the inputs are in no answer, log, error or metric."""
    seed = bytes(range(32))
    issuer = (
        '[[span.issuer]]\nstate = "current"\ntype = "jwt"\nissuers = ["acme"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{public_key("EdDSA", seed).hex()}" }}]\n'
    )
    span = Span("up", "11" * 32, "22" * 32, ("http://127.0.0.1:9",), extra=issuer)
    folder = tmp_path / "acme"
    create_secret(folder / "secrets" / "group.secret", CANARY)
    create_secret(folder / "secrets" / "read.token", f"read-{CANARY}")
    create_secret(folder / "secrets" / "operate.token", f"operate-{CANARY}")
    with running_committee(folder, names=["node-a"], spans=[span], fold="fan-in") as committee:
        peer = bytes.fromhex(committee.status("node-a")["peer_id"])
        ticket = issue_jwt(
            "EdDSA", seed, peer, issued_at_s=1, expires_at_s=4_000_000_000, issuer="acme", token_id=CANARY
        )
        with committee.client("node-a") as client:
            client.install_ticket("up", JWT_CLASS, ticket)
            (held,) = client.tickets()
            assert (held.valid, held.horizon_ms) == (True, 4_000_000_000_000)
            newer = issue_jwt(
                "EdDSA", seed, peer, issued_at_s=2, expires_at_s=2, issuer="acme", token_id=CANARY
            )
            client.install_ticket("up", JWT_CLASS, newer, replace=True)
            (held,) = client.tickets()
            assert (held.valid, held.failing_step) == (False, "expired")
        hidden = [
            CANARY,
            (folder / "secrets" / "node-a.key").read_text().strip(),
            ticket.decode(),
            newer.decode(),
        ]
        seen = committee.log("node-a")
        for token in (None, "wrong", CANARY, committee.token("read"), committee.token()):
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            for path in [*READ, "/v1/card", "/v1/roster", "/v1/surfaces", "/openapi.json"]:
                seen += ask(committee, "GET", path, headers=headers)[1].decode()
            for path in OPERATE[:-1]:
                body = json.dumps({"span": CANARY, "node": CANARY, "data": b64(ticket), "command": CANARY})
                seen += ask(committee, "POST", path, headers=headers, body=body)[1].decode()
        with committee.client("node-a", None) as client, pytest.raises(NodeAccessError) as refused:
            client.status()
        seen += str(refused.value) + repr(committee.client("node-a"))
        committee.stop()
        seen += committee.log("node-a")
        for one in hidden:
            assert one not in seen


def test_a_token_with_a_line_break_is_refused_here() -> None:
    from organismctl.committee.client import NodeClient

    with pytest.raises(InputError) as caught:
        NodeClient("http://127.0.0.1:1", "a\r\nb")
    assert "a\r" not in str(caught.value)


def test_stop_ends_the_process(tmp_path: Path) -> None:
    with running_committee(tmp_path / "acme", names=["node-a"]) as committee:
        with committee.client("node-a") as client:
            client.stop()
        assert committee.processes["node-a"].wait(20) == 0
