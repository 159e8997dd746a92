"""Reading and writing files so that nothing is ever half there, and one seam for the system's errors.

Invariants:
    1. A reader sees the old content or the new one, never a part: write beside, fsync, rename, fsync folder.
    2. Every ``OSError`` of this package leaves through :func:`os_errors` as :class:`PathError` with advice.
    3. Nothing is read without a limit, and nothing that is not a regular file (a FIFO would hang).
    4. Nothing but a regular file is ever replaced: for root, a rename onto a device would end the device.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from organismctl.errors import InputError, OrganismError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_LIMIT = 1 << 20
"""Bytes that a configuration file may have."""

_WHY: dict[int, tuple[str, str]] = {
    errno.ENOSPC: (
        "the disk is full",
        "free some space there and run the command again; nothing was lost",
    ),
    errno.EDQUOT: (
        "the disk quota is used up",
        "free some of this user's space and run the command again; nothing was lost",
    ),
    errno.EFBIG: ("the file would be too large", "raise the file size limit (`ulimit -f`)"),
    errno.EROFS: ("the file system is read-only", "remount it for writing, or choose a writable folder"),
    errno.EACCES: (
        "permission denied",
        "check owner and mode of it and of the folders above it (`namei -l PATH`)",
    ),
    errno.EPERM: ("not permitted", "check owner, mode and attributes (`lsattr`) of the file and its folder"),
    errno.ENOENT: (
        "no such file or folder",
        "check the path; `organismctl init` makes a new organism",
    ),
    errno.ENOTDIR: ("a part of the path is not a folder", "check the path"),
    errno.EISDIR: ("it is a folder, not a file", "name the file itself"),
    errno.ELOOP: ("too many symbolic links", "name the real file"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter path"),
    errno.EMFILE: ("too many open files", "raise the limit (`ulimit -n`)"),
    errno.EIO: ("input/output error", "check the disk (`dmesg`, SMART) before anything else"),
}


class PathError(OrganismError):
    """The system refused an operation on a file or folder.

    Attributes:
        path: The path as it was named.
        errno: The system's error number, or ``None``.
    """

    def __init__(self, message: str, path: str, number: int | None, *, advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.path = path
        self.errno = number


@contextmanager
def os_errors(path: Path | str, doing: str = "use") -> Iterator[None]:
    """Translate the system's errors on ``path``, the only seam for them.

    Args:
        path: What the operation is about, as the operator named it.
        doing: The verb for the message: ``read``, ``write``, ``lock``.

    Raises:
        PathError: For any ``OSError`` inside, with the next step as advice.
    """
    try:
        yield
    except OSError as exc:
        known = _WHY.get(exc.errno or 0)
        why, advice = known if known is not None else (exc.strerror or type(exc).__name__, None)
        if exc.errno == errno.ENOENT and doing == "write":
            advice = "make its folder first (`mkdir -p`)"
        raise PathError(f"cannot {doing} {path}: {why}", str(path), exc.errno, advice=advice) from exc


def read_bounded(path: Path, limit: int = CONFIG_LIMIT) -> bytes:
    """The whole content of a regular file of at most ``limit`` bytes.

    Raises:
        PathError: The system refused.
        InputError: It is no regular file, or too large.
    """
    with os_errors(path, "read"):
        # O_NONBLOCK: opening a FIFO that nobody writes to must not hang.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _drain(fd, path, limit)
        finally:
            os.close(fd)


def read_text(path: Path, limit: int = CONFIG_LIMIT) -> str:
    """The content of a UTF-8 text file.

    Raises:
        PathError: The system refused.
        InputError: Not a regular file, too large, or not UTF-8 (the line is named).
    """
    data = read_bounded(path, limit)
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 text", advice="save the file as UTF-8") from exc


def write_atomic(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace a file's content, whole or not at all, and on disk when this returns.

    A symbolic link stays one: the file that it names is replaced.

    Args:
        path: The file; its folder must exist.
        data: The new content.
        mode: Permission bits (the process's umask still applies); ``None`` keeps those of the present
            file, or 0644 for a new one.

    Raises:
        PathError: The system refused; the old content is untouched.
        InputError: A device, pipe or socket is there; it is untouched.
    """
    with os_errors(path, "write"):
        if is_stream(path):
            raise InputError(f"{path} is not a regular file", advice="name a file, not a pipe or a device")
        target = path.resolve() if path.is_symlink() else path
        keep = stat.S_IMODE(target.stat().st_mode) if mode is None and target.exists() else None
        temporary = target.with_name(f".{target.name[:200]}.{os.urandom(6).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o600 if keep is not None else 0o644 if mode is None else mode)
        try:
            try:
                _write_all(fd, data)
                if keep is not None:
                    os.fchmod(fd, keep)
                os.fsync(fd)
            finally:
                os.close(fd)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_dir(target.parent)


def is_stream(path: Path) -> bool:
    """Whether something other than a regular file or a folder is there: a device, a pipe, a socket.

    Raises:
        OSError: The system refused to tell, for another reason than that nothing is there.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def write_output(path: Path, data: bytes) -> None:
    """Data where a person wants it: into a device or a pipe (``/dev/stdout``), else a file, whole or not at all.

    Raises:
        PathError: The system refused.
    """
    with os_errors(path, "write"):
        if not is_stream(path):
            write_atomic(path, data)
            return
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            _write_all(fd, data)
        finally:
            os.close(fd)


def fsync_dir(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        PathError: The system refused.
    """
    with os_errors(folder, "sync"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _drain(fd: int, path: Path, limit: int) -> bytes:
    """Read at most ``limit`` bytes of an open regular file."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a regular file", advice="name a file, not a pipe or a device")
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0 and (chunk := os.read(fd, left)):
        chunks.append(chunk)
        left -= len(chunk)
    if left <= 0:
        raise InputError(f"{path} is larger than {limit} bytes", advice="check that this is the right file")
    return b"".join(chunks)


def _write_all(fd: int, data: bytes) -> None:
    """Write every byte: one call may write less than it was given."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file's content (modification time in ns, bytes, inode); ``None``: it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
