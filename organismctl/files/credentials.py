"""Secrets that systemd hands to a service: each is looked for there first, then where deployment.toml says.

A unit's ``LoadCredential=NAME:FILE`` has the manager, as root, read FILE and show it to this service alone, as NAME in
the folder ``$CREDENTIALS_DIRECTORY`` (systemd.exec(5), "Credentials"). The names are fixed, so that a unit needs no
option for them and deployment.toml stays the same with and without systemd.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment, Node

DIRECTORY = "CREDENTIALS_DIRECTORY"
PREFIX = "organismctl."
OBSERVER_KEY = f"{PREFIX}observer_key"
TLS_KEY = f"{PREFIX}tls_key"
KEYS = ("group", "read_token", "operate_token")
"""Keys of ``[secrets]``; each is the credential ``organismctl.KEY`` too."""
_WIDER = 0o137
"""What even a credential's mode may not have. Its group bits may show an access list's mask: see :func:`_listed`."""
_ACL = "system.posix_acl_access"
_USER, _MASK, _USER_OBJ = 0x02, 0x10, 0x01


def key_name(node: str) -> str:
    """The credential's name of a node's key."""
    return f"{PREFIX}key.{node}"


def credential(name: str) -> Path | None:
    """The file of a credential, or ``None`` where the service was given none of that name."""
    folder = os.environ.get(DIRECTORY)
    if not folder:
        return None
    path = Path(folder) / name
    # lexists: one that cannot be looked at is an error of its own, not a reason to take another secret instead.
    return path if os.path.lexists(path) else None


def credentials() -> Iterator[Path]:
    """The file of every credential of ours that the service was given."""
    folder = os.environ.get(DIRECTORY)
    if folder and Path(folder).is_dir():
        yield from sorted(Path(folder).glob(f"{PREFIX}*"))


def secret_file(deployment: Deployment, key: str) -> Path | None:
    """Where a secret of ``[secrets]`` is: ``group``, ``read_token`` or ``operate_token``; ``None``: nowhere."""
    return _first(deployment, PREFIX + key, getattr(deployment.secrets, key))


def observer_key_file(deployment: Deployment) -> Path | None:
    """Where the observer's seed is; ``None``: another identity with each look."""
    return _first(deployment, OBSERVER_KEY, deployment.observer.key)


def node_key_file(deployment: Deployment, node: Node) -> Path | None:
    """Where a node's seed is; ``None`` away from its host."""
    return _first(deployment, key_name(node.name), node.key)


def _first(deployment: Deployment, name: str, written: str | None) -> Path | None:
    given = credential(name)
    if given is not None:
        return given
    return deployment.resolve(written) if written else None


def is_credential(path: Path) -> bool:
    """Whether a file is one that the service was given."""
    folder = os.environ.get(DIRECTORY)
    return bool(folder) and path.parent == Path(folder or "")


def credential_problem(path: Path, found: os.stat_result) -> str | None:
    """What is wrong with a credential's owner or mode, or ``None``.

    systemd makes them 0400, owned by the service's user; or owned by root, with an access list that lets that user
    alone read, which shows as 0440.

    Args:
        path: The credential.
        found: Its status.
    """
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to user {found.st_uid}, neither to root nor to the service's user"
    if mode & _WIDER or (mode & stat.S_IRGRP and not _listed(path)):
        return f"has mode {mode:04o}, wider than 0400"
    return None


def _listed(path: Path) -> bool:
    """Whether an access list gives what the group bits show to this user and root alone (acl(5), xattr version 2)."""
    try:
        data = os.getxattr(path, _ACL)
    except OSError:
        return False
    entries = struct.iter_unpack("<HHI", data[4 : 4 + (len(data) - 4) // 8 * 8])
    for tag, rights, who in entries:
        ours = tag in (_USER_OBJ, _MASK) or (tag == _USER and who in (0, os.geteuid()))
        if rights and not ours:
            return False
    return True
