"""What a run of a runbook keeps on disk: the runbook as it was, how it was begun, and a hash-chained journal.

``<state>/runbooks/<id>/`` holds ``runbook.md``, ``run.json`` and ``journal.jsonl``; at the end also ``report.md`` and
``report.json``. The journal's first line names the hash over the other two, so that all three stand together.

| kind | says |
|---|---|
| ``opened``, ``resumed`` | a runner began: who, where |
| ``looked`` | what the checks found, but for what is well |
| ``section`` | whether a section applies, and by which findings |
| ``gave`` | a value that a person gave for a placeholder |
| ``probed`` | a probe: command line, exit code, redacted output |
| ``intent``, ``ran`` | *before* and *after* an action, the latter with exit code and redacted output |
| ``skipped`` | an action that was not done, and why |
| ``left``, ``done`` | the run was left, resumable; or it ended, with what was found then |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import canonical, digest, iso, parse_object
from organismctl.change.journal import Journal, Line, read_journal
from organismctl.change.lock import LocalLock, holder
from organismctl.change.plan import new_id
from organismctl.check.finding import Finding, Status
from organismctl.errors import InputError, OrganismError, UsageError
from organismctl.exits import Exit
from organismctl.files.atomic import os_errors, read_text, write_atomic
from organismctl.runbook.model import Runbook
from organismctl.runbook.parse import parse_runbook

if TYPE_CHECKING:
    from organismctl.identity.config import Json

KINDS = frozenset({
    "opened", "resumed", "looked", "section", "gave", "probed", "intent", "ran", "skipped", "left", "done", "repaired",
})  # fmt: skip
SCHEMA = 1


@dataclass(slots=True)
class Memory:
    """What a journal says so far.

    Attributes:
        sections: Section number to its ``section`` line's data.
        steps: Step key to the data of its last line; ``state`` is its kind.
        given: Values that a person gave.
        looked: The last look's data.
        done: The end's data, or ``None``.
    """

    sections: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    looked: Mapping[str, Any] | None = None
    done: Mapping[str, Any] | None = None

    def take(self, line: Line) -> None:
        """Take a line in."""
        match line.kind:
            case "section":
                self.sections[int(line.data["number"])] = line.data
            case "probed" | "intent" | "ran" | "skipped":
                before = self.steps.get(str(line.step), {})
                self.steps[str(line.step)] = {
                    **before,
                    **line.data,
                    "state": line.kind,
                    "at": iso(line.at_ms),
                }
            case "gave":
                self.given[str(line.data["name"])] = str(line.data["value"])
            case "looked":
                self.looked = line.data
            case "done":
                self.done = line.data
            case _:
                pass


@dataclass(slots=True)
class Record:
    """One run, open for writing; without a folder (a dry run) nothing is kept.

    Attributes:
        id: The run's id.
        book: The runbook as it was when the run began.
        about: ``run.json``: id, runbook, organism, operator, host, begun, values.
        memory: What happened so far.
        folder: Where it is kept, or ``None``.
    """

    id: str
    book: Runbook
    about: Mapping[str, Any]
    memory: Memory
    folder: Path | None = None
    _journal: Journal | None = None

    def append(self, kind: str, step: str | None = None, **data: Json) -> None:
        """Write a line, on disk when this returns.

        Raises:
            JournalError: It cannot be written.
        """
        if self._journal is not None:
            self.memory.take(self._journal.append(kind, step, **data))
            return
        plain = {key: value for key, value in data.items() if value is not None}
        self.memory.take(Line(0, 0, kind, step, 0, plain, "", "", ""))

    def keep(self, name: str, text: str) -> None:
        """Write a file beside the journal; nothing in a dry run."""
        if self.folder is not None:
            write_atomic(self.folder / name, text.encode(), 0o600)


@dataclass(frozen=True, slots=True)
class Kept:
    """A run as it is kept, for reading."""

    id: str
    about: Mapping[str, Any]
    book: Runbook
    lines: tuple[Line, ...]
    memory: Memory
    running: bool

    @property
    def state(self) -> str:
        """``running``, ``done`` or ``left``."""
        return "running" if self.running else "done" if self.memory.done is not None else "left"


class Records:
    """The runs of one organism on this machine.

    Args:
        folder: ``<state>/runbooks``.
        now_ms: The clock.
    """

    def __init__(self, folder: Path, now_ms: Callable[[], int]) -> None:
        self.folder = folder
        self._now_ms = now_ms

    def begin(self, book: Runbook, *, organism: str, operator: str, values: Mapping[str, str]) -> Record:
        """Begin a run.

        Raises:
            PathError, JournalError: It cannot be written; nothing was begun.
        """
        id_ = new_id(book.name, self._now_ms())
        about = self._about(id_, book, organism, operator, values)
        folder = self.folder / id_
        with os_errors(folder, "create"):
            folder.mkdir(parents=True, mode=0o700)
        write_atomic(folder / "runbook.md", book.text.encode(), 0o600)
        write_atomic(folder / "run.json", canonical(about) + b"\n", 0o600)
        return self._open(folder, book, about)

    def rehearse(self, book: Runbook, *, organism: str, operator: str, values: Mapping[str, str]) -> Record:
        """A run of which nothing is kept."""
        about = self._about("rehearsal", book, organism, operator, values)
        return Record("rehearsal", book, about, Memory(given=dict(values)))

    def resume(self, id_: str) -> Record:
        """Open a run again.

        Raises:
            OrganismError: There is none, it is done, or it does not prove.
        """
        kept = self.read(id_)
        if kept.memory.done is not None:
            raise UsageError(f"run {kept.id} is done", advice=f"organismctl runbook run {kept.book.name}")
        return self._open(self.folder / kept.id, kept.book, kept.about)

    def lock(self, record: Record) -> LocalLock:
        """The lock that keeps a second runner from the same run."""
        if record.folder is None:
            raise TypeError("a rehearsal has no lock")
        who = {"change": record.id, "operator": record.about["operator"], "host": record.about["host"],
               "pid": os.getpid(), "since": iso(self._now_ms())}  # fmt: skip
        return LocalLock(record.folder / "lock", who)

    def ids(self) -> list[str]:
        """Every run's id, the oldest first."""
        if not self.folder.is_dir():
            return []
        with os_errors(self.folder, "read"):
            return sorted(path.name for path in self.folder.iterdir() if (path / "run.json").is_file())

    def all(self) -> Iterator[Kept]:
        """Every run that can be read, the oldest first."""
        for id_ in self.ids():
            try:
                yield self.read(id_)
            except OrganismError:
                continue

    def read(self, id_: str) -> Kept:
        """Read a run by its id, or by the beginning of it.

        Raises:
            UsageError: There is none.
            OrganismError: It does not prove.
        """
        known = self.ids()
        near = [one for one in known if one.startswith(id_)]
        if id_ not in known and len(near) != 1:
            raise UsageError(f"there is no run {id_[:80]!r}", advice="organismctl runbook list --runs")
        folder = self.folder / (id_ if id_ in known else near[0])
        about = self._read_about(folder)
        text = read_text(folder / "runbook.md")
        book = parse_runbook(text, str(about["runbook"]), str(folder / "runbook.md"))
        lines = read_journal(folder / "journal.jsonl", _hash(book, about), KINDS).lines
        memory = Memory(given=dict(about["values"]))
        for line in lines:
            memory.take(line)
        return Kept(folder.name, about, book, tuple(lines), memory, holder(folder / "lock") is not None)

    def _read_about(self, folder: Path) -> dict[str, Any]:
        path = folder / "run.json"
        try:
            about = parse_object(read_text(path))
            if not isinstance(about["values"], dict) or not isinstance(about["runbook"], str):
                raise ValueError("not the keys of a run")  # noqa: TRY004 - one error for all
        except (ValueError, KeyError) as exc:
            raise InputError(f"{path}: no run of a runbook ({exc})") from exc
        return about

    def _open(self, folder: Path, book: Runbook, about: Mapping[str, Any]) -> Record:
        journal = Journal.open(folder / "journal.jsonl", _hash(book, about), self._now_ms, KINDS)
        memory = Memory(given=dict(about["values"]))
        for line in journal.lines:
            memory.take(line)
        return Record(folder.name, book, about, memory, folder, journal)

    def _about(
        self, id_: str, book: Runbook, organism: str, operator: str, values: Mapping[str, str]
    ) -> dict[str, Any]:
        import socket

        from organismctl import __version__

        return {
            "schema": SCHEMA, "id": id_, "runbook": book.name, "organism": organism, "operator": operator,
            "host": socket.gethostname(), "begun": iso(self._now_ms()), "version": __version__,
            "values": dict(values),
        }  # fmt: skip


def _hash(book: Runbook, about: Mapping[str, Any]) -> str:
    return digest(canonical({"runbook": book.text, "run": dict(about)}))


def finding_json(row: Finding) -> dict[str, Json]:
    """A finding as a journal keeps it."""
    return {
        "code": row.code, "status": row.status.value, "subject": row.subject, "summary": row.summary,
        "exit": int(row.exit), "values": {key: value for key, value in row.values.items() if _plain(value)},
    }  # fmt: skip


def finding_of(value: Mapping[str, Any]) -> Finding:
    """The finding of :func:`finding_json`."""
    return Finding(
        code=str(value["code"]), status=Status(value["status"]), subject=str(value["subject"]),
        summary=str(value["summary"]), values=dict(value.get("values", {})), exit=Exit(value.get("exit", 0)),
    )  # fmt: skip


def _plain(value: Json) -> bool:
    """Whether a value has a canonical form: a float beyond JSON's, or a large integer, stays out."""
    try:
        canonical({"value": value})
    except OrganismError:
        return False
    return True
