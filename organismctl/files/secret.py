"""Secrets on disk: read only from private files, and never shown by accident."""

from __future__ import annotations

import hmac
import os
import stat
from pathlib import Path
from typing import Never

from organismctl.errors import InputError, RefusedError
from organismctl.files.atomic import fsync_dir, os_errors, read_bounded
from organismctl.files.credentials import credential_problem, is_credential

SECRET_LIMIT = 64 * 1024
"""Bytes that a secret's file may have."""
_WIDER = 0o177


class Secret:
    """A secret text. ``str``, ``repr`` and formatting hide it; :meth:`reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; never log, print or keep what this returns."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "(secret)"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Never:
        raise TypeError("a secret is not pickled")


def read_secret(path: Path) -> Secret:
    """The secret in a file: its text without surrounding white space.

    Raises:
        PathError: The system refused.
        RefusedError: Others than the owner may read the file.
        InputError: It is empty, too large, not text, or no regular file.
    """
    check_private(path)
    try:
        text = read_bounded(path, SECRET_LIMIT).decode().strip()
    except UnicodeDecodeError:
        # Without `from`: the exception would carry the secret's bytes.
        raise InputError(f"{path} holds no text", advice="keep a secret as text or hex") from None
    if not text:
        raise InputError(f"{path} is empty", advice="write the secret into it, with mode 0600")
    return Secret(text)


def check_private(path: Path) -> None:
    """See that nobody else may read a secret's file.

    Raises:
        PathError: The system refused.
        RefusedError: Others than its owner may; for a credential of the service: than root and the service's user.
    """
    with os_errors(path, "read"):
        found = path.stat()
    if is_credential(path):
        problem = credential_problem(path, found)
        advice = "have systemd make it, by LoadCredential= of the unit; else `chmod 400`, owned by the service's user"
    else:
        problem = mode_problem(found.st_mode)
        advice = f"run `chmod 600 {path}`, and renew the secret if others saw it"
    if problem:
        raise RefusedError(f"{path} {problem}", advice=advice)


def mode_problem(mode: int) -> str | None:
    """What is wrong with a secret file's mode, or ``None``.

    Args:
        mode: ``st_mode``.
    """
    if stat.S_ISREG(mode) and stat.S_IMODE(mode) & _WIDER:
        return f"has mode {stat.S_IMODE(mode):04o}, wider than 0600"
    return None


def create_secret(path: Path, value: str) -> None:
    """Write a new secret with mode 0600, durably; an existing file is never replaced.

    Raises:
        PathError: The system refused, or the file is there already.
    """
    with os_errors(path, "create"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        fsync_dir(path.parent)
