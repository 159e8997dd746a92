"""The committee as its nodes tell it: each node's status, read carefully, and what follows about its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from organismctl.check.node_told import MalformedStatusError, Told, read_told
from organismctl.identity.roster import majority

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.observe.snapshot import Fact


class Life(StrEnum):
    """What is known of a committee member."""

    UP = "up"
    STOPPED = "stopped"
    VOUCHED = "vouched"
    """It did not answer us, but a peer that did has a bond to it."""
    GONE = "gone"
    """It did not answer us, and no peer that did has a bond to it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Seen:
    """One committee member.

    Attributes:
        name: The node's name.
        peer_id: 64 hex.
        fact: What was asked of it, if anything.
        told: Its NodeStatus; ``None`` when it was not seen or is malformed.
        malformed: Why its answer is not one.
    """

    name: str
    peer_id: str
    fact: Fact | None
    told: Told | None
    malformed: str | None = None

    @property
    def stopped(self) -> str | None:
        """Its own reason for having stopped."""
        return None if self.told is None else self.told.stopped

    @property
    def certified(self) -> int | None:
        """The height that it has certified."""
        return None if self.told is None else self.told.certified


@dataclass(frozen=True, slots=True)
class View:
    """Everything that the committee checks share.

    Attributes:
        members: The certified roster (the file's wish where nobody answered), in order.
        others: Nodes of the deployment that answer and are not on the roster.
        roster_version: The newest certified version; ``None`` when nobody answered.
        life: Peer id to what is known.
    """

    members: tuple[Seen, ...]
    others: tuple[Seen, ...]
    roster_version: int | None
    life: Mapping[str, Life]

    @property
    def answering(self) -> list[tuple[Seen, Told]]:
        """Members whose status is here."""
        return [(one, one.told) for one in self.members if one.told is not None]

    @property
    def needed(self) -> int:
        """A majority of the roster."""
        return majority(len(self.members))

    @property
    def one_host(self) -> bool:
        """Whether a node says that the whole committee runs on one host."""
        return any(told.one_host for _, told in self.answering)

    @property
    def sealed(self) -> bool:
        """Whether a node says that the organism is sealed."""
        return any(told.sealed for _, told in self.answering)

    def count(self, *lives: Life) -> int:
        """How many members are in one of these states."""
        return sum(self.life[one.peer_id] in lives for one in self.members)

    def name(self, peer_id: str) -> str:
        """A peer's name, else ten characters of its id."""
        everyone = (*self.members, *self.others)
        return next((one.name for one in everyone if one.peer_id == peer_id), peer_id[:10])


def make_view(scope: Scope) -> View:
    """Read every node's status and put the certified roster together."""
    nodes = scope.deployment.nodes if scope.deployment else ()
    seen = {node.peer_id.hex(): _seen(scope, node.name, node.peer_id.hex()) for node in nodes}
    version, certified = _newest_roster(list(seen.values()))
    if certified is None:
        wished = [node.peer_id.hex() for node in nodes if node.roster]
        members = tuple(seen[peer] for peer in wished)
    else:
        members = tuple(seen.get(peer) or Seen(name, peer, None, None) for peer, name in certified.items())
    on = {one.peer_id for one in members}
    others = tuple(one for peer, one in seen.items() if peer not in on and one.told is not None)
    return View(members, others, version, _lives(members))


def _seen(scope: Scope, name: str, peer_id: str) -> Seen:
    fact = scope.snapshot.get("node.status", name)
    if fact is None or not fact.seen:
        return Seen(name, peer_id, fact, None)
    try:
        told = read_told(fact.value)
    except MalformedStatusError as exc:
        return Seen(name, peer_id, fact, None, str(exc))
    if told.peer_id != peer_id:
        return Seen(name, peer_id, fact, None, f"another node answers there: peer id {told.peer_id[:10]}")
    return Seen(name, peer_id, fact, told)


def _newest_roster(seen: list[Seen]) -> tuple[int | None, Mapping[str, str] | None]:
    """The roster of the greatest version; of several at one version, the one that most nodes hold."""
    held = [
        one.told for one in seen if one.told is not None and one.told.roster_version >= 0 and one.told.roster
    ]
    if not held:
        return None, None
    newest = max(told.roster_version for told in held)
    counts: dict[frozenset[str], int] = {}
    rosters: dict[frozenset[str], Mapping[str, str]] = {}
    for told in held:
        if told.roster_version == newest:
            key = frozenset(told.roster)
            counts[key] = counts.get(key, 0) + 1
            rosters.setdefault(key, told.roster)
    return newest, rosters[max(counts, key=lambda key: counts[key])]


def _lives(members: tuple[Seen, ...]) -> dict[str, Life]:
    up = [one.told for one in members if one.told is not None and one.stopped is None]
    vouched = frozenset().union(*(told.connected for told in up))
    lives = {}
    for one in members:
        if one.told is not None:
            lives[one.peer_id] = Life.UP if one.stopped is None else Life.STOPPED
        elif one.peer_id in vouched:
            lives[one.peer_id] = Life.VOUCHED
        else:
            lives[one.peer_id] = Life.GONE if up else Life.UNKNOWN
    return lives
