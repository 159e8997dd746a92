"""The organism as a procedure sees it: identity, nodes, limits, and how to look and act.

Built from the files by ``wiring.py``; procedures know nothing else, so each can be tried on a small world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from organismctl.change.executor import Executor
from organismctl.change.fleet import Fleet

if TYPE_CHECKING:
    from organismctl.identity.config import Json


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the deployment file.

    Attributes:
        name: Its name.
        peer_id: 64 hex.
        url: Its node API.
        executor: ``manual``, ``command`` or ``systemd``.
        roster: Whether the file has it on the roster (a wish; the certified roster stands in the ledger).
    """

    name: str
    peer_id: str
    url: str
    executor: str
    roster: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding as plans keep it."""

    code: str
    status: str
    subject: str
    summary: str

    def as_json(self) -> dict[str, Json]:
        """JSON-ready."""
        return {"code": self.code, "status": self.status, "subject": self.subject, "summary": self.summary}


@dataclass(frozen=True, slots=True)
class Ending:
    """One surface as an integrator sees its end, on one node.

    Attributes:
        node: The node.
        surface: The surface's name.
        ok: Whether the marker is its last item, by a certificate that proves from ``[genesis]``, nothing
        after.
        detail: One sentence.
        items: How many items were read and proven.
        last_seq: Seq of the last item, or ``None`` when there is none.
        seen: ``False`` when the node could not be asked.
    """

    node: str
    surface: str
    ok: bool
    detail: str
    items: int = 0
    last_seq: int | None = None
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Coalition:
    """A coalition and where its Chronicle is read; ``chronicle`` is ``None`` when it has none."""

    name: str
    chronicle: str | None
    contact: str | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of deployment.toml that changes use, seconds unless the name says otherwise."""

    change_deadline_s: float = 600.0
    lead_time_s: float = 86_400.0
    commit_lag: int = 20
    probe_timeout_s: float = 3.0
    linger_s: float = 2_592_000.0
    period_s: float = 1.0
    wait_s: float = 60.0
    """A date that is at most this far off is waited for; a later one parks the change."""


class Eyes(Protocol):
    """Looks that need other parts of the tool."""

    def tickets_outlive(self, nodes: Sequence[str], until_ms: int) -> list[Verdict]:
        """Whether each node's tickets admit it to every spanned member until then: a verdict each."""
        ...

    def tickets_expired(self, node: str, now_ms: int) -> bool | None:
        """Whether no ticket of the node admits it anywhere any more; ``None`` when it cannot be told."""
        ...

    def endings(self) -> list[Ending]:
        """Every surface on every node, read and checked as an integrator would."""
        ...

    def chronicle(self, where: str) -> Sequence[Mapping[str, Json]]:
        """Entries of a Chronicle (a file or a URL).

        Raises:
            UnreachableError: It cannot be read.
        """
        ...


class RosterFile(Protocol):
    """The ``roster`` flags of deployment.toml."""

    def read(self) -> Mapping[str, bool]:
        """Node name to flag, as the file stands now."""
        ...

    def write(self, flags: Mapping[str, bool]) -> None:
        """Set flags; a person's comments survive. Nothing happens when they stand so already."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One organism, able to be looked at and acted on.

    Attributes:
        organism: Its name.
        fingerprint: 64 hex, computed from organism.toml.
        group_id: 64 hex, or ``None`` with neither secret nor lock.
        stable_id: 64 hex.
        surfaces: Names of our surfaces.
        members: The nodes of the deployment file.
        fleet: Their APIs.
        executor: Node name to executor.
        eyes: Looks that need other parts of the tool.
        roster_file: The flags of deployment.toml.
        limits: Thresholds.
        coalitions: Who keeps a Chronicle.
        channel: Where notices are published, or ``None``.
        retire_exec: ``[retire] exec``: argv that gets the marker on standard input; empty when the node API
            takes the schedule.
        change: The change's id, by which a later announcement refers to an earlier one.
        folder: The folder of this change: announcements are written there.
        now_ms: The wall clock.
        accepted_risks: Codes that the operator accepts, by ``--accept-risk``.
        note_risk: Journals an accepted risk: code and why.
    """

    organism: str
    fingerprint: str
    group_id: str | None
    stable_id: str | None
    surfaces: tuple[str, ...]
    members: tuple[Member, ...]
    fleet: Fleet
    executor: Callable[[str], Executor]
    eyes: Eyes
    roster_file: RosterFile
    limits: Limits
    now_ms: Callable[[], int]
    coalitions: tuple[Coalition, ...] = ()
    channel: str | None = None
    retire_exec: tuple[str, ...] = ()
    change: str = ""
    folder: Path = field(default_factory=Path)
    accepted_risks: frozenset[str] = frozenset()
    note_risk: Callable[[str, str], None] = lambda _code, _why: None

    def member(self, name: str) -> Member:
        """The node of that name.

        Raises:
            InputError: The deployment file has none, with the names that it has.
        """
        from organismctl.errors import InputError

        for member in self.members:
            if member.name == name:
                return member
        known = ", ".join(member.name for member in self.members)
        raise InputError(f"no node {name[:80]!r} in deployment.toml; it has {known}")

    def name_of(self, peer_id: str) -> str:
        """The name of a peer, or ten characters of its id when the deployment file does not know it."""
        return next((member.name for member in self.members if member.peer_id == peer_id), peer_id[:10])
