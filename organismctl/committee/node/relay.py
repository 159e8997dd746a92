"""Runs a relay for mosaik nodes of a site without internet: they meet there, and what passes is theirs alone to read.

The relay speaks plain HTTP; the peers' QUIC within it is encrypted from end to end, so the relay needs no certificate
and learns peer ids and traffic, nothing else.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from organismctl.committee.carrier.mosaik_engine import start_relay, translated
from organismctl.committee.node.process import ProcessLock
from organismctl.errors import OrganismError, UsageError
from organismctl.files.atomic import os_errors
from organismctl.identity.peer_entry import parse_address

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


def run_relay(folder: Path, bind: str, ready: Callable[[], None] = lambda: None) -> None:
    """Run a relay until SIGTERM or SIGINT.

    Args:
        folder: Holds its lock; made before.
        bind: ``HOST:PORT``.
        ready: Called once when it listens.

    Raises:
        UsageError: ``bind`` is not HOST:PORT.
        RefusedError: One runs in that folder already.
        OrganismError: It cannot be started; the message says why.
    """
    host, port = bound(bind)
    lock = ProcessLock(folder, "relay")
    lock.acquire()
    stopping = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopping.set())
    try:
        relay = start_relay(host, port)
        log.info("the relay answers at %s", relay.url)
        ready()
        # In slices, so that a signal is taken in between.
        while not stopping.wait(1.0):
            pass
        log.info("the relay stops")
        try:
            with translated("close the relay"):
                relay.close()
        except OrganismError as exc:
            log.warning("%s", exc.message)
    finally:
        lock.release()
