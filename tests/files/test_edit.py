"""Edits keep a person's comments, and mean exactly what was asked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.errors import InputError, RefusedError
from organismctl.files import edit as edits
from organismctl.files.deployment import parse_deployment

EXAMPLE = (Path(__file__).parents[2] / "docs" / "formats" / "deployment.toml").read_text()
NODE = {"name": "node-c", "peer_id": "ab" * 32, "url": "http://127.0.0.1:7103", "roster": False}


def comments(text: str) -> list[str]:
    return sorted(line[line.index("#") :] for line in text.splitlines() if "#" in line)


def parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def test_add_node_appends_and_keeps_every_comment() -> None:
    new = edits.add_node(NODE)(EXAMPLE)
    wanted = parsed(EXAMPLE)
    wanted["node"].append(NODE)
    assert parsed(new) == wanted
    assert comments(new) == comments(EXAMPLE)
    parse_deployment(new, Path("deployment.toml"))


def test_remove_node_takes_its_tickets_and_leaves_what_describes_the_rest() -> None:
    new = edits.remove_node("node-a")(EXAMPLE)
    wanted = parsed(EXAMPLE)
    del wanted["node"][0]
    for span in wanted["span"]:
        del span["ticket"]
    assert parsed(new) == wanted
    assert "# roster = true                        # default; false: a spare" in new
    assert "[[span]]                               # what we know of a spanned member" in new


def test_remove_then_add_is_the_same_meaning() -> None:
    added = edits.add_node(NODE)(EXAMPLE)
    removed = edits.remove_node("node-c")(added)
    assert parsed(removed) == parsed(EXAMPLE)
    assert comments(removed) == comments(EXAMPLE)


def test_roster_flag() -> None:
    new = edits.set_roster("node-b", on=False)(EXAMPLE)
    assert parsed(new)["node"][1]["roster"] is False
    assert comments(new) == comments(EXAMPLE)
    again = edits.set_roster("node-b", on=True)(new)
    assert parsed(again)["node"][1]["roster"] is True


def test_ticket_entries() -> None:
    new = edits.set_ticket("acme-mainnet", "node-b", "tickets/b")(EXAMPLE)
    assert parsed(new)["span"][0]["ticket"][1] == {"node": "node-b", "file": "tickets/b"}
    moved = edits.set_ticket("acme-mainnet", "node-b", "tickets/b2")(new)
    assert parsed(moved)["span"][0]["ticket"][1]["file"] == "tickets/b2"
    assert edits.set_ticket("acme-mainnet", "node-b", "tickets/b2")(moved) == moved
    both = edits.set_ticket("acme-mainnet", "node-b", "tickets/b.next", beside=True)(moved)
    assert both.count('node = "node-b"\nfile') == moved.count('node = "node-b"\nfile') + 1
    assert edits.set_ticket("acme-mainnet", "node-b", "tickets/b.next", beside=True)(both) == both
    gone = edits.remove_ticket("acme-mainnet", "node-b")(moved)
    assert parsed(gone) == parsed(EXAMPLE)
    assert comments(gone) == comments(EXAMPLE)


def test_first_ticket_of_a_span() -> None:
    bare = edits.remove_ticket("acme-mainnet", "node-a")(EXAMPLE)
    new = edits.set_ticket("acme-mainnet", "node-b", "t")(bare)
    assert parsed(new)["span"][0]["ticket"] == [{"node": "node-b", "file": "t"}]
    assert parsed(new)["span"][1] == parsed(EXAMPLE)["span"][1]


def test_first_node() -> None:
    new = edits.add_node(NODE)("schema = 1 # one\n\n[secrets] # two\ngroup = 'x'\n")
    assert parsed(new) == {"schema": 1, "secrets": {"group": "x"}, "node": [NODE]}
    assert comments(new) == ["# one", "# two"]


def test_unknown_and_known_names_are_refused() -> None:
    with pytest.raises(InputError, match="no \\[\\[node\\]\\] is named node-z"):
        edits.remove_node("node-z")(EXAMPLE)
    with pytest.raises(InputError, match="is there already"):
        edits.add_node({**NODE, "name": "node-a"})(EXAMPLE)


def test_unset_and_set_value() -> None:
    new = edits.unset(("thresholds", "commit_lag"))(EXAMPLE)
    assert "commit_lag" not in parsed(new)["thresholds"]
    assert edits.unset(("nothing", "here"))(EXAMPLE) == EXAMPLE
    assert parsed(edits.set_value(("extra", "a"), 1)("schema = 1\n"))["extra"] == {"a": 1}


def test_text_that_looks_like_comments_does_not_change_what_is_meant() -> None:
    text = '[[node]]\nname = """\n# not a comment"""\n[[node]]\nname = "b"\n'
    assert parsed(edits.remove_table(("node",), 0)(text)) == {"node": [{"name": "b"}]}


def test_inline_tables_are_left_to_a_person() -> None:
    with pytest.raises(InputError, match="not written as"):
        edits.remove_table(("node",), 0)('node = [{name = "a"}, {name = "b"}]\n')


def test_edit_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deployment.toml"
    path.write_text(EXAMPLE)

    def validate(text: str) -> object:
        return parse_deployment(text, path)

    with pytest.raises(InputError):
        edits.edit(path, edits.add_node({**NODE, "executor": "magic"}), validate=validate)
    assert path.read_text() == EXAMPLE
    assert edits.edit(path, edits.add_node(NODE), validate=validate)
    assert not edits.edit(path, validate=validate)
    assert [p.name for p in tmp_path.iterdir()] == ["deployment.toml"]


def test_an_edit_by_somebody_else_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "deployment.toml"
    path.write_text(EXAMPLE)

    def meddle(text: str) -> str:
        path.write_text("schema = 1\n")
        return edits.add_node(NODE)(text)

    with pytest.raises(RefusedError, match="somebody else"):
        edits.edit(path, meddle)
    assert path.read_text() == "schema = 1\n"


REMARK = st.sampled_from(["", "  # why", "\n# above the next"])


@st.composite
def commented(draw: st.DrawFn) -> str:
    """A deployment with comments in many places."""
    lines = ["# head", "schema = 1" + draw(REMARK), ""]
    for name in draw(st.lists(st.sampled_from("abc"), unique=True, min_size=1)):
        peer = format(ord(name), "02x") * 32
        lines += ["# before " + name, "[[node]]" + draw(REMARK), f'name = "{name}"' + draw(REMARK)]
        lines += [f'peer_id = "{peer}"' + draw(REMARK)]
        if draw(st.booleans()):
            lines += ["roster = false # spare"]
        lines += [""] * draw(st.integers(0, 2))
    lines += ["[[span]]", 'name = "s"' + draw(REMARK)]
    for name in draw(st.lists(st.sampled_from("abc"), unique=True)):
        lines += [f"[[span.ticket]] # of {name}", f'node = "{name}"', f'file = "t/{name}"', "# after"]
    if draw(st.booleans()):
        lines += ["[thresholds] # limits", "commit_lag = 3"]
    return "\n".join(lines) + "\n"


@settings(max_examples=120, deadline=None)
@given(commented(), st.sampled_from("abcd"), st.sampled_from("abc"))
def test_comments_survive_any_edit(text: str, add: str, ticket: str) -> None:
    before = parsed(text)
    new = text
    if all(node["name"] != add for node in before["node"]):
        new = edits.add_node({**NODE, "name": add})(new)
    new = edits.set_roster(before["node"][0]["name"], on=False)(new)
    new = edits.set_ticket("s", ticket, "other")(new)
    assert comments(new) == comments(text)
    gone = before["node"][0]["name"]
    left = edits.remove_node(gone)(new)
    assert [n["name"] for n in parsed(left).get("node", [])] == [
        n["name"] for n in parsed(new)["node"] if n["name"] != gone
    ]
    for line in {line for line in text.splitlines() if line.startswith("#")}:
        # "above the next" may stand inside the table that went; everything else stands around tables.
        assert left.count(line) == text.count(line) or line == "# above the next"
