"""The exposition: samples as Prometheus' text format or as OpenMetrics, rendered once a sweep and kept until the next.

Staleness is honest: a page is for one sweep, and a page whose sweep is too old is answered by one that says only
that the exporter itself is down (:func:`stale_page`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from organismctl.exporter.samples import Sample
from organismctl.exporter.series import BY_NAME, PREFIX
from organismctl.report.text import clean

if TYPE_CHECKING:
    from prometheus_client.core import Metric

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Page:
    """All samples of one sweep.

    Args:
        organism: The organism's name, a label of every series.
        samples: Each series at most once per labels; a second one is left out.
        at_ms: The moment of the sweep, Unix ms.
    """

    def __init__(self, organism: str, samples: Iterable[Sample], at_ms: int) -> None:
        self.at_ms = at_ms
        self._organism = clean(organism)
        self._samples = {(one.name, one.labels): one.value for one in samples}
        self._rendered: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def body(self, content_type: str) -> bytes:
        """The page in one of the two formats."""
        found = self._rendered.get(content_type)
        if found is None:
            found = self._rendered[content_type] = self._render(content_type)
        return found

    def collect(self) -> Iterator[Metric]:
        """The families, in the order of the table: what prometheus-client calls a registry."""
        from prometheus_client.core import Metric

        by_family: dict[str, list[tuple[str, tuple[str, ...], float]]] = {}
        for (name, labels), value in self._samples.items():
            by_family.setdefault(name, []).append((name, labels, value))
        for series in BY_NAME.values():
            rows = by_family.get(series.name)
            if rows is None:
                continue
            family = Metric(series.family, series.help, series.type)
            keys = ("organism", *series.labels)
            for name, labels, value in rows:
                family.add_sample(name, dict(zip(keys, (self._organism, *labels), strict=True)), float(value))
            yield family

    def _render(self, content_type: str) -> bytes:
        # Both take anything with collect(); the names are plain ones, so that no scheme of escaping applies.
        if content_type == OPENMETRICS:
            from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

            return bytes(openmetrics(self))  # type: ignore[no-untyped-call] # not annotated there
        from prometheus_client.exposition import generate_latest as text

        return text(self)


def stale_page(organism: str, at_ms: int) -> Page:
    """What is told when there has been no sweep, or the last one is too old: that the exporter is down, no more."""
    return Page(organism, [Sample(PREFIX + "up", ("exporter",), 0)], at_ms)


def chosen_type(accept: str) -> str:
    """The format that an Accept header asks for: OpenMetrics where it is named and not refused, else the text."""
    for part in accept.lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        if name == "application/openmetrics-text" and not any(_is_zero(one) for one in parameters):
            return OPENMETRICS
    return TEXT


def _is_zero(parameter: str) -> bool:
    key, _, value = parameter.partition("=")
    try:
        return key.strip() == "q" and float(value) == 0
    except ValueError:
        return False
