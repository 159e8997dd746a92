"""The journal of a change: hash-chained JSON Lines, fsynced line by line.

Invariants:

1. A line is the RFC 8785 form of its object, then a newline; its ``hash`` is blake3 over the same object
   without ``hash``; its ``prev`` is the line before's hash, the plan's hash for the first. So a line has
   one spelling, and the first line that does not fit is named.
2. ``seq`` counts 0, 1, 2, …; it orders the journal, never the clock. A clock set back is tolerated, and
   said in the line (``clock_back_ms``).
3. :meth:`Journal.append` returns only when the line is on disk. Where it cannot be written, the file is put
   back to its last whole line and :class:`JournalError` is raised: an action whose "before" line failed is
   never begun.
4. A write that was cut short leaves a tail without a newline. The action that such a line stands for cannot
   have begun, so the tail is ignored, removed by the next runner, and noted (``repaired``).

| kind | says |
|---|---|
| ``opened``, ``resumed``, ``taken-over`` | a runner began: who, where, with which fence |
| ``lease`` | the runner acquired, renewed its right by takeover, or gave it back |
| ``intent`` | *before* an action: step, phase ``act`` or ``undo``, intent id, attempt |
| ``acted`` | *after* the action, with its result |
| ``verified`` | the step's proof was seen (``already``: before any action) |
| ``refused`` | the ledger refused an intent for certain; the next attempt has a new intent id |
| ``parked`` | waits for people or a date, the lease is given back |
| ``failed``, ``stopped`` | the runner ended before the change did; resumable |
| ``aborting``, ``undone``, ``aborted`` | the way back began; a step was undone; all of it was |
| ``done`` | the change is done |
| ``risk``, ``confirmed`` | what a person accepted or confirmed |
| ``note``, ``repaired`` | anything else worth keeping |
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import canonical, clean, digest, iso, parse_iso, parse_object
from organismctl.change.errors import JournalError, TamperedError
from organismctl.errors import OrganismError

if TYPE_CHECKING:
    from organismctl.identity.config import Json

MAX_LINE = 1 << 20
"""Longest line that is read, bytes; a longer one cannot be ours."""

KINDS = frozenset({
    "opened", "resumed", "taken-over", "lease", "intent", "acted", "verified", "refused", "parked", "failed",
    "stopped", "aborting", "undone", "aborted", "done", "risk", "confirmed", "note", "repaired",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One journal line.

    Attributes:
        seq: Position, from 0.
        at_ms: Wall-clock time of writing, Unix ms; tells, never orders.
        kind: From the table in the module's docstring.
        step: The step it is about, or ``None``.
        fence: The fence of the runner that wrote it; 0 before it had one.
        data: What it says, JSON-ready, without secrets.
        prev: The line before's hash, 64 hex.
        hash: This line's hash, 64 hex.
        text: The exact line without the newline.
    """

    seq: int
    at_ms: int
    kind: str
    step: str | None
    fence: int
    data: Mapping[str, Any]
    prev: str
    hash: str
    text: str = field(repr=False)


def make_line(
    *, seq: int, at_ms: int, kind: str, step: str | None, fence: int, data: Mapping[str, Json], prev: str
) -> Line:
    """A line with its hash. ``kind`` is one of :data:`KINDS`."""
    body: dict[str, Any] = {
        "seq": seq,
        "at": iso(at_ms),
        "kind": kind,
        "step": step,
        "fence": fence,
        "data": dict(data),
        "prev": prev,
    }
    sealed = digest(canonical(body))
    text = canonical({**body, "hash": sealed}).decode()
    return Line(seq, at_ms, kind, step, fence, body["data"], prev, sealed, text)


def parse_line(
    text: str | bytes, seq: int, prev: str, origin: Path | str, kinds: frozenset[str] = KINDS
) -> Line:
    """Read one line and check it against its place in the chain.

    Args:
        text: The line without its newline.
        seq: The number that it must have.
        prev: The hash that it must name.
        origin: The file or copy, for the message.
        kinds: What it may say.

    Raises:
        TamperedError: When it does not fit, with the line's number.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        value = parse_object(raw[:MAX_LINE])
        line = make_line(
            seq=_typed(value, "seq", int),
            at_ms=parse_iso(_typed(value, "at", str)),
            kind=_typed(value, "kind", str),
            step=None if value.get("step") is None else _typed(value, "step", str),
            fence=_typed(value, "fence", int),
            data=_typed(value, "data", dict),
            prev=_typed(value, "prev", str),
        )
    except (ValueError, OrganismError) as exc:
        raise TamperedError(origin, seq + 1, f"not a journal line ({clean(str(exc), 120)})") from exc
    if line.text.encode() != raw:
        raise TamperedError(origin, seq + 1, "its content does not give its hash")
    if line.seq != seq or line.prev != prev:
        raise TamperedError(origin, seq + 1, "it does not follow the line before it")
    if line.kind not in kinds:
        raise TamperedError(origin, seq + 1, f"unknown kind {line.kind!r}")
    return line


def parse_lines(
    texts: Sequence[str | bytes], plan_hash: str, origin: Path | str, kinds: frozenset[str] = KINDS
) -> list[Line]:
    """Check a whole chain from its first line on.

    Raises:
        TamperedError: For the first line that does not fit.
    """
    lines: list[Line] = []
    prev = plan_hash
    for seq, text in enumerate(texts):
        line = parse_line(text, seq, prev, origin, kinds)
        lines.append(line)
        prev = line.hash
    return lines


def _typed(value: dict[str, Any], key: str, kind: type) -> Any:
    item = value.get(key)
    if not isinstance(item, kind) or isinstance(item, bool):
        raise ValueError(f"{key} is not {kind.__name__}")  # noqa: TRY004 - one error for all malformed lines
    return item


def _fits(text: bytes, seq: int, prev: str, kinds: frozenset[str]) -> bool:
    try:
        parse_line(text, seq, prev, "", kinds)
    except TamperedError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Reading:
    """A journal as read: its whole lines, and the torn tail when there is one."""

    lines: list[Line]
    torn: bytes = b""


def read_journal(path: Path, plan_hash: str, kinds: frozenset[str] = KINDS) -> Reading:
    """Read and check a journal; changes nothing.

    Args:
        path: ``journal.jsonl``; a missing file is an empty journal.
        plan_hash: The hash that the first line must name.
        kinds: What its lines may say.

    Raises:
        TamperedError: For the first edited line.
        JournalError: When the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Reading([])
    except OSError as exc:
        raise JournalError(f"{path}: cannot be read: {exc.strerror}") from exc
    *whole, tail = content.split(b"\n")
    lines = parse_lines(whole, plan_hash, path, kinds)
    # A cut write leaves a prefix of a line. A whole line with one byte more is an edited newline.
    if tail and _fits(tail[:-1], len(lines), lines[-1].hash if lines else plan_hash, kinds):
        raise TamperedError(path, len(lines) + 1, "its newline is gone")
    return Reading(lines, tail)


class Journal:
    """A journal open for appending by one runner (the local lock sees to that)."""

    def __init__(self, path: Path, plan_hash: str, lines: list[Line], now_ms: Callable[[], int]) -> None:
        self.path = path
        self.plan_hash = plan_hash
        self.lines = lines
        self.fence = 0
        self._now_ms = now_ms
        self._listeners: list[Callable[[Line], None]] = []

    @classmethod
    def open(
        cls, path: Path, plan_hash: str, now_ms: Callable[[], int], kinds: frozenset[str] = KINDS
    ) -> Journal:
        """Open for appending, after checking the whole chain; repairs a torn tail and notes it.

        Raises:
            TamperedError: For the first edited line.
            JournalError: When it cannot be read or written.
        """
        reading = read_journal(path, plan_hash, kinds)
        journal = cls(path, plan_hash, reading.lines, now_ms)
        journal.fence = max((line.fence for line in reading.lines), default=0)
        if reading.torn:
            journal._truncate(sum(len(line.text.encode()) + 1 for line in reading.lines))
            journal.append(
                "repaired", bytes=len(reading.torn), why="the last line was cut short and is ignored"
            )
        return journal

    @property
    def head(self) -> str:
        """The last line's hash; the plan's when there is none."""
        return self.lines[-1].hash if self.lines else self.plan_hash

    def listen(self, listener: Callable[[Line], None]) -> None:
        """Call ``listener`` with every line after it is on disk (the copies hang on this)."""
        self._listeners.append(listener)

    def append(self, kind: str, step: str | None = None, **data: Json) -> Line:
        """Write one line and fsync it.

        Args:
            kind: One of :data:`KINDS`.
            step: The step that it is about.
            **data: What it says; JSON-ready, without secrets; ``None`` values are left out.

        Raises:
            JournalError: When it is not on disk (full, read-only); the file is back at its last whole line.
        """
        now = self._now_ms()
        data = {key: value for key, value in data.items() if value is not None}
        if self.lines and now < self.lines[-1].at_ms:
            data["clock_back_ms"] = self.lines[-1].at_ms - now
        line = make_line(
            seq=len(self.lines),
            at_ms=now,
            kind=kind,
            step=step,
            fence=self.fence,
            data=data,
            prev=self.head,
        )
        self._write(line.text.encode() + b"\n")
        self.lines.append(line)
        for listener in self._listeners:
            listener(line)
        return line

    def _write(self, raw: bytes) -> None:
        size: int | None = None
        try:
            fresh = not self.path.exists()
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                view = memoryview(raw)
                while view:
                    view = view[os.write(fd, view) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            if fresh:
                fsync_folder(self.path.parent)
        except OSError as exc:
            if size is not None:
                with contextlib.suppress(JournalError):
                    self._truncate(size)
            raise JournalError(
                f"{self.path}: the journal cannot be written ({exc.strerror}); nothing further is done",
                advice="make room or make the folder writable, then run `organismctl change resume`",
            ) from exc

    def _truncate(self, size: int) -> None:
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.ftruncate(fd, size)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as exc:
            raise JournalError(
                f"{self.path}: its torn last line cannot be removed ({exc.strerror})",
                advice="make the folder writable, then run `organismctl change resume`",
            ) from exc


def fsync_folder(folder: Path) -> None:
    """Make a new name in a folder durable.

    Raises:
        OSError: When it cannot.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
