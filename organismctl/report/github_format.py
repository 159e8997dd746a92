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
        lines.append(f"::notice title={property_text(f'organismctl {report.command}')}::{data_text(summary)}")
        return "\n".join(lines) + "\n"


def _annotation(report: Report, row: Finding, base: str) -> str:
    if row.accepted is not None:
        level, more = "notice", f" [accepted until {row.accepted.until}: {row.accepted.reason}]"
    else:
        level, more = ("error" if report.failing(row) else "warning"), ""
    properties = []
    if row.place is not None:
        properties.append(f"file={property_text(relative(row.place.file, base))}")
        if row.place.line is not None:
            properties.append(f"line={row.place.line}")
    properties.append(f"title={property_text(f'{row.code} {row.subject}')}")
    return f"::{level} {','.join(properties)}::{data_text(f'{row.summary}{more}')}"


def data_text(text: str) -> str:
    """Text as an annotation's message."""
    return clean(text).replace("%", "%25")


def property_text(text: str) -> str:
    """Text as one of an annotation's properties."""
    return data_text(text).replace(":", "%3A").replace(",", "%2C")


FORMATTER = GithubFormat()
