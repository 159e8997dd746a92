"""The committee as its nodes tell it: each node's status, read carefully, and what follows about its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from organismctl.check.quorum import majority
from organismctl.check.values import hex_id, items, table, text, whole

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
        status: Its NodeStatus; ``None`` when it was not seen or is malformed.
        malformed: Why its answer is not one.
    """

    name: str
    peer_id: str
    fact: Fact | None
    status: Mapping[str, Any] | None
    malformed: str | None = None

    @property
    def stopped(self) -> str | None:
        """Its own reason for having stopped."""
        if self.status is None:
            return None
        reason = text(self.status.get("stopped"))
        return (
            reason if reason is not None else "it says so" if self.status.get("role") == "stopped" else None
        )

    @property
    def certified(self) -> int | None:
        """The height that it has certified."""
        return None if self.status is None else whole(table(self.status.get("ledger")).get("certified"))


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
    def answering(self) -> list[Seen]:
        """Members whose status is here."""
        return [one for one in self.members if one.status is not None]

    @property
    def needed(self) -> int:
        """A majority of the roster."""
        return majority(len(self.members))

    @property
    def one_host(self) -> bool:
        """Whether a node says that the whole committee runs on one host."""
        return any(one.status is not None and one.status.get("one_host") is True for one in self.members)

    @property
    def sealed(self) -> bool:
        """Whether a node says that the organism is sealed."""
        return any(one.status is not None and one.status.get("sealed") is True for one in self.members)

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
    others = tuple(one for peer, one in seen.items() if peer not in on and one.status is not None)
    return View(members, others, version, _lives(members))


def _seen(scope: Scope, name: str, peer_id: str) -> Seen:
    from organismctl.committee.answers import read_status
    from organismctl.committee.strict import MalformedAnswerError

    fact = scope.snapshot.get("node.status", name)
    if fact is None or not fact.seen:
        return Seen(name, peer_id, fact, None)
    if not isinstance(fact.value, dict):
        return Seen(name, peer_id, fact, None, "the answer is not an object")
    try:
        status = read_status(fact.value)
    except MalformedAnswerError as exc:
        return Seen(name, peer_id, fact, None, str(exc))
    if status["peer_id"] != peer_id:
        return Seen(
            name, peer_id, fact, None, f"another node answers there: peer id {status['peer_id'][:10]}"
        )
    return Seen(name, peer_id, fact, status)


def roster_of(status: Mapping[str, Any]) -> tuple[int, dict[str, str]]:
    """Version and members (peer id to name) of a NodeStatus."""
    roster = table(status.get("roster"))
    members = [table(one) for one in items(roster.get("members"))]
    version = whole(roster.get("version"))
    return -1 if version is None else version, {
        str(one.get("peer_id")): str(one.get("name")) for one in members
    }


def _newest_roster(seen: list[Seen]) -> tuple[int | None, dict[str, str] | None]:
    """The roster of the greatest version; of several at one version, the one that most nodes hold."""
    rosters = [roster_of(one.status) for one in seen if one.status is not None]
    rosters = [(version, members) for version, members in rosters if version >= 0 and members]
    if not rosters:
        return None, None
    newest = max(version for version, _ in rosters)
    held = [members for version, members in rosters if version == newest]
    return newest, max(held, key=lambda one: sum(set(other) == set(one) for other in held))


def connected(status: Mapping[str, Any]) -> set[str]:
    """Peer ids to which a node has a live bond."""
    bonds = [table(one) for one in items(status.get("bonds"))]
    return {
        peer
        for bond in bonds
        if bond.get("connected") is True and (peer := hex_id(bond.get("peer_id"))) is not None
    }


def _lives(members: tuple[Seen, ...]) -> dict[str, Life]:
    up = [one for one in members if one.status is not None and one.stopped is None]
    vouched = {peer for one in up if one.status is not None for peer in connected(one.status)}
    lives = {}
    for one in members:
        if one.status is not None:
            lives[one.peer_id] = Life.UP if one.stopped is None else Life.STOPPED
        elif one.peer_id in vouched:
            lives[one.peer_id] = Life.VOUCHED
        else:
            lives[one.peer_id] = Life.GONE if up else Life.UNKNOWN
    return lives
