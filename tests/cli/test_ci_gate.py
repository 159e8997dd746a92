"""The shipped CI integrations run what they say, against the console script that is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from organismctl.report.schema import schemas

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
    text = (ROOT / "docs" / "how-to" / "gate-ci.md").read_text()
    line = next(line for line in text.splitlines() if "--format junit" in line)
    argv = line.removeprefix(".venv/bin/").replace("organisms/settlement", str(organism)).split()
    assert run(argv, organism).returncode == 0
    assert (organism / "fingerprint.xml").read_text().startswith("<?xml")


def test_a_broken_deployment_file_does_not_stop_the_gate(organism: Path) -> None:
    (organism / "deployment.toml").write_text("schema = 1\nnonsense = true\n")
    found = run(["organismctl", "fingerprint", "check", "--organism", str(organism)], organism)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "deployment.toml is left aside" in found.stderr


@pytest.mark.parametrize("form", ["github", "junit", "json"])
def test_problems_of_a_file_are_told_in_the_format_that_is_read(organism: Path, form: str) -> None:
    path = organism / "organism.toml"
    path.write_text(path.read_text().replace('stall = "wait"', 'stall = "wat"\nperiodd = "1s"'))
    argv = ["organismctl", "fingerprint", "check", "--format", form, "-o", "seen"]
    found = run(argv, organism)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "organism.toml has 2 problems" in found.stderr
    text = (organism / "seen").read_text()
    line = path.read_text().splitlines().index('stall = "wat"') + 1
    if form == "json":
        told = json.loads(text)
        jsonschema.validate(told, schemas()["input-problems.schema.json"])
        assert [one["key"] for one in told["problems"]] == ["driver.stall", "driver.periodd"]
    elif form == "junit":
        suite = ET.fromstring(text).find("testsuite")
        assert suite is not None
        assert [case.get("name") for case in suite] == ["driver.stall", "driver.periodd"]
    else:
        assert (
            f"::error file=organism.toml,line={line},title=organismctl fingerprint check%3A driver.stall"
            in text
        )
        assert text.count("::error") == 2
