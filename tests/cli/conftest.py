"""What the tests of the command line share: a folder with the published example, and ways to run commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from organismctl.cli.app import run
from organismctl.report.schema import schemas

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ROOT / "docs" / "formats"
SCRIPT = Path(sys.executable).with_name("organismctl")

Json = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty present folder, and an empty HOME."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def acme(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the published organism.toml and the lock that accepts it; the present folder."""
    folder = here / "acme"
    folder.mkdir()
    shutil.copy(FORMATS / "organism.toml", folder)
    # The published lock's `next` stanza is another config's.
    deployed, _, _ = (FORMATS / "organism.lock").read_text().partition("\n[next]")
    (folder / "organism.lock").write_text(deployed + "\n")
    monkeypatch.chdir(folder)
    return folder


def edit(folder: Path, old: str, new: str) -> int:
    """Replace text in organism.toml; the 1-based line where it stands."""
    path = folder / "organism.toml"
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


@pytest.fixture
def js(capsys: pytest.CaptureFixture[str]) -> Json:
    """Run a command in this process; its JSON, held to the published schema."""

    def call(schema: str, *argv: str, expect: int = 0) -> Any:
        capsys.readouterr()
        code = run([*argv, "--format", "json"])
        seen = capsys.readouterr()
        assert code == expect, seen.out + seen.err
        value = json.loads(seen.out)
        jsonschema.Draft202012Validator(
            schemas()[f"{schema}.schema.json"], format_checker=jsonschema.FormatChecker()
        ).validate(value)
        return value

    return call


def process(*argv: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the installed console script as an operator does."""
    return subprocess.run(
        [str(SCRIPT), *argv],
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
