"""Copies of changes' plans and journals on a node, so that another operator can take over: SQLite, fsynced."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from organismctl.committee.ledger.sqlite_errors import translated
from organismctl.errors import OrganismError, RefusedError

FILE = "changes.sqlite"
CHANGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_LINE = 1 << 20
MAX_CHANGE = 64 << 20
"""The longest copy of one change, bytes."""
MAX_CHANGES = 10_000
_DDL = """
CREATE TABLE IF NOT EXISTS changes (id TEXT PRIMARY KEY, plan TEXT NOT NULL, updated_ms INTEGER NOT NULL,
    size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS lines (id TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (id, number)) WITHOUT ROWID;
"""


class ContradictionError(RefusedError):
    """The copy here holds something else."""


class MissingLinesError(RefusedError):
    """The copy here has fewer lines than the caller believes."""


class FullError(OrganismError):
    """The copy would become too large."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A change: id, number of lines, when the last one came."""

    id: str
    lines: int
    updated_ms: int


class ChangeStore:
    """See the module; callable from any thread.

    Args:
        folder: The node's data folder.

    Raises:
        OrganismError: It cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._mutex = threading.Lock()
        with translated(self.path, "open"):
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_DDL)

    def close(self) -> None:
        """Close it."""
        with self._mutex:
            self._db.close()

    def listed(self) -> list[Listed]:
        """Every change, by id."""
        with translated(self.path, "read"), self._mutex:
            rows = self._db.execute(
                "SELECT c.id, count(l.number), c.updated_ms FROM changes c LEFT JOIN lines l ON l.id = c.id "
                "GROUP BY c.id ORDER BY c.id"
            ).fetchall()
        return [Listed(*row) for row in rows]

    def get(self, change: str) -> tuple[Mapping[str, Any], list[str]] | None:
        """Plan and lines, or ``None``."""
        with translated(self.path, "read"), self._mutex:
            plan = self._db.execute("SELECT plan FROM changes WHERE id = ?", (change,)).fetchone()
            rows = self._db.execute(
                "SELECT text FROM lines WHERE id = ? ORDER BY number", (change,)
            ).fetchall()
        return None if plan is None else (json.loads(plan[0]), [row[0] for row in rows])

    def put(
        self, change: str, plan: Mapping[str, Any] | None, start: int, lines: Sequence[str], now_ms: int
    ) -> int:
        """Append lines from number ``start`` on; those that are here already must be the same.

        Returns:
            How many lines there are now.

        Raises:
            ContradictionError: Other lines or another plan are here.
            MissingLinesError: Fewer than ``start`` lines are here, or no plan.
            FullError: A limit is reached.
        """
        with translated(self.path, "write"), self._mutex, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            size = self._begin(change, plan, now_ms)
            have = self._db.execute(
                "SELECT number, text FROM lines WHERE id = ? AND number >= ? ORDER BY number",
                (change, start),
            ).fetchall()
            count = self._db.execute("SELECT count(*) FROM lines WHERE id = ?", (change,)).fetchone()[0]
            if count < start:
                raise MissingLinesError(f"{count} lines of {change} are here, not {start}")
            held = [row[1] for row in have][: len(lines)]
            if held != list(lines)[: len(held)]:
                raise ContradictionError(f"other lines of {change} are here")
            new = list(lines)[len(held) :]
            size += sum(len(line.encode()) for line in new)
            if size > MAX_CHANGE:
                raise FullError(f"the copy of {change} would be larger than {MAX_CHANGE} bytes")
            self._db.executemany(
                "INSERT INTO lines VALUES (?, ?, ?)",
                [(change, count + at, line) for at, line in enumerate(new)],
            )
            self._db.execute(
                "UPDATE changes SET updated_ms = ?, size = ? WHERE id = ?", (now_ms, size, change)
            )
            return int(count) + len(new)

    def _begin(self, change: str, plan: Mapping[str, Any] | None, now_ms: int) -> int:
        row = self._db.execute("SELECT plan, size FROM changes WHERE id = ?", (change,)).fetchone()
        if row is not None:
            if plan is not None and json.loads(row[0]) != plan:
                raise ContradictionError(f"another plan of {change} is here")
            return int(row[1])
        if plan is None:
            raise MissingLinesError(f"{change} is not here yet; its plan comes first")
        if self._db.execute("SELECT count(*) FROM changes").fetchone()[0] >= MAX_CHANGES:
            raise FullError(f"this node keeps at most {MAX_CHANGES} changes")
        text = json.dumps(plan, ensure_ascii=False, separators=(",", ":"))
        self._db.execute(
            "INSERT INTO changes VALUES (?, ?, ?, ?)", (change, text, now_ms, len(text.encode()))
        )
        return len(text.encode())
