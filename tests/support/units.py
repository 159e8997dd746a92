"""Units held to systemd itself: what it says of them, and how exposed it finds them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
MOST = 2.0
"""The exposure that no unit of ours goes beyond."""


def written(made: Mapping[str, str], folder: Path, instance: str = "node-a") -> list[Path]:
    """The units as files; a template as its instance too, since only that can be looked at whole."""
    paths = []
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if "@." in name:
            path = folder / name.replace("@.", f"@{instance}.")
            path.write_text(text)
        if path.parent == folder:
            paths.append(path)
    return paths


def analyze(*words: str) -> str:
    """What systemd-analyze says, behind its exit code."""
    done = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60
    )
    return f"{done.returncode} {done.stdout}{done.stderr}".strip()


def verify(paths: list[Path]) -> str:
    """What systemd says of units; ``0`` alone is silence."""
    return analyze("verify", "--man=no", "--recursive-errors=no", *map(str, paths))


def exposure(path: Path) -> float:
    """How exposed systemd finds a service, from 0 to 10."""
    told = analyze("security", "--offline=true", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert found is not None, told
    return float(found[1])
