"""Source: how the lag went, as a resident exporter kept it, ``GET {exporter.url}/v1/history``.

Gives ``exporter.history``: ``{"by_node": {NODE: [[Unix ms, events or null, seconds or null], ...]}}``, oldest first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from organismctl.errors import OrganismError
from organismctl.observe.exporter_memory import ask, cause_of
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import MALFORMED, Fact

KIND = "exporter.history"
PATH = "/v1/history"
MAX_NODES = 1024


@dataclass(frozen=True, slots=True)
class ExporterHistory:
    """One resident exporter.

    Attributes:
        url: Its address.
        organism: Whose history is wanted.
        subjects: ``SPAN/SURFACE`` of every surface that organism.toml reads.
        timeout_s: Seconds for the answer.
    """

    url: str
    organism: str
    subjects: tuple[str, ...]
    timeout_s: float = 3.0

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return [Want(KIND, subject, self._source) for subject in self.subjects]

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        begun = time.monotonic()
        try:
            told = ask(self.url, PATH, "history", self.organism, self.timeout_s)
        except OrganismError as exc:
            reason, cause = exc.message, cause_of(exc)
            yield from (Fact.unseen(KIND, one, self._source, reason, cause) for one in self.subjects)
            return
        took = round((time.monotonic() - begun) * 1000)
        for subject in self.subjects:
            nodes = told.get(subject)
            if isinstance(nodes, dict) and len(nodes) <= MAX_NODES:
                yield Fact(KIND, subject, {"by_node": nodes}, self._source, seen_ms=now_ms(), took_ms=took)
            else:
                reason = (
                    "the exporter has no history of it yet" if nodes is None else "its history is malformed"
                )
                yield Fact.unseen(KIND, subject, self._source, reason, MALFORMED)

    @property
    def _source(self) -> str:
        return f"exporter {self.url}"
