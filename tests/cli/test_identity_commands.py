"""``fingerprint`` and ``lock`` together: goldens, every format, the flow of an acceptance, and all three schemes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from organismctl.cli.app import run
from organismctl.files.organism import load_organism
from organismctl.identity.digest import h
from organismctl.identity.fingerprint import preimage
from tests.cli.conftest import Json, edit

PIN = "6e523a56511534fa726d7df9d8c72ec54233ebe514412a337fd217625a6020e0"
DECLARED = "ab" * 32
SCHEME = 'scheme = "organismctl/1"               # organismctl/1 | declared | exec'


def scheme(folder: Path, text: str) -> None:
    edit(folder, SCHEME, text)


def binary(folder: Path, answer: str, code: int = 0) -> None:
    """An organism's own binary that prints ``answer``."""
    (folder / "own.py").write_text(f"import sys\nprint({answer!r})\nsys.exit({code})\n")
    scheme(folder, f'scheme = "exec"\ncommand = {json.dumps([sys.executable, str(folder / "own.py")])}')


def test_show_in_both_forms(acme: Path, capsys: pytest.CaptureFixture[str], js: Json) -> None:
    value = js("fingerprint-show", "fingerprint", "show")
    assert value["fingerprint"] == PIN
    assert run(["fingerprint", "show"]) == 0
    assert capsys.readouterr().out == (
        "organism       acme.settlement\n"
        f"fingerprint    {PIN}\n"
        f"group id       {value['group_id']}\n"
        f"stable id      {value['stable_id']}\n"
        "scheme         organismctl/1\n"
        f"surface facts  {value['surfaces']['facts']}\n"
    )


def test_show_as_ref_is_what_a_downstream_pastes(
    acme: Path, capsys: pytest.CaptureFixture[str], js: Json
) -> None:
    value = js("fingerprint-show", "fingerprint", "show")
    assert run(["fingerprint", "show", "--as-ref"]) == 0
    out = capsys.readouterr().out
    assert value["stable_id"] in out.splitlines()[0]
    assert PIN in out.splitlines()[0]
    assert "[[span]]" in out
    text = (acme / "organism.toml").read_text()
    downstream = acme.parent / "down"
    downstream.mkdir()
    stanza = out[out.index("[[span]]") :]
    (downstream / "organism.toml").write_text(text.replace("[driver] ", stanza + "\n[driver] ", 1))
    assert value["stable_id"] in {
        one.stable_id.hex() for one in load_organism(downstream / "organism.toml").config.span
    }


def test_explain_lets_anybody_recompute_the_fingerprint(
    acme: Path, capsys: pytest.CaptureFixture[str], js: Json
) -> None:
    value = js("fingerprint-explain", "fingerprint", "explain")
    joined = bytes.fromhex("".join(row["encoding"] for row in value["fields"]))
    assert joined.hex() == value["preimage"] == preimage(load_organism(acme / "organism.toml").config).hex()
    assert h(joined).hex() == value["fingerprint"] == PIN
    assert all(h(bytes.fromhex(row["encoding"])).hex() == row["digest"] for row in value["fields"])
    assert run(["fingerprint", "explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["field", "value", "encoding", "digest"]
    assert lines[-1] == f"fingerprint  {PIN} = blake3(preimage)"
    assert lines[-2] == f"preimage     {len(joined)} bytes, the encodings joined (in full: --format json)"


def test_diff_names_the_field_what_it_moves_and_who_must_act(
    acme: Path, capsys: pytest.CaptureFixture[str], js: Json
) -> None:
    coming = acme.parent / "next"
    coming.mkdir()
    (coming / "organism.toml").write_bytes((acme / "organism.toml").read_bytes())
    paths = [str(acme / "organism.toml"), str(coming / "organism.toml")]
    assert run(["fingerprint", "diff", *paths]) == 0
    same = capsys.readouterr().out
    assert same.startswith("no field differs\n")
    assert f"fingerprint  {PIN[:10]} stays\n" in same
    edit(coming, "quorum_of_offers = 2", "quorum_of_offers = 3")
    assert run(["fingerprint", "diff", *paths]) == 2
    out = capsys.readouterr().out.splitlines()
    assert out[0].split("  ")[0] == "field"
    assert out[1].split()[:3] == ["content.quorum_of_offers", "2", "3"]
    assert "fingerprint and group id" in out[1]
    assert out[-1].startswith("integrators  ")
    value = js("fingerprint-diff", "fingerprint", "diff", *paths, expect=2)
    assert value["fingerprint"]["old"] == PIN != value["fingerprint"]["new"]
    assert [change["path"] for change in value["changes"]] == ["content.quorum_of_offers"]
    assert "integrators" in value["actors"]


@pytest.mark.parametrize("form", ["table", "json", "junit", "github"])
def test_check_in_every_format_and_to_a_file(
    acme: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    line = edit(acme, "quorum_of_offers = 2", "quorum_of_offers = 3")
    assert run(["fingerprint", "check", "--format", form]) == 2
    printed = capsys.readouterr().out
    assert "content.quorum_of_offers" in printed
    assert "\x1b" not in printed
    if form == "github":
        assert f"file=organism.toml,line={line}" in printed
    assert run(["fingerprint", "check", "--format", form, "-o", "report"]) == 2
    assert capsys.readouterr().out == ""
    assert "content.quorum_of_offers" in (acme / "report").read_text()


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("quorum_of_offers = 2", "quorum_of_offers = 3", {"any": 2, "committee": 2, "integrators": 2}),
        ('heartbeat = "500ms"', 'heartbeat = "600ms"', {"any": 2, "committee": 2, "integrators": 0}),
        ("quorum_of_offers = 2", "quorum_of_offers = 2 ", {"any": 0, "committee": 0, "integrators": 0}),
    ],
)
def test_fail_on_narrows_the_gate(acme: Path, old: str, new: str, codes: dict[str, int]) -> None:
    edit(acme, old, new)
    assert {whom: run(["fingerprint", "check", "--fail-on", whom]) for whom in codes} == codes
    assert run(["fingerprint", "check", "--fail-on", "nobody"]) == 64


@pytest.mark.parametrize("command", [["show"], ["explain"]])
def test_output_goes_to_a_file(acme: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    for extra in ([], ["--format", "json"]):
        assert run(["fingerprint", *command, *extra]) == 0
        printed = capsys.readouterr().out
        assert run(["fingerprint", *command, *extra, "-o", "kept"]) == 0
        assert capsys.readouterr().out == ""
        assert (acme / "kept").read_text() == printed
    assert run(["fingerprint", *command, "--format", "yaml"]) == 64
    assert run(["fingerprint", *command, "-o", "no/such/folder"]) == 1


def test_the_flow_of_an_acceptance(acme: Path, capsys: pytest.CaptureFixture[str], js: Json) -> None:
    (acme / "organism.lock").unlink()
    for argv in (["lock", "show"], ["lock", "accept", "--reason", "x"]):
        assert run(argv) == 1
        assert "lock init" in capsys.readouterr().err
    assert run(["lock", "init"]) == 0
    assert f"deployed is fingerprint {PIN[:10]}, group id unknown" in capsys.readouterr().out
    assert run(["lock", "init"]) == 4
    assert "lock accept" in capsys.readouterr().err
    first = (acme / "organism.lock").read_text()
    assert run(["lock", "accept", "--reason", "again"]) == 0
    assert "accepted already; nothing was written" in capsys.readouterr().out
    assert (acme / "organism.lock").read_text() == first
    edit(acme, "quorum_of_offers = 2", "quorum_of_offers = 3")
    assert run(["fingerprint", "check"]) == 2
    capsys.readouterr()
    assert run(["lock", "accept", "--reason", "three offers\nsecond line \x1b[31m"]) == 0
    shown = capsys.readouterr()
    assert "next is fingerprint" in shown.out
    assert "announce this" in shown.err
    assert run(["fingerprint", "check"]) == 5  # only the group id is unknown: there is no secret here
    value = js("lock-show", "lock", "show")
    assert value["deployed"]["fingerprint"] == PIN != value["next"]["fingerprint"]
    assert run(["lock", "show"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["stanza", "deployed", "next"]
    assert run(["lock", "accept", "--reason", "told", "--announcement", "notice-7"]) == 0
    assert run(["lock", "show", "--format", "xml"]) == 64


def test_a_declared_identity_through_every_command(
    acme: Path, capsys: pytest.CaptureFixture[str], js: Json
) -> None:
    scheme(
        acme, f'scheme = "declared"\nfingerprint = "{DECLARED}"\nsurface_ids = {{ facts = "{"cd" * 32}" }}'
    )
    assert run(["fingerprint", "check"]) == 2
    (acme / "organism.lock").unlink()
    value = js("fingerprint-show", "fingerprint", "show")
    assert (value["scheme"], value["fingerprint"], value["stable_id"]) == ("declared", DECLARED, None)
    assert value["surfaces"] == {"facts": "cd" * 32}
    assert run(["fingerprint", "explain"]) == 1
    assert "scheme declared" in capsys.readouterr().err
    assert run(["fingerprint", "show", "--as-ref"]) == 1
    assert "declare identity.stable_id" in capsys.readouterr().err
    assert run(["lock", "init"]) == 0
    assert js("lock-show", "lock", "show")["deployed"]["fingerprint"] == DECLARED
    edit(acme, DECLARED, "ac" * 32)
    assert run(["fingerprint", "check"]) == 2


def test_an_identity_of_its_own_binary_through_every_command(
    acme: Path, capsys: pytest.CaptureFixture[str], js: Json
) -> None:
    answer = {"fingerprint": DECLARED, "stable_id": "ef" * 32, "surface_ids": {"facts": "cd" * 32}}
    binary(acme, json.dumps(answer))
    value = js("fingerprint-show", "fingerprint", "show")
    assert (value["scheme"], value["fingerprint"], value["stable_id"]) == ("exec", DECLARED, "ef" * 32)
    assert run(["fingerprint", "show", "--as-ref"]) == 0
    assert "ef" * 32 in capsys.readouterr().out
    (acme / "organism.lock").unlink()
    assert run(["lock", "init"]) == 0
    assert js("lock-show", "lock", "show")["deployed"]["fingerprint"] == DECLARED
    (acme / "own.py").write_text(f"print({json.dumps(answer | {'fingerprint': 'ac' * 32})!r})")
    assert run(["fingerprint", "check"]) == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [("", 0), ("no json", 0), ("[]", 0), ("{}", 0), ('{"fingerprint": "ab"}', 0), ('{"fingerprint": 5}', 0),
     (json.dumps({"fingerprint": DECLARED, "more": 1}), 0), (json.dumps({"fingerprint": DECLARED}), 3),
     (json.dumps({"fingerprint": DECLARED, "surface_ids": {"facts": None}}), 0), ("[" * 50_000, 0)],
)  # fmt: skip
def test_a_binary_that_fails_makes_the_identity_unknown_never_wrong(
    acme: Path, capsys: pytest.CaptureFixture[str], answer: str, code: int
) -> None:
    binary(acme, answer, code)
    for argv, expect in (
        (["fingerprint", "show"], 1),
        (["fingerprint", "check"], 5),
        (["lock", "accept", "--reason", "x"], 1),
    ):
        assert run(argv) == expect
        shown = "".join(capsys.readouterr())
        assert "defect" not in shown, shown
