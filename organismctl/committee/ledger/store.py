"""A node's ledger on disk: SQLite in WAL mode with ``synchronous = FULL``, one process, one writer.

Schema 1 (``PRAGMA user_version``): ``entries(height, number, proposer, kind, command, digest)`` holds the ledger,
``meta(key, value)`` the rest: ``incarnation``, ``origin``, ``introduced``, ``promised`` and ``accepted``
(number and proposer), ``certified``; ``peers(peer, incarnation)`` what other founders introduced themselves with.

Whatever is read is checked against the hash chain as it streams: on opening everything from the last checkpoint (a
height and digest that an earlier run verified up to, and that :meth:`Store.read` proves anew when it passes), and
on every read. One file, ``ledger.lock``, is locked while a process has the ledger open.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import randbelow
from types import TracebackType

from organismctl.committee.ledger.effects import DiskState, Origin, Write
from organismctl.committee.ledger.entry import NO_DIGEST, NO_EPOCH, Entry, Epoch, chain, link
from organismctl.committee.ledger.lock import FileLock
from organismctl.committee.ledger.place import refuse_network
from organismctl.committee.ledger.roster import NOBODY, GenesisRecord, Roster, after
from organismctl.committee.ledger.sqlite_errors import LedgerDamagedError, translated
from organismctl.committee.ledger.wire import MalformedError
from organismctl.errors import OrganismError, RefusedError

SCHEMA = 1
FILE = "ledger.sqlite"
LOCK = "ledger.lock"
READ_BATCH = 128
ANY = (1 << 62) - 1
_DDL = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE peers (peer BLOB PRIMARY KEY, incarnation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    height INTEGER PRIMARY KEY, number INTEGER NOT NULL, proposer BLOB NOT NULL,
    kind INTEGER NOT NULL, command BLOB NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX rosters ON entries (height) WHERE kind != 0;
"""
_SELECT = (
    "SELECT height, number, proposer, command, digest FROM entries "
    "WHERE height BETWEEN ? AND ? ORDER BY height LIMIT ?"
)
_INSERT = "INSERT INTO entries (height, number, proposer, kind, command, digest) VALUES (?, ?, ?, ?, ?, ?)"


class Store:
    """One node's ledger; made by :func:`create_founder` or :func:`create_learner`, opened by :func:`open_store`.

    ``write`` may be called from one thread at a time, ``read`` from another: each has its own connection.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self.path = folder / FILE
        self._lock = lock
        self._mutex = threading.Lock()
        self._closed = False
        with translated(self.path, "open"):
            self._writer = _connect(self.path)
            self._reader = _connect(self.path)
            self._reader.execute("PRAGMA query_only = ON")

    # Opening.

    def load(self) -> DiskState:
        """Verify what stands above the checkpoint, and give what the protocol starts from.

        Memory does not grow with the ledger: entries are streamed, and only the uncertified tail is kept.

        Raises:
            LedgerDamagedError: The file was torn or edited; the message names the first bad height.
            OrganismError: It cannot be read.
        """
        with translated(self.path, "read"):
            meta = dict(self._writer.execute("SELECT key, value FROM meta"))
            last = self._writer.execute("SELECT max(height) FROM entries").fetchone()[0]
            peers = dict(self._writer.execute("SELECT peer, incarnation FROM peers"))
        try:
            certified = int(meta["certified"])
            promised, accepted = _epoch(meta["promised"]), _epoch(meta["accepted"])
            incarnation, origin = int(meta["incarnation"]), Origin(meta["origin"].decode())
            introduced = meta["introduced"] == b"1"
            checkpoint = int(meta.get("checkpoint", b"-1"))
            proven = bytes(meta["checkpoint_digest"]) if checkpoint >= 0 else None
        except (KeyError, ValueError, AttributeError, UnicodeDecodeError) as exc:
            raise LedgerDamagedError(self.path, "its meta table is not what this tool writes") from exc
        last = -1 if last is None else last
        if not checkpoint <= certified <= last:
            raise LedgerDamagedError(self.path, f"it is certified up to {certified}, but holds {last}")
        for _ in self._chained(checkpoint + 1, last, known=proven):
            pass
        tail = tuple(self._chained(max(certified, 0), last)) if last >= 0 else ()
        self._set_checkpoint(certified)
        roster = self.roster(certified)
        return DiskState(incarnation, origin, introduced, promised, accepted, certified, tail, roster, peers)

    def verify(self) -> int:
        """Check the whole chain from height 0, streaming; gives the number of entries.

        Raises:
            LedgerDamagedError: Naming the first bad height.
        """
        return sum(1 for _ in self._chained(0, ANY))

    def _set_checkpoint(self, height: int) -> None:
        if height < 0:
            return
        with translated(self.path, "write"):
            row = self._writer.execute("SELECT digest FROM entries WHERE height = ?", (height,)).fetchone()
            with self._writer:
                _put(self._writer, "checkpoint", b"%d" % height)
                _put(self._writer, "checkpoint_digest", row[0])

    def roster(self, height: int) -> Roster:
        """The roster as of a height; reads only the entries that change it."""
        roster: Roster = NOBODY
        with translated(self.path, "read"):
            rows = self._writer.execute(
                "SELECT command FROM entries WHERE kind != 0 AND height <= ? ORDER BY height", (height,)
            ).fetchall()
        for (command,) in rows:
            try:
                roster = after(roster, command) or roster
            except MalformedError as exc:
                raise LedgerDamagedError(self.path, f"a roster entry cannot be read: {exc.message}") from exc
        return roster

    # Reading.

    def read(self, start: int, limit: int | None = None) -> Iterator[Entry]:
        """Entries from ``start``, at most ``limit``, streamed and checked against the chain.

        Entries above the certified height are among them: the caller knows how far it may go. Constant memory.

        Raises:
            LedgerDamagedError: An entry was edited, or one is missing.
        """
        return self._chained(start, ANY if limit is None else start + limit - 1)

    def _chained(self, start: int, last: int, *, known: bytes | None = None) -> Iterator[Entry]:
        """Entries from ``start`` to at most ``last``; ``known`` is what the digest below ``start`` must be."""
        below = self.digest(start - 1) if start > 0 else NO_DIGEST
        if below is None or known not in (None, below):
            raise LedgerDamagedError(self.path, f"the entry at height {start - 1} is missing or was changed")
        height = start
        while height <= last:
            with translated(self.path, "read"), self._mutex:
                rows = self._reader.execute(_SELECT, (height, last, READ_BATCH)).fetchall()
            if not rows:
                return
            for at, number, proposer, command, digest in rows:
                if at != height or not _is_link(below, at, command, digest):
                    raise LedgerDamagedError(
                        self.path, f"the entry at height {height} is missing or was changed"
                    )
                below = digest
                height += 1
                yield Entry(at, Epoch(number, proposer), command, digest)

    def digest(self, height: int) -> bytes | None:
        """The digest at a height; ``None`` when there is none."""
        with translated(self.path, "read"), self._mutex:
            row = self._reader.execute("SELECT digest FROM entries WHERE height = ?", (height,)).fetchone()
        return None if row is None else bytes(row[0])

    # Writing.

    def write(self, writes: Sequence[Write]) -> None:
        """Do the writes in order, in one transaction; when it returns, they are on disk.

        Raises:
            OrganismError: The disk is full, read-only or broken; nothing of it was done.
        """
        with translated(self.path, "write"), self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            for write in writes:
                _apply(self._writer, write)

    def close(self) -> None:
        """Close the files and release the lock; may be called twice."""
        if self._closed:
            return
        self._closed = True
        with self._mutex:
            self._reader.close()
        self._writer.close()
        self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _apply(db: sqlite3.Connection, write: Write) -> None:
    if write.truncate is not None:
        db.execute("DELETE FROM entries WHERE height > ?", (write.truncate,))
    if write.entries:
        rows = [(e.height, *e.epoch, e.command[0], e.command, e.digest) for e in write.entries]
        db.executemany(_INSERT, rows)
    for key, epoch in (("promised", write.promised), ("accepted", write.accepted)):
        if epoch is not None:
            _put(db, key, b"%d " % epoch.number + epoch.proposer)
    if write.certified is not None:
        _put(db, "certified", b"%d" % write.certified)
    if write.introduced:
        _put(db, "introduced", b"1")
    for peer, incarnation in write.incarnations:
        db.execute("INSERT OR IGNORE INTO peers VALUES (?, ?)", (peer, incarnation))


def _put(db: sqlite3.Connection, key: str, value: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _is_link(below: bytes, height: int, command: object, digest: object) -> bool:
    return isinstance(command, bytes) and command != b"" and chain(below, height, command) == digest


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _epoch(value: bytes) -> Epoch:
    number, _, proposer = value.partition(b" ")
    if len(proposer) != len(NO_DIGEST):
        raise ValueError("not an epoch")
    return Epoch(int(number), proposer)


def open_store(folder: Path) -> Store:
    """Open a node's ledger.

    Args:
        folder: The node's data folder.

    Returns:
        The store; call :meth:`Store.load` next.

    Raises:
        RefusedError: Another process has it open, or it is on a network filesystem.
        LedgerDamagedError: It is no ledger, or of another schema.
        OrganismError: There is none, or it cannot be read or written.
    """
    path = folder / FILE
    if not path.is_file():
        raise OrganismError(
            f"there is no ledger in {folder}",
            advice="`organismctl committee init` makes one; a node that lost its disk comes back under a new peer id",
        )
    refuse_network(folder)
    lock = FileLock(folder / LOCK)
    lock.acquire()
    try:
        store = Store(folder, lock)
        with translated(path, "open"):
            version = store._writer.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA:
            store.close()
            raise LedgerDamagedError(path, f"its schema is {version}, this tool knows {SCHEMA}")
    except BaseException:
        lock.release()
        raise
    return store


def create_founder(folder: Path, genesis: GenesisRecord) -> bytes:
    """Make the ledger of a founder, holding Genesis.

    Args:
        folder: The node's data folder; made when it is missing.
        genesis: The same on every founder.

    Returns:
        The digest at height 0, which learners can be told.

    Raises:
        RefusedError: There is a ledger already, or the folder is on a network filesystem.
        OrganismError: It cannot be written.
    """
    (first,) = link(NO_DIGEST, 0, (genesis.command(),), NO_EPOCH)
    _create(folder, Origin.FOUNDER, Write(0, entries=(first,), certified=0))
    return first.digest


def create_learner(folder: Path) -> None:
    """Make an empty ledger, which fetches everything from its peers. Raises like :func:`create_founder`."""
    _create(folder, Origin.LEARNER, Write(0, introduced=True))


def _create(folder: Path, origin: Origin, first: Write) -> None:
    path = folder / FILE
    with translated(path, "make"):
        folder.mkdir(parents=True, exist_ok=True)
    refuse_network(folder)
    lock = FileLock(folder / LOCK)
    lock.acquire()
    try:
        if path.exists():
            raise RefusedError(
                f"there is a ledger in {folder} already", advice="a ledger is never made anew over another"
            )
        with translated(path, "make"):
            making = folder / (FILE + ".new")
            making.unlink(missing_ok=True)
            db = sqlite3.connect(making, isolation_level=None)
            try:
                _fill(db, origin, first)
            finally:
                db.close()
            _settle(making, path)
    finally:
        lock.release()


def _fill(db: sqlite3.Connection, origin: Origin, first: Write) -> None:
    db.execute("PRAGMA synchronous = FULL")
    db.executescript(_DDL)
    db.execute(f"PRAGMA user_version = {SCHEMA}")
    with db:
        db.execute("BEGIN IMMEDIATE")
        _put(db, "incarnation", b"%d" % (1 + randbelow(2**63 - 1)))
        _put(db, "origin", origin.value.encode())
        _put(db, "introduced", b"0")
        _put(db, "certified", b"-1")
        for key in ("promised", "accepted"):
            _put(db, key, b"0 " + NO_DIGEST)
        _apply(db, first)


def _settle(making: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    making.rename(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
