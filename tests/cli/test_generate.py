"""Completions and pages are fresh, and the bash script completes in a real bash."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from organismctl.cli.commands import COMMANDS
from organismctl.cli.generate import tree, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("kind", "folder"), [("completions", "completions"), ("docs", "docs/commands")])
def test_generated_files_are_fresh(kind: str, folder: str, tmp_path: Path) -> None:
    made = {path.name: path.read_text() for path in write(kind, tmp_path / "new")}
    kept = {path.name: path.read_text() for path in (ROOT / folder).iterdir()}
    assert kept == made, "run `make docs`"


def test_table_of_commands_tells_the_modules() -> None:
    entries = {entry.path[0]: entry for entry in tree() if len(entry.path) == 1}
    assert list(entries) == list(COMMANDS)
    for entry in entries.values():
        assert entry.node.help, f"{entry.path[0]} has no help"


def test_every_command_says_what_it_is_for() -> None:
    silent = [" ".join(entry.path) for entry in tree() if not entry.summary.strip()]
    assert silent == []


def complete(words: list[str]) -> list[str]:
    """What a real bash offers after these words; the last one is being typed."""
    bash = shutil.which("bash")
    assert bash is not None, "bash is needed for this test"
    script = ROOT / "completions" / "organismctl.bash"
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f"source '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _organismctl; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run([bash, "--norc", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["organismctl", "fing"], ["fingerprint"]),
        (["organismctl", "fingerprint", "ch"], ["check"]),
        (["organismctl", "--no-color", "change", "res"], ["resume"]),
        (["organismctl", "rotate", "member", "--ou"], ["--out"]),
        (["organismctl", "check", "all", "--format", "js"], ["json", "jsonl"]),
    ],
)
def test_bash_completes(words: list[str], offered: list[str]) -> None:
    assert complete(words) == offered


def test_bash_offers_every_command() -> None:
    assert set(COMMANDS) <= set(complete(["organismctl", ""]))


def test_bash_completes_files_after_a_file_option(tmp_path: Path) -> None:
    (tmp_path / "here.toml").touch()
    assert complete(["organismctl", "status", "--organism", str(tmp_path / "he")]) == [
        str(tmp_path / "here.toml")
    ]


@pytest.mark.parametrize(("shell", "name"), [("zsh", "_organismctl"), ("fish", "organismctl.fish")])
def test_other_shells_parse_their_script(shell: str, name: str) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    script = ROOT / "completions" / name
    done = subprocess.run([found, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
