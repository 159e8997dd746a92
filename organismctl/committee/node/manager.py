"""What a process tells the service manager that runs it: systemd's notification protocol, sd_notify(3).

Invariants:
    1. Nothing here ever fails or holds up its process: without a manager, or with one that is deaf, it is silent.
    2. Only the process that the manager started speaks: what it starts itself finds no address in its environment.
    3. A beat says what its caller saw move just now; no thread of its own beats while the rest hangs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping

STATUS_LIMIT = 300
PATIENCE_S = 1.0
"""How long a message that must arrive may wait for room."""
SHARE = 4
"""Beats within one period of the watchdog: three may be late before the manager acts."""
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
IDLE_S = 5.0
"""How often a status is looked at where nobody asks for beats."""


class Manager:
    """The one that runs this process, if there is one.

    Args:
        environ: Where it left its address; taken from there, see the module. ``None``: there is no manager.

    Attributes:
        present: Whether there is one to tell.
        watched: Whether it ends a process that does not beat.
        pause_s: How long a caller may wait between two calls of :meth:`beat`.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        taken = {} if environ is None else environ
        address = taken.pop("NOTIFY_SOCKET", "")
        microseconds, pid = taken.pop("WATCHDOG_USEC", ""), taken.pop("WATCHDOG_PID", "")
        # An abstract address stands with @ for its first byte, which is 0. Others (vsock:) are no sockets of this host.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.present = address[:1] in {"/", "@"} and len(address) > 1
        mine = pid in {"", str(os.getpid())}
        period = int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else 0.0
        self.watched = self.present and mine and period > 0
        self.pause_s = period / SHARE if self.watched else IDLE_S
        self._ready = False
        self._told = ""
        self._beaten = -period

    def ready(self) -> None:
        """It serves; told once."""
        if not self._ready:
            self._ready = True
            self._send("READY=1", PATIENCE_S)

    def stopping(self) -> None:
        """It begins to end."""
        self._send("STOPPING=1", PATIENCE_S)

    def status(self, text: str) -> None:
        """One line of how it fares, as ``systemctl status`` shows it; sent when it has changed."""
        line = "".join(one if one.isprintable() else " " for one in text)[:STATUS_LIMIT]
        if line != self._told and self._send(f"STATUS={line}"):
            self._told = line

    def beat(self) -> None:
        """Something that counts has moved; sent as often as the manager needs it."""
        now = time.monotonic()
        if self.watched and now - self._beaten >= self.pause_s / 2:
            self._beaten = now
            self._send("WATCHDOG=1")

    def _send(self, message: str, patience: float = 0.0) -> bool:
        """Whether it was taken."""
        if not self.present:
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(patience)
            out.sendto(message.encode(), self._address)
            return True
        return False


class JournalFormatter(logging.Formatter):
    """Lines as the journal takes them from a service's standard error: each begins with its priority, sd-daemon(3).

    It keeps the time and the unit by itself.
    """

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`; a traceback's lines have the priority of their message."""
        level = next((one for least, one in _PRIORITIES if record.levelno >= least), _DEBUG)
        return "\n".join(f"<{level}>{line}" for line in super().format(record).split("\n"))


def in_journal(environ: Mapping[str, str], descriptor: int = 2) -> bool:
    """Whether what is written there goes to the journal: the manager names that very stream."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
