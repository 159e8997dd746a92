"""``organismctl watch``: look again and again, and show each spanned member and each node."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, NoWire, Organism, ViaNode

if TYPE_CHECKING:
    from organismctl.cli.judging import Subject
    from organismctl.report.watch import Look

DEFAULT_EVERY = "5s"
LEFT_OUT = ("evidence",)
"""Resolving evidence upstream again and again would load those who serve it; ``check evidence`` does it once."""
TALL = 10_000
"""A page that no screen cuts off."""

app = typer.Typer(help="Watch each spanned member and node, live.", rich_markup_mode=None)


@app.command()
def watch(
    *,
    organism: Organism = None,
    every: Annotated[
        str,
        typer.Option("--every", metavar="DURATION", help="From the start of one look to that of the next."),
    ] = DEFAULT_EVERY,
    count: Annotated[
        int | None, typer.Option("-n", "--count", min=1, help="End after so many looks.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once: as -n 1.")] = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="table, or json: a line of JSON per look.")
    ] = "table",
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
) -> None:
    """Show lag, horizon and side per spanned member and node, ledger, leader and changes; Ctrl-C ends it.

    On a terminal a live screen, elsewhere plain lines. With -n or --once it ends as the last look's findings say.
    """
    from organismctl.cli.judging import load_subject, seconds, wire_look
    from organismctl.cli.output import wants_json
    from organismctl.errors import UsageError

    as_json, period_s = wants_json(format_), seconds(every, "--every")
    if once and count is not None:
        raise UsageError("--once and -n say two things: give one of them")
    try:
        subject = load_subject(organism)
        wire = wire_look(subject, no_wire=no_wire, via=via, names=())
        watcher = Watcher(organism, subject, seconds(timeout, "--timeout"), wire)
        code = _watch(
            watcher, period_s, 1 if once else count, _view(watcher, period_s, once=once, as_json=as_json)
        )
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


@dataclass(slots=True)
class Watcher:
    """Looks, again and again; files that changed are read again, and ones that cannot be read are said.

    Attributes:
        choice: What ``--organism`` gave.
        subject: The organism's files, as last read.
        timeout_s: Seconds for one look.
        wire: How the wire is looked at.
        latest: The last look.
        note: Why the files on disk are not those that are judged by; ``None``: they are.
    """

    choice: str | None
    subject: Subject
    timeout_s: float
    wire: Any
    latest: Look | None = None
    note: str | None = None
    _stamps: object = field(default=None)

    def look(self) -> Look:
        """Look at everything once."""
        from organismctl.check.run import CHECKS
        from organismctl.check.span_health import span_health
        from organismctl.cli.judging import now_ms, unsaid
        from organismctl.cli.looking import judged
        from organismctl.observe.look import observe
        from organismctl.observe.sources import sources_for
        from organismctl.report.watch import watch_json

        self._reread()
        names = [name for name in CHECKS if name not in LEFT_OUT]
        looks = sources_for(_kinds(names), self.subject.organism, self.subject.deployment, self.wire)
        snapshot = observe(looks.sources, self.timeout_s, then=looks.then)
        made = judged("watch", names, self.subject, snapshot, now_ms(), say=unsaid)
        rows = span_health(made.scope)
        self.latest = watch_json(made.scope, made.report, made.changes, rows, before=self.latest)
        return self.latest

    def _reread(self) -> None:
        from organismctl.cli.judging import load_subject
        from organismctl.errors import OrganismError
        from organismctl.files.atomic import stamp

        context = self.subject.context
        paths = [context.organism_path, context.lock_path, context.deployment_path]
        stamps = [stamp(path) for path in paths if path is not None]
        if self._stamps is None:
            self._stamps = stamps
        if stamps == self._stamps:
            self.note = None
            return
        try:
            self.subject = load_subject(self.choice, quiet=True)
        except OrganismError as error:
            self.note = f"the files changed and are not read: {error.message}"
            return
        self._stamps, self.note = stamps, None


def _kinds(names: list[str]) -> frozenset[str]:
    from organismctl.check.run import kinds_of
    from organismctl.check.span_view import ENDPOINT, MEMORY, SUBSCRIPTIONS

    return kinds_of(names) | {SUBSCRIPTIONS, ENDPOINT, MEMORY}


def _watch(watcher: Watcher, period_s: float, count: int | None, view: View) -> int:
    """Look ``count`` times, or until somebody ends it; the exit code of the last look."""
    done = 0
    with view:
        while True:
            begun = time.monotonic()
            look = watcher.look()
            view.show(look)
            done += 1
            if done == count:
                return int(look["exit"])
            time.sleep(max(period_s - (time.monotonic() - begun), 0))


class View:
    """Where looks are shown; this one writes each as text, as soon as it is there."""

    def __init__(self, made: Callable[[Look], str]) -> None:
        self._made = made

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""

    def show(self, look: Look) -> None:
        """Show one look."""
        from organismctl.cli.output import emit

        emit(self._made(look))


class LiveView(View):
    """A screen of its own on the terminal; what it showed last stays when it ends."""

    def __init__(self, watcher: Watcher, period_s: float, *, colours: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(lambda _look: "")
        self._watcher = watcher
        self._every_ms = round(period_s * 1000)
        self._console = Console(color_system="standard" if colours else None, highlight=False, markup=False)
        self._live = Live(
            get_renderable=self._page,
            console=self._console,
            screen=True,
            refresh_per_second=2,
            transient=True,
        )

    def __enter__(self) -> View:
        # Whoever ends the process gets the terminal back as it was.
        signal.signal(signal.SIGTERM, _terminated)
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        from organismctl.cli.output import emit

        self._live.stop()
        if self._watcher.latest is not None:
            emit(_text(self._watcher.latest, self._console.width, TALL))

    def show(self, look: Look) -> None:
        """Show one look at once; between looks its age goes on by itself."""
        del look
        self._live.refresh()

    def _page(self) -> Any:
        from rich.text import Text

        from organismctl.cli.judging import now_ms
        from organismctl.report.watch_screen import Frame, screen

        width, height = self._console.size
        if self._watcher.latest is None:
            return Text("looking ...")
        frame = Frame(width, height, now_ms(), self._every_ms, self._watcher.note)
        page = Text(no_wrap=True, overflow="crop", end="")
        for number, line in enumerate(screen(self._watcher.latest, frame)):
            page.append(f"{'' if number == 0 else chr(10)}{line.text}", style=_TONES[line.tone])
        return page


def _terminated(number: int, frame: object) -> None:
    del frame
    raise SystemExit(128 + number)


_TONES = {
    "": "",
    "head": "bold",
    "dim": "dim",
    "ok": "",
    "bad": "bold red",
    "warn": "yellow",
    "unknown": "magenta",
}


def _view(watcher: Watcher, period_s: float, *, once: bool, as_json: bool) -> View:
    from organismctl.cli.output import colour, width
    from organismctl.report.watch import json_line, lines_text

    if as_json:
        return View(json_line)
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return View(lines_text)
    if once:
        return View(lambda look: _text(look, width(), TALL))
    return LiveView(watcher, period_s, colours=colour())


def _text(look: Look, columns: int, height: int) -> str:
    from organismctl.report.watch_screen import Frame, text

    return text(look, Frame(columns, height, look["judged_ms"]))
