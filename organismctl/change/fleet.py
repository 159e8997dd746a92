"""The committee as a change sees it: all nodes asked at once, commands sent to whoever can certify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from organismctl.change.canonical import clean
from organismctl.change.errors import LedgerRefusedError, TransientError
from organismctl.change.lease import Held
from organismctl.errors import UnreachableError

if TYPE_CHECKING:
    from organismctl.identity.config import Json

T = TypeVar("T")

NO_MAJORITY = "nothing changes without a majority: bring nodes back first (`organismctl check committee`)"


REFUSES = "refuses our token"
"""Stands in the reason why a node could not be seen that answers, and takes our token for none of its own."""
ACCESS = "look at secrets.operate_token in deployment.toml: it is the file that `committee init` made"


class NodeApi(Protocol):
    """One node's API; ``api.py`` gives it over HTTP.

    Every method raises :class:`UnreachableError` when the node cannot be asked.
    """

    @property
    def name(self) -> str:
        """The node's name."""
        ...

    @property
    def peer_id(self) -> str:
        """The node's peer id as the deployment file has it, 64 hex."""
        ...

    def status(self) -> Mapping[str, Any]:
        """NodeStatus."""
        ...

    def digest(self, height: int) -> str | None:
        """The ledger's digest at a height, 64 hex; ``None`` when it is not certified there."""
        ...

    def append(self, command: Mapping[str, Json], request_id: str) -> Mapping[str, Any]:
        """Certify a command: ``{"height", "effects"}``.

        Raises:
            LedgerRefusedError: Refused for certain.
            TransientError: No majority, or the outcome is open.
        """
        ...

    def step_down(self) -> None:
        """Hand the proposer's role over, when this node has it."""
        ...


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """One node's status, with only well-formed values.

    Attributes:
        name: As the deployment file names it.
        peer_id: As the node says, 64 hex.
        fingerprint: 64 hex.
        group_id: 64 hex, or ``None``.
        role: ``proposer``, ``acceptor``, ``learner`` or ``stopped``.
        proposer: Peer id of the proposer that it follows, or ``None``.
        roster: Certified roster: version, and peer ids.
        certified: Greatest certified height.
        connected: Peer ids to which it has a live bond.
        drained: Peer ids that are drained.
        lease: The lease, or ``None``.
        retirement: ``effective_at``, ``replacement``, or ``None``.
        sealed: Whether the seal is certified.
        ticks: The tick number that ``tick:N`` is compared with, where the node says it.
        surfaces: Surface name to next seq.
        stopped: Reason of a loud stop, or ``None``.
    """

    name: str
    peer_id: str
    fingerprint: str
    group_id: str | None
    role: str
    proposer: str | None
    version: int
    roster: frozenset[str]
    certified: int
    connected: frozenset[str]
    drained: frozenset[str]
    lease: Held | None
    retirement: Mapping[str, Any] | None
    sealed: bool
    ticks: int | None
    surfaces: Mapping[str, int]
    stopped: str | None

    @classmethod
    def of(cls, name: str, status: Mapping[str, Any]) -> NodeSeen:
        """Read a NodeStatus.

        Raises:
            UnreachableError: It is not one (a stranger answers at that address).
        """
        try:
            lease = status["lease"]
            return cls(
                name=name,
                peer_id=str(status["peer_id"]),
                fingerprint=str(status["fingerprint"]),
                group_id=None if status["group_id"] is None else str(status["group_id"]),
                role=str(status["role"]),
                proposer=None if status["proposer"] is None else str(status["proposer"]),
                version=int(status["roster"]["version"]),
                roster=frozenset(str(member["peer_id"]) for member in status["roster"]["members"]),
                certified=int(status["ledger"]["certified"]),
                connected=frozenset(
                    str(bond["peer_id"]) for bond in status["bonds"] if bond["connected"] is True
                ),
                drained=frozenset(str(peer) for peer in status["drained"]),
                lease=None if lease is None else _held(lease),
                retirement=None if status["retirement"] is None else dict(status["retirement"]),
                sealed=status["sealed"] is True,
                ticks=None if status.get("tick_number") is None else int(status["tick_number"]),
                surfaces={str(item["name"]): int(item["next_seq"]) for item in status["surfaces"]},
                stopped=None if status["stopped"] is None else clean(str(status["stopped"]), 300),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise UnreachableError(
                f"node {name}: what answers is no node of ours ({type(exc).__name__}: {clean(str(exc), 80)})",
                advice="is the url in deployment.toml right, and is the node of this version?",
            ) from exc


def _held(lease: Mapping[str, Any]) -> Held:
    return Held(
        clean(str(lease["change"]), 128),
        clean(str(lease["holder"]), 256),
        int(lease["fence"]),
        int(lease["since_ms"]),
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """One look at all nodes.

    Attributes:
        seen: Node name to status.
        unseen: Node name to the reason why it could not be seen.
    """

    seen: Mapping[str, NodeSeen]
    unseen: Mapping[str, str]

    @property
    def latest(self) -> NodeSeen | None:
        """The node that has certified most; ``None`` when none was seen."""
        return max(
            self.seen.values(), key=lambda node: (node.certified, node.role == "proposer"), default=None
        )

    @property
    def refused(self) -> bool:
        """Whether nodes answer, and each of them refuses our token."""
        return not self.seen and any(REFUSES in why for why in self.unseen.values())

    @property
    def nobody(self) -> str:
        """Why none was seen, a sentence."""
        why = "; ".join(self.unseen.values())
        return f"no node lets us look: {why}" if self.refused else f"no node answers: {why}"

    @property
    def roster(self) -> frozenset[str]:
        """The certified roster as the latest node has it."""
        latest = self.latest
        return latest.roster if latest else frozenset()

    @property
    def sealed(self) -> bool:
        """Whether any node has the certified seal."""
        return any(node.sealed for node in self.seen.values())

    def by_peer(self, peer_id: str) -> NodeSeen | None:
        """The node of that peer id, when it was seen."""
        return next((node for node in self.seen.values() if node.peer_id == peer_id), None)

    def live(self, roster: Iterable[str]) -> set[str]:
        """Those of a roster that were seen and work."""
        return {
            node.peer_id
            for node in self.seen.values()
            if node.peer_id in set(roster) and node.stopped is None
        }


class Fleet:
    """All nodes of the deployment.

    Args:
        nodes: Their APIs.
    """

    def __init__(self, nodes: Sequence[NodeApi]) -> None:
        self.nodes = tuple(nodes)
        self._first: str | None = None
        self._sealed = False

    def node(self, name: str) -> NodeApi:
        """The node of that name.

        Raises:
            KeyError: There is none.
        """
        return next(node for node in self.nodes if node.name == name)

    def ask(self, call: Callable[[NodeApi], T], nodes: Sequence[NodeApi] | None = None) -> dict[str, T | str]:
        """Ask nodes at once; the answer, or the reason why there is none (text)."""

        def one(node: NodeApi) -> T | str:
            try:
                return call(node)
            except (UnreachableError, TransientError) as exc:
                return exc.message

        nodes = self.nodes if nodes is None else nodes
        if not nodes:
            return {}
        with ThreadPoolExecutor(len(nodes), "fleet") as pool:
            return dict(zip([node.name for node in nodes], pool.map(one, nodes), strict=True))

    def survey(self) -> Survey:
        """Look at every node."""
        answers = self.ask(lambda node: NodeSeen.of(node.name, node.status()))
        survey = Survey(
            {name: seen for name, seen in answers.items() if isinstance(seen, NodeSeen)},
            {name: why for name, why in answers.items() if isinstance(why, str)},
        )
        latest = survey.latest
        if latest is not None:
            self._first = latest.proposer
        self._sealed = self._sealed or survey.sealed
        return survey

    def digests(self, height: int, names: Iterable[str]) -> dict[str, str | None]:
        """The ledger's digest at a height on each node; ``None`` where it cannot be had."""
        wanted = set(names)
        nodes = [node for node in self.nodes if node.name in wanted]
        # A digest is 64 hex; a reason why there is none never is.
        answers = self.ask(lambda node: node.digest(height) or "", nodes)
        return {name: answer if len(answer) == 64 else None for name, answer in answers.items()}

    def append(self, command: Mapping[str, Json], request_id: str) -> Mapping[str, Any]:
        """Certify a command by whichever node can; the same ``request_id`` is applied once.

        Raises:
            LedgerRefusedError: Refused for certain.
            TransientError: Nobody could certify it now, or the outcome is open.
        """
        order = sorted(self.nodes, key=lambda node: node.peer_id != self._first)
        why: list[str] = []
        for node in order:
            try:
                return node.append(command, request_id)
            except TransientError as exc:
                why.append(f"{node.name}: {exc.blocker}")
            except UnreachableError as exc:
                why.append(exc.message if node.name in exc.message else f"{node.name}: {exc.message}")
        raise TransientError(
            "the committee cannot certify now: " + "; ".join(why),
            blocker="; ".join(why),
            advice=NO_MAJORITY,
        )

    def lease(self) -> Held | None:
        """The lease by the node that has certified most.

        Raises:
            TransientError: No node could be asked.
        """
        survey = self.survey()
        if survey.latest is None:
            raise TransientError(survey.nobody, advice=ACCESS if survey.refused else NO_MAJORITY)
        return survey.latest.lease

    def sealed(self) -> bool:
        """Whether a seal was ever seen on any node: it is for ever, also when the nodes are off by now."""
        return self._sealed or self.survey().sealed


__all__ = ["Fleet", "LedgerRefusedError", "NodeApi", "NodeSeen", "Survey"]
