"""``surface read`` and ``surface verify`` as an integrator runs them against real nodes, honest and not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest

from organismctl.cli.app import run
from organismctl.files.organism import load_organism
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.roster import roster_digest
from organismctl.identity.surface_item import Fact, RetirementMarker
from organismctl.report.schema import schemas
from tests.check.worlds import ORGANISM
from tests.support.surfaces import PEERS, Committee, Endpoint, dead_url, serving

GENESIS = f'\n[genesis]\nroster = "{roster_digest(PEERS[:3]).hex()}"\n'


@pytest.fixture
def committee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Committee:
    """The committee of the organism whose published file is in the present folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "organism.toml").write_text(ORGANISM + GENESIS)
    identity = identity_of(load_organism(tmp_path / "organism.toml").config)
    return Committee(identity.fingerprint, identity.surface_ids["facts"])


def urls(served: Sequence[str]) -> list[str]:
    return [part for url in served for part in ("--url", url)]


def test_read_prints_items_and_the_marker(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    made = [
        committee.item(0, Fact(b"\x01\x02")),
        committee.item(1, Fact(b"x" * 30)),
        committee.item(2, RetirementMarker("tick:9", "organism:\x1b[2Jb\u202e", "bye")),
    ]
    with serving(Endpoint(committee, made)) as served:
        assert run(["surface", "read", *urls(served)]) == 0
        shown = capsys.readouterr()
        assert shown.out.splitlines() == [
            "       0  fact        2 signatures  2 bytes 0102",
            "       1  fact        2 signatures  30 bytes " + "78" * 24 + "…",
            "       2  retirement  2 signatures  retired, effective tick:9, replaced by organism:�[2Jb�",
        ]
        assert run(["surface", "read", *urls(served), "--follow", "--from", "1", "--limit", "1"]) == 0
        shown = capsys.readouterr()
        assert shown.out.startswith("       1  fact")
        assert len(shown.out.splitlines()) == 1
        assert f"connected: {served[0]} from seq 1" in shown.err
        assert run(["surface", "read", *urls(served), "--follow", "--format", "jsonl"]) == 0
        text = capsys.readouterr().out
        assert text.isascii()
        rows = [json.loads(line) for line in text.splitlines()]
        assert [(row["seq"], row["item"], row["signers"], row["height"]) for row in rows] == [
            (0, "fact", 2, 10), (1, "fact", 2, 11), (2, "retirement", 2, 12),
        ]  # fmt: skip
        assert rows[0]["data"] == "0102"
        assert rows[2]["marker"]["replacement"] == "organism:\x1b[2Jb\u202e"


def test_read_goes_on_with_another_node_and_says_so(
    committee: Committee, capsys: pytest.CaptureFixture[str]
) -> None:
    made = committee.items(2, marker=True)
    liar = Endpoint(committee, [made[0], committee.forged(1)])
    with serving(liar, Endpoint(committee, made)) as served:
        assert run(["surface", "read", "--follow", *urls([dead_url(), *served])]) == 0
        shown = capsys.readouterr()
        assert len(shown.out.splitlines()) == 3
        assert shown.err.count("switched: ") >= 2
        assert "0 of 2 needed signatures" in shown.err
        assert run(["surface", "read", *urls(served[:1])]) == 6
        assert "error: item 1" in capsys.readouterr().err


def test_read_ends_when_nobody_serves(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    dead = urls([dead_url()])
    assert run(["surface", "read", *dead]) == 5
    assert run(["surface", "read", *dead, "--follow", "--patience", "1ms", "--format", "jsonl"]) == 5
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["event"] for row in rows} == {"handle-failure"}


def test_verify_shows_each_node(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    made = committee.items(2, marker=True)
    with serving(Endpoint(committee, made), Endpoint(committee, made)) as served:
        assert run(["surface", "verify", "--retired", *urls(served)]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"surface facts  fingerprint {committee.fingerprint.hex()[:10]}  id {committee.surface_id.hex()[:10]}",
            f"status  {'node'.ljust(len(served[0]))}  items  last seq  detail",
            *(
                f"ok      {url}  3      2         the marker is the last item, effective 2126-12-01T00:00:00Z"
                for url in served
            ),
            "2 of 2 nodes prove the surface; 2 end with the marker",
        ]


@pytest.mark.parametrize(("kind", "code"), [("good", 0), ("dead", 5), ("forged", 6), ("unmarked", 6)])
def test_verify_in_json_holds_to_its_schema(
    committee: Committee, capsys: pytest.CaptureFixture[str], kind: str, code: int
) -> None:
    made = committee.items(2, marker=True)
    other = {"good": made, "dead": made, "forged": [committee.forged(0)], "unmarked": made[:2]}[kind]
    with serving(Endpoint(committee, made), Endpoint(committee, other)) as served:
        chosen = [served[0], dead_url() if kind == "dead" else served[1]]
        assert run(["surface", "verify", "--format", "json", *urls(chosen)]) == code
    value = json.loads(capsys.readouterr().out)
    jsonschema.validate(value, schemas()["surface-verify.schema.json"])
    assert value["exit"] == code
    assert [row["endpoint"] for row in value["endpoints"]] == chosen
    assert value["endpoints"][0]["effective_at"] == "2126-12-01T00:00:00Z"


def test_nodes_come_from_deployment_when_none_is_named(
    committee: Committee, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with serving(Endpoint(committee, committee.items(1))) as (url,):
        (tmp_path / "deployment.toml").write_text(
            f'schema = 1\n[[node]]\nname = "node-a"\npeer_id = "{PEERS[0].hex()}"\nurl = "{url}"\n'
            f'[[node]]\nname = "node-b"\npeer_id = "{PEERS[1].hex()}"\nurl = "https://127.0.0.1:1"\nca = "ca.pem"\n'
        )
        assert run(["surface", "read"]) == 0
        assert run(["surface", "verify", "--format", "json"]) == 5
    rows = json.loads(capsys.readouterr().out.split("\n", 1)[1])["endpoints"]
    assert [row["status"] for row in rows] == ["ok", "unknown"]
    assert "ca.pem" in rows[1]["detail"]  # the node's own authority is what it is held to


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["read", "--format", "html"], 64), (["verify", "--format", "jsonl"], 64), (["read", "--from", "-1"], 64),
        (["read", "--limit", "0"], 64), (["read", "--patience", "soon", "--url", "http://127.0.0.1:1"], 64),
        (["read", "--surface", "other"], 1), (["read"], 1), (["verify", "--url", "no url at all"], 64),
        (["read", "--organism", "nowhere"], 64),
    ],
)  # fmt: skip
def test_what_is_wrong_says_the_next_step(
    committee: Committee, capsys: pytest.CaptureFixture[str], argv: list[str], code: int
) -> None:
    assert run(["surface", *argv]) == code
    err = capsys.readouterr().err
    assert "defect" not in err
    assert "error: " in err
    assert "next: " in err


def test_without_genesis_or_with_anothers_binary_nothing_can_be_pinned(
    committee: Committee, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "organism.toml").write_text(ORGANISM)
    assert run(["surface", "read", "--url", "http://127.0.0.1:1"]) == 1
    assert "no [genesis]" in capsys.readouterr().err
    ran = tmp_path / "ran"
    scheme = f'[identity]\nscheme = "exec"\ncommand = ["touch", "{ran}"]\n'
    (tmp_path / "organism.toml").write_text(ORGANISM + GENESIS + scheme)
    assert run(["surface", "read", "--url", "http://127.0.0.1:1"]) == 1
    assert "scheme declared" in capsys.readouterr().err
    assert not ran.exists()


def test_a_stranger_with_a_fingerprint_and_urls_alone(
    committee: Committee, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "organism.toml").unlink()
    root = roster_digest(PEERS[:3]).hex()
    pin = ["--fingerprint", committee.fingerprint.hex()]
    with serving(
        Endpoint(committee, committee.items(3)), Endpoint(committee, [committee.forged(0)])
    ) as served:
        good, forged = (["--url", url, *pin] for url in served)
        assert run(["surface", "verify", *good, "--genesis", root]) == 0
        assert "1 of 1 nodes prove the surface" in capsys.readouterr().out
        # Without the first roster from elsewhere, all that is proven is that the nodes agree with themselves.
        assert run(["surface", "verify", *good]) == 5
        told = capsys.readouterr()
        assert "the first roster is their own word" in told.out
        assert f"--genesis {root}" in told.err
        assert run(["surface", "read", *good, "--limit", "1"]) == 5
        assert run(["surface", "read", *good, "--genesis", root, "--limit", "1"]) == 0
        assert run(["surface", "verify", *forged, "--genesis", root]) == 6
        assert run(["surface", "verify", *good, "--genesis", "00" * 32]) == 6
        capsys.readouterr()
        assert run(["surface", "verify", "--url", served[0], "--fingerprint", "00" * 32]) == 6
        assert "may have moved to another config" in capsys.readouterr().err
        assert run(["surface", "verify", "--url", dead_url(), *pin]) == 5


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--fingerprint", "ab"], "needs --url"),
        (["--fingerprint", "ab", "--url", "http://127.0.0.1:1"], "not 64 hex"),
        (["--genesis", "ab" * 32, "--url", "http://127.0.0.1:1"], "--genesis goes with --fingerprint"),
        (["--url", "127.0.0.1:7101"], "such as --url http://127.0.0.1:7101"),
    ],
)
def test_a_pin_that_cannot_be_used_says_the_next_step(
    committee: Committee, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert run(["surface", "verify", *argv]) == 64
    assert said in capsys.readouterr().err


def test_beyond_the_end_is_said(committee: Committee, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Endpoint(committee, committee.items(3)), Endpoint(committee, [])) as served:
        assert run(["surface", "read", "--from", "3", *urls(served)]) == 0
        assert "nothing from seq 3 on: the surface ends with seq 2" in capsys.readouterr().err
        assert run(["surface", "read", "--from", "9", *urls(served)]) == 5
        assert run(["surface", "read", "--url", served[1]]) == 0
        assert "it has no item yet" in capsys.readouterr().err
