"""The shipped CI integrations run what they say, against the console script that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent


@pytest.fixture
def organism(tmp_path: Path) -> Path:
    """A folder with the published example and the lock that accepts it."""
    for name in ("organism.toml", "organism.lock"):
        shutil.copy(ROOT / "docs" / "formats" / name, tmp_path / name)
    text = (tmp_path / "organism.lock").read_text()
    (tmp_path / "organism.lock").write_text(text[: text.index("\n[next]")] + "\n")
    return tmp_path


def drift(folder: Path) -> None:
    path = folder / "organism.toml"
    path.write_text(path.read_text().replace('stall = "wait"', 'stall = "partial"'))


def run(argv: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        argv, cwd=cwd, env={**os.environ, "PATH": path, **env}, capture_output=True, text=True, check=False
    )


def action_step() -> str:
    """The script of the action's last step."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    step = action["runs"]["steps"][-1]
    assert set(step["env"]) == {"ORGANISM_PATH", "FAIL_ON", "STRICT"}
    assert {key.removeprefix("inputs.") for key in action["inputs"]} >= {"path", "fail-on", "strict"}
    return str(step["run"])


@pytest.mark.parametrize(("fail_on", "code"), [("any", 2), ("integrators", 2), ("committee", 2)])
def test_action(organism: Path, tmp_path: Path, fail_on: str, code: int) -> None:
    argv = ["bash", "-eo", "pipefail", "-c", action_step()]
    env = {"ORGANISM_PATH": str(organism), "FAIL_ON": fail_on, "STRICT": "false"}
    clean = run(argv, tmp_path, **env)
    assert (clean.returncode, "::error" in clean.stdout) == (0, False), clean.stdout + clean.stderr
    drift(organism)
    found = run(argv, tmp_path, **env)
    assert found.returncode == code, found.stdout + found.stderr
    lines = (organism / "organism.toml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.startswith("stall = "))
    assert f"line={line},title=FINGERPRINT-DRIFT driver.stall" in found.stdout


def test_pre_commit_hook(organism: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["pass_filenames"] is False
    argv = [*hook["entry"].split(), "--organism", str(organism)]
    assert run(argv, organism).returncode == 0
    drift(organism)
    found = run(argv, organism)
    assert found.returncode == 2
    assert "driver.stall" in found.stdout


def test_shell_recipe_of_the_docs(organism: Path) -> None:
    text = (ROOT / "docs" / "ci-gate.md").read_text()
    line = next(line for line in text.splitlines() if "--format junit" in line)
    argv = line.removeprefix(".venv/bin/").replace("organisms/settlement", str(organism)).split()
    assert run(argv, organism).returncode == 0
    assert (organism / "fingerprint.xml").read_text().startswith("<?xml")


def test_a_broken_deployment_file_does_not_stop_the_gate(organism: Path) -> None:
    (organism / "deployment.toml").write_text("schema = 1\nnonsense = true\n")
    found = run(["organismctl", "fingerprint", "check", "--organism", str(organism)], organism)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "deployment.toml is left aside" in found.stderr
