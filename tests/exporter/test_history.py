"""How the lag went: a point per five minutes on disk, and from there over HTTP onto the page."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from organismctl.exporter.history import KEPT_MS, POINT_MS, History
from organismctl.exporter.memory import Mark, Remembered
from organismctl.exporter.page import Page
from organismctl.exporter.server import Address, Server
from organismctl.observe.exporter_history import ExporterHistory
from organismctl.observe.snapshot import MALFORMED, UNREACHABLE

T = 1_795_500_000_000 - 1_795_500_000_000 % POINT_MS


def surfaces(at_ms: int, **lags: int | None) -> dict[tuple[str, str], Remembered]:
    """One surface, as each node told it at that moment; ``None``: it told nothing then."""
    told = {name: lag for name, lag in lags.items() if lag is not None}
    nodes = {name: Mark(at_ms - 1, None, None, None, 99, 99.0, None) for name in lags}
    nodes |= {name: Mark(at_ms, None, None, None, lag, lag / 2, None) for name, lag in told.items()}
    return {("beta", "facts"): Remembered(T, nodes=nodes)}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def history(tmp_path: Path, said: list[str]) -> Iterator[History]:
    made = History(tmp_path / "exporter.db.history", T, said.append)
    yield made
    made.close()


def test_a_point_is_the_worst_of_its_five_minutes(history: History) -> None:
    for second, lag in ((0, 3), (15, 9), (30, 1)):
        history.note(surfaces(T + second * 1000, a=lag), T + second * 1000)
    assert history.told() == {"beta/facts": {"a": [(T, 9, 4.5)]}}
    history.note(surfaces(T + POINT_MS, a=2), T + POINT_MS)
    assert history.told()["beta/facts"]["a"] == [(T, 9, 4.5), (T + POINT_MS, 2, 1.0)]


def test_what_nobody_told_is_a_hole_and_no_zero(history: History) -> None:
    for number, lag in enumerate((0, None, 4)):
        at = T + number * POINT_MS
        history.note(surfaces(at, a=lag), at)
    assert [point[1] for point in history.told()["beta/facts"]["a"]] == [0, None, 4]


def test_a_day_is_kept_and_the_process_holds_five_minutes_of_it(tmp_path: Path, history: History) -> None:
    for number in range(400):
        at = T + number * POINT_MS
        history.note(surfaces(at, a=number), at)
    points = history.told()["beta/facts"]["a"]
    assert len(points) == KEPT_MS // POINT_MS + 1
    assert points[-1][1] == 399
    assert len(history._open) == 1
    with closing(sqlite3.connect(tmp_path / "exporter.db.history")) as db:
        assert db.execute("SELECT count(*) FROM lag").fetchone()[0] <= KEPT_MS // POINT_MS + 1


def test_it_survives_a_restart_and_forgets_who_is_no_more(tmp_path: Path, history: History) -> None:
    history.note(surfaces(T, a=1, b=2), T)
    history.close()
    again = History(tmp_path / "exporter.db.history", T, lambda _text: None)
    again.note(surfaces(T + POINT_MS, a=5), T + POINT_MS)
    assert again.told() == {"beta/facts": {"a": [(T, 1, 0.5), (T + POINT_MS, 5, 2.5)]}}
    again.close()


def test_a_damaged_file_is_moved_aside_and_said(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "h").write_bytes(b"this is no database, " * 400)
    made = History(tmp_path / "h", T, said.append)
    made.note(surfaces(T, a=1), T)
    assert made.told()["beta/facts"]["a"] == [(T, 1, 0.5)]
    made.close()
    assert "moved aside to" in said[0]
    assert len(list(tmp_path.glob("h.damaged-*"))) == 1


def test_a_disk_that_takes_nothing_is_said_and_ends_nothing(tmp_path: Path, said: list[str]) -> None:
    made = History(tmp_path / "missing" / "h", T, said.append)
    made.note(surfaces(T, a=1), T)
    made.note(surfaces(T + POINT_MS, a=1), T + POINT_MS)
    assert said[0].startswith("no lag history is kept")
    assert made.told()["beta/facts"]["a"] == [(T + POINT_MS, 1, 0.5)], "the present one is there"
    made.close()


def test_the_source_reads_it_over_http(history: History) -> None:
    history.note(surfaces(T, a=7), T)
    told = {"schema": 1, "organism": "acme", "now_ms": T}
    server = Server(
        Address("127.0.0.1", 0), lambda: Page("acme", [], T), dict, lambda: (True, ""),
        lambda: {**told, "history": history.told()},
    )  # fmt: skip
    try:
        url = f"http://{server.address}"
        (fact, other) = ExporterHistory(url, "acme", ("beta/facts", "gamma/facts")).look()
        assert fact.value == {"by_node": {"a": [[T, 7, 3.5]]}}
        assert (other.seen, other.reason) == (False, "the exporter has no history of it yet")
        (wrong,) = ExporterHistory(url, "another", ("beta/facts",)).look()
        assert wrong.cause == MALFORMED and "another organism" in str(wrong.reason)
    finally:
        server.close()
    (gone,) = ExporterHistory(url, "acme", ("beta/facts",)).look()
    assert gone.cause == UNREACHABLE
