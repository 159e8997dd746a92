"""The part of a node's ledger that stands in memory: everything uncertified, and the newest certified entries."""

from __future__ import annotations

from collections.abc import Sequence

from organismctl.committee.ledger.effects import DiskState
from organismctl.committee.ledger.entry import NO_DIGEST, Entry
from organismctl.committee.ledger.roster import Roster, after


class Log:
    """A window on the ledger, with the rosters that govern it.

    Attributes:
        first: The lowest height in memory (``last + 1`` when there is none).
        last: The highest height, -1 when the ledger is empty.
    """

    __slots__ = ("_entries", "_rosters", "first", "last", "size")

    def __init__(self, disk: DiskState) -> None:
        self._entries: list[Entry] = list(disk.entries)
        self.first = disk.entries[0].height if disk.entries else 0
        self.last = self.first + len(self._entries) - 1
        self.size = sum(len(entry.command) for entry in self._entries)
        self._rosters: list[tuple[int, Roster]] = [(disk.certified, disk.roster)]
        for entry in self._entries:
            if entry.height > disk.certified:
                self._note(entry)

    def _note(self, entry: Entry) -> None:
        changed = after(self._rosters[-1][1], entry.command)
        if changed is not None:
            self._rosters.append((entry.height, changed))

    def digest(self, height: int) -> bytes | None:
        """The digest at a height; ``None`` when it is not in memory."""
        if height == -1:
            return NO_DIGEST
        if self.first <= height <= self.last:
            return self._entries[height - self.first].digest
        return None

    def span(self, start: int, end: int) -> Sequence[Entry]:
        """The entries from ``start`` to ``end``, both included; all must be in memory."""
        if start > end:
            return ()
        return self._entries[start - self.first : end - self.first + 1]

    def commands(self, start: int, end: int) -> tuple[bytes, ...]:
        """The commands from ``start`` to ``end``, both included."""
        return tuple([entry.command for entry in self.span(start, end)])

    def extend(self, entries: Sequence[Entry]) -> None:
        """Add entries that follow the last; raises ``MalformedError`` for a roster change that cannot be."""
        for entry in entries:
            kind = entry.command[0] if entry.command else -1
            if kind != 0:
                self._note(entry)
            self._entries.append(entry)
            self.size += len(entry.command)
            self.last = entry.height

    def truncate(self, height: int) -> None:
        """Drop everything above a height, which must be in memory, or -1."""
        while self.last > height:
            self.size -= len(self._entries.pop().command)
            self.last -= 1
        while len(self._rosters) > 1 and self._rosters[-1][0] > height:
            self._rosters.pop()

    def trim(self, certified: int, keep: int, keep_bytes: int) -> None:
        """Forget old certified entries, and rosters that no longer govern anything in memory."""
        if certified - self.first > 2 * keep or (self.size > 2 * keep_bytes and certified > self.first):
            cut = max(certified - keep, self.first)
            spare = self.size - sum(len(e.command) for e in self._entries[: cut - self.first])
            while spare > keep_bytes and cut < certified:
                spare -= len(self._entries[cut - self.first].command)
                cut += 1
            del self._entries[: cut - self.first]
            self.first = cut
            self.size = sum(len(entry.command) for entry in self._entries)
        while len(self._rosters) > 1 and self._rosters[1][0] <= certified:
            self._rosters.pop(0)

    def roster(self, height: int) -> Roster:
        """The roster as of a height at or above the certified one."""
        for at, roster in reversed(self._rosters):
            if at <= height:
                return roster
        return self._rosters[0][1]

    def rosters(self) -> list[Roster]:
        """The rosters as of the certified height and of every change above it, in order."""
        return [roster for _, roster in self._rosters]

    def next_change(self, height: int) -> int | None:
        """The height of the first roster change above ``height``, or ``None``."""
        return next((at for at, _ in self._rosters if at > height), None)
