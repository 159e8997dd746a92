"""What the simulated world is made of: disks, machines and a network."""

from __future__ import annotations

from dataclasses import dataclass, field

from organismctl.committee.ledger.effects import (
    DiskState,
    Origin,
    Write,
)
from organismctl.committee.ledger.entry import NO_EPOCH, Entry, Epoch, Kind
from organismctl.committee.ledger.protocol import Node
from organismctl.committee.ledger.roster import NOBODY, Roster, after


class Disk:
    """What survives a crash: applied writes; what was asked for but not finished may or may not be among them."""

    def __init__(self, incarnation: int, origin: Origin, introduced: bool) -> None:
        self.incarnation = incarnation
        self.origin = origin
        self.introduced = introduced
        self.promised: Epoch = NO_EPOCH
        self.accepted: Epoch = NO_EPOCH
        self.certified = -1
        self.entries: list[Entry] = []
        self.incarnations: dict[bytes, int] = {}

    def apply(self, write: Write) -> None:
        if write.promised is not None:
            self.promised = write.promised
        if write.accepted is not None:
            self.accepted = write.accepted
        if write.truncate is not None:
            del self.entries[write.truncate + 1 :]
        if write.entries:
            assert write.entries[0].height == len(self.entries), "a write leaves a gap"
            self.entries.extend(write.entries)
        if write.certified is not None:
            assert write.certified < len(self.entries), "certified beyond what is on disk"
            self.certified = write.certified
        self.introduced = self.introduced or write.introduced
        self.incarnations.update(write.incarnations)

    def state(self) -> DiskState:
        roster: Roster = NOBODY
        for entry in self.entries[: self.certified + 1]:
            if entry.command[0] != Kind.APPLICATION:
                roster = after(roster, entry.command) or roster
        tail = tuple(self.entries[max(self.certified, 0) :])
        return DiskState(
            self.incarnation,
            self.origin,
            self.introduced,
            self.promised,
            self.accepted,
            self.certified,
            tail,
            roster,
            dict(self.incarnations),
        )


@dataclass(slots=True)
class Machine:
    """One simulated node: its disk, and while it runs its protocol."""

    id: bytes
    disk: Disk
    node: Node | None = None
    run: int = 0
    pending: list[Write] = field(default_factory=list)
    busy_until: float = 0.0
    slow: float = 1.0


@dataclass(slots=True)
class Network:
    """How bad the network is now."""

    loss: float = 0.0
    double: float = 0.0
    delay: float = 0.005
    late: float = 0.0
    late_by: float = 0.5
    cut: set[tuple[bytes, bytes]] = field(default_factory=set)
