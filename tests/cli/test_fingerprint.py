"""``fingerprint``: what it prints, what the gate says of each kind of edit, in every format."""

from __future__ import annotations

import json
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from organismctl.cli.app import run
from organismctl.identity.digest import h
from organismctl.identity.reference import parse_ref
from tests.cli.conftest import FORMATS, Json, edit

FINGERPRINT = json.loads((FORMATS / "fingerprint.json").read_text())


def test_show_json_has_both_pins_at_the_top(acme: Path, js: Json) -> None:
    shown = js("fingerprint-show", "fingerprint", "show")
    assert shown["name"] == "acme.settlement"
    lock = tomllib.loads((acme / "organism.lock").read_text())
    assert shown["fingerprint"] == lock["deployed"]["fingerprint"]
    assert shown["group_id"] == lock["deployed"]["group_id"]
    assert shown["group_id_unknown"] is None


def test_without_secret_and_lock_the_group_id_is_null_with_the_reason(
    acme: Path, js: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    (acme / "organism.lock").unlink()
    shown = js("fingerprint-show", "fingerprint", "show")
    assert shown["group_id"] is None
    assert "secret" in shown["group_id_unknown"]
    assert run(["fingerprint", "show"]) == 0
    assert f"unknown: {shown['group_id_unknown']}" in capsys.readouterr().out


def test_explain_can_be_recomputed_by_anybody(
    acme: Path, js: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    told = js("fingerprint-explain", "fingerprint", "explain")
    preimage = bytes.fromhex(told["preimage"])
    assert b"".join(bytes.fromhex(row["encoding"]) for row in told["fields"]) == preimage
    assert h(preimage).hex() == told["fingerprint"]
    assert all(h(bytes.fromhex(row["encoding"])).hex() == row["digest"] for row in told["fields"])
    assert run(["fingerprint", "explain"]) == 0
    assert f"fingerprint  {told['fingerprint']} = blake3(preimage)" in capsys.readouterr().out


def test_a_reference_is_what_a_downstream_pastes(
    acme: Path, js: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = js("fingerprint-show", "fingerprint", "show")
    assert run(["fingerprint", "show", "--as-ref", "-o", "acme.ref.txt"]) == 0
    line, _, stanza = (acme / "acme.ref.txt").read_text().partition("\n\n")
    ref = parse_ref(line)
    assert (ref.stable_id.hex(), (ref.content_hash or b"").hex()) == (
        shown["stable_id"],
        shown["fingerprint"],
    )
    (span,) = tomllib.loads(stanza)["span"]
    assert span["stable_id"] == shown["stable_id"]
    assert {one["name"]: one["id"] for one in span["surface"]} == shown["surfaces"]


BOTH = "fingerprint and group id"
URL = "https://acme.example/organisms/settlement/changes"
EDITS = [
    # old, new, exit, subject, moves, who must act
    ('stall = "wait"', 'stall = "partial"', 2, "driver.stall", BOTH, "integrators"),
    ("quorum_of_offers = 2", "quorum_of_offers = 3", 2, "content.quorum_of_offers", BOTH, "integrators"),
    ('heartbeat = "500ms"', 'heartbeat = "600ms"', 2, "group.heartbeat", "group id alone", "our nodes"),
    ('name = "acme-mainnet"  ', 'name = "our-own-label" ', 0, None, None, None),
    (f'url = "{URL}"', 'url = "https://acme.example/moved"', 0, None, None, None),
    ("stall = ", "stall   =  ", 0, None, None, None),
]


@pytest.mark.parametrize(
    ("old", "new", "code", "subject", "moves", "who"), EDITS, ids=lambda value: str(value)[:24]
)
def test_the_gate_says_file_line_field_verdict_and_who(
    acme: Path,
    js: Json,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    code: int,
    subject: str | None,
    moves: str | None,
    who: str | None,
) -> None:
    line = edit(acme, old, new)
    found = js("check", "fingerprint", "check", expect=code)
    bad = [row for row in found["findings"] if row["status"] == "bad"]
    if subject is None:
        assert bad == []
        return
    row = next(row for row in bad if row["subject"] == subject)
    assert row["place"]["file"].endswith("organism.toml")
    assert row["place"]["line"] == line
    assert moves is not None and moves in row["summary"]
    assert any(who in actor for actor in row["values"]["who"]) if who else True
    assert run(["fingerprint", "check"]) == code
    table = capsys.readouterr().out
    assert f"(organism.toml:{line})" in table
    assert "must act: " in table


@pytest.mark.parametrize(
    ("old", "new", "by_audience"),
    [
        ('stall = "wait"', 'stall = "partial"', {"any": 2, "committee": 2, "integrators": 2}),
        ('heartbeat = "500ms"', 'heartbeat = "600ms"', {"any": 2, "committee": 2, "integrators": 0}),
    ],
)
def test_fail_on_narrows_the_gate(acme: Path, old: str, new: str, by_audience: dict[str, int]) -> None:
    edit(acme, old, new)
    codes = {whom: run(["fingerprint", "check", "--fail-on", whom]) for whom in by_audience}
    assert codes == by_audience
    assert run(["fingerprint", "check", "--fail-on", "nobody"]) == 64


def test_the_gate_without_a_lock(acme: Path, js: Json) -> None:
    (acme / "organism.lock").unlink()
    found = js("check", "fingerprint", "check", expect=2)
    assert found["findings"][0]["code"] == "LOCK-MISSING"


def test_a_lock_that_never_knew_the_group_secret_is_unknown_not_ok(acme: Path, js: Json) -> None:
    (acme / "organism.lock").unlink()
    assert run(["lock", "init"]) == 0
    found = js("check", "fingerprint", "check", expect=5)
    assert {row["code"]: row["status"] for row in found["findings"]}["GROUP-UNKNOWN"] == "unknown"


def test_junit_of_the_gate(acme: Path) -> None:
    edit(acme, 'stall = "wait"', 'stall = "partial"')
    assert run(["fingerprint", "check", "--format", "junit", "-o", "out.xml"]) == 2
    (suite,) = ET.parse(acme / "out.xml").getroot()
    failed = [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None]
    assert "driver.stall" in failed
    assert int(suite.get("failures", "0")) == len(failed)


GOLDEN = """\
acme.settlement  fingerprint 6e523a5651  group id 7acde18581

STATUS  CODE               SUBJECT      SUMMARY
ok      FINGERPRINT-DRIFT  fingerprint  6e523a5651 as accepted by alice@acme
ok      GROUP-DRIFT        group id     7acde18581 as accepted by alice@acme

2 ok; exit 0
"""


def test_golden_of_a_clean_gate(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fingerprint", "check"]) == 0
    assert capsys.readouterr().out == GOLDEN


def test_diff(acme: Path, js: Json, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    old = tmp_path / "old.toml"
    old.write_text((acme / "organism.toml").read_text())
    same = js("fingerprint-diff", "fingerprint", "diff", str(old), "organism.toml")
    assert (same["changes"], same["verdict"], same["moves"]) == ([], "none", [])
    edit(acme, 'stall = "wait"', 'stall = "partial"')
    moved = js("fingerprint-diff", "fingerprint", "diff", str(old), "organism.toml", expect=2)
    assert moved["verdict"] in ("rebind", "rebuild")
    assert moved["fingerprint"]["old"] != moved["fingerprint"]["new"]
    assert [change["path"] for change in moved["changes"]] == ["driver.stall"]
    capsys.readouterr()
    assert run(["fingerprint", "diff", str(old), "organism.toml"]) == 2
    assert "driver.stall" in capsys.readouterr().out


def test_diff_of_broken_files_tells_all_problems(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (acme / "broken.toml").write_text("schema = 1\nnetwork = 3\n")
    assert run(["fingerprint", "diff", "organism.toml", "broken.toml"]) == 1
    said = capsys.readouterr().err
    assert "broken.toml:2: network: found 3" in said
    assert "broken.toml: name: missing" in said


def test_rows_of_a_diff_can_be_told_apart(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (acme / "organism.toml").read_text()
    start = text.index("[[span]]")
    (acme / "less.toml").write_text(text[:start] + text[text.index("[[span]]", start + 1) :])
    assert run(["fingerprint", "diff", "organism.toml", "less.toml"]) == 2
    seen = capsys.readouterr()
    rows = [line for line in seen.out.splitlines() if line.startswith("span[")]
    paths = [line.split()[0] for line in rows]
    assert len(set(paths)) == len(paths) > 3
    assert not any("…" in path for path in paths)
    assert seen.err.count("warning:") == 1


def test_what_does_not_go_together_is_refused(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fingerprint", "show", "--as-ref", "--format", "json"]) == 64
    assert run(["fingerprint", "diff", "organism.toml", "nowhere.toml"]) == 1
    assert "there is no nowhere.toml" in capsys.readouterr().err
