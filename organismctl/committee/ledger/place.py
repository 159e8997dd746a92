"""Where a ledger may live: not on a network filesystem, whose locks and fsync cannot be relied on."""

from __future__ import annotations

from pathlib import Path

from organismctl.errors import RefusedError

NETWORK = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "9p",
        "ncpfs",
        "coda",
        "ocfs2",
        "gfs2",
    )
)
"""Filesystem types that another host may share; every ``fuse`` type counts too (sshfs, s3fs, …)."""
_MOUNTS = Path("/proc/self/mountinfo")


def filesystem(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the filesystem that holds ``path``.

    Args:
        path: An existing path.
        mounts: A file in the format of ``/proc/self/mountinfo``.

    Returns:
        Its type as the kernel names it; ``None`` where the kernel does not say (no ``/proc``).
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    wanted = path.resolve()
    best, kind = -1, None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        parts = fields.split()
        if len(parts) < 5 or not rest:
            continue
        point = Path(parts[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        depth = len(point.parts)
        # Later lines are mounted over earlier ones at the same place.
        if depth >= best and (point == wanted or point in wanted.parents):
            best, kind = depth, rest.split()[0]
    return kind


def refuse_network(path: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a folder on a network filesystem.

    Raises:
        RefusedError: It is on one.
    """
    kind = filesystem(path, mounts)
    if kind is not None and (kind in NETWORK or kind.startswith("fuse")):
        raise RefusedError(
            f"{path} is on a network filesystem ({kind}), which cannot hold a ledger",
            advice="put the node's data on a local disk; fsync and locks over a network lose acknowledged entries",
        )
