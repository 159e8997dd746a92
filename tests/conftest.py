"""What every test shares: a clean environment, and no silent skip where everything must run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

MUST_RUN = "ORGANISMCTL_TESTS_MUST_RUN"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where ``.ci/run`` installed all that is needed, a skip is a failure."""
    report = yield
    if os.environ.get(MUST_RUN) and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and nothing may be: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of the scenarios across hosts, wherever they ran."""
    from tests.hosts.table import render, rows

    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])]
    table = [row for report in reports for row in rows(report.user_properties) if report.when == "call"]
    if table:
        terminalreporter.section("across hosts")
        terminalreporter.write_line(render(table))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own reaches a test; the width is pinned."""
    for name in list(os.environ):
        if name.startswith("ORGANISMCTL_") and name != MUST_RUN:
            monkeypatch.delenv(name)
    for name in ("GIT_DIR", "FORCE_COLOR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
