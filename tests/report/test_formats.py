from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.check.codes import finding
from organismctl.check.finding import Acceptance, Finding, Place, SourceRef, Status
from organismctl.errors import UsageError
from organismctl.report.interface import FORMATS, Style, render
from organismctl.report.model import Named, Report
from organismctl.report.schema import schemas
from organismctl.report.text import aligned, clean, wrap
from tests.report.pages import report as report_of
from tests.report.pages import world

NAMED = Named("acme.settlement", "6e523a5651" + "0" * 54, None, None, "no secret is here")
ROWS = [
    finding("TICKET-HORIZON", Status.OK, "node-a × beta", "30 d left, until 2026-12-24T00:00Z",
            values={"node": "node-a", "span": "beta", "state": "valid", "horizon_ms": 1_798_000_000_500}),
    finding("TICKET-HORIZON", Status.BAD, "node-b × beta", "1 d left, until 2026-11-25T00:00Z",
            values={"node": "node-b", "span": "beta", "state": "valid", "horizon_ms": None}),
    finding("GROUP-DRIFT", Status.BAD, "group.heartbeat", "changed; moves the group id alone",
            place=Place("/repo/organism.toml", 41)),
    finding("MEMBER-UNREACHABLE", None, "node-c", "no answer in time", sources=(SourceRef("node-api x", None),)),
    replace(finding("ROSTER-EVEN", None, "committee", "4 members"), accepted=Acceptance("2026-12-31", "on order")),
    finding("VERSION-SKEW", None, "committee", "0.1.0 on node-a; 0.2.0 on node-b"),
]  # fmt: skip
PAGE = Style(width=80, base="/repo")


def report(rows: list[Finding] | None = None, **how: Any) -> Report:
    return Report(
        "check all", NAMED, ROWS if rows is None else rows, 1_795_500_000_250, 1_795_500_000_000, **how
    )


TABLE = """\
acme.settlement  fingerprint 6e523a5651  group id unknown

STATUS   CODE                SUBJECT          SUMMARY
bad      TICKET-HORIZON      node-b × beta    1 d left, until 2026-11-25T00:00Z
bad      GROUP-DRIFT         group.heartbeat  changed; moves the group id alone
                                              (organism.toml:41)
unknown  MEMBER-UNREACHABLE  node-c           no answer in time
warn     VERSION-SKEW        committee        0.1.0 on node-a; 0.2.0 on node-b
warn*    ROSTER-EVEN         committee        4 members [accepted until
                                              2026-12-31: on order]
ok       TICKET-HORIZON      node-a × beta    30 d left, until 2026-12-24T00:00Z

2 bad, 1 unknown, 1 warn, 1 accepted, 1 ok; exit 3; runbooks: tickets, identity-drift, node-down
next: organismctl runbook run tickets
"""

GITHUB = """\
::error title=TICKET-HORIZON node-b × beta::1 d left, until 2026-11-25T00:00Z
::error file=organism.toml,line=41,title=GROUP-DRIFT group.heartbeat::changed; moves the group id alone
::error title=MEMBER-UNREACHABLE node-c::no answer in time
::warning title=VERSION-SKEW committee::0.1.0 on node-a; 0.2.0 on node-b
::notice title=ROSTER-EVEN committee::4 members [accepted until 2026-12-31: on order]
::notice title=organismctl check all::acme.settlement  fingerprint 6e523a5651  group id unknown: \
2 bad, 1 unknown, 1 warn, 1 ok, 1 accepted; exit 3
"""

PROMETHEUS = """\
# HELP organismctl_organism_info The identities that were checked.
# TYPE organismctl_organism_info gauge
organismctl_organism_info{organism="acme.settlement",fingerprint="FP",group_id=""} 1
# HELP organismctl_check_exit Exit code of the check.
# TYPE organismctl_check_exit gauge
organismctl_check_exit{organism="acme.settlement",command="check all"} 3
# HELP organismctl_check_timestamp_seconds Moment of judgement.
# TYPE organismctl_check_timestamp_seconds gauge
organismctl_check_timestamp_seconds{organism="acme.settlement",command="check all"} 1795500000.250
# HELP organismctl_findings Findings by status; accepted ones apart.
# TYPE organismctl_findings gauge
organismctl_findings{organism="acme.settlement",command="check all",status="bad"} 2
organismctl_findings{organism="acme.settlement",command="check all",status="unknown"} 1
organismctl_findings{organism="acme.settlement",command="check all",status="warn"} 1
organismctl_findings{organism="acme.settlement",command="check all",status="ok"} 1
organismctl_findings{organism="acme.settlement",command="check all",status="accepted"} 1
# HELP organismctl_finding_status 0 ok, 1 warn, 2 unknown, 3 bad.
# TYPE organismctl_finding_status gauge
organismctl_finding_status{organism="acme.settlement",code="TICKET-HORIZON",subject="node-a × beta"} 0
organismctl_finding_status{organism="acme.settlement",code="TICKET-HORIZON",subject="node-b × beta"} 3
organismctl_finding_status{organism="acme.settlement",code="GROUP-DRIFT",subject="group.heartbeat"} 3
organismctl_finding_status{organism="acme.settlement",code="MEMBER-UNREACHABLE",subject="node-c"} 2
organismctl_finding_status{organism="acme.settlement",code="ROSTER-EVEN",subject="committee"} 1
organismctl_finding_status{organism="acme.settlement",code="VERSION-SKEW",subject="committee"} 1
# HELP organismctl_finding_accepted 1 when a person accepted the finding.
# TYPE organismctl_finding_accepted gauge
organismctl_finding_accepted{organism="acme.settlement",code="ROSTER-EVEN",subject="committee"} 1
# HELP organismctl_ticket_horizon_timestamp_seconds When a node's ticket stops admitting it; +Inf: never.
# TYPE organismctl_ticket_horizon_timestamp_seconds gauge
organismctl_ticket_horizon_timestamp_seconds{organism="acme.settlement",node="node-a",span="beta"} 1798000000.500
organismctl_ticket_horizon_timestamp_seconds{organism="acme.settlement",node="node-b",span="beta"} +Inf
""".replace("FP", NAMED.fingerprint or "")


@pytest.mark.parametrize(
    ("name", "golden"), [("table", TABLE), ("github", GITHUB), ("prometheus", PROMETHEUS)]
)
def test_a_report_looks_like_this(name: str, golden: str) -> None:
    assert render(report(), name, PAGE) == golden


SPANS = """\
# HELP organismctl_ticket_quorum_lost_timestamp_seconds From when fewer than a majority is surely admitted; \
+Inf: never.
# TYPE organismctl_ticket_quorum_lost_timestamp_seconds gauge
organismctl_ticket_quorum_lost_timestamp_seconds{organism="acme.settlement",span="beta"} 1798092000
# HELP organismctl_span_lag_events Events behind. Absent: not known.
# TYPE organismctl_span_lag_events gauge
organismctl_span_lag_events{organism="acme.settlement",node="node-a",span="beta",surface="facts"} 0
organismctl_span_lag_events{organism="acme.settlement",node="node-b",span="beta",surface="facts"} 0
organismctl_span_lag_events{organism="acme.settlement",node="node-c",span="beta",surface="facts"} 0
# HELP organismctl_span_lag_seconds Seconds behind. Absent: not known.
"""


def test_a_textfile_tells_lag_and_quorum_per_spanned_member() -> None:
    assert SPANS in render(report_of(world(well=True)), "prometheus")


def test_a_collector_takes_the_file_whatever_remotes_are_called() -> None:
    """Names that differ only in control characters would be one series twice, and the whole file refused."""
    rows = [
        finding("VERSION-SKEW", status, f"a\x1b{sign}b", "x")
        for sign, status in (("\x01", Status.OK), ("\x02", None))
    ]
    text = render(report(rows), "prometheus", PAGE)
    assert text.count('subject="a\ufffd\ufffdb"') == 1
    assert 'subject="a\ufffd\ufffdb"} 1\n' in text, "the worse of both stays"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
@pytest.mark.parametrize("well", [True, False])
def test_promtool_takes_it(well: bool) -> None:
    made = render(report_of(world(well=well)), "prometheus")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=made, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_json_is_complete_and_valid() -> None:
    value = json.loads(render(report(), "json", PAGE))
    jsonschema.validate(value, schemas()["check.schema.json"])
    assert value["exit"] == 3
    assert value["organism"]["fingerprint"] == NAMED.fingerprint
    assert [row["code"] for row in value["findings"]] == [row.code for row in ROWS]
    empty = json.loads(render(report([]), "json", PAGE))
    jsonschema.validate(empty, schemas()["check.schema.json"])


def test_junit_counts_what_fails_and_names_both_identities() -> None:
    suite = ET.fromstring(render(report(), "junit", PAGE)).find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "2", "errors": "1", "skipped": "1",
    }  # fmt: skip
    assert suite.get("timestamp") == "2026-11-24T06:00:00", "UTC, as the format has it: without a zone"
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["fingerprint"] == NAMED.fingerprint
    assert properties["group_id_unknown"] == "no secret is here"
    case = next(one for one in suite.iter("testcase") if one.get("classname") == "GROUP-DRIFT")
    assert (case.get("file"), case.get("line")) == ("/repo/organism.toml", "41")


def test_a_gate_for_integrators_narrows_every_format() -> None:
    narrow = report(fail_on="integrators")
    assert narrow.exit == 0
    assert "::error" not in render(narrow, "github", PAGE)
    assert 'failures="0"' in render(narrow, "junit", PAGE)
    assert "not counted (--fail-on integrators)" in render(narrow, "table", PAGE)


def test_a_strict_gate_fails_on_a_warning() -> None:
    rows = [ROWS[5]]
    assert report(rows).exit == 0
    assert report(rows, strict=True).exit == 2
    assert "::error" in render(report(rows, strict=True), "github", PAGE)


def test_colour_only_where_it_is_allowed() -> None:
    assert "\x1b[" in render(report(), "table", Style(width=120, colour=True))
    assert "\x1b" not in render(report(), "table", Style(width=120))


def test_many_ok_rows_are_folded_but_none_that_is_not_ok() -> None:
    rows = [finding("TICKET-HORIZON", Status.OK, f"node-{index}", "x") for index in range(100)]
    text = render(report([*rows, ROWS[1]]), "table", PAGE)
    assert "TICKET-HORIZON: 100 subjects" in text
    assert "node-b × beta" in text
    assert "node-7" not in text


def test_an_unknown_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        render(report(), "html", PAGE)


_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("name", FORMATS)
@given(hostile=st.text(max_size=30))
def test_no_format_lets_a_remote_name_reach_the_terminal(name: str, hostile: str) -> None:
    rows = [
        finding("VERSION-SKEW", status, hostile + str(index), f"{hostile}\n::error::x\x1b]0;t\x07\ud800",
                place=Place(hostile, 1))
        for index, status in enumerate(Status)
    ]  # fmt: skip
    text = render(report(rows), name, PAGE)
    assert not _CONTROL.search(text)
    assert "\n::error::x" not in text
    text.encode()
    if name == "junit":
        ET.fromstring(text)
    if name == "json":
        assert json.loads(text)["findings"][0]["subject"] == hostile + "0"


def test_text_helpers() -> None:
    assert clean("a\x1b[31mb\u202ec\n") == "a�[31mb�c�"
    assert wrap("", 10) == [""]
    assert aligned([("名", "x")], ("A", "B"), 40) == "A   B\n名  x\n"
