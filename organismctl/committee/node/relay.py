"""Runs a relay for mosaik nodes of a site without internet: they meet there, and what passes is theirs alone to read.

The relay speaks plain HTTP; the peers' QUIC within it is encrypted from end to end, so the relay needs no certificate
and learns peer ids and traffic, nothing else.
"""

from __future__ import annotations

import http.client
import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from organismctl.committee.carrier.mosaik_engine import start_relay, translated
from organismctl.committee.node.manager import Manager
from organismctl.committee.node.process import ProcessLock
from organismctl.errors import OrganismError, UsageError
from organismctl.files.atomic import os_errors
from organismctl.identity.peer_entry import parse_address

PROBE_S = 2.0
"""How long the relay may take to say that it is well."""
log = logging.getLogger(__name__)


def prepare(folder: Path) -> None:
    """Make the relay's folder, for its lock and its log.

    Raises:
        OrganismError: It cannot be made.
    """
    with os_errors(folder, "make"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def bound(text: str) -> tuple[str, int]:
    """Host and port of ``--bind``.

    Raises:
        UsageError: It is not HOST:PORT.
    """
    try:
        return parse_address(text)
    except ValueError as exc:
        raise UsageError(f"--bind {text}: {exc}", advice="such as 10.0.0.1:3340") from exc


def run_relay(
    folder: Path, bind: str, ready: Callable[[], None] = lambda: None, manager: Manager | None = None
) -> None:
    """Run a relay until SIGTERM or SIGINT.

    Args:
        folder: Holds its lock; made before.
        bind: ``HOST:PORT``.
        ready: Called once when it listens.
        manager: Who runs the process; ``None``: nobody who wants to be told.

    Raises:
        UsageError: ``bind`` is not HOST:PORT.
        RefusedError: One runs in that folder already.
        OrganismError: It cannot be started; the message says why.
    """
    host, port = bound(bind)
    told = manager or Manager()
    lock = ProcessLock(folder, "relay")
    lock.acquire()
    stopping = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopping.set())
    try:
        relay = start_relay(host, port)
        log.info("the relay answers at %s", relay.url)
        ready()
        told.ready()
        _stay(relay.url, stopping, told)
        told.stopping()
        log.info("the relay stops")
        try:
            with translated("close the relay"):
                relay.close()
        except OrganismError as exc:
            log.warning("%s", exc.message)
    finally:
        lock.release()


def _stay(url: str, stopping: threading.Event, manager: Manager) -> None:
    """Wait for the end; a beat needs the relay's own answer, since it runs in threads of the engine."""
    due = time.monotonic()
    # In slices, so that a signal is taken in between.
    while not stopping.wait(min(1.0, manager.pause_s) if manager.present else 1.0):
        if not manager.present or time.monotonic() < due:
            continue
        due = time.monotonic() + manager.pause_s
        well = answers(url)
        if well:
            manager.beat()
        manager.status(f"{'answers' if well else 'does not answer'} at {url}")


def answers(url: str) -> bool:
    """Whether the relay says that it is well, on its page for that."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_S)
    try:
        line.request("GET", "/healthz")
        return line.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()
