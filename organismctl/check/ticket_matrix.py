"""Committee members × spanned members: what each ticket admits, until when, and where that is known from.

The rules (mosaik ``tickets``): several tickets of one class, the latest expiry among the valid ones counts;
several current issuers, every one must be satisfied and the earliest governs; no issuer, no ticket is needed.
What is *in force* is what the node publishes on the wire, where a spanned member is reached by it and the node
was seen there; else what the node has installed; where neither was seen, the files stand for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from organismctl.check.finding import SourceRef
from organismctl.check.values import hex_id, items, source, table, text, whole
from organismctl.check.wire_view import WireTicket, unbase64
from organismctl.identity.admission import own_committee
from organismctl.identity.config import Issuer, SpannedMember
from organismctl.identity.verdict import TicketVerdict

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Validator
    from organismctl.observe.snapshot import Fact

STEPS = (
    "utf-8", "parts", "header", "algorithm", "signature", "claims", "issuer", "subject", "not-before",
    "expiry-missing", "expired", "max-lifetime", "issued-at-missing", "max-age", "audience", "claim", "expiry-range",
)  # fmt: skip
"""mosaik's order for a JWT: of several refused tickets, the one that comes furthest is shown."""
EXPIRED_STEPS = frozenset({"expired", "max-age"})
_FURTHEST = len(STEPS)
STRANGER_STEPS = frozenset({"utf-8", "parts", "header", "algorithm", "signature", "issuer"})
"""A ticket on the wire that fails at one of these was not issued for the spanned member in question."""


class State(StrEnum):
    """Whether a node is admitted at a spanned member now."""

    VALID = "valid"
    INVALID = "invalid"
    MISSING = "missing"
    UNKNOWN = "unknown"
    FREE = "free"
    """No ticket is demanded there."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One committee member at one spanned member, for one issuer or for all current ones together.

    Attributes:
        node: The node's name.
        span: The spanned member's name.
        state: Whether it is admitted now.
        horizon_ms: When that ends, Unix ms; ``None`` with ``VALID``: never.
        step: The failing step of mosaik's validation, when there is one.
        detail: One line on it, without the ticket's bytes.
        kind: ``jwt`` or ``tdx``; empty when no ticket was judged.
        issuer: Who issued the governing ticket, or ``None``.
        ticket_id: The governing ticket's id, 64 hex, or ``None``.
        by_node: Whether only the node's own word is known.
        sources: Where it is known from.
    """

    node: str
    span: str
    state: State
    horizon_ms: int | None = None
    step: str | None = None
    detail: str = ""
    kind: str = ""
    issuer: str | None = None
    ticket_id: str | None = None
    by_node: bool = False
    sources: tuple[SourceRef, ...] = ()

    @property
    def expired(self) -> bool:
        """Whether it was a good ticket once and its horizon is past."""
        return self.step in EXPIRED_STEPS


@dataclass(frozen=True, slots=True)
class Held:
    """The tickets of one pair as they were seen.

    Attributes:
        files: Facts of its ticket files.
        installed: Id to what the node says of it; ``None`` when the node was not seen.
        node_fact: The node's answer, if it was asked.
        wire: Id to what the node publishes; ``None`` when the wire does not show it, or does not lead there.
        wire_refs: Where the wire was seen.
    """

    files: Sequence[Fact]
    installed: Mapping[str, Mapping[str, object]] | None
    node_fact: Fact | None
    wire: Mapping[str, WireTicket] | None = None
    wire_refs: tuple[SourceRef, ...] = ()


class Matrix:
    """Every pair of a scope, judged when it is asked for; :func:`matrix_of` gives the one of a scope.

    Attributes:
        spans: The spanned members' names.
        own: How our own committee is called where a spanned member's name stands otherwise.
        wire: The network as it was seen.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        config = scope.organism.config
        spanned = {member.name: member for member in config.span}
        own = own_committee(config)
        self.own = own.name
        self.spans = list(spanned)
        self._span = {**spanned, self.own: own}
        nodes = scope.deployment.nodes if scope.deployment else ()
        self._peers = {node.name: node.peer_id for node in nodes}
        self._with_url = {node.name for node in nodes if node.url is not None}
        sides = scope.deployment.spans if scope.deployment else ()
        self._named = {(ticket.node, side.name) for side in sides for ticket in side.tickets}
        self._named |= {(node.name, self.own) for node in nodes if node.tickets}
        self._wired = {side.name for side in sides if side.peers}
        self.wire = scope.wire
        self._installed: dict[str, dict[str, dict[str, Mapping[str, object]]] | None] = {}
        self._cells: dict[tuple[str, str], Cell] = {}

    @property
    def roster(self) -> list[str]:
        """The committee members by the wish of deployment.toml."""
        nodes = self._scope.deployment.nodes if self._scope.deployment else ()
        return [node.name for node in nodes if node.roster]

    def held(self, node: str, span: str) -> Held:
        """What was seen of a pair's tickets."""
        snapshot = self._scope.snapshot
        by_span = self._node_tickets(node)
        peer = self.wire.peers.get(self.peer(node)) if self.wired(span) else None
        return Held(
            snapshot.all("ticket.file", f"{node} × {span}"),
            None if by_span is None or span == self.own else by_span.get(span, {}),
            snapshot.get("node.tickets", node),
            None if peer is None else {one.ticket_id: one for one in peer.tickets},
            () if peer is None else peer.refs,
        )

    def wired(self, span: str) -> bool:
        """Whether a spanned member (or our own committee) is reached by the wire, and somebody looked at it."""
        return self.wire.asked and (span in self._wired or span == self.own)

    @property
    def admits(self) -> bool:
        """Whether our own committee's admission can be judged at all: by the wire, or by files."""
        return self.wire.asked or any(name == self.own for _, name in self._named)

    def peer(self, node: str) -> str:
        """A node's peer id in hex; empty when deployment.toml has no such node."""
        return self._peers.get(node, b"").hex()

    def _node_tickets(self, node: str) -> dict[str, dict[str, Mapping[str, object]]] | None:
        """Span to id to ticket, as the node lists them; ``None`` when it was not seen."""
        if node not in self._installed:
            fact = self._scope.snapshot.get("node.tickets", node)
            self._installed[node] = _by_span(fact) if fact is not None and fact.seen else None
        return self._installed[node]

    def cell(self, node: str, span: str) -> Cell:
        """A pair, over all current issuers: the earliest horizon governs. Judged once."""
        if (node, span) not in self._cells:
            self._cells[node, span] = self._governing(node, span)
        return self._cells[node, span]

    def _governing(self, node: str, span: str) -> Cell:
        cells = list(self.by_issuer(node, span, "current"))
        if not cells:
            return Cell(node, span, State.FREE, detail="no issuer is named: no ticket is demanded")
        return min(cells, key=_worst_first)

    def by_issuer(self, node: str, span: str, state: str) -> Iterator[Cell]:
        """A pair, once per issuer of that state."""
        held, member = self.held(node, span), self._span.get(span)
        for issuer in member.issuers if member else ():
            if issuer.state == state:
                yield self._judge(node, span, issuer, held)

    def admission(self, node: str) -> Cell:
        """A node's own admission to the committee: every validator of ``[[acl]]`` must pass."""
        held = self.held(node, self.own)
        if held.wire is None and not held.files:
            return Cell(node, self.own, State.UNKNOWN, detail=self.unseen)
        return self.cell(node, self.own)

    @property
    def unseen(self) -> str:
        """Why what a node publishes is not known."""
        return self.wire.blind or "the wire does not show this node"

    def _judge(self, node: str, span: str, issuer: Issuer, held: Held) -> Cell:
        kind = issuer.validator.class_.hex()
        base = Cell(node, span, State.UNKNOWN, kind=issuer.validator.type, sources=_sources(held))
        candidates: list[Cell] = []
        blind: str | None = None
        for fact in held.files:
            value = table(fact.value)
            if not fact.seen:
                blind = fact.reason
            elif value.get("withheld") is True:
                blind = "the snapshot holds no ticket bytes"
            elif value.get("class") == kind and _in_force(held, value):
                candidates.append(self._validated(base, issuer, value))
        known = {table(fact.value).get("ticket_id") for fact in held.files if "data" in table(fact.value)}
        for one in (held.wire or {}).values():
            if one.ticket_id in known or one.class_ != kind:
                continue
            if one.data is None:
                blind = "the snapshot holds no ticket bytes"
            elif (cell := self._published(base, issuer, one.data, one.ticket_id)) is not None:
                candidates.append(cell)
        # The node judges by its current issuers; its word says nothing about a root that comes next.
        by_word = held.wire is None and held.installed and issuer.state == "current"
        told_of = held.installed if by_word and held.installed else {}
        for ticket_id, told in told_of.items():
            if ticket_id not in known and told.get("class") == kind:
                candidates.append(_by_word(base, ticket_id, told, self._scope.now_ms))
        if candidates:
            return max(candidates, key=_best_first)
        if blind is None and held.wire is None and not known and _looked_in_vain(held.node_fact):
            blind = held.node_fact.reason if held.node_fact else None
        if blind is None and self._not_looked(node, span, held):
            blind = "nobody looked"
        if blind is not None:
            return replace(base, detail=blind)
        return replace(base, state=State.MISSING, detail="no ticket of that class")

    def _not_looked(self, node: str, span: str, held: Held) -> bool:
        """Whether there is a place to look that the snapshot says nothing about."""
        if held.wire is not None:
            return False
        no_file = not held.files and (node, span) in self._named
        return no_file or (held.node_fact is None and not held.files and node in self._with_url)

    def _validated(self, base: Cell, issuer: Issuer, value: Mapping[str, object]) -> Cell:
        """One ticket of a file, judged here in mosaik's order."""
        data = unbase64(value.get("data"))
        ticket_id = hex_id(value.get("ticket_id"))
        if data is None:
            return replace(base, detail="its bytes are not base64url", ticket_id=ticket_id)
        return self._bytes_judged(base, issuer.validator, data, ticket_id)

    def _published(self, base: Cell, issuer: Issuer, data: bytes, ticket_id: str) -> Cell | None:
        """A ticket of the wire under an issuer; ``None`` when it was surely issued for something else."""
        cell = self._bytes_judged(base, issuer.validator, data, ticket_id)
        return None if cell.step in STRANGER_STEPS else cell

    def published(self, node: str, span: str) -> list[str]:
        """Ids of the tickets for a spanned member that a node publishes, under any of its issuers."""
        held, member = self.held(node, span), self._span.get(span)
        base = Cell(node, span, State.UNKNOWN)
        return [
            one.ticket_id
            for one in (held.wire or {}).values()
            if one.data is not None
            and any(
                issuer.validator.class_.hex() == one.class_
                and self._published(base, issuer, one.data, one.ticket_id) is not None
                for issuer in (member.issuers if member else ())
            )
        ]

    def _bytes_judged(self, base: Cell, validator: Validator, data: bytes, ticket_id: str | None) -> Cell:
        """One ticket's bytes, judged in mosaik's order."""
        peer = self._peers.get(base.node)
        if peer is None:
            return replace(base, detail="deployment.toml has no such node", ticket_id=ticket_id)
        network, now_s = self._scope.organism.config.network, self._scope.now_ms // 1000
        said = judge_by(data, validator, peer, network, now_s)
        state = State.UNKNOWN if said.valid is None else State.VALID if said.valid else State.INVALID
        return replace(
            base,
            state=state,
            horizon_ms=None if said.horizon_s is None else said.horizon_s * 1000,
            step=said.failing_step,
            detail=said.detail,
            issuer=said.issuer,
            ticket_id=ticket_id,
        )


def matrix_of(scope: Scope) -> Matrix:
    """The matrix of a scope: one for all that ask, so that each signature is checked once a look."""
    return scope.derived(Matrix)


def judge(data: bytes, issuer: Issuer, peer: bytes, network: bytes, now_s: int) -> TicketVerdict:
    """Validate a ticket's bytes under one issuer, by its kind."""
    return judge_by(data, issuer.validator, peer, network, now_s)


def judge_by(data: bytes, validator: Validator, peer: bytes, network: bytes, now_s: int) -> TicketVerdict:
    """Validate a ticket's bytes under one validator, by its kind."""
    from organismctl.identity.validator import JwtValidator

    if isinstance(validator, JwtValidator):
        from organismctl.identity.jwt import validate_jwt

        return validate_jwt(data, validator, peer, now_s)
    from organismctl.identity.tdx import validate_tdx

    return validate_tdx(data, validator, peer, network, now_s)


def required(span: SpannedMember) -> bool:
    """Whether a spanned member demands a ticket at all."""
    return any(issuer.state == "current" for issuer in span.issuers)


def _by_span(fact: Fact) -> dict[str, dict[str, Mapping[str, object]]]:
    out: dict[str, dict[str, Mapping[str, object]]] = {}
    for one in items(table(fact.value).get("tickets")):
        told = table(one)
        span, ticket_id = text(told.get("span")), hex_id(told.get("ticket_id"))
        if span is not None and ticket_id is not None:
            out.setdefault(span, {})[ticket_id] = told
    return out


def _in_force(held: Held, value: Mapping[str, object]) -> bool:
    if held.wire is not None:
        return value.get("ticket_id") in held.wire
    return held.installed is None or value.get("ticket_id") in held.installed


def _looked_in_vain(fact: Fact | None) -> bool:
    """Whether the node was asked and not seen: it may hold what no file here has."""
    return fact is not None and not fact.seen and fact.cause != "not-asked"


def _by_word(base: Cell, ticket_id: str, told: Mapping[str, object], now_ms: int) -> Cell:
    """A ticket that only the node knows: what it says of it."""
    valid, horizon, step = told.get("valid"), whole(told.get("horizon_ms")), text(told.get("failing_step"))
    state = State.VALID if valid is True else State.INVALID if valid is False else State.UNKNOWN
    detail = "by the node's own word; no file of it is here"
    if state is State.VALID and horizon is not None and horizon <= now_ms:
        state, step = State.INVALID, "expired"
    return replace(
        base, state=state, horizon_ms=horizon, step=step, detail=detail, ticket_id=ticket_id, by_node=True
    )


def _sources(held: Held) -> tuple[SourceRef, ...]:
    files = tuple(ref for fact in held.files for ref in source(fact))
    node = () if held.node_fact is None else source(held.node_fact)
    return (*files, *node, *held.wire_refs)


_RANK = {State.VALID: 3, State.FREE: 3, State.UNKNOWN: 2, State.INVALID: 1, State.MISSING: 0}
_NEVER = float("inf")


def _best_first(cell: Cell) -> tuple[int, float]:
    """Order among tickets that are alternatives: the greatest counts."""
    if cell.state is State.INVALID:
        return _RANK[cell.state], STEPS.index(cell.step) if cell.step in STEPS else _FURTHEST
    return _RANK[cell.state], _NEVER if cell.horizon_ms is None else cell.horizon_ms


def _worst_first(cell: Cell) -> tuple[int, float]:
    """Order among issuers that must all be satisfied: the least governs."""
    rank = {State.MISSING: 0, State.INVALID: 1, State.UNKNOWN: 2}.get(cell.state, 3)
    return rank, _NEVER if cell.horizon_ms is None else cell.horizon_ms
