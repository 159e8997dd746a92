"""A node's subscription as mosaik's own metrics show it, where there is no node API: whether it stands and moves.

Metrics tell no position, so no lag; and silence over two samples proves no more than the time between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.values import items, table, whole

if TYPE_CHECKING:
    from organismctl.observe.snapshot import Fact, Snapshot

METRICS = "node.metrics"
PRODUCERS, ITEMS = "mosaik_streams_consumer_producers", "mosaik_streams_consumer_items_received"
LABEL = 10
"""Hex characters of a stream id in a label."""


@dataclass(frozen=True, slots=True)
class MetricsTell:
    """What metrics tell of one stream.

    Attributes:
        producers: Producers that it is subscribed to.
        received: Items since the process started; ``None``: none yet.
        moved: Whether items came between the two samples.
        since_ms: The first sample.
        seen_ms: The second.
    """

    producers: int
    received: int | None
    moved: bool
    since_ms: int
    seen_ms: int


def metrics_of(snapshot: Snapshot, node: str) -> Fact | None:
    """A node's metrics, when they were looked at."""
    return snapshot.get(METRICS, node)


def tell(fact: Fact, stream: bytes) -> MetricsTell | None:
    """What metrics tell of a stream; ``None``: they do not hold it (absent is not zero)."""
    samples = [table(one) for one in items(table(fact.value).get("samples"))]
    if len(samples) != 2:
        return None
    label = stream.hex()[:LABEL]
    first, last = (table(one.get("series")) for one in samples)
    begun, ended = (whole(one.get("at_ms")) for one in samples)
    producers = table(last.get(PRODUCERS)).get(label)
    if (
        begun is None
        or ended is None
        or isinstance(producers, bool)
        or not isinstance(producers, int | float)
    ):
        return None
    before, after = table(first.get(ITEMS)).get(label), table(last.get(ITEMS)).get(label)
    grew = isinstance(after, int | float) and after > (before if isinstance(before, int | float) else 0)
    # A counter that fell belongs to a process that started anew; what it counts came since.
    return MetricsTell(
        int(producers), int(after) if isinstance(after, int | float) else None, grew, begun, ended
    )
