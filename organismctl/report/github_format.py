"""Format ``github``: workflow annotations, at file and line where a finding has them."""

from __future__ import annotations

from organismctl.check.finding import Finding, Status
from organismctl.report.interface import Style
from organismctl.report.model import Report
from organismctl.report.text import clean, relative


class GithubFormat:
    """See :class:`organismctl.report.interface.Formatter`."""

    def format(self, report: Report, style: Style) -> str:
        """See :meth:`Formatter.format`."""
        lines = [
            _annotation(report, row, style.base) for row in report.sorted() if row.status is not Status.OK
        ]
        counts = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count)
        summary = f"{report.organism.line()}: {counts or 'nothing to judge'}; exit {int(report.exit)}"
        lines.append(f"::notice title={_property(f'organismctl {report.command}')}::{_data(summary)}")
        return "\n".join(lines) + "\n"


def _annotation(report: Report, row: Finding, base: str) -> str:
    if row.accepted is not None:
        level, more = "notice", f" [accepted until {row.accepted.until}: {row.accepted.reason}]"
    else:
        level, more = ("error" if report.failing(row) else "warning"), ""
    properties = []
    if row.place is not None:
        properties.append(f"file={_property(relative(row.place.file, base))}")
        if row.place.line is not None:
            properties.append(f"line={row.place.line}")
    properties.append(f"title={_property(f'{row.code} {row.subject}')}")
    return f"::{level} {','.join(properties)}::{_data(f'{row.summary}{more}')}"


def _data(text: str) -> str:
    return clean(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATTER = GithubFormat()
