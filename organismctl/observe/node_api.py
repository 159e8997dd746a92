"""Source: a node's API. Gives the ``node.…`` facts: one question to one node each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from organismctl.observe.look import Source, Want, now_ms
from organismctl.observe.snapshot import MALFORMED, NOT_ASKED, OBSERVER, UNREACHABLE, Fact, Snapshot

if TYPE_CHECKING:
    from organismctl.committee.answers import LogDigest
    from organismctl.errors import OrganismError
    from organismctl.observe.node_client import LookingClient

STATUS, CONFIG, TICKETS, DIGEST = "node.status", "node.config", "node.tickets", "node.digest"
SUBSCRIPTIONS, EVIDENCE, FACTS = "node.subscriptions", "node.evidence", "node.facts"
SURFACES = "node.surfaces"
MAX_ANSWER = 8 << 20
EVIDENCE_LISTED = 1000
"""The newest pointers that a node is asked for; how far its evidence goes back it says besides."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where and how one node is asked.

    Attributes:
        node: The node's name.
        url: Its API, or ``None``.
        token: A bearer token, or ``None``. Never part of a repr.
        token_problem: Why there is no token although one is named: the observer's own trouble.
        ca: File of a certificate authority, or ``None``.
        timeout_s: Seconds for one answer.
    """

    node: str
    url: str | None
    token: str | None = None
    token_problem: str | None = None
    ca: str | None = None
    timeout_s: float = 3.0

    def __repr__(self) -> str:
        return f"Address({self.node!r}, {self.url!r})"

    @property
    def source(self) -> str:
        """How facts name it."""
        return f"node-api {self.url}" if self.url else "node-api"


@dataclass(frozen=True, slots=True)
class NodeApi:
    """One question to one node, so that a node's slow answers do not add up.

    Attributes:
        address: The node.
        kind: One of those that the module gives.
        height: For ``node.digest``.
    """

    address: Address
    kind: str
    height: int = 0

    def wants(self) -> Sequence[Want]:
        """See :meth:`Source.wants`."""
        return (Want(self.kind, self.address.node, self.address.source),)

    def look(self) -> Iterator[Fact]:
        """See :meth:`Source.look`."""
        at = self.address
        if at.url is None:
            yield self._unseen("deployment.toml gives it no url", NOT_ASKED)
            return
        if at.token_problem is not None:
            yield self._unseen(at.token_problem, OBSERVER)
            return
        yield self._ask(at.url)

    def _ask(self, url: str) -> Fact:
        from organismctl.errors import OrganismError
        from organismctl.observe.node_client import LookingClient

        at, begun = self.address, time.monotonic()
        try:
            with LookingClient(url, at.token, at.ca, at.timeout_s) as client:
                value = _QUESTIONS[self.kind](client, self.height)
        except OrganismError as exc:
            return self._unseen(exc.message, _cause(exc))
        took = round((time.monotonic() - begun) * 1000)
        return Fact(self.kind, at.node, value, at.source, seen_ms=now_ms(), took_ms=took)

    def _unseen(self, reason: str, cause: str) -> Fact:
        return Fact.unseen(self.kind, self.address.node, self.address.source, reason, cause)


def _cause(exc: OrganismError) -> str:
    """Whose trouble it is."""
    from organismctl.committee.client import NodeAccessError, NodeAnswerError
    from organismctl.errors import InputError

    if isinstance(exc, NodeAccessError | InputError):  # InputError: our own token or CA file
        return OBSERVER
    return MALFORMED if isinstance(exc, NodeAnswerError) else UNREACHABLE


def _tickets(client: LookingClient, _height: int) -> dict[str, Any]:
    return {
        "tickets": [
            {
                "span": one.span,
                "class": one.ticket_class.hex(),
                "ticket_id": one.ticket_id.hex(),
                "horizon_ms": one.horizon_ms,
                "valid": one.valid,
                "failing_step": one.failing_step,
            }
            for one in client.tickets()
        ]
    }


def _digest(client: LookingClient, height: int) -> dict[str, Any]:
    """The ledger's digest at a height, and below it the newest state digest that everybody still tells.

    Both are needed: what differs only above the latter would pass for alike, for ever where nodes stand still.
    """
    shown = _shown(client.log_digest(height))
    below = told_height(height)
    if 0 < below < height:
        shown["below"] = _shown(client.log_digest(below))
    return shown


def _shown(seen: LogDigest) -> dict[str, Any]:
    state = seen.state_digest.hex() if seen.state_digest is not None else None
    return {"height": seen.height, "digest": seen.digest.hex(), "state_digest": state}


_QUESTIONS: Mapping[str, Callable[[LookingClient, int], Any]] = {
    STATUS: lambda client, _: dict(client.raw_status()),
    CONFIG: lambda client, _: dict(client.config()),
    TICKETS: _tickets,
    DIGEST: _digest,
    SUBSCRIPTIONS: lambda client, _: dict(client.document("/v1/subscriptions", MAX_ANSWER)),
    EVIDENCE: lambda client, _: dict(client.document(f"/v1/evidence?limit={EVIDENCE_LISTED}", MAX_ANSWER)),
    SURFACES: lambda client, _: dict(client.document("/v1/surfaces", MAX_ANSWER)),
    FACTS: lambda client, _: newest_facts(client),
}


def newest_facts(client: LookingClient) -> dict[str, Any]:
    """What the newest facts of each surface rest on; see :mod:`organismctl.observe.published`."""
    from organismctl.observe.published import published

    return published(client)


def common_height(addresses: Sequence[Address]) -> Callable[[Snapshot], Sequence[Source]]:
    """The second round: digests at the newest height that all answering nodes have certified.

    Nodes that stand at one height said their digest with their status, so that nothing more is asked: in a
    quiet committee the whole look costs one answer.
    """

    def more(snapshot: Snapshot) -> Sequence[Source]:
        heights: dict[str, int] = {}
        for fact in snapshot.of(STATUS):
            if (height := certified_height(fact)) is not None:
                heights[fact.subject] = height
        if len(set(heights.values())) < 2:
            return ()
        low = min(heights.values())
        if low < 1:
            return ()
        return [NodeApi(at, DIGEST, low) for at in addresses if at.node in heights]

    return more


def told_height(height: int) -> int:
    """The newest height up to ``height`` whose state digest a node that is further on still tells."""
    from organismctl.committee.answers import DIGEST_STRIDE

    return height - height % DIGEST_STRIDE if height > DIGEST_STRIDE else height


def certified_height(fact: Fact) -> int | None:
    """The certified height in a NodeStatus fact, or ``None``."""
    ledger = fact.value.get("ledger") if isinstance(fact.value, dict) else None
    height = ledger.get("certified") if isinstance(ledger, dict) else None
    return height if isinstance(height, int) and not isinstance(height, bool) else None
