"""What ``report`` tells, JSON-ready: one look with everything that a person wants on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from organismctl import __version__
from organismctl.report.health import health_json
from organismctl.report.history import history_json
from organismctl.report.identities import identity_json
from organismctl.report.model import finding_json
from organismctl.report.status import ChangeLine, status_json
from organismctl.report.timeline import timeline_json

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.check.span_health import SpanHealth
    from organismctl.report.model import Report

PAGE_SCHEMA = 1

Page = dict[str, Any]
"""The page, JSON-ready; its schema is published as ``report.schema.json``."""


def page_json(
    scope: Scope, report: Report, changes: Sequence[ChangeLine], rows: Sequence[SpanHealth]
) -> Page:
    """The page.

    Args:
        scope: What was looked at.
        report: What was found.
        changes: Changes under way that this machine knows.
        rows: How each node hears each spanned member.
    """
    return {
        **status_json(scope, report, changes),
        "schema": PAGE_SCHEMA,
        "made_by": f"organismctl {__version__}",
        "identity": identity_json(scope, report.findings),
        "timeline": timeline_json(scope),
        "health": health_json(rows),
        "history": history_json(scope),
        "findings": [finding_json(row) for row in report.sorted()],
    }
