"""The memory on disk: what was written comes back; what is damaged is moved aside, said, and begun anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from organismctl.errors import InputError, RefusedError
from organismctl.exporter import memory_file
from organismctl.exporter.memory import Mark, Remembered
from organismctl.exporter.memory_file import MemoryDamagedError, MemoryFile, MemoryFileError
from organismctl.exporter.resident import alone

T0 = 1_795_500_000_000
"""2026-11-24T06:00:00Z."""
KEY = ("beta", "facts")
SURFACES = {
    KEY: Remembered(
        T0, T0 + 5, T0 + 4, None, 7, 0.25, 99, 1, {"node-a": Mark(T0 + 5, T0 + 4, 7, 99, 0, 0.0, "live")}
    ),
    ("gamma", "facts"): Remembered(T0 + 1, dark_since_ms=T0 + 1),
}
SINCE = {("up", "node/node-a"): (1, T0), ("drift", "beta/content"): (0, T0 + 9)}


def filled(path: Path) -> None:
    file = MemoryFile(path, "acme", T0)
    file.write(SURFACES, SINCE)
    file.close()


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "exporter.db"
    filled(path)
    again = MemoryFile(path, "acme", T0 + 10**6)
    assert (again.surfaces, again.since) == (SURFACES, SINCE)
    assert (again.moved, again.begun_ms) == (None, T0)
    assert path.stat().st_mode & 0o077 == 0
    again.close()


def test_what_the_files_no_longer_name_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "exporter.db"
    filled(path)
    file = MemoryFile(path, "acme", T0)
    file.write({KEY: SURFACES[KEY]}, {})
    file.close()
    again = MemoryFile(path, "acme", T0)
    assert (list(again.surfaces), again.since) == ([KEY], {})
    again.close()


def test_another_organisms_memory_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "exporter.db")
    with pytest.raises(InputError, match="another organism: acme"):
        MemoryFile(tmp_path / "exporter.db", "other", T0)


def scribble(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def blot(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def misname(path: Path) -> None:
    """SQLite's message then quotes a name that is no UTF-8, which Python's sqlite3 cannot tell."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b"tablesincesince", b"table\x80ince\x80ince"))


def sql(*statements: str) -> object:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            for one in statements:
                db.execute(one)

    return change


DAMAGE = {
    "no database": scribble,
    "cut short": cut,
    "overwritten": blot,
    "a name that is no text": misname,
    "another schema": sql("PRAGMA user_version = 7"),
    "a table is missing": sql("DROP TABLE since"),
    "no JSON": sql("UPDATE surface SET body = '{'"),
    "no number": sql("UPDATE surface SET body = json_set(body, '$.events', 'many')"),
    "below zero": sql("UPDATE surface SET body = json_set(body, '$.watched_since_ms', -1)"),
    "an unknown key": sql("UPDATE surface SET body = json_set(body, '$.more', 1)"),
    "a list": sql("UPDATE surface SET body = '[]'"),
    "a node that is no table": sql("UPDATE surface SET body = json_set(body, '$.nodes', json('{\"a\": 1}'))"),
    "no beginning": sql("DELETE FROM meta WHERE key = 'begun_ms'"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(tmp_path: Path, how: str) -> None:
    path = tmp_path / "exporter.db"
    filled(path)
    DAMAGE[how](path)  # type: ignore[operator]
    damaged = path.read_bytes()
    file = MemoryFile(path, "acme", T0 + 1000)
    aside = tmp_path / "exporter.db.damaged-20261124T060001Z"
    assert aside.read_bytes() == damaged
    assert file.moved is not None
    assert file.moved.startswith(f"{aside}: ")
    assert (file.surfaces, file.since, file.begun_ms) == ({}, {}, T0 + 1000)
    file.write(SURFACES, SINCE)
    file.close()
    again = MemoryFile(path, "acme", T0)
    assert (again.surfaces, again.moved) == (SURFACES, None)
    again.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data())
def test_a_blot_anywhere_is_noticed_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "exporter.db"
    for old in tmp_path.iterdir():
        old.unlink()
    filled(path)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + 64] = data.draw(st.binary(min_size=64, max_size=64))
    path.write_bytes(raw)
    try:
        file = MemoryFile(path, "acme", T0)
    except InputError:
        return  # the name of the organism was hit
    try:
        file.write(SURFACES, SINCE)
    except MemoryDamagedError as exc:
        file.restart(exc.message, T0)
        file.write(SURFACES, SINCE)
    file.close()
    again = MemoryFile(path, "acme", T0)
    assert (again.surfaces, again.since) == (SURFACES, SINCE)
    again.close()


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_file, "BUSY_S", 0.01)
    path = tmp_path / "exporter.db"
    filled(path)
    file = MemoryFile(path, "acme", T0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MemoryFileError, match="locked"):
            file.write(SURFACES, SINCE)
        other.execute("ROLLBACK")
    file.write(SURFACES, SINCE)
    file.close()


def test_one_exporter_a_memory(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "exporter.db"
    with alone(path), pytest.raises(RefusedError, match="another exporter"), alone(path):
        pass
    with alone(path):
        pass
