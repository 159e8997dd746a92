"""A snapshot: all facts of one look at the world, each with its source and time, or the reason why not.

Values are JSON-ready, so that ``observe -o FILE`` keeps a snapshot and ``check --from FILE`` judges it
elsewhere. Kinds name what a fact is about (each source documents its kinds):

| kind | subject | value |
|---|---|---|
| ``node.status`` | node name | NodeStatus of the node API |
| ``node.tickets`` | node name | ``tickets`` of the node API |
| ``node.config`` | node name | ``config`` of the node API |
| ``node.digest`` | node name | ``log/digest`` at the height that all nodes have |
| ``node.subscriptions`` | node name | ``subscriptions`` of the node API, and what the next fact waits for |
| ``node.evidence`` | node name | ``evidence`` of the node API: the newest pointers, and how far they go back |
| ``node.surfaces`` | node name | ``surfaces`` of the node API: how far each is, and when its last item came |
| ``node.facts`` | node name | how degraded the newest facts of each surface are |
| ``node.metrics`` | node name | two samples of mosaik's own exporter: producers and items of each stream |
| ``ticket.file`` | ``node × span`` | ``node``, ``span``, ``file``; ``class``, ``ticket_id``, ``data``; or ``absent`` |
| ``span.card`` | span name | the spanned member's published card |
| ``span.endpoint`` | ``SPAN @ URL`` | how far a spanned member's surfaces have come, and how far back they go |
| ``span.evidence`` | ``SPAN/SURFACE`` | which of the ledger's pointers still resolve upstream |
| ``exporter.history`` | ``SPAN/SURFACE`` | how the lag went over a day, as a resident exporter kept it |
| ``exporter.memory`` | ``SPAN/SURFACE`` | what a resident exporter remembers of it |
| ``wire.catalog`` | ``PEERID@HOST:PORT`` | what an entry point told, and what of it did not prove |
| ``wire.peer`` | peer id | a peer's newest signed entry, tickets included, and who told it |
| ``wire.stream`` | ``STREAM_ID@PEERID`` | what a subscription heard |

``data`` of a ticket are its bytes in base64url, never printed; ``absent`` is true when there is no such file.
A pair of node and spanned member may have several ticket files, so a subject may have several facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.identity.config import Json

SNAPSHOT_SCHEMA = 1

UNREACHABLE = "unreachable"
"""Nobody answered there in time; not the same as unhealthy."""
OBSERVER = "observer"
"""The observer was refused, or lacks what it needs to ask; says nothing about the committee."""
MALFORMED = "malformed"
"""Something answered that is not what the contract says."""
NOT_ASKED = "not-asked"
"""There is nowhere to ask: no address, no path."""
DEFECT = "defect"
"""The source itself failed: a defect of the tool."""
CAUSES = (UNREACHABLE, OBSERVER, MALFORMED, NOT_ASKED, DEFECT)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was looked for.

    Attributes:
        kind: What it is about, from the table above.
        subject: Whom it is about.
        value: What was seen; ``None`` exactly when ``reason`` is set.
        source: Where it was looked for: ``node-api http://127.0.0.1:7101``.
        seen_ms: When it was seen, Unix ms; ``None`` when it was not.
        reason: Why it could not be seen; ``None`` when it was.
        took_ms: How long the look took; ``None`` when not measured.
        cause: The kind of reason, one of :data:`CAUSES`; ``None`` when it was seen.
    """

    kind: str
    subject: str
    value: Json
    source: str
    seen_ms: int | None = None
    reason: str | None = None
    took_ms: int | None = None
    cause: str | None = None

    @property
    def seen(self) -> bool:
        """Whether it was seen at all."""
        return self.reason is None

    @staticmethod
    def unseen(kind: str, subject: str, source: str, reason: str, cause: str = UNREACHABLE) -> Fact:
        """A fact that says why it could not be seen."""
        return Fact(kind, subject, None, source, reason=reason, cause=cause)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts of one look at the world; ``taken_ms`` is when the look began (Unix ms)."""

    taken_ms: int
    facts: tuple[Fact, ...]
    _index: Mapping[tuple[str, str], Sequence[Fact]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[tuple[str, str], list[Fact]] = {}
        for fact in self.facts:
            index.setdefault((fact.kind, fact.subject), []).append(fact)
        object.__setattr__(self, "_index", index)

    def get(self, kind: str, subject: str) -> Fact | None:
        """The first fact of that kind and subject, or ``None`` when nobody looked."""
        found = self._index.get((kind, subject))
        return found[0] if found else None

    def all(self, kind: str, subject: str) -> Sequence[Fact]:
        """Every fact of that kind and subject, in the order of the look."""
        return self._index.get((kind, subject), ())

    def of(self, kind: str) -> Iterator[Fact]:
        """All facts of a kind, in the order of the look."""
        return (f for f in self.facts if f.kind == kind)

    @staticmethod
    def merge(parts: Iterable[Snapshot]) -> Snapshot:
        """One snapshot of several; the earliest look counts as its beginning."""
        parts = tuple(parts)
        return Snapshot(min((p.taken_ms for p in parts), default=0), tuple(f for p in parts for f in p.facts))
