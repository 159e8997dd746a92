"""Where changes are kept: ``changes/<id>/plan.json`` and ``journal.jsonl``, merged with the copies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from organismctl.change.copies import Copy, Target, check_copy
from organismctl.change.errors import JournalError, PlanError, TamperedError, TransientError
from organismctl.change.journal import Journal, fsync_folder, read_journal
from organismctl.change.lock import holder
from organismctl.change.plan import Plan, read_plan, write_plan
from organismctl.change.state import State, View, fold
from organismctl.errors import InputError, OrganismError

ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,99}", re.ASCII)
T = TypeVar("T")
LOCAL = "this machine"


@dataclass(frozen=True, slots=True)
class Change:
    """One change, merged from here and from the copies.

    Attributes:
        id: Its id.
        best: The copy with the greatest fence, then the most lines.
        copies: Every copy that was seen, this machine's first.
        view: What the best one says.
        faults: What does not prove, a sentence each.
    """

    id: str
    best: Copy
    copies: tuple[Copy, ...]
    view: View
    faults: tuple[str, ...] = ()

    @property
    def under_way(self) -> bool:
        """Whether it is neither planned, nor done, nor aborted."""
        return not self.view.state.final and self.view.state is not State.PLANNED

    @property
    def local(self) -> Copy | None:
        """This machine's copy, when there is one."""
        return next((copy for copy in self.copies if copy.origin == LOCAL), None)


class Store:
    """The changes of one organism, as one machine sees them.

    Args:
        folder: ``<state>/changes``.
        targets: Where copies are.
        say: Told what could not be looked at.
    """

    def __init__(
        self, folder: Path, targets: Sequence[Target] = (), say: Callable[[str], None] = lambda _text: None
    ) -> None:
        self.folder = folder
        self.targets = tuple(targets)
        self.say = _once(say)
        self._told: set[str] = set()

    @property
    def lock_path(self) -> Path:
        """The local lock of every runner on this machine."""
        return self.folder / "lock"

    def create(self, plan: Plan, now_ms: Callable[[], int]) -> Journal:
        """Write the plan and open its journal.

        Raises:
            PlanError: The plan cannot be written, or the change exists already.
        """
        folder = self._path(plan.id)
        if (folder / "journal.jsonl").exists():
            raise PlanError(
                f"change {plan.id} was begun already",
                advice=f"`organismctl change resume {plan.id}` goes on with it",
            )
        write_plan(folder / "plan.json", plan)
        _durable(folder)
        return Journal.open(folder / "journal.jsonl", plan.hash, now_ms)

    def open(self, change: str, now_ms: Callable[[], int]) -> tuple[Plan, Journal]:
        """Open a change of this machine for running.

        Raises:
            InputError: There is none of that id.
            PlanError, TamperedError, JournalError: It does not prove, or cannot be written.
        """
        folder = self._path(change)
        if not (folder / "plan.json").exists():
            raise InputError(
                f"no change {change} on this machine",
                advice="`organismctl change list` tells the ids; one that runs elsewhere is taken over "
                f"with `organismctl change takeover {change}`",
            )
        plan = read_plan(folder / "plan.json")
        if plan.id != change:
            raise PlanError(f"{folder / 'plan.json'}: is the plan of {plan.id}")
        return plan, Journal.open(folder / "journal.jsonl", plan.hash, now_ms)

    def adopt(self, copy: Copy) -> None:
        """Make this machine's copy be that one, for a takeover; the own lines must be the beginning of it.

        Raises:
            JournalError: This machine has other lines, or the folder cannot be written.
        """
        folder = self._path(copy.plan.id)
        path = folder / "journal.jsonl"
        have = read_journal(path, copy.plan.hash).lines if path.exists() else []
        if [line.text for line in have] != [line.text for line in copy.lines[: len(have)]]:
            number = next(
                (n for n, (a, b) in enumerate(zip(have, copy.lines, strict=False), 1) if a.text != b.text),
                len(copy.lines) + 1,
            )
            raise JournalError(
                f"{path}: line {number} differs from the copy on {copy.origin}",
                advice="another runner went on elsewhere; move this folder away and take over again",
            )
        write_plan(folder / "plan.json", copy.plan)
        temporary = folder / ".journal.adopted"
        try:
            temporary.write_bytes("".join(f"{line.text}\n" for line in copy.lines).encode())
            with temporary.open("rb+") as file:
                import os

                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as exc:
            raise JournalError(f"{path}: cannot be written ({exc.strerror}); nothing was done") from exc
        _durable(folder)

    def ids(self) -> list[str]:
        """Every id that is known here or on a reachable target, oldest first."""
        found = {path.parent.name for path in self.folder.glob("*/plan.json")}
        for answer in self._ask(lambda target: target.ids()):
            found.update(change for change in answer if ID.fullmatch(change))
        return sorted(found)

    def load(self, change: str, *, lease_of: str | None = None, deep: bool = True) -> Change:
        """One change, from here and from every reachable target; changes nothing.

        Args:
            change: The id.
            lease_of: The change that holds a live lease in the ledger, when known.
            deep: Also compare with the copies when this machine knows that the change is over.

        Raises:
            InputError: Nobody knows it.
        """
        self._path(change)
        copies: list[Copy] = []
        faults: list[str] = []
        local = self._local(change, faults)
        if local is not None:
            copies.append(local)
            if not deep and (view := fold(local.plan, local.lines)).state.final:
                return Change(change, local, (local,), view)
        for target, answer in zip(self.targets, self._ask(lambda target: [target.get(change)]), strict=True):
            for held in answer:
                if held is None:
                    continue
                try:
                    copies.append(check_copy(target.name, *held))
                except OrganismError as exc:
                    faults.append(exc.message)
        faults.extend(copy.fault for copy in copies if copy.fault)
        if not copies:
            if faults:
                raise TamperedError(change, 0, "; ".join(faults)) if local else PlanError("; ".join(faults))
            raise InputError(f"no change {change}", advice="`organismctl change list` tells the ids")
        best = max(copies, key=lambda copy: (copy.rank, copy.origin == LOCAL))
        faults.extend(_contradictions(best, copies))
        acting = holder(self.lock_path)
        running = acting is not None and acting.get("change") == change
        # Here the lock knows better than the lease, which outlives a killed runner for a while.
        if best.origin != LOCAL:
            running = running or lease_of == change
        return Change(
            change, best, tuple(copies), fold(best.plan, best.lines, running=running), tuple(faults)
        )

    def unfinished(self) -> list[Change]:
        """Every change that is neither done nor aborted, here or anywhere in reach."""
        return [change for change in self.readable() if change.under_way]

    def readable(self) -> list[Change]:
        """Every change that can be read, here or anywhere in reach; of the others it is said why not."""
        changes = []
        for change in self.ids():
            try:
                changes.append(self.load(change, deep=False))
            except OrganismError as exc:
                self.say(f"change {change} cannot be read: {exc.message}")
        return changes

    def _local(self, change: str, faults: list[str]) -> Copy | None:
        folder = self._path(change)
        if not (folder / "plan.json").exists():
            return None
        try:
            plan = read_plan(folder / "plan.json")
            reading = read_journal(folder / "journal.jsonl", plan.hash)
        except TamperedError as exc:
            faults.append(exc.message)
            whole = (folder / "journal.jsonl").read_bytes().split(b"\n")[: exc.line - 1]
            try:
                return check_copy(LOCAL, plan.text().decode(), [line.decode() for line in whole])
            except (OrganismError, UnicodeDecodeError):
                return None
        except (PlanError, JournalError) as exc:
            faults.append(exc.message)
            return None
        if reading.torn:
            self.say(f"change {change}: the last line was cut short and is ignored")
        return Copy(LOCAL, plan, reading.lines)

    def _ask(self, call: Callable[[Target], list[T]]) -> list[list[T]]:
        def one(target: Target) -> list[T]:
            try:
                return call(target)
            except TransientError as exc:
                if not target.spare:
                    self._say_once(f"{target.name} could not be asked for its copies: {exc.message}")
                return []
            except OrganismError as exc:
                self._say_once(f"{target.name}: {exc.message}")
                return []

        if not self.targets:
            return []
        with ThreadPoolExecutor(len(self.targets), "copies") as pool:
            return list(pool.map(one, self.targets))

    def _say_once(self, text: str) -> None:
        """A target that is off is off for every question of one command; once is enough."""
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def _path(self, change: str) -> Path:
        if not ID.fullmatch(change):
            raise InputError(f"{change[:80]!r} is not the id of a change")
        return self.folder / change


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """A node that is away is said once, however often it is asked."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            say(text)

    return tell


def _contradictions(best: Copy, copies: Sequence[Copy]) -> list[str]:
    """Where copies are no beginning of the best one, with the line's number."""
    told = []
    for copy in copies:
        for number, (ours, theirs) in enumerate(zip(best.lines, copy.lines, strict=False), 1):
            if ours.text != theirs.text:
                told.append(f"{copy.origin}: line {number} differs from {best.origin}")
                break
    return told


def _durable(folder: Path) -> None:
    try:
        fsync_folder(folder)
        fsync_folder(folder.parent)
    except OSError as exc:
        raise JournalError(f"{folder}: cannot be made durable ({exc.strerror}); nothing was begun") from exc
