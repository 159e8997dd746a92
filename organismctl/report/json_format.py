"""Format ``json``: complete, every subject, also what could not be seen."""

from __future__ import annotations

from organismctl.report.interface import Style
from organismctl.report.model import Report
from organismctl.report.text import json_text


class JsonFormat:
    """See :class:`organismctl.report.interface.Formatter`."""

    def format(self, report: Report, style: Style) -> str:
        """See :meth:`Formatter.format`."""
        del style
        return json_text(report.as_json())


FORMATTER = JsonFormat()
