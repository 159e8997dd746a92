"""Source: how the lag went, as a resident exporter kept it, ``GET {exporter.url}/v1/history``.

Gives ``exporter.history``: ``{"by_node": {NODE: [[Unix ms, events or null, seconds or null], ...]}}``, oldest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from organismctl.observe.exporter_memory import MAX_NODES, ExporterDocument

if TYPE_CHECKING:
    from organismctl.identity.config import Json

KIND = "exporter.history"
PATH = "/v1/history"


class ExporterHistory(ExporterDocument):
    """See the module."""

    __slots__ = ()
    kind, path, key = KIND, PATH, "history"

    def read(self, told: object) -> Json:
        """See :meth:`ExporterDocument.read`."""
        if isinstance(told, dict) and len(told) <= MAX_NODES:
            return {"by_node": told}
        raise ValueError(
            "the exporter has no history of it yet" if told is None else "its history is malformed"
        )
