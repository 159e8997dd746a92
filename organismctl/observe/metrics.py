"""Source: mosaik's own Prometheus exporter of a node, for an organism without our node API. Gives ``node.metrics``.

Two samples are taken, so that a counter that moves shows that something came. Names and their traps: mosaik's series
have no ``_total`` suffix, a series is absent until it is first touched (absence is not zero), and the label ``stream``
is the first 10 hex characters of the stream id.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from organismctl.errors import OrganismError
from organismctl.observe.card import fetch
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import MALFORMED, UNREACHABLE, Fact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from organismctl.identity.config import Json

KIND = "node.metrics"
PREFIX = "mosaik_"
SERIES = ("mosaik_streams_consumer_producers", "mosaik_streams_consumer_items_received")
"""What is kept of an exposition: a gauge of producers, and a counter of items, for each stream that is read."""
MAX_BODY = 8 << 20
MAX_STREAMS = 4096
GAP_S = 1.0
"""Between the two samples, where nothing is listened to."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """One node's exporter.

    Attributes:
        node: The node's name.
        url: Its exposition.
        gap_s: Seconds between the two samples.
        timeout_s: Seconds for one answer.
    """

    node: str
    url: str
    gap_s: float = GAP_S
    timeout_s: float = 3.0

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return (Want(KIND, self.node, self._source),)

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        begun = time.monotonic()
        try:
            first = self._sample()
            time.sleep(self.gap_s)
            samples = [first, self._sample()]
        except ValueError as exc:
            yield Fact.unseen(KIND, self.node, self._source, f"{self.url}: {exc}", MALFORMED)
            return
        except OrganismError as exc:
            yield Fact.unseen(KIND, self.node, self._source, exc.message, UNREACHABLE)
            return
        took = round((time.monotonic() - begun) * 1000)
        value: Json = {"samples": [*samples]}
        yield Fact(KIND, self.node, value, self._source, seen_ms=now_ms(), took_ms=took)

    def _sample(self) -> dict[str, Any]:
        body = fetch(self.url, self.timeout_s, MAX_BODY)
        return {"at_ms": now_ms(), "series": parse(body)}

    @property
    def _source(self) -> str:
        return f"metrics {self.url}"


def parse(body: bytes) -> Mapping[str, Mapping[str, float]]:
    """Name to stream (10 hex) to value, of an exposition.

    Raises:
        ValueError: It is no exposition, or none of mosaik's.
    """
    from prometheus_client.parser import text_string_to_metric_families

    try:
        lines = [line for line in body.decode("utf-8").splitlines() if line.startswith(PREFIX)]
    except UnicodeDecodeError as exc:
        raise ValueError("it serves something else than Prometheus' text") from exc
    if not lines:
        raise ValueError("it serves no series of mosaik's: something else listens there")
    wanted = [line for line in lines if line.startswith(SERIES)]
    found: dict[str, dict[str, float]] = {name: {} for name in SERIES}
    try:
        for family in text_string_to_metric_families("\n".join(wanted) + "\n"):
            for sample in family.samples:
                stream = sample.labels.get("stream", "").lower()
                if sample.name in found and stream and len(found[sample.name]) < MAX_STREAMS:
                    value = float(sample.value)
                    if 0 <= value < float("inf"):
                        found[sample.name][stream] = value
    except (ValueError, KeyError, IndexError) as exc:
        raise ValueError("its series cannot be read") from exc
    return found
