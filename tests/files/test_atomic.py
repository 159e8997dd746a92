"""Writes are whole or absent, reads are bounded, and the system's errors come with advice."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from organismctl.errors import InputError, RefusedError
from organismctl.files.atomic import PathError, os_errors, read_bounded, read_text, write_atomic, write_output
from organismctl.files.secret import Secret, create_secret, read_secret


def test_write_replaces_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"one", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "f", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_nothing_but_a_regular_file_is_replaced(tmp_path: Path) -> None:
    # A pipe stands for devices too: trying it on one would end that device if this ever failed.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(InputError, match="not a regular file"):
            write_atomic(path, b"x")
    assert pipe.is_fifo()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "pipe"]


def test_output_goes_into_a_pipe_that_is_named(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_output(pipe, b"data")
        assert os.read(reader, 100) == b"data"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    write_output(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"
    with pytest.raises(PathError, match="no such file or folder"):
        write_output(tmp_path / "nowhere" / "file", b"data")
    with pytest.raises(PathError, match="it is a folder"):
        write_output(tmp_path, b"data")


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "f"
    contents = {bytes([n]) * 200_000 for n in range(8)}
    write_atomic(path, bytes(200_000))
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in sorted(contents):
        write_atomic(path, content)
    stop.set()
    reader.join()
    assert seen <= contents


def test_failure_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PathError, match="the disk is full") as caught:
        write_atomic(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.advice
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_really_full_disk(small_disk: Path) -> None:
    path = small_disk / "f"
    write_atomic(path, b"old")
    with pytest.raises(PathError, match="the disk is full"):
        write_atomic(path, bytes(200_000))
    assert path.read_bytes() == b"old"
    assert [p.name for p in small_disk.iterdir()] == ["f"]


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EPERM, "not permitted"),
        (errno.ENOENT, "no such file"),
        (errno.EISDIR, "a folder"),
        (errno.ENOTDIR, "not a folder"),
        (errno.EIO, "input/output"),
        (errno.EXDEV, os.strerror(errno.EXDEV)),
    ],
)
def test_system_errors_are_translated(number: int, says: str) -> None:
    with pytest.raises(PathError, match=says) as caught, os_errors("the/file", "write"):
        raise OSError(number, os.strerror(number))
    assert "cannot write the/file" in caught.value.message
    assert isinstance(caught.value.__cause__, OSError)


def test_reads_are_bounded_and_regular(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 11)
    assert read_bounded(path, 11) == b"x" * 11
    with pytest.raises(InputError, match="larger than 10"):
        read_bounded(path, 10)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        read_bounded(tmp_path / "pipe")
    with pytest.raises(PathError, match="a folder"):
        read_bounded(tmp_path)
    with pytest.raises(PathError, match="no such file"):
        read_text(tmp_path / "absent")

    with pytest.raises(PathError) as caught:
        write_atomic(tmp_path / "absent" / "file", b"")
    assert caught.value.advice == "make its folder first (`mkdir -p`)"


CANARY = "canary-not-a-real-secret"


def test_secret_hides_itself(tmp_path: Path) -> None:
    create_secret(tmp_path / "deep" / "s", CANARY)
    secret = read_secret(tmp_path / "deep" / "s")
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY)
    assert secret != Secret("x")
    shown = f"{secret} {secret!r} {secret:>30} {[secret]} {secret.__dir__() and vars(type(secret))}"
    assert CANARY not in shown
    with pytest.raises(TypeError):
        __import__("pickle").dumps(secret)
    with pytest.raises(PathError, match="File exists"):
        create_secret(tmp_path / "deep" / "s", "other")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o660])
def test_wide_secrets_are_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "s"
    path.write_text(CANARY)
    path.chmod(mode)
    with pytest.raises(RefusedError, match="wider than 0600") as caught:
        read_secret(path)
    assert "chmod 600" in (caught.value.advice or "")
    assert CANARY not in str(caught.value)


def test_bad_secrets_do_not_show_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.touch(mode=0o600)
    with pytest.raises(InputError, match="empty"):
        read_secret(path)
    path.write_bytes(b"\xff" + CANARY.encode())
    with pytest.raises(InputError, match="no text") as caught:
        read_secret(path)
    assert caught.value.__cause__ is None
