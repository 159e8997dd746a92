"""The local lock: one runner a state folder. The kernel frees it when the runner dies, however."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import canonical, clean, parse_object
from organismctl.change.errors import BusyError, JournalError

if TYPE_CHECKING:
    from types import TracebackType


class LocalLock:
    """``changes/lock``: held with flock(2) while a runner acts; says who holds it and since when.

    Args:
        path: The lock file.
        who: What the next runner is told: ``change``, ``operator``, ``host``, ``pid``, ``since``.
    """

    def __init__(self, path: Path, who: dict[str, Any]) -> None:
        self.path = path
        self.who = who
        self._fd: int | None = None

    def __enter__(self) -> LocalLock:
        """Take the lock.

        Raises:
            BusyError: Another runner has it; says who and since when.
            JournalError: The lock file cannot be opened.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise JournalError(
                f"{self.path}: cannot be opened for writing ({exc.strerror}); nothing was done",
                advice="make room or make the folder writable",
            ) from exc
        for patience in (0.05, 0.05, 0.1, 0.0):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                # `change show` holds it shared for a moment while it looks whether anybody has it.
                time.sleep(patience)
        else:
            os.close(fd)
            raise _busy(holder(self.path))
        self._fd = fd
        # Who holds it is told on a best-effort basis: a full disk is reported by the journal, which matters.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, canonical(self.who), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock now; ``None`` when nobody does.

    Args:
        path: The lock file; need not exist.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        with contextlib.suppress(ValueError):
            return parse_object(os.pread(fd, 4096, 0))
        return {}
    else:
        return None
    finally:
        os.close(fd)


def _busy(who: dict[str, Any] | None) -> BusyError:
    who = who or {}
    told = {
        key: clean(str(who.get(key, "unknown")), 200)
        for key in ("change", "operator", "host", "pid", "since")
    }
    return BusyError(
        f"change {told['change']} is being run by {told['operator']} on {told['host']} "
        f"(process {told['pid']}) since {told['since']}",
        advice="wait for it, or look at it with `organismctl change show`",
    )
