"""Upstream's own endpoints and what the ledger's pointers find there, whatever they answer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from organismctl.committee.machine import Fact as Published
from organismctl.committee.machine import Input, encode_fact
from organismctl.identity.digest import h
from organismctl.identity.surface_item import (
    Certificate,
    Item,
    RetirementMarker,
    SurfaceItem,
    encode_item,
)
from organismctl.identity.surface_item import Fact as FactItem
from organismctl.observe.node_api import FACTS, Address, NodeApi
from organismctl.observe.snapshot import MALFORMED, NOT_ASKED, UNREACHABLE, Fact, Snapshot
from organismctl.observe.span_endpoint import SpanEndpoint
from organismctl.observe.span_evidence import PAGE, PAGES, SpanEvidence, Wanted, page_starts, pointers_of
from tests.observe.servers import Answer, serving

SURFACE = h(b"a surface of beta")
OTHER = h(b"another surface")


def upstream(
    items: dict[int, bytes], following: int, name: str = "facts", **more: Any
) -> Callable[..., Answer]:
    """Serves items by seq, those that are there."""

    def answer(path: str, _auth: str | None) -> Answer:
        if path == "/v1/surfaces":
            one = {"name": name, "type": "stream", "id": SURFACE.hex(), "next_seq": following, "sealed": False,
                   "last_item_ms": 5, **more}  # fmt: skip
            return 200, {"fingerprint": "ab" * 32, "surfaces": [one, {"id": OTHER.hex()}, 7]}
        start, limit = (int(part.partition("=")[2]) for part in path.partition("?")[2].split("&"))
        page = [items[seq] for seq in sorted(items) if seq >= start][:limit]
        texts = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in page]
        return 200, {"items": texts, "next": start + len(page), "sealed": False}

    return answer


def item(seq: int, what: Item | None = None) -> bytes:
    return encode_item(SurfaceItem(seq, seq, what or FactItem(b"fact %d" % seq), Certificate(1, ())))


def seen(url: str) -> Fact:
    (fact,) = SpanEndpoint("beta", url, (SURFACE,), 2).look()
    return fact


def test_both_ends_of_a_surface_and_its_marker() -> None:
    items = {seq: item(seq) for seq in range(4, 9)}
    items[9] = item(9, RetirementMarker("tick:9", "REF", "done"))
    with serving(upstream(items, 10)) as url:
        value: Any = seen(url).value
    (one,) = value["surfaces"]
    assert value["fingerprint"] == "ab" * 32
    assert (one["oldest"], one["next_seq"], one["oldest_ms"]) == (4, 10, None)
    assert one["marker"] == {"effective_at": "tick:9", "replacement": "REF", "reason": "done"}


def test_facts_of_our_own_make_tell_when_they_were_made() -> None:
    items = {
        seq: item(seq, FactItem(encode_fact(Published(fold="ticker", clock_event=seq, tick_ms=1000 * seq))))
        for seq in (3, 4)
    }
    with serving(upstream(items, 5)) as url:
        value: Any = seen(url).value
    assert (value["surfaces"][0]["oldest_ms"], value["surfaces"][0]["head_ms"]) == (3000, 4000)


@pytest.mark.parametrize("name", ["../v1/status", "a b", "", "x" * 300, "\x1b[31m", "facts?from=0", 7, None])
def test_a_name_that_no_path_can_hold_is_not_asked_for(name: Any) -> None:
    asked: list[str] = []
    serve = upstream({}, 5, name)

    def answer(path: str, auth: str | None) -> Answer:
        asked.append(path)
        return serve(path, auth)

    with serving(answer) as url:
        assert seen(url).seen
    assert asked == ["/v1/surfaces"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"surfaces": 7}', b'{"surfaces": [{"id": 5}]}'])
def test_something_else_at_its_address(body: bytes) -> None:
    with serving(lambda _path, _auth: (200, body)) as url:
        fact = seen(url)
    if fact.seen:
        assert isinstance(fact.value, dict)
        assert fact.value["surfaces"] == []
    else:
        assert fact.cause == MALFORMED
    assert seen("http://127.0.0.1:9").cause == UNREACHABLE


def test_items_that_are_none_leave_the_ends_unknown() -> None:
    with serving(upstream({0: b"\xff\xff"}, 3)) as url:
        value: Any = seen(url).value
    assert "unread" in value["surfaces"][0]
    assert "oldest" not in value["surfaces"][0]


def look_up(url: str, *positions: int, **hashes: str) -> Fact:
    wanted = tuple(
        Wanted(at, hashes.get(f"p{at}", h(b"fact %d" % at).hex()), at + 10) for at in sorted(positions)
    )
    (fact,) = SpanEvidence("beta", "facts", SURFACE, (url,) if url else (), wanted, 2).look()
    return fact


def test_pointers_resolve_are_gone_or_are_another() -> None:
    items = {seq: item(seq) for seq in range(200) if seq != 7}
    with serving(upstream(items, 200)) as url:
        value: Any = look_up(url, 0, 7, 8, 150, 250, p8="00" * 32).value
    assert {key: value[key] for key in ("looked_up", "resolved", "gone", "differs")} == {
        "looked_up": 4, "resolved": 2, "gone": 1, "differs": 1,
    }  # fmt: skip
    assert [(one["position"], one["height"], one["state"]) for one in value["not_resolving"]] == [
        (7, 17, "gone"), (8, 18, "differs"),
    ]  # fmt: skip
    assert look_up("", 0).cause == NOT_ASKED
    assert look_up("http://127.0.0.1:9", 0).cause == UNREACHABLE


def test_a_long_ledger_is_sampled_with_both_ends() -> None:
    starts = page_starts(list(range(0, 100_000, 3)))
    assert len(starts) == PAGES
    assert starts[0] == 0
    assert starts[-1] >= 100_000 - 2 * PAGE
    assert page_starts([5, 6, 500]) == [5, 500]
    assert page_starts([]) == []


@pytest.mark.parametrize(
    "row",
    [None, 7, {}, {"pointer": 3}, {"pointer": {"stable_id": "x", "surface_id": "y", "position": 1, "blake3": "z"}},
     {"pointer": {"stable_id": "a" * 64, "surface_id": "b" * 64, "position": -1, "blake3": "c" * 64}},
     {"pointer": {"stable_id": "a" * 64, "surface_id": "b" * 64, "position": True, "blake3": "c" * 64}}],
)  # fmt: skip
def test_malformed_pointers_are_left_out(row: Any) -> None:
    value: Any = {"evidence": [row], "extent": [{"oldest": row}, row]}
    assert pointers_of(Snapshot(0, (Fact("node.evidence", "node-a", value, "x", seen_ms=1),))) == {}


def test_how_degraded_facts_are() -> None:
    lacks = Input(h(b"beta"), SURFACE)
    facts = [
        Published(fold="join", clock_event=seq, tick_ms=seq, missing=(lacks,) if seq % 2 else ())
        for seq in range(4)
    ]
    items = {seq: item(seq, FactItem(encode_fact(fact))) for seq, fact in enumerate(facts)}
    items[4] = item(4, FactItem(b"another make"))
    with serving(upstream(items, 5)) as url:
        (fact,) = NodeApi(Address("node-a", url, timeout_s=2), FACTS).look()
    value: Any = fact.value
    assert value["surfaces"] == [
        {"name": "facts", "facts": 4, "degraded": 2,
         "missing": [{"stable_id": h(b"beta").hex(), "surface_id": SURFACE.hex(), "facts": 2}],
         "last": {"clock_event": 3, "tick_ms": 3, "observations": 0, "missing": 1}}
    ]  # fmt: skip
