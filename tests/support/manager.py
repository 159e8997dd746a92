"""A service manager as its processes see it: a datagram socket of the kernel, by a path or an abstract name."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path


class Listening:
    """What a process told; its address and its other variables are in ``environ``.

    Args:
        address: A path, or @NAME.
        watchdog_s: The watchdog's period; ``None``: there is none.
    """

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.environ = {"NOTIFY_SOCKET": address}
        if watchdog_s is not None:
            self.environ["WATCHDOG_USEC"] = str(round(watchdog_s * 1e6))
        self.told: list[str] = []

    def wait(self, start: str, timeout: float = 60.0) -> str:
        """The next message that begins so."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self.told.append(self._socket.recv(4096).decode())
                if self.told[-1].startswith(start):
                    return self.told[-1]
        raise AssertionError(f"not told in {timeout} s: {start}; told: {self.told}")

    def waiting(self) -> list[str]:
        """What has been told and not been looked at yet."""
        self._socket.setblocking(False)
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(4096).decode())
        self.told += found
        return found

    def close(self) -> None:
        """Be deaf."""
        self._socket.close()


@contextlib.contextmanager
def listening(
    folder: Path, watchdog_s: float | None = None, *, abstract: bool = False
) -> Iterator[Listening]:
    """A manager that listens; ``folder`` is short enough for a socket's path, or gives the abstract name."""
    name = f"@organismctl-test-{os.getpid()}-{folder.name}" if abstract else str(folder / "notify")
    made = Listening(name, watchdog_s)
    try:
        yield made
    finally:
        made.close()
