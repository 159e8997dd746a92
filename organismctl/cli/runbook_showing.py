"""A runbook and a run of one, shown: rendered within 80 columns on a terminal, plain Markdown in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from organismctl.cli.output import ask as ask_line
from organismctl.cli.output import clean, colour, on_terminal, prompt, say, width
from organismctl.runbook.presenter import Answer

if TYPE_CHECKING:
    from organismctl.check.finding import Finding
    from organismctl.runbook.execute import Done
    from organismctl.runbook.model import Runbook

COLUMNS = 80
TOLD_EVERY_S = 5.0


def body(book: Runbook) -> str:
    """A runbook as Markdown, its front matter as a few lines below the title."""
    front = book.front
    text = book.text.split("\n---", 1)[1].split("\n", 1)[-1].strip("\n")
    facts = f"*{front.severity}; {', '.join(front.roles)}; takes {front.takes}*"
    if front.codes:
        facts += "\n\nAnswers: " + ", ".join(f"`{code}`" for code in front.codes)
    first, _, rest = text.partition("\n")
    return f"{first}\n\n{facts}\n{rest}\n" if first.startswith("# ") else f"{facts}\n\n{text}\n"


def rendered(text: str, stream: TextIO | None = None) -> None:
    """Render Markdown for a terminal."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(file=stream or sys.stdout, width=min(width(), COLUMNS), highlight=False)
    console.print(Markdown(clean(text), code_theme="bw"))


class Shown:
    """Shows a run; see :class:`organismctl.runbook.run.Presenter`.

    Args:
        organism: The target that every question names.
        yes: Every action is answered with yes.
        stream: Where it is shown.
        tty: Whether that is a terminal; ``None`` asks it.
        ask: Asks a person for a line.
    """

    def __init__(
        self,
        organism: str,
        *,
        yes: bool,
        stream: TextIO | None = None,
        tty: bool | None = None,
        ask: Callable[[str], str] = ask_line,
    ) -> None:
        self._organism = organism
        self._yes = yes
        self._stream = stream or sys.stdout
        self._tty = colour(self._stream) if tty is None else tty
        self._ask = ask
        self._told_s = 0.0

    def heading(self, text: str, level: int) -> None:
        """See :meth:`Presenter.heading`."""
        self.prose(f"{'#' * level} {text}")

    def prose(self, markdown: str) -> None:
        """See :meth:`Presenter.prose`."""
        if not markdown:
            return
        if self._tty:
            rendered(markdown, self._stream)
            self._write("")
        else:
            self._write(clean(markdown) + "\n")

    def findings(self, rows: Sequence[Finding]) -> None:
        """See :meth:`Presenter.findings`."""
        from organismctl.report.text import aligned

        if not rows:
            self._write("No finding that this runbook answers is open.\n")
            return
        cells = [(row.status.value, row.code, row.subject, row.summary) for row in rows]
        text = aligned(cells, ("STATUS", "CODE", "SUBJECT", "SUMMARY"), self._columns(), most=28)
        if self._tty:
            text = "\n".join(_coloured(line) for line in text.split("\n"))
        self._write(text)

    def aside(self, text: str) -> None:
        """See :meth:`Presenter.aside`."""
        self._write(f"  ({clean(text)})\n")

    def command(self, line: str, acts: bool) -> None:
        """See :meth:`Presenter.command`."""
        shown = f"{'run' if acts else 'probe'}  $ {clean(line)}"
        self._write(f"\x1b[1m{shown}\x1b[0m" if self._tty else shown)
        self._told_s = time.monotonic()

    def result(self, done: Done) -> None:
        """See :meth:`Presenter.result`."""
        for line in done.output.split("\n") if done.output else ():
            self._write(f"  | {clean(line)}".rstrip())
        self._write(f"  exit {done.exit}, {done.took_ms / 1000:.1f} s\n")

    def waiting(self, seconds: float) -> None:
        """See :meth:`Presenter.waiting`."""
        now = time.monotonic()
        if now - self._told_s >= TOLD_EVERY_S:
            self._told_s = now
            say(f"      {seconds:.0f} s already")

    def ask(self, line: str, destructive: bool) -> Answer:
        """See :meth:`Presenter.ask`."""
        if self._yes:
            return Answer.YES
        wanted = self._organism if destructive else "yes"
        prompt(f"{self._organism}: run $ {line}\n")
        if destructive:
            prompt("  it cannot be taken back\n")
        said = self._ask(f"  type {wanted!r} to run it, 'skip', or 'leave' to go on another time")
        if said == wanted or (not destructive and said == "y"):
            return Answer.YES
        return Answer.LEAVE if said == "leave" else Answer.SKIP

    def value(self, name: str, line: str) -> str | None:
        """See :meth:`Presenter.value`."""
        if self._yes or not on_terminal():
            return None
        prompt(f"{self._organism}: $ {line}\n")
        return self._ask(f"  {name}, or nothing to leave it out").strip() or None

    def _columns(self) -> int:
        return min(width(), COLUMNS) if self._tty else width()

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def _coloured(line: str) -> str:
    status = line.partition(" ")[0]
    codes = {"bad": "1;31", "unknown": "35", "warn": "33", "ok": "32"}
    return f"\x1b[{codes[status]}m{status}\x1b[0m{line[len(status) :]}" if status in codes else line
