"""The papers of a renewal: whole round trips, every fault at once, and never a ticket's bytes in a message."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from organismctl.errors import InputError, OrganismError
from organismctl.files.ticket_papers import (
    MAX_PAPER,
    Holder,
    Issued,
    TicketBundle,
    TicketRequest,
    load_bundle,
    load_request,
    render_bundle,
    render_request,
    write_bundle,
)

FORMATS = Path(__file__).parents[2] / "docs" / "formats"
CANARY = b"canary-ticket-bytes-that-nobody-may-see"
REQUEST = TicketRequest(
    organism="acme.settlement",
    fingerprint=b"\x01" * 32,
    network=b"\x02" * 32,
    span="acme-mainnet",
    stable_id=b"\x03" * 32,
    issuers=("acme", "açmé"),
    audiences=(),
    lifetime_s=2_592_000,
    holders=(Holder("node-a", b"\x04" * 32), Holder("node-b", b"\x05" * 32)),
    contact="ops@acme.example",
)
BUNDLE = TicketBundle(b"\x03" * 32, (Issued(b"\x04" * 32, b"\x06" * 32, CANARY),))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def put(folder: Path, value: Any) -> Path:
    path = folder / "paper.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def keys_of(caught: pytest.ExceptionInfo[InputError]) -> set[str]:
    return {problem.key for problem in caught.value.problems}


def shown(error: OrganismError) -> str:
    problems = getattr(error, "problems", ())
    return "\n".join(
        [error.message, str(error.advice), repr(error), *map(str, problems), *map(repr, problems)]
    )


def test_a_request_comes_back_as_it_was(tmp_path: Path) -> None:
    assert load_request(put(tmp_path, render_request(REQUEST))) == REQUEST


def test_a_bundle_comes_back_as_it_was_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    write_bundle(path, BUNDLE)
    assert load_bundle(path) == BUNDLE
    assert path.stat().st_mode & 0o777 == 0o600
    assert repr(CANARY)[2:-1] not in repr(load_bundle(path))


def test_the_published_examples_are_accepted() -> None:
    request = load_request(FORMATS / "ticket-request.json")
    bundle = load_bundle(FORMATS / "ticket-bundle.json")
    assert render_request(request) == (FORMATS / "ticket-request.json").read_bytes()
    assert render_bundle(bundle) == (FORMATS / "ticket-bundle.json").read_bytes()
    assert bundle.stable_id == request.stable_id
    assert [one.peer_id for one in bundle.tickets] == [one.peer_id for one in request.holders]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("organism", ""), ("organism", 7), ("organism", "x" * 257), ("organism", None), ("organism", "\ud800"),
        ("fingerprint", "00"), ("fingerprint", "AB" * 31), ("network", None), ("stable_id", ["00"]),
        ("span", {}), ("issuers", "acme"), ("issuers", [1]), ("issuers", ["\udfff"]), ("audiences", {"a": 1}),
        ("lifetime_s", 0), ("lifetime_s", True), ("lifetime_s", 1.5), ("lifetime_s", 1 << 53), ("lifetime_s", "30d"),
        ("holders", []), ("holders", None), ("holders", ["node-a"]), ("contact", 5), ("contact", ""),
    ],
)  # fmt: skip
def test_a_malformed_field_of_a_request_is_named(tmp_path: Path, key: str, value: Any) -> None:
    raw = json.loads(render_request(REQUEST))
    raw[key] = value
    with pytest.raises(InputError) as caught:
        load_request(put(tmp_path, raw))
    assert keys_of(caught) == {key}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("peer_id", "zz"), ("peer_id", None), ("class", 3), ("class", "ab" * 31), ("data", ""), ("data", None),
        ("data", 17), ("data", "a"), ("data", "not base64!"), ("data", "YWJj\n"), ("data", "!!!!"), ("data", "é"),
        ("data", "\ud800"), ("data", "YWJj="), ("data", "YW+/"), ("data", "YR"),
    ],
)  # fmt: skip
def test_a_malformed_field_of_a_ticket_is_named(tmp_path: Path, key: str, value: Any) -> None:
    raw = json.loads(render_bundle(BUNDLE))
    raw["tickets"][0][key] = value
    with pytest.raises(InputError) as caught:
        load_bundle(put(tmp_path, raw))
    assert keys_of(caught) == {f"tickets[0].{key}"}


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"schema": 1, "kind": "ticket-request", "holders": [{"node": "", "peer_id": 1}, {}]}
    with pytest.raises(InputError) as caught:
        load_request(put(tmp_path, wrong))
    assert keys_of(caught) == {
        "holders[0].node", "holders[0].peer_id", "holders[1].node", "holders[1].peer_id",
        "organism", "fingerprint", "network", "span", "stable_id", "lifetime_s",
    }  # fmt: skip
    with pytest.raises(InputError) as caught:
        load_bundle(put(tmp_path, {"schema": 1, "kind": "ticket-bundle", "tickets": [{}, {"data": "a"}]}))
    assert len(caught.value.problems) == 7


@pytest.mark.parametrize(
    "raw",
    [b"", b"nothing", b"[]", b"{}", b'"text"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b"null",
     render_bundle(BUNDLE), render_request(REQUEST).replace(b'"schema": 1', b'"schema": 2'),
     render_request(REQUEST).replace(b'"schema": 1', b'"schema": true')],
)  # fmt: skip
def test_another_document_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(InputError) as caught:
        load_request(put(tmp_path, raw))
    assert "ticket-request" in shown(caught.value)
    assert caught.value.advice


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OrganismError):
        load_bundle(tmp_path)
    with pytest.raises(OrganismError):
        load_bundle(tmp_path / "absent.json")
    with pytest.raises(OrganismError):
        load_bundle(put(tmp_path, b" " * (MAX_PAPER + 1)))


@quick
@given(st.binary(max_size=64) | anything.map(lambda value: json.dumps(value).encode()))
def test_no_content_raises_anything_else(tmp_path: Path, raw: bytes) -> None:
    for load in (load_bundle, load_request):
        with pytest.raises(OrganismError):
            load(put(tmp_path, raw))


@quick
@given(st.data())
def test_no_field_raises_anything_else_or_shows_a_ticket(tmp_path: Path, data: st.DataObject) -> None:
    canary = base64.urlsafe_b64encode(CANARY).rstrip(b"=").decode()
    bundle = json.loads(render_bundle(BUNDLE))
    place = data.draw(st.sampled_from([bundle, bundle["tickets"][0]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(
        anything
        | st.just(canary + "=")
        | st.just([canary])
        | st.just({canary: canary})
        | st.just(canary[:-2] + "é")
    )
    request = json.loads(render_request(REQUEST))
    request[data.draw(st.sampled_from(sorted(request)))] = data.draw(anything | st.just([canary]))
    for load, value in ((load_bundle, bundle), (load_request, request)):
        try:
            loaded = load(put(tmp_path, value))
        except OrganismError as error:
            assert canary[:-2] not in shown(error)
            assert CANARY.decode() not in shown(error)
        else:
            assert CANARY.decode() not in repr(loaded.tickets if isinstance(loaded, TicketBundle) else "")
