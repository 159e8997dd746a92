"""What a node keeps beside its ledger: surfaces, roster links, evidence, its fold's checkpoint.

All of it can be made again from the ledger and the peers, so ``synchronous = NORMAL`` is enough: after a power
cut it is older, never torn.

Schema 1 (``PRAGMA user_version``). A *signed* row is an item of a surface (``lane`` = the surface's place in the
config, ``seq``) or a roster link (``lane`` = :data:`LINKS`, ``seq`` = the roster's version after it): what members
sign, and, once a majority has, the signatures and the finished bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from organismctl.committee.fold import Checkpoint
from organismctl.committee.ledger.sqlite_errors import translated

FILE = "node.sqlite"
SCHEMA = 1
LINKS = 255
KEEP_EVIDENCE = 10_000
_DDL = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signed (
    lane INTEGER NOT NULL, seq INTEGER NOT NULL, height INTEGER NOT NULL, version INTEGER NOT NULL,
    body BLOB NOT NULL, marks BLOB, done BLOB, done_ms INTEGER, PRIMARY KEY (lane, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_rows ON signed (lane, seq) WHERE done IS NULL;
CREATE TABLE IF NOT EXISTS evidence (height INTEGER PRIMARY KEY, pointer BLOB NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vouched (pointer BLOB PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One signed row.

    Attributes:
        lane: The surface's place, or :data:`LINKS`.
        seq: Its seq, or the roster's version.
        height: The ledger entry that it comes from.
        version: The version of the roster that signs it (from 1).
        body: What is signed, without its frame.
        marks: Peer id and signature (96 bytes each), once done.
        done: The finished bytes: a SurfaceItem or a RosterLink; ``None`` until a majority signed.
    """

    lane: int
    seq: int
    height: int
    version: int
    body: bytes
    marks: bytes | None = None
    done: bytes | None = None


class NodeStore:
    """See the module. Used on the node's loop alone.

    Args:
        folder: The node's data folder.

    Raises:
        OrganismError: It cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        with translated(self.path, "open"):
            self._db = sqlite3.connect(self.path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_DDL)
            self._db.execute(f"PRAGMA user_version = {SCHEMA}")

    def close(self) -> None:
        """Close it."""
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything inside is one transaction."""
        with translated(self.path, "write"), self._db:
            self._db.execute("BEGIN")
            yield

    def _do(self, sql: str, *values: object) -> sqlite3.Cursor:
        with translated(self.path, "use"):
            return self._db.execute(sql, values)

    # Small values.

    def get(self, key: str) -> bytes | None:
        """A small value."""
        row = self._do("SELECT value FROM meta WHERE key = ?", key).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, key: str, value: bytes) -> None:
        """Keep a small value."""
        self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint of the fold."""
        height, state, digest = (self.get(f"checkpoint.{part}") for part in ("height", "state", "digest"))
        if height is None or state is None or digest is None:
            return None
        return Checkpoint(int(height), state, digest)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; everything that came of earlier entries must be in before."""
        self.put("checkpoint.height", b"%d" % checkpoint.height)
        self.put("checkpoint.state", checkpoint.state)
        self.put("checkpoint.digest", checkpoint.digest)

    def forget_checkpoint(self) -> None:
        """Replay from Genesis next time."""
        self._do("DELETE FROM meta WHERE key LIKE 'checkpoint.%'")

    # Signed rows.

    def add(self, row: Row) -> None:
        """Take in a row; one that is there already stays."""
        self._do(
            "INSERT OR IGNORE INTO signed (lane, seq, height, version, body) VALUES (?, ?, ?, ?, ?)",
            row.lane,
            row.seq,
            row.height,
            row.version,
            row.body,
        )

    def finish(self, lane: int, seq: int, marks: bytes, done: bytes, now_ms: int) -> None:
        """A majority has signed a row."""
        self._do(
            "UPDATE signed SET marks = ?, done = ?, done_ms = ? WHERE lane = ? AND seq = ?",
            marks,
            done,
            now_ms,
            lane,
            seq,
        )

    def rows(self, lane: int, start: int, limit: int) -> list[Row]:
        """Rows by seq, done or not."""
        rows = self._do(
            "SELECT lane, seq, height, version, body, marks, done FROM signed "
            "WHERE lane = ? AND seq >= ? ORDER BY seq LIMIT ?",
            lane,
            start,
            limit,
        )
        return [Row(*row) for row in rows]

    def extent(self, lane: int) -> int:
        """The seq from which on nothing is done yet: every row below is there and done."""
        row = self._do(
            "SELECT seq FROM signed WHERE lane = ? AND done IS NULL ORDER BY seq LIMIT 1", lane
        ).fetchone()
        if row is not None:
            return int(row[0])
        top = self._do("SELECT max(seq) FROM signed WHERE lane = ?", lane).fetchone()[0]
        return 0 if top is None else int(top) + 1

    def done_ms(self, lane: int, seq: int) -> int | None:
        """When a row was finished here, Unix ms."""
        row = self._do("SELECT done_ms FROM signed WHERE lane = ? AND seq = ?", lane, seq).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    # Evidence.

    def note_evidence(self, height: int, pointer: bytes, state: str) -> None:
        """Keep how an observation's evidence stands; only the newest are kept."""
        self._do("INSERT OR REPLACE INTO evidence VALUES (?, ?, ?)", height, pointer, state)
        if height % 512 == 0:
            self._do("DELETE FROM evidence WHERE height <= ?", height - 4 * KEEP_EVIDENCE)

    def evidence(self, limit: int) -> list[tuple[int, bytes, str]]:
        """The newest evidence, newest last."""
        rows = self._do("SELECT height, pointer, state FROM evidence ORDER BY height DESC LIMIT ?", limit)
        return [(int(height), bytes(pointer), str(state)) for height, pointer, state in rows][::-1]

    def void_evidence(self, height: int, pointer: bytes) -> None:
        """A certified VoidEvidence lets replays pass this pointer: it need not resolve any more."""
        self._do("UPDATE evidence SET state = 'voided' WHERE height = ? AND pointer = ?", height, pointer)

    def evidence_extent(self) -> list[tuple[bytes, int, int, int, bytes]]:
        """What is kept of each surface: stable id ‖ surface id, how many, how many gone; the oldest."""
        # SQLite takes a bare column from the row of min(): the oldest's.
        rows = self._do(
            "SELECT substr(pointer, 1, 64), count(*), sum(state = 'gone'), min(height), pointer "
            "FROM evidence WHERE state != 'voided' GROUP BY 1"
        )
        return [(bytes(key), int(n), int(gone), int(low), bytes(one)) for key, n, gone, low, one in rows]

    def vouch(self, pointer: bytes) -> None:
        """Remember that this node vouched."""
        self._do("INSERT OR IGNORE INTO vouched VALUES (?)", pointer)

    def vouched(self, pointer: bytes) -> bool:
        """Whether this node vouched for a pointer."""
        return self._do("SELECT 1 FROM vouched WHERE pointer = ?", pointer).fetchone() is not None
