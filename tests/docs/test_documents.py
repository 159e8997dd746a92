"""Every command in the README, the docs and the runbooks is one that the tool takes, and the guides really run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from organismctl.cli.proving import prove
from organismctl.runbook.check import _anchors
from organismctl.runbook.world import SAMPLES, fill
from tests.docs.markdown import ROOT, SCRIPTS, Command, Fence, calls, documents, fences
from tests.docs.sandbox import sandbox
from tests.support.mosaik import require_engine

DOCUMENTS = {str(path.relative_to(ROOT)): path for path in documents()}
TUTORIAL = "docs/tutorial.md"
ENGINE = "<!-- run where the engine is -->"
IN_THE_REHEARSAL = (
    "README.md", "docs/how-to/gate-ci.md", "docs/how-to/monitor.md", "docs/how-to/watch.md",
    "docs/how-to/respond-to-an-alert.md", "docs/how-to/accept-a-finding.md", "docs/how-to/write-a-runbook.md",
    "docs/how-to/renew-tickets.md",
    "docs/how-to/verify-a-surface.md", "docs/how-to/rotate-a-member.md", "docs/how-to/back-up-and-restore.md",
    "docs/how-to/retire.md",
)  # fmt: skip
"""Guides in the order in which they run: the README makes the rehearsal in which the how-tos begin. A committee of its
own for each would take ten seconds a page."""
ON_MOSAIK = ("docs/how-to/run-on-mosaik.md", "docs/how-to/inspect-a-network.md")
"""Guides that need the engine, in order."""
NOT_RUN = {
    ("README.md", "this clone is where the test runs"),
    ("README.md", "they are the project's own check"),
    ("README.md", "the test's own environment is the installed one"),
    ("docs/how-to/gate-ci.md", "it installs from a package index"),
    ("docs/how-to/monitor.md", "it needs Prometheus; the tests of export prove its files with promtool and amtool"),
    ("docs/how-to/retire.md", "the tutorial runs it to its end"),
    ("docs/how-to/rotate-a-member.md", "the README and the tutorial run it"),
    (
        "docs/how-to/run-under-systemd.md",
        "it needs systemd as process 1; the tests of export run each unit's own line under what it takes away",
    ),
    (TUTORIAL, "this clone is where the test runs"),
}  # fmt: skip
"""What is shown and not run, and why."""
_INLINE = re.compile(r"(?<!`)`(organismctl [^`]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def commands(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Every call of the tool in a document's blocks, and those in its prose: line, text, whether it is whole."""
    blocks = fences(path)
    for fence in blocks:
        for line, text in fence.ours():
            yield line, text, True
    inside = {number for one in blocks for number in range(one.line - 1, one.line + len(one.lines) + 1)}
    lines = path.read_text().split("\n")
    prose = "\n".join("" if number in inside else line for number, line in enumerate(lines, 1))
    for found in _INLINE.finditer(prose):
        for text in calls(" ".join(found[1].split())):
            yield prose[: found.start()].count("\n") + 1, text, False


def wrong(text: str, *, whole: bool) -> str | None:
    """What the tool's own parser has against a command line; prose may name a command without its arguments."""
    words = [fill(word, tuple(SAMPLES.items())) for word in shlex.split(text, comments=True)]
    words = [word for word in words[1:] if word != "&"]
    found = prove(words)
    mention = (
        not whole and found is not None and re.match(r"Missing (?:argument|option)|.*none is named", found)
    )
    return None if mention else found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_line_is_one_that_the_tool_takes(name: str) -> None:
    told = commands(DOCUMENTS[name])
    found = [(line, text, why) for line, text, whole in told if (why := wrong(text, whole=whole))]
    assert found == []


def test_there_are_as_many_as_there_seem_to_be() -> None:
    """The parser of documents finds them: a document that is not understood would prove nothing."""
    parsed = {name: len(list(commands(path))) for name, path in DOCUMENTS.items()}
    assert parsed["README.md"] > 20
    assert parsed[TUTORIAL] > 15
    assert sum(parsed.values()) > 300


@pytest.mark.parametrize(
    ("text", "only_looks"),
    [
        ("organismctl status  # how it fares", True),
        ('organismctl retire --effective-at 2126-01-31T00:00Z --reason "a & b" --dry-run', True),
        ("organismctl surface verify --url $URL", True),
        ("organismctl watch -n 2 --every 1s", True),
        ("organismctl committee start", False),
        ("organismctl status && organismctl committee start", False),
        ("organismctl status; kill %1", False),
        ("organismctl export prometheus > rules.yml", False),
        ("organismctl surface read --follow &", False),
        ("organismctl check all --at $(rm seen.json)", False),
        ("for up in north south; do organismctl status; done", False),
        ("curl http://127.0.0.1:9560/metrics", False),
    ],
)
def test_only_a_single_call_that_looks_is_repeated(text: str, only_looks: bool) -> None:
    assert Command(1, text).only_looks is only_looks


def test_a_script_falls_into_its_whole_commands() -> None:
    lines = [
        "cd acme",
        "",
        "for up in a b; do",
        "  echo $up",
        "done",
        "cat <<EOF",
        "for",
        "EOF",
        "ls \\",
        "  -l",
    ]
    found = [(one.line, one.text) for one in Fence(7, "sh", lines).commands()]
    assert found == [
        (7, "set -e\ncd acme"),
        (9, "set -e\nfor up in a b; do\n  echo $up\ndone"),
        (12, "set -e\ncat <<EOF\nfor\nEOF"),
        (15, "set -e\nls \\\n  -l"),
    ]


TOLD_LATE = """organismctl() { echo x >> looked; echo "seen $(wc -l < looked) times"; [ $(wc -l < looked) -gt 2 ]; }"""


def test_what_looks_is_repeated_until_it_is_as_shown_and_what_acts_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.sandbox.PAUSE_S", 0.0)
    with sandbox(tmp_path / "home") as made:
        made.run(TOLD_LATE)
        made.block(Fence(1, "sh", ["organismctl status"]), "a.md")
        assert (tmp_path / "home" / "looked").read_text() == "x\n" * 3
        made.run("rm looked")
        with pytest.raises(AssertionError, match="exits with 1, not 0"):
            made.block(Fence(1, "console", ["$ organismctl committee start"]), "a.md")
        assert (tmp_path / "home" / "looked").read_text() == "x\n"
        monkeypatch.setattr("tests.docs.sandbox.PATIENCE_S", 0.5)
        with pytest.raises(AssertionError, match="never prints, or not in that order:\n  otherwise"):
            made.block(Fence(1, "console", ["$ organismctl status", "otherwise"]), "a.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    path = DOCUMENTS[name]
    inside = {n for one in fences(path) for n in range(one.line, one.line + len(one.lines))}
    text = "\n".join("" if n in inside else line for n, line in enumerate(path.read_text().split("\n"), 1))
    broken = []
    for target in _LINK.findall(text):
        if re.match(r"(?:https?|mailto):", target):
            continue
        to, _, anchor = target.partition("#")
        file = path if not to else (path.parent / to).resolve()
        if not file.exists() or (anchor and anchor not in set(_anchors(file.read_text()))):
            broken.append(target)
    assert broken == []


def test_what_is_not_run_is_known_with_its_reason() -> None:
    told = {
        (name, fence.not_run)
        for name in (*IN_THE_REHEARSAL, TUTORIAL, *DOCUMENTS)
        for fence in fences(DOCUMENTS[name])
        if fence.not_run is not None
    }
    assert told == NOT_RUN
    guides = {name for name in DOCUMENTS if name.startswith("docs/how-to/")} | {"README.md", TUTORIAL}
    # What another hand adds is put into the order above, or says of each block why it is not run.
    for name in guides - {*IN_THE_REHEARSAL, *ON_MOSAIK, TUTORIAL}:
        assert all(one.not_run for one in fences(DOCUMENTS[name]) if one.language in SCRIPTS), name
    marked = {name for name, path in DOCUMENTS.items() if ENGINE in path.read_text()}
    assert marked == set(ON_MOSAIK)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("names", [IN_THE_REHEARSAL, (TUTORIAL,)], ids=["readme-and-how-tos", "tutorial"])
def test_the_guides_run(names: tuple[str, ...], tmp_path: Path) -> None:
    with sandbox(tmp_path / "home") as made:
        for name in names:
            made.document(DOCUMENTS[name])
        print(f"{made.ran} command lines of organismctl were run")
    assert made.ran > 15


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_guides_on_mosaik_run(tmp_path: Path) -> None:
    require_engine()
    with sandbox(tmp_path / "home") as made:
        for name in ON_MOSAIK:
            made.document(DOCUMENTS[name])
    assert made.ran > 10
