from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.errors import InputError, Problem
from organismctl.observe.snapshot import Fact, Snapshot
from organismctl.observe.snapshot_file import (
    as_json,
    holds_tickets,
    load_snapshot,
    parse_snapshot,
    save_snapshot,
    without_tickets,
)
from tests.check.worlds import NAMES, file_fact, healthy, ticket, unseen

ABOUT: dict[str, Any] = {"name": "acme.settlement", "fingerprint": None, "group_id": None}


def look() -> Snapshot:
    facts = [file_fact(name, ticket(name)) for name in NAMES]
    return Snapshot(5, (*healthy(), *facts, unseen("span.card", "beta"), file_fact("node-a", None)))


def test_a_snapshot_comes_back_as_it_was_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "seen.json"
    save_snapshot(file, look(), ABOUT)
    assert load_snapshot(file) == (look(), ABOUT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["holds_tickets"] is True


def test_the_form_that_is_shown_holds_no_ticket() -> None:
    bare = without_tickets(look())
    assert not holds_tickets(bare)
    shown = json.dumps(as_json(bare, ABOUT))
    for fact in look().of("ticket.file"):
        data = fact.value.get("data") if isinstance(fact.value, dict) else None
        assert data is None or data not in shown


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "{}", '{"schema": 2}', '{"schema": 1, "taken_ms": -1, "facts": []}',
     '{"schema": 1, "taken_ms": 1, "facts": [{}]}', '{"schema": 1, "taken_ms": 1, "facts": 7}'],
)  # fmt: skip
def test_what_is_no_snapshot_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "seen.json"
    file.write_text(text)
    with pytest.raises(InputError):
        load_snapshot(file)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(
    _JSON,
    st.lists(
        _JSON
        | st.dictionaries(st.sampled_from(["kind", "subject", "source", "seen_ms", "reason", "value"]), _JSON)
    ),
)
def test_no_json_makes_the_reader_raise(taken: Any, facts: Any) -> None:
    problems: list[Problem] = []
    snapshot = parse_snapshot({"schema": 1, "taken_ms": taken, "facts": facts}, "x", problems)
    assert all(isinstance(fact, Fact) for fact in snapshot.facts)
    assert problems or len(snapshot.facts) == len(facts)
