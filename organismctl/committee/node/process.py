"""The process of a node: one at a time per data folder, found by the lock that it holds, ended by its id.

The lock file ``node.pid`` names the process that locked it. The kernel drops the lock when that process dies, so
"locked" means "runs" and "not locked" means "surely off", whatever the file says.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from organismctl.errors import OrganismError, RefusedError
from organismctl.files.atomic import os_errors

PID_FILE = "node.pid"
LOG_FILE = "node.log"
STOP_S = 15.0
KILL_S = 5.0
POLL_S = 0.02
LOOK_S = 1.0
"""How long one who looks whether a node runs may hold its lock, at most."""


class ProcessLock:
    """Held by a node's process for as long as it lives.

    Args:
        folder: The node's data folder.
        what: Its name in a message.
    """

    def __init__(self, folder: Path, what: str = "node") -> None:
        self._what = what
        self.path = folder / PID_FILE
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take it, and write this process's id.

        Raises:
            RefusedError: The node runs already.
            OrganismError: The file cannot be made.
        """
        with os_errors(self.path, "lock"):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _locked(handle):
            os.close(handle)
            raise RefusedError(
                f"the {self._what} in {self.path.parent} runs already",
                advice="`organismctl committee stop` ends a node, `committee relay --stop` a relay",
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give it up; the file stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _locked(handle: int) -> bool:
    """Take the lock; who only looks (see :func:`look`) holds it for an instant, and is waited for."""
    end = time.monotonic() + LOOK_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        else:
            return True


@dataclass(frozen=True, slots=True)
class Running:
    """What is known of a node's process.

    Attributes:
        running: Whether the lock is held.
        pid: Who holds it; ``None`` when nobody does, or its id cannot be told.
    """

    running: bool
    pid: int | None


def look(folder: Path) -> Running:
    """Whether the node of a data folder runs on this host.

    Raises:
        OrganismError: The folder is not here, or cannot be looked at: then nothing is known.
    """
    if not folder.is_dir():
        raise OrganismError(
            f"{folder} is not on this host, so it cannot be told whether the node runs",
            advice="ask on the node's own host",
        )
    path = folder / PID_FILE
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return Running(False, None)
    except OSError as exc:
        raise OrganismError(f"cannot look at {path}: {exc.strerror}") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return Running(True, _holder(handle))
    finally:
        os.close(handle)
    return Running(False, None)


def _holder(handle: int) -> int | None:
    """The process that holds the lock: as the file says, and the kernel's table confirms where there is one."""
    text = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
    if not text.isdigit():
        return None
    inode = os.fstat(handle).st_ino
    try:
        table = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
    except OSError:
        return int(text)
    rows = (line.split() for line in table.splitlines())
    holders = {row[4] for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5].endswith(f":{inode}")}
    # Within a container the table may show no holder at all; a different one means that the file lies.
    return int(text) if text in holders or not holders else None


def stop(folder: Path, *, patience: float = STOP_S) -> bool:
    """End the node's process, in order first, by force when it does not come to an end.

    Args:
        folder: The node's data folder.
        patience: How long it may take to end in order, seconds.

    Returns:
        Whether it ran. When this returns, it surely does not any more.

    Raises:
        OrganismError: It runs, and cannot be told or ended.
    """
    found = look(folder)
    if not found.running:
        return False
    if found.pid is None:
        raise OrganismError(
            f"a process holds {folder / PID_FILE}, but its id cannot be told",
            advice="find it with `fuser` on that file, and end it",
        )
    for sign, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, KILL_S)):
        if _signal(folder, found.pid, sign) and _wait_off(folder, seconds):
            return True
    if look(folder).running:
        raise OrganismError(
            f"process {found.pid} of the node in {folder} cannot be ended", advice="is it another user's?"
        )
    return True


def _signal(folder: Path, pid: int, sign: signal.Signals) -> bool:
    """Signal the process, by a handle to it that another process of the same id cannot take over."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, AttributeError):
        return True
    try:
        # Looked at again now that the handle is fixed: it is still the one that holds the lock.
        if look(folder).pid == pid:
            signal.pidfd_send_signal(handle, sign)
    except ProcessLookupError:
        pass
    except PermissionError as exc:
        raise OrganismError(f"process {pid} is another user's", advice="stop it as the node's user") from exc
    finally:
        os.close(handle)
    return True


def _wait_off(folder: Path, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not look(folder).running:
            return True
        time.sleep(POLL_S)
    return False


def log_tail(folder: Path, lines: int = 15) -> list[str]:
    """The last lines of a node's log."""
    with contextlib.suppress(OSError), (folder / LOG_FILE).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    return []
