"""The exporter's memory on disk: SQLite, one process at a time, written once a sweep.

Invariants:
    1. A file that is no database, is corrupt, or was written in another way is moved aside, never deleted and never
       trusted in part; that is said, and a new one is begun.
    2. A disk that takes nothing does not end the exporter: what it remembers stays in the process, and that it is
       not kept is a fault that the exporter shows.
    3. Rows are bounded by organism.toml and deployment.toml; what they no longer name is deleted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from organismctl.errors import InputError, OrganismError
from organismctl.exporter.memory import Mark, Remembered
from organismctl.files.atomic import os_errors

SCHEMA = 1
BUSY_S = 5.0
"""How long another process may hold the file."""
_DISK = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
    }
)  # fmt: skip
"""Errors that say nothing about what is in the file."""
Key = tuple[str, str]
"""(spanned member, surface), or (kind, subject)."""

_DDL = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE surface (span TEXT, surface TEXT, body TEXT NOT NULL, PRIMARY KEY (span, surface)) STRICT;
CREATE TABLE since (kind TEXT, subject TEXT, state INTEGER NOT NULL, since_ms INTEGER NOT NULL,
                    PRIMARY KEY (kind, subject)) STRICT;
"""
_TABLES = {"meta", "surface", "since"}


class MemoryDamagedError(OrganismError):
    """The file is not what an exporter wrote."""


class MemoryFileError(OrganismError):
    """The disk does not take, or does not give, what the memory needs."""


class MemoryFile:
    """See the module. Used by one thread at a time.

    Args:
        path: The file; its folder is made.
        organism: Whose memory it is.
        now_ms: The present, for the name of a file that is moved aside.

    Attributes:
        surfaces: What was found of each surface.
        since: (kind, subject) to (state, since when).
        moved: Where a damaged file went and why, in one sentence; ``None`` when there was none.
        begun_ms: When this file was begun.

    Raises:
        InputError: It holds another organism's memory.
        OrganismError: It cannot be opened.
    """

    def __init__(self, path: Path, organism: str, now_ms: int) -> None:
        self.path = path
        self.moved: str | None = None
        self.surfaces: dict[Key, Remembered] = {}
        self.since: dict[Key, tuple[int, int]] = {}
        self.begun_ms = now_ms
        self._organism = organism
        with os_errors(path.parent, "make"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._db = self._open()
            self._load()
        except MemoryDamagedError as exc:
            self.restart(exc.message, now_ms)

    def restart(self, why: str, now_ms: int) -> None:
        """Move the file aside and begin a new one."""
        with suppress(AttributeError, sqlite3.Error):
            self._db.close()
        self.moved = f"{move_aside(self.path, now_ms)}: {why}"
        self.begun_ms = now_ms
        self._db = self._open()

    def write(self, surfaces: Mapping[Key, Remembered], since: Mapping[Key, tuple[int, int]]) -> None:
        """Keep everything, in one transaction; what is not among it is deleted.

        Raises:
            MemoryDamagedError: The file was damaged while it was open.
            MemoryFileError: The disk takes nothing.
        """
        with translated(self.path, "write"), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO surface VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
                [(*key, _packed(one)) for key, one in surfaces.items()],
            )
            self._db.executemany(
                "INSERT INTO since VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state, "
                "since_ms = excluded.since_ms WHERE since_ms <> excluded.since_ms OR state <> excluded.state",
                [(*key, *one) for key, one in since.items()],
            )
            self._prune("surface", "span", "surface", surfaces.keys())
            self._prune("since", "kind", "subject", since.keys())

    def close(self) -> None:
        """Close it; what was written stays."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _prune(self, table: str, first: str, second: str, kept: object) -> None:
        """Delete rows that the files no longer name; the names of tables and columns are ours."""
        rows = self._db.execute(f"SELECT {first}, {second} FROM {table}").fetchall()  # noqa: S608
        gone = [key for key in rows if key not in kept]  # type: ignore[operator] # a view of keys
        if gone:
            self._db.executemany(f"DELETE FROM {table} WHERE {first} = ? AND {second} = ?", gone)  # noqa: S608

    def _open(self) -> sqlite3.Connection:
        with translated(self.path, "open"):
            if not self.path.exists():
                self.path.touch(mode=0o600)
            # The sweeping thread is not the one that opened it; only one at a time uses it.
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if not names and version == 0:
            with db:
                db.execute("BEGIN")
                for statement in _DDL.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA}")
                meta = [("organism", self._organism), ("begun_ms", str(self.begun_ms))]
                db.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        elif version != SCHEMA or not names >= _TABLES:
            raise MemoryDamagedError(f"it is no exporter's memory of schema {SCHEMA}")
        elif db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise MemoryDamagedError("it is a corrupt database")

    def _load(self) -> None:
        with translated(self.path, "read"):
            meta = dict(self._db.execute("SELECT key, value FROM meta"))
            bodies = self._db.execute("SELECT span, surface, body FROM surface").fetchall()
            since = self._db.execute("SELECT kind, subject, state, since_ms FROM since").fetchall()
        if (found := meta.get("organism")) != self._organism:
            self.close()
            raise InputError(
                f"{self.path} is the memory of another organism: {str(found)[:80]}",
                advice="give each organism's exporter a file of its own: --memory FILE",
            )
        try:
            self.begun_ms = int(meta["begun_ms"])
            _numbers(*(value for *_, state, at in since for value in (state, at)))
            self.surfaces = {(span, surface): _unpacked(body) for span, surface, body in bodies}
        except (KeyError, TypeError, ValueError) as exc:
            raise MemoryDamagedError(f"a row of it cannot be read ({type(exc).__name__})") from exc
        self.since = {(kind, subject): (state, at) for kind, subject, state, at in since}


def _packed(one: Remembered) -> str:
    return json.dumps(asdict(one), separators=(",", ":"))


def _unpacked(body: str) -> Remembered:
    """A row's memory.

    Raises:
        KeyError: It lacks something.
        TypeError: Something has another type.
        ValueError: It is no JSON.
    """
    raw = json.loads(body)
    nodes = {str(name): Mark(**mark) for name, mark in raw.pop("nodes").items()}
    for mark in nodes.values():
        _numbers(mark.seen_ms, mark.last_event_ms or 0, mark.received or 0, mark.position or 0)
    made = Remembered(**raw, nodes=nodes)
    _numbers(
        made.watched_since_ms, made.seen_ms, made.events, made.last_event_ms or 0, made.dark_since_ms or 0
    )
    _numbers(made.rate_per_s, made.last_position or 0, made.silent_ms or 0)
    return made


def _numbers(*values: object) -> None:
    if any(isinstance(one, bool) or not isinstance(one, int | float) or one < 0 for one in values):
        raise TypeError("not a number that was written")


def move_aside(path: Path, now_ms: int) -> Path:
    """Rename a damaged file and what belongs to it; the new name."""
    stamp = datetime.fromtimestamp(now_ms / 1000, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{path.name}.damaged-{stamp}{'' if not number else f'-{number}'}" for number in count())
    aside = next(one for one in map(path.with_name, names) if not one.exists())
    with os_errors(path, "move aside"):
        for tail in ("-wal", "-shm"):
            beside = path.with_name(path.name + tail)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + tail))
        if path.exists():
            path.rename(aside)
    return aside


@contextmanager
def translated(path: Path, doing: str) -> Iterator[None]:
    """The one seam to SQLite's errors."""
    try:
        yield
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as exc:
        # What is not the disk's or another process's doing is the file's: a text that is none, a broken schema.
        if getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _DISK:
            raise MemoryDamagedError(f"it is damaged ({exc})") from exc
        raise MemoryFileError(
            f"cannot {doing} the exporter's memory {path}: {exc}",
            advice="look at the disk and at the file's owner; what is remembered is kept in the process meanwhile",
        ) from exc
    except OSError as exc:
        raise MemoryFileError(f"cannot {doing} the exporter's memory {path}: {exc}") from exc
