"""A snapshot: all facts of one look at the world, each with its source and time, or the reason why not.

Values are JSON-ready, so that ``observe -o FILE`` keeps a snapshot and ``check --from FILE`` judges it
elsewhere. Kinds name what a fact is about (each source documents its kinds):

| kind | subject | value |
|---|---|---|
| ``node.status`` | node name | NodeStatus of the node API |
| ``node.tickets`` | node name | ``tickets`` of the node API |
| ``node.config`` | node name | ``config`` of the node API |
| ``node.digest`` | node name | ``log/digest`` at the height that all nodes have |
| ``ticket.file`` | ``node × span`` | parsed ticket (class, id, claims, raw bytes base64url under ``data``; never printed) |
| ``span.card`` | span name | the spanned member's published card |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.identity.config import Json

SNAPSHOT_SCHEMA = 1


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
    """

    kind: str
    subject: str
    value: Json
    source: str
    seen_ms: int | None = None
    reason: str | None = None
    took_ms: int | None = None

    @property
    def seen(self) -> bool:
        """Whether it was seen at all."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts of one look at the world; ``taken_ms`` is when the look began (Unix ms)."""

    taken_ms: int
    facts: tuple[Fact, ...]

    def get(self, kind: str, subject: str) -> Fact | None:
        """The fact of that kind and subject, or ``None`` when nobody looked."""
        return next((f for f in self.facts if f.kind == kind and f.subject == subject), None)

    def of(self, kind: str) -> Iterator[Fact]:
        """All facts of a kind, in the order of the look."""
        return (f for f in self.facts if f.kind == kind)

    @staticmethod
    def merge(parts: Iterable[Snapshot]) -> Snapshot:
        """One snapshot of several; the earliest look counts as its beginning."""
        parts = tuple(parts)
        return Snapshot(min((p.taken_ms for p in parts), default=0), tuple(f for p in parts for f in p.facts))
