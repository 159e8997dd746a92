"""One process, one ledger: a lock that the kernel drops when its holder dies, and that names the holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from organismctl.committee.ledger.sqlite_errors import translated
from organismctl.errors import RefusedError


class FileLock:
    """An exclusive ``flock`` on a file that holds the holder's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock at once, or refuse.

        Raises:
            RefusedError: Another process holds it; its id is named.
            OrganismError: The file cannot be made.
        """
        with translated(self.path, "lock"):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise RefusedError(
                f"the ledger in {self.path.parent} is open in {who}",
                advice="stop that process first; two processes never share one ledger",
            ) from exc
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give it up; may be called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
