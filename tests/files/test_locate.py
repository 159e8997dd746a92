"""Lines of keys: exact on hand-made texts, and complete against tomllib on generated ones."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.files.keypath import child, item, parent, quote_key
from organismctl.files.locate import Locator

FORMATS = Path(__file__).parents[2] / "docs" / "formats"

TEXT = '''# a comment with [brackets] = "and quotes"
schema = 1
a.b . "c d" = 2

[[span]]
name = "one" # [no.table]
[[span.surface]]
keys = [
  { alg = "x", "key" = 'y' },
  # ] in a comment
  {alg="z"}, ]
[[span.surface]]
type = "stream"
[[span]]
name = """
[fake]
not = "a key"
"""""
last = \'\'\'
[[span]]\'\'\'
[[span.surface]]
when = 1979-05-27 07:32:00
["quoted \\u0041 \\"x\\"".'lit.eral']
"" = []
nested = [[1, 2], [
  3]]
'''


def paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield child(path, key)
            yield from paths(inner, child(path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield item(path, index)
            yield from paths(inner, item(path, index))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("schema", 2),
        ("a", 3),
        ('a.b."c d"', 3),
        ("span", 5),
        ("span[0]", 5),
        ("span[0].name", 6),
        ("span[0].surface[0].keys", 8),
        ("span[0].surface[0].keys[0].key", 9),
        ("span[0].surface[0].keys[1]", 11),
        ("span[0].surface[1].type", 13),
        ("span[1]", 14),
        ("span[1].name", 15),
        ("span[1].last", 19),
        ("span[1].surface[0]", 21),
        ("span[1].surface[0].when", 22),
        (r'"quoted A \"x\""."lit.eral"', 23),
        (r'"quoted A \"x\""."lit.eral".""', 24),
        (r'"quoted A \"x\""."lit.eral".nested[1][0]', 26),
    ],
)
def test_exact_lines(path: str, line: int) -> None:
    assert Locator(TEXT).exact(path) == line


def test_absent_key_is_where_its_table_is() -> None:
    locator = Locator(TEXT)
    assert locator.exact("span[1].kind") is None
    assert locator.line("span[1].kind") == 14
    assert locator.line("span[1].surface[0].issuer[4].x") == 21
    assert locator.line("nothing") is None


def test_hand_made_text_is_complete() -> None:
    assert set(paths(tomllib.loads(TEXT))) == set(Locator(TEXT).lines)


@pytest.mark.parametrize("name", ["organism.toml", "deployment.toml"])
def test_examples_are_complete(name: str) -> None:
    text = (FORMATS / name).read_text()
    assert set(paths(tomllib.loads(text))) == set(Locator(text).lines)


KEYS = st.text(max_size=6) | st.sampled_from(
    ["a", "b", "a.b", "x y", '"', "'", "\\", "[0]", "é", "\n", "\u2028"]
)
SCALARS = (
    st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(["]", "}", "#", '"""', "'''", "\n[x]\n", "\\"])
    | st.dates()
    | st.times()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_every_path_of_a_generated_document_has_a_line(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # tomlkit writes some odd keys wrongly; not what is tested here
        return
    assert set(paths(parsed)) == set(Locator(text).lines)


SYMBOLS = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    '"',
    "'",
    '"""',
    "'''",
    "\n",
    "\r\n",
    " ",
    "#",
    "\\",
]
WORDS = ["a", "b", "1", "é", "\\u0041", "1979-05-27 07:32:00", "true", "[[a]]\n", "[a.b]\n", "a=1\n"]
PAIRS = ["b={a=1,b=[2]}\n", 'a="""\n"""""\n', "'x'='y'\n", "a.b=[\n1,#]\n]\n"]
PIECES = st.lists(st.sampled_from(SYMBOLS + WORDS + PAIRS), max_size=14)


@settings(max_examples=600, deadline=None)
@given(PIECES)
def test_whatever_tomllib_accepts_is_complete_and_nothing_raises(pieces: list[str]) -> None:
    text = "".join(pieces)
    lines = Locator(text).lines
    try:
        parsed = tomllib.loads(text)
    except ValueError:
        return
    assert set(paths(parsed)) == set(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@settings(max_examples=200, deadline=None)
@given(st.lists(KEYS | st.integers(0, 3), min_size=1, max_size=4), KEYS)
def test_parent_undoes_child_and_item(steps: list[str | int], key: str) -> None:
    path = quote_key(key)
    for step in steps:
        longer = item(path, step) if isinstance(step, int) else child(path, step)
        assert parent(longer) == path
        path = longer


def test_deep_nesting_does_not_raise() -> None:
    assert Locator("a = " + "[" * 100_000).exact("a") == 1
