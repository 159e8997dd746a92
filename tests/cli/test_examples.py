"""Every command's help: what it is for, examples that parse, and its exit codes."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from organismctl.cli.app import command
from organismctl.cli.examples import HELPS
from organismctl.cli.generate import NAME, _help, context_of, tree

ENTRIES = {" ".join(entry.path): entry for entry in tree() if entry.path}
LEAVES = [path for path, entry in ENTRIES.items() if not entry.commands or path == "retire"]
EXAMPLES = [line for foot in HELPS.values() for line in foot.examples]


def test_the_table_names_every_command_and_nothing_else() -> None:
    assert sorted(HELPS) == sorted(LEAVES)


@pytest.mark.parametrize("path", LEAVES)
def test_help_has_a_purpose_examples_and_exit_codes(path: str) -> None:
    text = _help(ENTRIES[path])
    assert "\n  Examples:\n" in text
    assert f"    {NAME} {path}" in text
    assert "xit " in text, "no exit codes"
    purpose = ENTRIES[path].node.help.strip().splitlines()[0]
    assert purpose[0].isupper()
    assert purpose.rstrip()[-1] in ".;:)!?" or len(purpose) > 60


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_parse(line: str) -> None:
    name, *words = shlex.split(line)
    assert name == NAME
    node: Any = command()
    context = context_of(node)
    while words and hasattr(node, "list_commands") and words[0] in node.list_commands(context):
        node = node.get_command(context, words[0])
        context = context_of(node, context, words.pop(0))
    # Parsing alone: an unknown option or a missing argument raises; nothing is run.
    node.make_context(node.name, words, parent=context.parent)
