"""Copies of a change's plan and journal, so that another operator on another machine can take over.

A copy goes to every reachable node's change store and to the shared folder when one is configured. A copy
that is out of reach never stops a change: it is caught up when it is back. A copy that *contradicts* the
journal under a greater fence does: another runner has taken over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from organismctl.change.canonical import clean
from organismctl.change.errors import SupersededError, TamperedError, TransientError
from organismctl.change.journal import Line, fsync_folder, parse_lines
from organismctl.change.plan import Plan, parse_plan
from organismctl.errors import OrganismError

BACK_OFF_S = 3.0
"""How long a target that did not answer is left alone."""
MAX_COPY = 64 << 20


class ContradictionError(OrganismError):
    """The target holds other lines at these numbers."""


class MissingLinesError(OrganismError):
    """The target has fewer lines than it was told; it is to be caught up."""


class Target(Protocol):
    """Where copies are kept."""

    @property
    def name(self) -> str:
        """For people: ``node node-a``, ``shared folder /mnt/ops``."""
        ...

    @property
    def spare(self) -> bool:
        """Whether it is of no concern that it is away: a node that is on no roster."""
        ...

    def ids(self) -> list[str]:
        """Ids of the changes that it holds.

        Raises:
            TransientError: Not within reach.
        """
        ...

    def get(self, change: str) -> tuple[str, list[str]] | None:
        """Text of the plan and of the lines, unchecked; ``None`` when it does not hold the change.

        Raises:
            TransientError: Not within reach.
        """
        ...

    def put(self, change: str, plan: str | None, start: int, lines: Sequence[str]) -> None:
        """Append lines from number ``start`` on; lines that it has already are compared.

        Raises:
            ContradictionError: It holds something else there.
            MissingLinesError: It has fewer than ``start`` lines.
            TransientError: Not within reach.
        """
        ...


class FolderTarget:
    """A shared folder: ``<folder>/<id>/plan.json`` and ``journal.jsonl``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """See :attr:`Target.name`."""
        return f"shared folder {self.folder}"

    @property
    def spare(self) -> bool:
        """See :attr:`Target.spare`."""
        return False

    def ids(self) -> list[str]:
        """See :meth:`Target.ids`."""
        try:
            return sorted(path.parent.name for path in self.folder.glob("*/plan.json"))
        except OSError as exc:
            raise TransientError(f"{self.name}: {exc.strerror}") from exc

    def get(self, change: str) -> tuple[str, list[str]] | None:
        """See :meth:`Target.get`."""
        folder = self.folder / change
        try:
            plan = (folder / "plan.json").read_bytes()
            journal = folder / "journal.jsonl"
            content = journal.read_bytes() if journal.exists() else b""
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise TransientError(f"{self.name}: {exc.strerror}") from exc
        whole = content.split(b"\n")[:-1]
        return plan.decode(errors="replace").strip(), [line.decode(errors="replace") for line in whole]

    def put(self, change: str, plan: str | None, start: int, lines: Sequence[str]) -> None:
        """See :meth:`Target.put`."""
        folder = self.folder / change
        try:
            if plan is not None and not (folder / "plan.json").exists():
                folder.mkdir(parents=True, exist_ok=True)
                _write_durably(folder / "plan.json", (plan + "\n").encode())
                fsync_folder(self.folder)
            held = self.get(change)
            have = held[1] if held else []
            if len(have) < start:
                raise MissingLinesError(f"{self.name} has {len(have)} lines, not {start}")
            if have[start : start + len(lines)] != list(lines)[: len(have) - start]:
                raise ContradictionError(f"{self.name} holds other lines of {change}")
            new = list(lines)[len(have) - start :]
            if new:
                self._append(folder / "journal.jsonl", new)
        except OSError as exc:
            raise TransientError(f"{self.name}: {exc.strerror}") from exc

    def _append(self, path: Path, lines: Sequence[str]) -> None:
        with path.open("ab") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())


def _write_durably(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class Copy:
    """A checked copy of a change: what a target holds, up to the first line that does not fit.

    Attributes:
        origin: The target's name.
        plan: The plan.
        lines: Its lines that prove.
        fault: What does not prove, or ``None``.
    """

    origin: str
    plan: Plan
    lines: list[Line]
    fault: str | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """Greater is later: (greatest fence, number of lines)."""
        return max((line.fence for line in self.lines), default=0), len(self.lines)


def check_copy(origin: str, plan: str, lines: Sequence[str]) -> Copy:
    """Check a target's answer.

    Raises:
        PlanError: When not even the plan proves.
    """
    parsed = parse_plan(plan, origin)
    try:
        return Copy(origin, parsed, parse_lines(lines, parsed.hash, origin))
    except TamperedError as exc:
        return Copy(origin, parsed, parse_lines(lines[: exc.line - 1], parsed.hash, origin), exc.message)


@dataclass(slots=True)
class _Position:
    """How far a target has been told; ``next`` is ``None`` until it was asked."""

    next: int | None = None
    quiet_until: float = 0.0
    stray: bool = False


@dataclass(slots=True)
class Copies:
    """Sends one change's lines to all targets at once.

    Attributes:
        plan: The change's plan.
        targets: Where copies go.
        say: Told once about every target that cannot be reached or holds something else.
        superseded: Set when a copy shows a greater fence than ours.
    """

    plan: Plan
    targets: Sequence[Target]
    say: Callable[[str], None] = lambda _text: None
    superseded: str | None = None
    _lines: list[Line] = field(default_factory=list)
    _at: dict[str, _Position] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def begin(self, lines: Iterable[Line]) -> None:
        """Start from the journal as it stands, and catch every target up."""
        self._lines = list(lines)
        self._push()

    def send(self, line: Line) -> None:
        """Copy a new line; hang this on :meth:`Journal.listen`."""
        self._lines.append(line)
        self._push()

    def check(self) -> None:
        """The fence by the copies, for the time after the seal, when there is no lease.

        Raises:
            SupersededError: A copy shows that another runner took over.
        """
        if self.superseded is not None:
            raise SupersededError(
                f"this runner was taken over: {self.superseded}; nothing more is done here",
                advice=f"`organismctl change show {self.plan.id}` tells how it goes on",
            )

    def _push(self) -> None:
        now = time.monotonic()
        due = [target for target in self.targets if self._position(target).quiet_until <= now]
        due = [target for target in due if not self._position(target).stray]
        if len(due) > 1:
            with ThreadPoolExecutor(len(due), "copies") as pool:
                list(pool.map(self._push_to, due))
        elif due:
            self._push_to(due[0])

    def _position(self, target: Target) -> _Position:
        return self._at.setdefault(target.name, _Position())

    def _push_to(self, target: Target) -> None:
        at = self._position(target)
        try:
            if at.next is None:
                at.next = self._compare(target)
                if at.stray:
                    return
            texts = [line.text for line in self._lines[at.next :]]
            plan = self.plan.text().decode().strip() if at.next == 0 else None
            try:
                target.put(self.plan.id, plan, at.next, texts)
            except ContradictionError:
                at.next = self._compare(target)
                return
            at.next = len(self._lines)
        except MissingLinesError:
            at.next = None
        except TransientError as exc:
            at.quiet_until = time.monotonic() + BACK_OFF_S
            if not target.spare:
                self._tell(target, f"no copy of the journal on {target.name} for now: {exc.message}")
        except OrganismError as exc:
            at.stray = True
            self._tell(target, f"no copy of the journal on {target.name}: {exc.message}")

    def _compare(self, target: Target) -> int:
        """How many of our lines the target has; notices another runner."""
        held = target.get(self.plan.id)
        if held is None:
            return 0
        copy = check_copy(target.name, *held)
        ours = [line.text for line in self._lines]
        theirs = [line.text for line in copy.lines]
        if copy.plan.hash == self.plan.hash and theirs == ours[: len(theirs)] and copy.fault is None:
            return len(theirs)
        self._position(target).stray = True
        fence = max((line.fence for line in self._lines), default=0)
        if copy.rank > (fence, len(ours)):
            last = copy.lines[-1]
            self.superseded = (
                f"{target.name} holds later lines, fence {copy.rank[0]} (ours: {fence}), last {last.kind}"
            )
        else:
            why = copy.fault or "they contradict the journal here"
            self._tell(
                target, f"{target.name} holds other lines of this change, and is left alone: {clean(why)}"
            )
        return len(theirs)

    def _tell(self, target: Target, text: str) -> None:
        if target.name not in self._told:
            self._told.add(target.name)
            self.say(text)
