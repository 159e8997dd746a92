"""How the lag went, a point per five minutes and pair over a day, in a SQLite file beside the memory.

Invariants:
    1. The process holds the present five minutes alone: a day of points is on disk, and read when it is asked for.
    2. A point is the worst of its five minutes; where nobody knew the lag in all of them, it says so.
    3. The file is a convenience: one that is damaged is moved aside, a disk that takes nothing is said once, and the
       exporter goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from organismctl.errors import OrganismError
from organismctl.exporter.memory_file import BUSY_S, MemoryDamagedError, move_aside, translated

if TYPE_CHECKING:
    from organismctl.exporter.memory import Remembered

POINT_MS = 300_000
KEPT_MS = 86_400_000
Pair = tuple[str, str, str]
"""(spanned member, surface, committee member)."""
Point = tuple[int, int | None, float | None]
"""(Unix ms at which its five minutes began, events behind, seconds behind)."""
_DDL = (
    "CREATE TABLE IF NOT EXISTS lag (span TEXT, surface TEXT, node TEXT, at_ms INTEGER, events INTEGER, seconds REAL, "
    "PRIMARY KEY (span, surface, node, at_ms)) STRICT, WITHOUT ROWID"
)


class History:
    """See the module. Written by the sweeping thread alone; read by any.

    Args:
        path: The file; its folder is there.
        now_ms: The present, for the name of a file that is moved aside.
        say: Told what an operator should know, once.
    """

    def __init__(self, path: Path, now_ms: int, say: Callable[[str], None]) -> None:
        self.path = path
        self._say = say
        self._told = False
        self._at = 0
        self._open: dict[Pair, tuple[int | None, float | None]] = {}
        self._db: sqlite3.Connection | None = None
        self._begin(now_ms)

    def note(self, surfaces: Mapping[tuple[str, str], Remembered], at_ms: int) -> None:
        """Take a sweep in: what each pair's lag is now, or that nobody told it."""
        begun = at_ms - at_ms % POINT_MS
        before = self._open
        if begun != self._at:
            self._keep()
            before = {}
        now: dict[Pair, tuple[int | None, float | None]] = {}
        for (span, surface), memory in surfaces.items():
            for node, mark in memory.nodes.items():
                pair, told = (span, surface, node), mark.seen_ms == at_ms
                events, seconds = before.get(pair, (None, None))
                now[pair] = (
                    _worse(events, mark.lag_events if told else None),
                    _worse(seconds, mark.lag_s if told else None),
                )
        self._at, self._open = begun, now

    def told(self) -> dict[str, Any]:
        """``SPAN/SURFACE`` to node to its points, oldest first; pairs that are no more are not among them.

        Raises:
            OrganismError: The file cannot be read.
        """
        at, now = self._at, self._open
        found: dict[Pair, list[Point]] = {pair: [] for pair in now}
        for pair, point in self._points(at - KEPT_MS):
            if pair in found and point[0] < at:
                found[pair].append(point)
        out: dict[str, Any] = {}
        for (span, surface, node), points in found.items():
            last = (at, *now[span, surface, node])
            out.setdefault(f"{span}/{surface}", {})[node] = [*points, last]
        return out

    def close(self) -> None:
        """Keep what is open, and close the file."""
        self._keep()
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()

    def _points(self, since_ms: int) -> Iterator[tuple[Pair, Point]]:
        if self._db is None:
            return
        with translated(self.path, "read"):
            # A reader's own connection: the writer's belongs to the sweeping thread.
            uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as db:
                rows = db.execute(
                    "SELECT span, surface, node, at_ms, events, seconds FROM lag WHERE at_ms >= ? "
                    "ORDER BY span, surface, node, at_ms",
                    (since_ms,),
                )
                for span, surface, node, at, events, seconds in rows:
                    yield (span, surface, node), (at, events, seconds)

    def _begin(self, now_ms: int) -> None:
        try:
            try:
                self._db = self._connect()
            except MemoryDamagedError as exc:
                self._say(
                    f"the lag history was moved aside to {move_aside(self.path, now_ms)}: {exc.message}"
                )
                self._db = self._connect()
        except OrganismError as exc:
            self._say(f"no lag history is kept: {exc.message}")

    def _connect(self) -> sqlite3.Connection:
        with translated(self.path, "open"):
            if not self.path.exists():
                self.path.touch(mode=0o600)
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute(_DDL)
                if db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                    raise MemoryDamagedError("it is a corrupt database")
            except BaseException:
                db.close()
                raise
            return db

    def _keep(self) -> None:
        """Write the five minutes that are over, and let go of what is older than a day."""
        if self._db is None or not self._open:
            return
        rows = [(*pair, self._at, *lag) for pair, lag in self._open.items()]
        try:
            with translated(self.path, "write"), self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT OR REPLACE INTO lag VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._db.execute("DELETE FROM lag WHERE at_ms < ?", (self._at - KEPT_MS,))
        except OrganismError as exc:
            if not self._told:
                self._say(f"the lag history is not kept: {exc.message}")
            self._told = True
        else:
            self._told = False


def _worse(one: Any, other: Any) -> Any:
    return max((value for value in (one, other) if value is not None), default=None)
