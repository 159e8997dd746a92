"""Format ``junit``: a test case per finding, as CI servers read it."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from organismctl.check.finding import Finding, Status
from organismctl.report.interface import Style
from organismctl.report.model import Report
from organismctl.report.text import clean, stamp

# What XML 1.0 can hold, less the control characters that `clean` has replaced already.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JunitFormat:
    """See :class:`organismctl.report.interface.Formatter`."""

    def format(self, report: Report, style: Style) -> str:
        """See :meth:`Formatter.format`."""
        del style
        kinds = [_kind(report, row) for row in report.findings]
        head = (
            f'<testsuite name={attribute(f"organismctl {report.command}")} tests="{len(kinds)}" '
            f'failures="{kinds.count("failure")}" errors="{kinds.count("error")}" skipped="{kinds.count("skipped")}" '
            f'time="0" timestamp="{stamp(report.judged_ms)[:-1]}">'
        )
        lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", head, "<properties>"]
        for name, value in report.organism.as_json().items():
            if value is not None:
                lines.append(f"<property name={attribute(name)} value={attribute(str(value))}/>")
        lines.append("</properties>")
        lines += [_case(row, kind) for row, kind in zip(report.findings, kinds, strict=True)]
        return "\n".join([*lines, "</testsuite>", "</testsuites>"]) + "\n"


def _kind(report: Report, row: Finding) -> str:
    """The element inside a test case; empty when it passes."""
    if report.failing(row):
        return "error" if row.status is Status.UNKNOWN else "failure"
    return "skipped" if row.accepted is not None else ""


def _case(row: Finding, kind: str) -> str:
    where = ""
    if row.place is not None:
        line = f' line="{row.place.line}"' if row.place.line is not None else ""
        where = f" file={attribute(row.place.file)}{line}"
    head = f"<testcase classname={attribute(row.code)} name={attribute(row.subject)}{where}>"
    if kind == "skipped" and row.accepted is not None:
        body = (
            f"<skipped message={attribute(f'accepted until {row.accepted.until}: {row.accepted.reason}')}/>"
        )
    elif kind:
        body = f"<{kind} type={attribute(row.code)} message={attribute(row.summary)}/>"
    else:
        body = f"<system-out>{escape(_xml(f'{row.status.value}: {row.summary}'))}</system-out>"
    return f"{head}{body}</testcase>"


def _xml(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", clean(text))


def attribute(text: str) -> str:
    """Text as an attribute's value, quotes included: control characters and what XML cannot hold are replaced."""
    return quoteattr(_xml(text))


FORMATTER = JunitFormat()
