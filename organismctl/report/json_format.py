"""Format ``json``: complete, every subject, also what could not be seen; a line a finding."""

from __future__ import annotations

import json
from typing import Any

from organismctl.report.interface import Style
from organismctl.report.model import Report
from organismctl.report.text import escape_raw


class JsonFormat:
    """See :class:`organismctl.report.interface.Formatter`."""

    def format(self, report: Report, style: Style) -> str:
        """See :meth:`Formatter.format`."""
        del style
        value = report.as_json()
        rows = value.pop("findings")
        # The library's indentation runs in pure Python, ten times slower: thousands of findings would feel it.
        lines = [f"  {_line(key)}: {_line(one)},\n" for key, one in value.items()]
        body = ",\n    ".join(_line(row) for row in rows)
        found = f"[\n    {body}\n  ]" if rows else "[]"
        return escape_raw(f'{{\n{"".join(lines)}  "findings": {found}\n}}\n')


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


FORMATTER = JsonFormat()
