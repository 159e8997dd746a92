"""Runs a node's process: server, node, signals; and puts it into the background."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from organismctl.committee.node.manager import Manager
from organismctl.committee.node.process import LOG_FILE, ProcessLock, log_tail
from organismctl.errors import InputError, OrganismError, RefusedError
from organismctl.exits import Exit

if TYPE_CHECKING:
    import uvicorn

    from organismctl.committee.node.node import CommitteeNode
    from organismctl.committee.node.settings import NodeSettings

READY = b"ready\n"
START_S = 60.0
SWITCH_S = 0.0005
STATUS_S = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listen:
    """How the API listens.

    Attributes:
        bind: Address to listen on; ``None``: that of the node's URL, on this host.
        tls_cert: Certificate file, or ``None`` for plain HTTP.
        tls_key: Its key file.
        carrier: How the node's frames travel, instead of what the deployment file says.
    """

    bind: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    carrier: str | None = None


def serve(
    deployment: Path,
    name: str,
    listen: Listen,
    ready: Callable[[], None] = lambda: None,
    manager: Manager | None = None,
) -> None:
    """Run a node until it is told to stop.

    Args:
        deployment: deployment.toml.
        name: The node's name.
        listen: How its API listens, and its frames travel.
        ready: Called once when it answers.
        manager: Who runs the process; ``None``: nobody who wants to be told.

    Raises:
        OrganismError: It cannot be started; the message says why.
    """
    from organismctl.committee.node.settings import load_settings

    settings = load_settings(deployment, name, listen.carrier)
    lock = ProcessLock(settings.data)
    if not settings.data.is_dir():
        raise InputError(f"{settings.data} is not there", advice="`organismctl committee init` makes it")
    lock.acquire()
    # The ledger's disk and the carrier wait in threads of their own for milliseconds at most; Python's usual 5 ms
    # before a busy thread gives way would be most of what an append takes.
    sys.setswitchinterval(SWITCH_S)
    try:
        with _listening(settings, listen) as listener:
            asyncio.run(_run(settings, listen, listener, ready, manager or Manager()))
    finally:
        lock.release()


@contextlib.contextmanager
def _listening(settings: NodeSettings, listen: Listen) -> Iterator[socket.socket]:
    """A bound socket, before anything is opened: a port that is taken is found out at once."""
    from organismctl.files.hosts import is_loopback

    host = listen.bind or settings.host
    if not is_loopback(host) and listen.tls_cert is None:
        raise RefusedError(
            f"{host} is not the loopback address, and tokens would travel in the clear",
            advice="give --tls-cert and --tls-key, or listen on 127.0.0.1",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, settings.port))
        listener.listen(512)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        raise OrganismError(
            f"node {settings.name} cannot listen on {host}:{settings.port}: {exc.strerror}",
            advice="is another process using that port?",
        ) from exc
    try:
        yield listener
    finally:
        listener.close()


async def _run(
    settings: NodeSettings,
    listen: Listen,
    listener: socket.socket,
    ready: Callable[[], None],
    manager: Manager,
) -> None:
    from organismctl.committee.node.node import CommitteeNode

    manager.status("starts")
    node = CommitteeNode(settings)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, node.stop_asked.set)
    # The framework takes a while to load; the ledger's part could begin before, but then it would miss beats.
    server = _server(node, listen)
    stopping = loop.create_task(node.stop_asked.wait())
    try:
        if not await _started(node, stopping):
            log.info("node %s stops before it has started", settings.name)
            return
        serving = loop.create_task(server.serve([listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.002)
        log.info("node %s answers on port %d", settings.name, settings.port)
        ready()
        manager.ready()
        telling = loop.create_task(_tell(node, manager))
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        log.info("node %s stops", settings.name)
        manager.stopping()
        telling.cancel()
        await _leave(node, server, serving)
    finally:
        stopping.cancel()
        await node.close()


async def _started(node: CommitteeNode, stopping: asyncio.Task[bool]) -> bool:
    """Start a node; whether it has started before it was asked to stop."""
    starting = asyncio.get_running_loop().create_task(node.start())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return False
    await starting
    return True


async def _tell(node: CommitteeNode, manager: Manager) -> None:
    """Tell the manager how the node fares, and that it goes on.

    One that stopped loudly stopped on purpose and is there to be read; only its loop has to come round.
    """
    from organismctl.committee.node.status import status_line

    seen = (-1, -1)
    while manager.present:
        turns = (node.turns, node.runner.turns)
        if node.stopped is not None or moved(seen, turns):
            manager.beat()
            seen = turns
        manager.status(status_line(node))
        await asyncio.sleep(min(manager.pause_s, STATUS_S))


def moved(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Whether both clocks of a node went on: that of what is due by time, and that of the ledger."""
    return before[0] != now[0] and before[1] != now[1]


async def _leave(node: object, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """Hand over while the others are still answered, then stop listening."""
    from organismctl.committee.node.node import CommitteeNode

    assert isinstance(node, CommitteeNode)  # noqa: S101 # typed loosely only to import late
    await node.hand_over()
    server.should_exit = True
    await serving


def _server(node: object, listen: Listen) -> uvicorn.Server:
    import uvicorn

    from organismctl.committee.api.app import make_gate
    from organismctl.committee.node.node import CommitteeNode

    class Server(uvicorn.Server):
        """Leaves signals to the node."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    assert isinstance(node, CommitteeNode)  # noqa: S101 # typed loosely only to import late
    config = uvicorn.Config(
        make_gate(node),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
        ssl_certfile=None if listen.tls_cert is None else str(listen.tls_cert),
        ssl_keyfile=None if listen.tls_key is None else str(listen.tls_key),
    )
    return Server(config)


# Background.


def detach(folder: Path, run: Callable[[Callable[[], None]], None], what: str = "node") -> int:
    """Run something as a daemon; returns in the parent when it is ready.

    Args:
        folder: The node's data folder; its log goes to ``node.log`` there.
        run: What to run; it calls its argument when it is ready.
        what: Its name in a message.

    Returns:
        The daemon's process id.

    Raises:
        OrganismError: Why it did not start, with the exit code that it ended with; or it was not ready in time, with
            the log's last lines.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        _become_daemon(folder, writing, run)
    os.close(writing)
    os.waitpid(child, 0)
    try:
        told = _await_ready(reading)
    finally:
        os.close(reading)
    if told.endswith(READY):
        return int(told.split(b" ")[0])
    if told.startswith(b"{"):
        why = json.loads(told)
        raise OrganismError(
            f"the {what} did not start: {why['message']}", advice=why["advice"], exit=Exit(why["exit"])
        )
    tail = "\n".join(log_tail(folder))
    raise OrganismError(f"the {what} did not start; the end of {folder / LOG_FILE}:\n{tail}")


def _become_daemon(folder: Path, writing: int, run: Callable[[Callable[[], None]], None]) -> None:
    """The grandchild's life; never returns. Through ``writing`` it says that it is ready, or why it never was."""
    code, waited_for = 1, True
    try:
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)

        def ready() -> None:
            nonlocal waited_for
            waited_for = False
            os.write(writing, b"%d " % os.getpid() + READY)
            os.close(writing)

        run(ready)
        code = 0
    except OrganismError as exc:
        sys.stderr.write(f"{exc.message}\n" + (f"{exc.advice}\n" if exc.advice else ""))
        code = int(exc.exit)
        if waited_for:
            with contextlib.suppress(OSError):
                os.write(writing, _why(exc))
    except BaseException:
        logging.getLogger(__name__).exception("it failed")
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _why(error: OrganismError) -> bytes:
    """An error as the waiting parent takes it; short enough for one write into a pipe."""
    problems = error.problems if isinstance(error, InputError) else ()
    text = "\n  ".join([error.message, *map(str, problems)])
    return json.dumps(
        {"exit": int(error.exit), "message": text[:2000], "advice": error.advice and error.advice[:500]}
    ).encode()


def _await_ready(reading: int) -> bytes:
    """What the daemon says: that it is ready, or why not; cut short when it ended or took too long."""
    import select

    told, end = b"", time.monotonic() + START_S
    while not told.endswith(READY):
        left = end - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return b""
        part = os.read(reading, 4096)
        if not part:
            return told
        told += part
    return told
