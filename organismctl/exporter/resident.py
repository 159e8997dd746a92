"""The exporter's life: sweep, remember, serve, until it is told to stop. It reads, and acts on nothing.

Invariants:
    1. A page is served for at most :data:`STALE_SWEEPS` periods and a deadline after its sweep; later only
       ``organism_up{source="exporter"} 0`` is told. So a sweep that hangs shows, and nothing freezes.
    2. One process has a memory file at a time.
    3. It stops between sweeps: a stop that is asked for during one ends the wait for it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from organismctl.committee.node.manager import Manager
from organismctl.errors import InputError, OrganismError, RefusedError
from organismctl.exporter.history import History
from organismctl.exporter.looker import Looker
from organismctl.exporter.memory_file import MemoryFile
from organismctl.exporter.page import Page, stale_page
from organismctl.exporter.samples import Sample, look_samples
from organismctl.exporter.series import PREFIX
from organismctl.exporter.server import Address, Server
from organismctl.exporter.state import UP, State
from organismctl.exporter.sweep import Look, Watched
from organismctl.files.atomic import os_errors, stamp
from organismctl.observe.exporter_memory import SCHEMA
from organismctl.observe.look import now_ms

if TYPE_CHECKING:
    from organismctl.observe.sources import WireLook

W = TypeVar("W", bound=Watched)
STALE_SWEEPS = 3


@dataclass(frozen=True, slots=True)
class Settings:
    """How an exporter runs.

    Attributes:
        listen: Where it is scraped.
        every_s: Seconds from the beginning of a sweep to that of the next.
        deadline_s: Seconds that one look may take.
        memory: Its memory's file.
    """

    listen: Address
    every_s: float
    deadline_s: float
    memory: Path


class Files(Generic[W]):
    """An organism's files, read again when one of them has changed.

    Args:
        load: Reads them.
        paths: The files.
        say: Told when they can no longer be read, and when they can again.
    """

    def __init__(self, load: Callable[[], W], paths: tuple[Path, ...], say: Callable[[str], None]) -> None:
        self._load = load
        self._paths = paths
        self._say = say
        self._seen = self._signature()
        self.watched = load()
        self.ok = True

    def refresh(self) -> None:
        """Read again what has changed; what cannot be read leaves the last good reading, and is said."""
        seen = self._signature()
        if seen == self._seen:
            return
        self._seen = seen
        name = self.watched.organism.config.name
        try:
            watched = self._load()
            if watched.organism.config.name != name:
                raise InputError(f"the files are now those of another organism than {name}")
        except OrganismError as exc:
            self.ok = False
            self._say(
                f"the files have changed and cannot be used, so the last good ones count: {exc.message}"
            )
            return
        self.watched = watched
        self.ok = True
        self._say("the files have changed; they were read again")

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(stamp(path) for path in self._paths)


class Exporter(Generic[W]):
    """See the module.

    Args:
        files: The organism's files.
        settings: How it runs.
        wire: How the wire is looked at, from the files as they are now.
        say: Narration.
        manager: Who runs the process; ``None``: nobody who wants to be told.

    Raises:
        OrganismError: It cannot listen, or its memory cannot be used.
    """

    def __init__(
        self,
        files: Files[W],
        settings: Settings,
        wire: Callable[[W], WireLook],
        say: Callable[[str], None],
        manager: Manager | None = None,
    ) -> None:
        self._files = files
        self._settings = settings
        self._wire = wire
        self._say = say
        self._manager = manager or Manager()
        self._failed = ""
        self._looker = Looker(settings.every_s, settings.deadline_s)
        self.stopped = threading.Event()
        self.name = files.watched.organism.config.name
        file = MemoryFile(settings.memory, self.name, now_ms())
        self.state = State(file, say)
        self.lags = History(settings.memory.with_name(f"{settings.memory.name}.history"), now_ms(), say)
        self._page = stale_page(self.name, now_ms())
        self._swept: float | None = None
        self._tried = time.monotonic()
        self._listen_s = 0.0
        try:
            self.server = Server(settings.listen, self.page, self.memory, self.healthy, self.history)
        except OrganismError:
            self.state.close()
            self.lags.close()
            raise

    def run(self) -> None:
        """Sweep until :attr:`stopped` is set."""
        while not self.stopped.is_set():
            begun = self._tried = time.monotonic()
            try:
                self.sweep()
                self._failed = ""
            except OrganismError as exc:
                self._fail(f"the sweep failed: {exc.message}")
            except Exception as exc:  # noqa: BLE001 # a defect in one sweep shows as down, and the next one tries
                self._fail(f"the sweep failed, a defect of organismctl: {type(exc).__name__}: {exc}")
            self._manager.ready()  # after a first sweep, so that what is scraped then is a page
            self._wait(begun + self._settings.every_s)
        self._manager.stopping()

    def _wait(self, until: float) -> None:
        """Until the next sweep, or until it is told to stop."""
        while not self.stopped.is_set():
            self._beat()
            left = until - time.monotonic()
            if left <= 0:
                return
            self.stopped.wait(min(left, self._manager.pause_s))

    @property
    def sweeping(self) -> bool:
        """Whether sweeps come to an end, well or not; one that outlasts all its deadlines never will."""
        whole = self._settings.every_s + self._settings.deadline_s + self._listen_s
        return time.monotonic() - self._tried <= STALE_SWEEPS * whole

    def _beat(self) -> None:
        if self.sweeping and self.server.serving:
            self._manager.beat()

    def _fail(self, why: str) -> None:
        """A sweep that came to nothing: what was told before is told no more, and why is said once."""
        self._swept = None
        self._manager.status(why)
        if why != self._failed:
            self._failed = why
            self._say(why)

    def close(self) -> None:
        """Stop serving, and close the memory."""
        self.stopped.set()
        self.server.close()
        self.state.close()
        self.lags.close()

    def sweep(self) -> None:
        """One sweep; a stop that comes during it drops what it would have told."""
        self._files.refresh()
        watched = self._files.watched
        wire = self._wire(watched)
        self._listen_s = wire.listen_s
        look = self._look(watched, wire)
        if look is None:
            return
        sources = self.state.take(look, files_ok=self._files.ok)
        self.lags.note(self.state.surfaces, look.at_ms)
        samples = [*look_samples(look, self.state.surfaces, self.state.since), *self._own(look, sources)]
        self._page = Page(self.name, samples, look.at_ms)
        self._swept = time.monotonic()
        up = sum(sources.values())
        self._manager.status(
            f"sweep {self.state.sweeps}: {up} of {len(sources)} sources answer; check all would exit {look.exit}"
        )

    def _look(self, watched: W, wire: WireLook) -> Look | None:
        """The look, in a thread of its own, so that a stop need not wait for the deadline."""
        made: list[Look | BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                made.append(self._looker.sweep(watched, wire, self.state.surfaces))
            except BaseException as exc:  # noqa: BLE001 # it is raised in the thread that waits
                made.append(exc)
            finally:
                done.set()

        threading.Thread(target=work, name="look", daemon=True).start()
        while not done.wait(0.1):
            self._beat()
            if self.stopped.is_set():
                return None
        if isinstance(made[0], BaseException):
            raise made[0]
        return made[0]

    def _own(self, look: Look, sources: Mapping[str, bool]) -> Iterator[Sample]:
        """What the exporter says of itself."""
        for name, up in sources.items():
            yield Sample(f"{PREFIX}up", (name,), up)
            if (state := self.state.since.get((UP, name))) is not None:
                yield Sample(f"{PREFIX}up_since_timestamp_seconds", (name,), state[1] / 1000)
        yield Sample(f"{PREFIX}sweep_seconds", (), look.took_s)
        yield Sample(f"{PREFIX}sweep_timestamp_seconds", (), look.at_ms / 1000)
        yield Sample(f"{PREFIX}sweeps_total", (), self.state.sweeps)
        yield Sample(f"{PREFIX}memory_begun_timestamp_seconds", (), self.state.begun_ms / 1000)

    # What is served; from the server's threads.

    def page(self) -> Page:
        """The last sweep's page, while it is fresh."""
        return self._page if self._fresh() else stale_page(self.name, now_ms())

    def memory(self) -> dict[str, Any]:
        """What is remembered, with the moments at which it was told: true however old the last sweep is."""
        told = {f"{span}/{surface}": one.as_json() for (span, surface), one in self.state.surfaces.items()}
        return {"schema": SCHEMA, "organism": self.name, "now_ms": now_ms(), "memory": told}

    def history(self) -> dict[str, Any]:
        """How the lag went over the last day; empty where it cannot be read."""
        try:
            told = self.lags.told()
        except OrganismError:
            told = {}
        return {"schema": SCHEMA, "organism": self.name, "now_ms": now_ms(), "history": told}

    def healthy(self) -> tuple[bool, str]:
        """Whether it sweeps."""
        if self._swept is None:
            return False, "no sweep yet"
        age = time.monotonic() - self._swept
        return self._fresh(), f"the last sweep ended {age:.0f} s ago"

    def _fresh(self) -> bool:
        if self._swept is None:
            return False
        limit = STALE_SWEEPS * self._settings.every_s + self._settings.deadline_s
        return time.monotonic() - self._swept <= limit


@contextmanager
def alone(memory: Path) -> Iterator[None]:
    """Be the only exporter with that memory; the kernel ends it with the process.

    Raises:
        RefusedError: Another has it.
        OrganismError: The lock's file cannot be made.
    """
    path = memory.with_name(memory.name + ".lock")
    with os_errors(path, "lock"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise RefusedError(
                f"another exporter has {memory}",
                advice="one is enough; for another organism give --memory FILE and --listen HOST:PORT",
            ) from exc
        yield
    finally:
        os.close(handle)
