"""Runbooks are read part by part, whatever stands in them, and every problem is told at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.check.codes import finding
from organismctl.check.finding import Acceptance, Status
from organismctl.errors import InputError
from organismctl.runbook.model import Kind
from organismctl.runbook.parse import parse_runbook
from organismctl.runbook.when import WhenError, judge, parse_when
from organismctl.runbook.world import World, bindings, fill_prose, nodes_of

HEAD = "---\ntitle: A test\ncodes: [MEMBER-DARK]\nseverity: page\nroles: [on-call]\ntakes: 1 minute\n---\n"
WORLD = World(
    "acme",
    "d.toml",
    ("node-a", "node-b", "node-c", "node-d", "node-e"),
    ("node-d", "node-e"),
    {"alpha": "", "beta": "noc@beta"},
)


def test_sections_blocks_and_conditions() -> None:
    text = HEAD + (
        "\n# A test\n\nWords.\n\n```probe 90s\norganismctl status\n# a remark\n```\n\n"
        "## First\n\nWhen: MEMBER-DARK bad/warn\nor STALL-WAITING\n\nMore.\n\n~~~text\n## no heading\n```run\n~~~\n\n"
        "```run\norganismctl lock init\n```\n\n## Last ##\n\nEnd.\n"
    )
    book = parse_runbook(text, "a-test", "a-test.md")
    assert [one.title for one in book.sections] == ["", "First", "Last"]
    assert [block.kind for _, block in book.blocks(*Kind)] == [
        "prose",
        "probe",
        "prose",
        "code",
        "run",
        "prose",
    ]
    probe = book.sections[0].blocks[1]
    assert (probe.patience_ms, probe.commands) == (90_000, ((14, "organismctl status"),))
    when = book.sections[1].when
    assert when is not None
    assert when.codes() == ("MEMBER-DARK", "STALL-WAITING")
    assert text.split("\n")[probe.line - 1] == "```probe 90s"


def test_every_problem_at_once() -> None:
    text = HEAD.replace("page", "soon") + "\n```probe for ever\n```\n## X\n\nWhen: nonsense\n\n```run\n"
    with pytest.raises(InputError) as caught:
        parse_runbook(text, "Bad Name", "x.md")
    assert [one.key for one in caught.value.problems] == [
        "name",
        "severity",
        "probe",
        "probe",
        "When",
        "fence",
        "run",
    ]
    with pytest.raises(InputError, match="no runbook"):
        parse_runbook("# no front matter", "x", "x.md")


def test_a_section_goes_after_an_earlier_one_that_findings_call_for() -> None:
    first = "\n## First, and best\n\nWhen: MEMBER-DARK\n\n## Plain\n\n"
    text = HEAD + first + '## Last\n\nWhen: after "First,\nand best".\n'
    book = parse_runbook(text, "x", "x.md")
    last = book.sections[-1]
    assert last.when is not None
    assert (last.when.after, last.when.codes()) == ("First, and best", ())
    assert book.condition(last) is book.sections[1].when
    for wrong in ("Plain", "Last", "Other"):
        with pytest.raises(InputError) as caught:
            parse_runbook(HEAD + first + f'## Last\n\nWhen: after "{wrong}"\n', "x", "x.md")
        (problem,) = caught.value.problems
        assert (problem.key, problem.line) == ("When", HEAD.count("\n") + 10), problem


@given(st.text(st.sampled_from("`~#-: \nabWhen{}run"), max_size=200))
def test_any_body_is_read_whole_or_refused_with_places(body: str) -> None:
    text = HEAD + body
    try:
        book = parse_runbook(text, "x", "x.md")
    except InputError as error:
        assert error.problems
        assert all(one.line is None or 1 <= one.line <= text.count("\n") + 1 for one in error.problems)
        return
    lines = text.split("\n")
    covered = set()
    for section in book.sections:
        if section.title or section.heading:
            covered.add(section.line)
        for block in section.blocks:
            assert lines[block.line - 1 : block.line + block.text.count("\n")] == block.text.split("\n")
            covered |= set(range(block.line, block.line + block.text.count("\n") + 1))
    conditions = "\n".join(f"{one.when.line}" for one in book.sections if one.when)
    left = [
        n for n, line in enumerate(lines, 1) if n > HEAD.count("\n") and line.strip() and n not in covered
    ]
    assert not left or conditions, "every line of the body is in a block, a heading or a condition"


@given(st.text(max_size=400))
def test_no_text_at_all_breaks_the_parser(text: str) -> None:
    try:
        parse_runbook(text, "x", "x.md")
    except InputError as error:
        assert error.problems


@pytest.mark.parametrize(
    "text", ["", "no MEMBER-DARK", "MEMBER-DARK perhaps", "member-dark", "MEMBER-DARK ()", "A-B and"]
)
def test_no_condition(text: str) -> None:
    with pytest.raises(WhenError):
        parse_when(text, 1)


def test_a_condition_is_judged_by_findings() -> None:
    beta = finding("MEMBER-DARK", Status.BAD, "beta / events", "x")
    alpha = finding("MEMBER-DARK", Status.BAD, "alpha / events", "x")
    gone = finding("SPAN-PRODUCER-GONE", Status.BAD, "beta / events", "x")
    ours = finding("SPAN-SUBSCRIPTION", Status.BAD, "node-a × alpha / events", "x", values={"side": "node"})
    rows = [beta, alpha, gone, ours]

    def by(text: str) -> list[str]:
        return [row.subject for row in judge(parse_when(text, 1), rows, WORLD).findings]

    assert by("`MEMBER-DARK` and no SPAN-PRODUCER-GONE") == ["alpha / events"]
    assert by("SPAN-SUBSCRIPTION bad (side node)") == ["node-a × alpha / events"]
    assert by("SPAN-SUBSCRIPTION bad (side ours) or SPAN-PRODUCER-GONE") == ["beta / events"]
    assert by("SPAN-SUBSCRIPTION (node) and MEMBER-DARK (span)") == [
        ours.subject,
        beta.subject,
        alpha.subject,
    ]
    assert by("SPAN-LAG warn/bad/unknown") == []
    from dataclasses import replace

    rows[:] = [replace(gone, accepted=Acceptance("2030-01-01", "known"))]
    assert by("SPAN-PRODUCER-GONE") == []


def test_who_is_meant() -> None:
    forked = finding(
        "GROUP-FORKED",
        Status.BAD,
        "committee",
        "x",
        values={"identities": {"1": ["node-a", "node-b"], "2": ["node-c"]}},
    )
    even = finding(
        "GROUP-FORKED",
        Status.BAD,
        "committee",
        "x",
        values={"identities": {"1": ["node-a"], "2": ["node-c"]}},
    )
    assert nodes_of(forked, WORLD) == ("node-c",)
    assert nodes_of(even, WORLD) == (), "no majority: nobody is the odd one"
    away = [finding("MEMBER-UNREACHABLE", None, name, "x") for name in ("node-a", "node-c")]
    turns = [dict(turn) for turn in bindings(["node", "spare"], away, {}, WORLD)]
    assert turns == [{"node": "node-a", "spare": "node-d"}, {"node": "node-c", "spare": "node-e"}]
    assert [dict(one) for one in bindings(["node"], away, {"node": "node-b"}, WORLD)] == [{"node": "node-b"}]
    dark = finding("MEMBER-DARK", Status.BAD, "beta / events", "x")
    assert (
        fill_prose("call {contact} of {span}, {unheard_of}", [dark], {}, WORLD)
        == "call noc@beta of beta, {unheard_of}"
    )
