"""The seam to the terminal: data to standard output, narration to standard error, prompts that name the target.

Colour and control codes go to a terminal only; text of remote origin never carries any.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from organismctl.report.controls import CONTROLS_BUT_LINES

PROGRESS_AFTER_S = 1.0


def clean(text: str) -> str:
    """Text without control characters or direction overrides; tabs and newlines stay."""
    return text.translate(CONTROLS_BUT_LINES).encode(errors="replace").decode()


def colour(stream: Any = None) -> bool:
    """Whether colour may be used on a stream (standard output by default)."""
    stream = stream or sys.stdout
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Columns: ``COLUMNS``, else the terminal's, else 100."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def emit(text: str, to: Path | None = None) -> None:
    """Data: to standard output, or whole to a file (atomically), or into a device or pipe.

    Raises:
        OrganismError: It cannot be written.
    """
    text = text if text.endswith("\n") or not text else text + "\n"
    if to is None:
        _to_stdout(text)
        return
    from organismctl.files.atomic import write_output

    write_output(to, text.encode())


def _to_stdout(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has left: for the root of the command line to say
        raise
    except OSError:
        from organismctl.files.atomic import os_errors

        drop_stdout()
        with os_errors("to standard output", "write"):
            raise


def drop_stdout() -> None:
    """Let what is still buffered go nowhere: the interpreter would try it again at its end, and complain."""
    with suppress(OSError, ValueError):  # a standard output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def json_text(value: Any) -> str:
    """JSON, indented; what a terminal would obey stands escaped."""
    import json

    from organismctl.report.text import escape_raw

    return escape_raw(json.dumps(value, indent=2, ensure_ascii=False))


def emit_json(value: Any, to: Path | None = None) -> None:
    """JSON, indented, to standard output or a file."""
    emit(json_text(value), to)


def say(text: str) -> None:
    """Narration, on standard error; silent with ``--quiet``."""
    if not os.environ.get("ORGANISMCTL_QUIET"):
        prompt(text + "\n")


def prompt(text: str) -> None:
    """What a person is asked, on standard error; with ``--quiet`` too."""
    sys.stderr.write(clean(text))
    sys.stderr.flush()


def table(rows: list[list[str]], head: list[str] | None = None) -> str:
    """Plain aligned columns, two blanks apart, no trailing blanks."""
    lines = [head, *rows] if head else rows
    lines = [[clean(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))] if lines else []
    return "\n".join(
        "  ".join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def on_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str | None = None, *, option: str | None = None) -> str:
    """Ask a person for a line.

    Args:
        question: What is asked.
        default: What an empty line means.
        option: The option that answers beforehand.

    Raises:
        UsageError: There is no terminal.
    """
    from organismctl.errors import UsageError

    if not on_terminal():
        raise UsageError(
            f"{question}: this is no terminal, so nobody can be asked",
            advice=f"give it as {option or 'an option'}",
        )
    prompt(f"{question}{f' [{default}]' if default else ''}: ")
    line = ""
    try:
        line = sys.stdin.readline()
    finally:
        if not line.endswith("\n"):  # Ctrl-C and Ctrl-D leave the cursor behind the question
            prompt("\n")
    return line.strip() or (default or "")


def confirm(target: str, what: str, *, yes: bool, destructive: bool = False) -> None:
    """Ask before acting; destructive actions have the target's name retyped.

    Args:
        target: The organism's name.
        what: What is about to be done.
        yes: ``--yes`` was given.
        destructive: Whether it cannot be taken back.

    Raises:
        UsageError: Nobody can be asked, and ``--yes`` was not given.
        RefusedError: The person said no.
    """
    from organismctl.errors import RefusedError, UsageError

    if yes:
        return
    if not on_terminal():
        raise UsageError(
            f"{target}: {what} needs a confirmation, and this is no terminal",
            advice="look first (most commands have --dry-run), then give --yes",
        )
    wanted = target if destructive else "yes"
    prompt(f"{target}: {what}\n")
    if ask(f"  type {'its name, ' + target + ',' if destructive else 'yes'} to go on") != wanted:
        raise RefusedError(f"not confirmed: the answer has to be {wanted!r}; nothing was done")


class Progress:
    """Says on standard error how a long work goes, once it has taken longer than a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._told = time.monotonic()
        self._shown = False

    def step(self, done: int, total: int | None = None) -> None:
        """Tell how far it is; at most once a second."""
        now = time.monotonic()
        if now - self._told < PROGRESS_AFTER_S:
            return
        self._told = now
        self._shown = True
        of = f" of {total}" if total is not None else ""
        say(f"{self._what}: {done}{of}, {now - self._began:.0f} s")

    def seconds(self, waited: float) -> None:
        """Tell for how long something has been waited for."""
        self.step(int(waited))

    def end(self) -> None:
        """Tell the whole time, if anything was told before."""
        if self._shown:
            say(f"{self._what}: done in {time.monotonic() - self._began:.1f} s")


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A :class:`Progress` for the time of a block."""
    made = Progress(what)
    try:
        yield made
    finally:
        made.end()


def wants_json(chosen: str) -> bool:
    """Whether ``--format json`` was chosen.

    Raises:
        UsageError: It is neither table nor json.
    """
    from organismctl.errors import UsageError

    if chosen not in {"table", "json"}:
        raise UsageError(f"--format {chosen[:40]!r}: allowed: table, json")
    return chosen == "json"
