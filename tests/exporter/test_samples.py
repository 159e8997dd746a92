"""Samples: as the table says, what was not seen is absent, and no remote makes a series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from organismctl.exporter.memory_file import Key
from organismctl.exporter.samples import Sample, kind_of, look_samples
from organismctl.exporter.series import BY_NAME, CHANGES, DRIFTS, SIDES, STATUSES
from organismctl.exporter.sweep import Look, sources_of
from organismctl.observe.snapshot import Fact
from tests.check.worlds import NAMES, NOW_MS, PEERS, STABLE, card, status_fact, unseen
from tests.exporter.looks import URL, Told, files, heard, look, well


def taken(one: Look, tmp_path: Path) -> tuple[dict[tuple[str, tuple[str, ...]], float], dict[str, bool]]:
    """Samples of one look by a fresh exporter, and its sources."""
    state = Told(tmp_path / "exporter.db").state()
    sources = state.take(one)
    made = list(look_samples(one, state.surfaces, state.since))
    state.close()
    assert len({(sample.name, sample.labels) for sample in made}) == len(made), "a series twice"
    sound(made)
    return {(sample.name.removeprefix("organism_"), sample.labels): sample.value for sample in made}, dict(
        sources
    )


def sound(made: list[Sample]) -> None:
    allowed = {"side": SIDES, "what": DRIFTS, "kind": CHANGES, "status": STATUSES, "node": NAMES, "surface": ("facts",),
               "span": ("beta", "committee")}  # fmt: skip
    for one in made:
        series = BY_NAME[one.name]
        assert len(one.labels) == len(series.labels), one
        for label, value in zip(series.labels, one.labels, strict=True):
            assert value in allowed.get(label, (value,)), one


def test_all_is_well(tmp_path: Path) -> None:
    made, sources = taken(look(well()), tmp_path)
    assert all(sources.values()), sources
    assert set(sources) == {
        "exporter", "files", "memory", "tickets", "card/beta", *(f"node/{name}" for name in NAMES),
        *(f"subscriptions/{name}" for name in NAMES),
    }  # fmt: skip
    pair = ("node-a", "beta", "facts")
    assert made["span_lag_events", pair] == 0
    assert made["span_side", (*pair, "none")] == 1
    assert made["span_dark_periods", ("beta", "facts")] == 0.25
    assert ("span_dark_since_timestamp_seconds", ("beta", "facts")) not in made
    assert made["quorum", ()] == 1
    assert made["tolerance", ()] == 1
    assert made["ledger_diverged", ()] == 0
    assert [made["leader", (name,)] for name in NAMES] == [1, 0, 0]
    assert [made["group_forked", (name,)] for name in NAMES] == [0, 0, 0]
    assert made["identity_drift", ("beta", "content")] == 0
    left = made["ticket_horizon_timestamp_seconds", ("node-b", "beta")] - NOW_MS / 1000
    assert left == 30 * 86_400


def test_a_spare_that_is_off_is_no_fault(tmp_path: Path) -> None:
    watched = files()
    assert watched.deployment is not None
    spare = replace(watched.deployment.nodes[-1], name="node-z", peer_id=b"\x09" * 32, roster=False)
    nodes = (*watched.deployment.nodes, spare)
    with_spare = replace(watched, deployment=replace(watched.deployment, nodes=nodes))
    kinds = ("node.status", "node.subscriptions", "node.evidence")
    off = [unseen(kind, "node-z") for kind in kinds]
    made, sources = taken(look([*well(), *off], watched=with_spare), tmp_path)
    assert not [name for name in sources if name.endswith("/node-z")]
    assert ("node_up", ("node-z",)) not in made
    refused = [unseen(kind, "node-z", "observer", "refused") for kind in kinds]
    assert sources_of(refused, with_spare.deployment) == {
        "node/node-z": False, "subscriptions/node-z": False, "evidence/node-z": False
    }  # fmt: skip


def test_a_source_that_fails_takes_its_series_with_it(tmp_path: Path) -> None:
    facts = [one for one in well() if one.subject != "node-b" and one.kind != "span.card"]
    kinds = ("node.status", "node.tickets", "node.subscriptions")
    gone = [*(unseen(kind, "node-b") for kind in kinds), unseen("span.card", "beta")]
    made, sources = taken(look([*facts, *gone]), tmp_path)
    assert {name for name, up in sources.items() if not up} == {
        "node/node-b",
        "subscriptions/node-b",
        "card/beta",
    }
    assert made["node_up", ("node-b",)] == 0
    of_b = {name for (name, labels) in made if "node-b" in labels}
    assert of_b == {
        "node_up",
        "node_since_timestamp_seconds",
        "span_side",
        "ticket_horizon_timestamp_seconds",
    }
    assert not [name for name, _ in made if name.startswith("identity_drift")]
    assert ("ledger_diverged", ()) not in made  # two of three compared: not known
    assert made["quorum", ()] == 1


def test_nobody_tells_and_no_number_of_a_spanned_member_is_left(tmp_path: Path) -> None:
    state = Told(tmp_path / "exporter.db").state()
    state.take(look(well()))
    blind = look(
        [unseen(kind, name) for name in NAMES for kind in ("node.status", "node.subscriptions")], NOW_MS + 5
    )
    state.take(blind)
    told = {one.name for one in look_samples(blind, state.surfaces, state.since)}
    assert not {name for name in told if name.startswith(("organism_span_last", "organism_span_events"))}
    assert "organism_span_dark_periods" not in told
    assert "organism_quorum" not in told
    assert state.surfaces["beta", "facts"].last_event_ms == NOW_MS - 500  # remembered all the same
    state.close()


def test_an_observer_that_is_refused_calls_no_node_down(tmp_path: Path) -> None:
    facts = [one for one in well() if (one.kind, one.subject) != ("node.status", "node-b")]
    made, sources = taken(look([*facts, unseen("node.status", "node-b", "observer", "refused")]), tmp_path)
    assert ("node_up", ("node-b",)) not in made
    assert sources["node/node-b"] is False


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"stable_id": "0" * 64}, "stable_id"), ({"content_hash": "0" * 64}, "content"),
     ({"issuance_root": ["0" * 64]}, "issuer"), ({"retired": {"effective_at": 5}}, "retired")],
)  # fmt: skip
def test_drift_is_named_and_dated(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    facts = [one for one in well() if one.kind != "span.card"]
    told = Told(tmp_path / "exporter.db")
    state = told.state()
    state.take(look(well()))
    drifted = look([*facts, card(**changes)], NOW_MS + 1000)
    state.take(drifted)
    state.close()
    again = told.state()  # a restart forgets nothing
    later = look([*facts, card(**changes)], NOW_MS + 9000)
    again.take(later)
    made = {(one.name, one.labels): one.value for one in look_samples(later, again.surfaces, again.since)}
    assert made["organism_identity_drift", ("beta", what)] == 1
    assert made["organism_identity_drift_since_timestamp_seconds", ("beta", what)] == (NOW_MS + 1000) / 1000
    again.close()


def test_an_endpoint_that_runs_something_else_is_drift_too(tmp_path: Path) -> None:
    served = Fact(
        "span.endpoint", f"beta @ {URL}", {"fingerprint": "0" * 64, "surfaces": []}, URL, seen_ms=NOW_MS
    )
    made, sources = taken(look([*well(), served]), tmp_path)
    assert made["identity_drift", ("beta", "content")] == 1
    assert sources["endpoint/beta"] is True


def test_an_odd_one_out_is_forked_and_the_files_decide_a_tie(tmp_path: Path) -> None:
    other = {"group_id": "9" * 64}
    facts = [one for one in well() if one.kind != "node.status"]
    made, _ = taken(
        look([*facts, status_fact("node-a"), status_fact("node-b"), status_fact("node-c", **other)]), tmp_path
    )
    assert [made["group_forked", (name,)] for name in NAMES] == [0, 0, 1]
    odd = [
        status_fact("node-a", fingerprint="8" * 64),
        status_fact("node-b"),
        unseen("node.status", "node-c"),
    ]
    made, _ = taken(look([*facts, *odd]), tmp_path / "again")
    assert (made["group_forked", ("node-a",)], made["group_forked", ("node-b",)]) == (1, 0)


def test_lost_quorum_and_a_change_in_progress(tmp_path: Path) -> None:
    lease = {"change": "20261124T085836Z-rotate-member-7f3a1c", "fence": 1}
    alone = status_fact("node-a", bonds=[], lease=lease)
    facts = [alone, unseen("node.status", "node-b"), unseen("node.status", "node-c")]
    made, _ = taken(look(facts), tmp_path)
    assert made["quorum", ()] == 0
    assert [made["change_in_progress", (kind,)] for kind in CHANGES] == [0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "kind"),
    [("20261124T085836Z-retire-7f3a1c", "retire"), ("20261124T085836Z-rotate-tickets-000000", "rotate-tickets"),
     ("20261124T085836Z-made-up-000000", "other"), ("\x1b[31m", "other"), ("", "other")],
)  # fmt: skip
def test_kinds_of_changes(change: str, kind: str) -> None:
    assert kind_of(change) == kind


def hostile() -> list[Fact]:
    """Nodes that tell of a thousand things that nobody asked for, with names that mean harm."""
    names = [f"evil-{number}\x1b[2J\u202e" for number in range(1000)]
    more = [
        {"span": name, "surface": name, "state": name, "received": 1 << 80, "last_event_ms": -5}
        for name in names
    ]
    subscriptions = heard("node-a")
    assert isinstance(subscriptions.value, dict)
    rows = subscriptions.value["subscriptions"]
    assert isinstance(rows, list)
    rows += more
    roster = {"version": 1, "members": [{"peer_id": PEERS[n], "name": n} for n in NAMES]}
    roster["members"] += [{"peer_id": f"{number:064x}", "name": name} for number, name in enumerate(names)]  # type: ignore[operator]
    status = status_fact(
        "node-a", roster=roster, lease={"change": names[0]}, surfaces=[{"name": n} for n in names]
    )
    cards = [replace(card(), subject=name) for name in names]
    strangers = [replace(heard("node-b"), subject=name) for name in names]
    return [status, subscriptions, card(measurements=[{name: name} for name in names]), *cards, *strangers]


def test_no_remote_makes_a_series(tmp_path: Path) -> None:
    plain, _ = taken(look(well()), tmp_path)
    made, sources = taken(look(hostile()), tmp_path / "hostile")
    free = (
        "findings",
        "span_side",
        "identity_drift",
        "identity_drift_since_timestamp_seconds",
    )  # bounded: sound()
    assert {key for key in made if key[0] not in free} <= set(plain)
    assert set(sources) <= {"exporter", "files", "memory", "card/beta", "node/node-a", "subscriptions/node-a"}
    key: Key = ("beta", "facts")
    assert key in Told(tmp_path / "hostile" / "exporter.db").state().surfaces


def test_stable_id_of_the_world_is_what_the_card_says() -> None:
    assert card().value["stable_id"] == STABLE  # type: ignore[index,call-overload]
