"""The one seam through which errors of SQLite and the operating system enter: all become :class:`OrganismError`."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from organismctl.errors import OrganismError
from organismctl.exits import Exit


class LedgerDamagedError(OrganismError):
    """The ledger on disk is not what this node wrote."""

    exit = Exit.UNHEALTHY

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"the ledger {path} is damaged: {what}",
            advice="keep the file for study; bring the node back under a new peer id, and rotate the old member out",
        )


class LedgerDiskError(OrganismError):
    """The disk does not take, or does not give, what the ledger needs."""


_ADVICE = {
    "full": "free space on that disk and start the node again; nothing that was acknowledged is lost",
    "read-only": "make the folder writable for the node's user and start the node again",
    "busy": "stop the other process that has the file open",
    "other": "look at the disk and at the permissions of the folder, then start the node again",
}


def _classify(exc: Exception) -> str:
    if isinstance(exc, UnicodeDecodeError):
        return "damaged"  # SQLite's own message tells a broken schema as it is, and sqlite3 cannot read it
    if isinstance(exc, sqlite3.Error):
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        named = {
            sqlite3.SQLITE_FULL: "full",
            sqlite3.SQLITE_READONLY: "read-only",
            sqlite3.SQLITE_CANTOPEN: "read-only",
            sqlite3.SQLITE_PERM: "read-only",
            sqlite3.SQLITE_BUSY: "busy",
            sqlite3.SQLITE_LOCKED: "busy",
            sqlite3.SQLITE_CORRUPT: "damaged",
            sqlite3.SQLITE_NOTADB: "damaged",
        }
        return named.get(code, "other")
    number = getattr(exc, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "full"
    return "read-only" if number in (errno.EROFS, errno.EACCES, errno.EPERM) else "other"


@contextmanager
def translated(path: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into our errors, with advice.

    Args:
        path: The file that is worked on.
        doing: The verb: open, read, write, make, lock.

    Raises:
        LedgerDamagedError: The file is no database, or a corrupt one.
        LedgerDiskError: Anything else.
    """
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as exc:
        kind = _classify(exc)
        if kind == "damaged":
            raise LedgerDamagedError(path, str(exc)) from exc
        what = {
            "full": "the disk is full",
            "read-only": "it is read-only or not permitted",
            "busy": "it is in use",
        }
        detail = what.get(kind, str(exc))
        raise LedgerDiskError(f"cannot {doing} {path}: {detail}", advice=_ADVICE[kind]) from exc
