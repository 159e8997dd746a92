"""What every test shares: a clean environment, and no silent skip where everything must run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.mosaik import require_engine

if TYPE_CHECKING:
    from coverage import Coverage

MUST_RUN = "ORGANISMCTL_TESTS_MUST_RUN"
COMMITTEE_TESTS = Path(__file__).parent / "committee"

# How fast an example runs is the machine's doing: speed is measured in benchmarks/, never asserted in a test.
settings.register_profile(
    "untimed",
    parent=settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where ``.ci/run`` installed all that is needed, a skip is a failure."""
    report = yield
    if os.environ.get(MUST_RUN) and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and nothing may be: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables of the scenarios across hosts and of the staged incidents, wherever they ran."""
    from tests.hosts import table as hosts
    from tests.support import incident as incidents

    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])]
    called = [report.user_properties for report in reports if report.when == "call"]
    for title, made in (("across hosts", hosts), ("staged incidents", incidents)):
        table = [row for properties in called for row in made.rows(properties)]
        if table:
            terminalreporter.section(title)
            terminalreporter.write_line(made.render(table))


@pytest.fixture(autouse=True)
def _only_quick_tests_are_traced(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Tracing makes what computes take up to three times as long, so slow tests do not count for the coverage.

    Of the processes that tests start, only those of the committee's own tests are traced: tracing them all takes
    minutes more and hardly moves the figure.
    """
    slow = request.node.get_closest_marker("slow") is not None
    if slow or COMMITTEE_TESTS not in request.path.parents:
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    tracer = _tracer() if slow else None
    if tracer is not None:
        tracer.stop()
    yield
    if tracer is not None:
        tracer.start()


def _tracer() -> Coverage | None:
    try:
        from coverage import Coverage
    except ImportError:
        return None
    return Coverage.current()


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


@pytest.fixture
def carrier(request: pytest.FixtureRequest) -> str:
    """The carrier: loopback, unless the test is marked with ``both_carriers``."""
    name: str = getattr(request, "param", "loopback")
    if name == "mosaik":
        require_engine()
    return name
