"""``init``: drafts that are valid, that can be run at once, and that never overwrite anything."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from organismctl.cli.app import run
from organismctl.cli.init import EXAMPLES
from organismctl.files.deployment import cross_check, load_deployment
from organismctl.files.organism import load_organism
from organismctl.identity.fingerprint import identity_of
from tests.cli.conftest import SCRIPT, Json

FLAGS = ("--name", "acme.settlement", "--network", "mosaik.universe")


def folders(example: str) -> list[str]:
    return ["."] if example == "upstream" else [".", "upstreams/north", "upstreams/south"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid_and_founds_a_committee(here: Path, example: str) -> None:
    assert run(["init", "made", "--from-example", example]) == 0
    for name in folders(example):
        home = here / "made" / name
        organism, deployment = (
            load_organism(home / "organism.toml"),
            load_deployment(home / "deployment.toml"),
        )
        assert organism.warnings == deployment.warnings == ()
        assert run(["committee", "init", "--deployment", str(home / "deployment.toml")]) == 0
        crossed = cross_check(
            load_organism(home / "organism.toml"), load_deployment(home / "deployment.toml")
        )
        assert crossed.problems == ()
        for secret in (home / "secrets").iterdir():
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_the_composite_spans_two_upstreams_that_are_there(here: Path) -> None:
    assert run(["init", "--from-example", "composite"]) == 0
    spans = load_organism(Path("organism.toml")).config.span
    assert [span.name for span in spans] == ["north", "south"]
    deployment = load_deployment(Path("deployment.toml"))
    assert len(deployment.nodes) - sum(not node.roster for node in deployment.nodes) == 3
    for span in spans:
        upstream = identity_of(load_organism(Path("upstreams") / span.name / "organism.toml").config)
        assert (span.stable_id, span.content_hash) == (upstream.stable_id, upstream.fingerprint)
        assert {one.name: one.id for one in span.surfaces} == upstream.surface_ids
        served = load_deployment(Path("upstreams") / span.name / "deployment.toml").nodes[0].url
        side = deployment.span(span.name)
        assert side is not None
        assert side.endpoints == (served,)
    urls = [
        node.url
        for home in (".", "upstreams/north", "upstreams/south")
        for node in load_deployment(Path(home) / "deployment.toml").nodes
    ]
    assert len(set(urls)) == len(urls), "two nodes of the example want one port"


def test_the_steps_it_names_work_as_they_stand(here: Path, js: Json) -> None:
    made = subprocess.run(
        [str(SCRIPT), "init", "mine", "--from-example", "upstream"],
        cwd=here, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert made.stdout == ""
    step = next(line for line in made.stderr.splitlines() if line.startswith("next: ")).removeprefix("next: ")
    env = {**os.environ, "PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-ec", step], cwd=here, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    os.chdir(here / "mine")
    shown = js("fingerprint-show", "fingerprint", "show")
    assert shown["group_id"] is not None
    assert run(["fingerprint", "check"]) == 0


@pytest.mark.parametrize("there", ["organism.toml", "deployment.toml"])
@pytest.mark.parametrize("how", [("--from-example", "composite"), ("--from-example", "upstream"), FLAGS])
def test_nothing_is_overwritten_and_nothing_else_made(
    here: Path, capsys: pytest.CaptureFixture[str], there: str, how: tuple[str, ...]
) -> None:
    folder = here / "mine"
    folder.mkdir()
    (folder / there).write_text("mine\n")
    assert run(["init", "mine", *how, "--node", "a=http://127.0.0.1:1"]) == 4
    assert there in capsys.readouterr().err
    assert [path.name for path in folder.rglob("*")] == [there]
    assert (folder / there).read_text() == "mine\n"


def test_from_flags_with_a_spanned_member(here: Path) -> None:
    assert run(["init", "up", "--from-example", "upstream"]) == 0
    assert run(["fingerprint", "show", "--as-ref", "-o", "up.ref.txt", "--organism", "up"]) == 0
    argv = ["init", "down", *FLAGS, "--node", "a=http://127.0.0.1:7101", "--spare", "b=http://127.0.0.1:7102",
            "--span", "up=up.ref.txt@http://127.0.0.1:7201"]  # fmt: skip
    assert run(argv) == 0
    organism, deployment = (
        load_organism(Path("down/organism.toml")),
        load_deployment(Path("down/deployment.toml")),
    )
    assert [span.name for span in organism.config.span] == ["up"]
    assert organism.config.driver.fold == "join"
    assert [(node.name, node.roster) for node in deployment.nodes] == [("a", True), ("b", False)]
    side = deployment.span("up")
    assert side is not None
    assert side.endpoints == ("http://127.0.0.1:7201",)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["init"], 64, "nobody can be asked"),
        (["init", "--from-example", "nothing"], 1, "composite"),
        (["init", *FLAGS, "--node", "a"], 64, "--node"),
        (["init", *FLAGS, "--node", "a=ftp://x"], 64, "--node"),
        (["init", *FLAGS, "--node", "a=http://[x]"], 64, "--node"),
        (["init", *FLAGS, "--node", "a=http://127.0.0.1:99999"], 64, "--node"),
        (["init", *FLAGS, "--node", "a=http://127.0.0.1:1", "--span", "n=f@http://[x]"], 64, "--span"),
        (["init", *FLAGS, "--from-example", "upstream"], 64, "no other option"),
        (["init", *FLAGS, "--node", "a=http://127.0.0.1:1", "--span", "north"], 64, "--span"),
        (["init", *FLAGS, "--node", "a=http://127.0.0.1:1", "--span", "north=missing.txt"], 1, "missing.txt"),
        (["init", "--name", "a b", "--network", "n", "--node", "a=http://127.0.0.1:1"], 64, "is no name"),
        (["init", "--name", "ab" * 32, "--network", "n", "--node", "a=http://127.0.0.1:1"], 1, "64 hex"),
        (["init", "--name", "a", "--network", "n\x07", "--node", "a=http://127.0.0.1:1"], 1, "network"),
        (["init", *FLAGS, "--node", "a=http://127.0.0.1:1#12"], 64, "--node"),
        (["init", *FLAGS, "--node", "a=http://127.0.0.1:1", "--acl", "acme=12"], 64, "--acl"),
        (["init", *FLAGS, "--node", "a=http://127.0.0.1:1", "--node", "a=http://127.0.0.1:2"], 1, "node"),
    ],
)
def test_what_cannot_be_drafted(
    here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, said: str
) -> None:
    assert run(argv) == code
    seen = capsys.readouterr()
    assert said in seen.err
    assert "Traceback" not in seen.err
    assert not (here / "organism.toml").exists()
    assert not (here / "secrets").exists(), "a key is left behind"


def test_an_organism_that_runs_already_elsewhere(here: Path) -> None:
    peers = ["cd866a5879bee75294fb9aba313d160f6855263ac60c20d7cf71142aef063a23", "9c" * 32]
    argv = [
        "init",
        "--name",
        "acme.old",
        "--network",
        'a "quoted" name',
        "--acl",
        f"acme-admission={peers[0]}",
    ]
    for number, peer in enumerate(peers):
        argv += ["--node", f"n{number}=https://n{number}.acme.example:7101#{peer}"]
    assert run(argv) == 0
    config, deployment = load_organism(Path("organism.toml")).config, load_deployment(Path("deployment.toml"))
    assert config.network_text == 'a "quoted" name'
    assert [node.peer_id.hex() for node in deployment.nodes] == peers
    assert {node.executor for node in deployment.nodes} == {"manual"}
    assert all(node.key is None and not node.start for node in deployment.nodes)
    assert not Path("secrets").exists(), "its admission key is somebody else's"


def test_a_link_that_leads_nowhere_is_not_followed(here: Path) -> None:
    Path("organism.toml").symlink_to("nowhere")
    assert run(["init", "--from-example", "upstream"]) == 4
    assert not Path("nowhere").exists()
    assert [path.name for path in here.iterdir()] == ["organism.toml"]


def test_examples_are_listed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--list-examples"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(EXAMPLES)


def test_it_asks_a_person(here: Path) -> None:
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [str(SCRIPT), "init"], cwd=here, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    os.write(leader, b"acme.asked\n\n5\n")
    shown = b""
    try:
        while part := os.read(leader, 4096):
            shown += part
    except OSError:  # Linux says EIO when the last follower is closed
        pass
    finally:
        os.close(leader)
    assert child.wait(timeout=30) == 0, shown.decode()
    assert b"[mosaik.universe]" in shown
    values = tomllib.loads((here / "organism.toml").read_text())
    assert (values["name"], values["network"]) == ("acme.asked", "mosaik.universe")
    assert len(load_deployment(here / "deployment.toml").nodes) == 5
