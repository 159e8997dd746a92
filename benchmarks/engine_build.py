"""The engine's wheel: its size, and how long it takes to build from nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row

LIMIT_MIB = 20.0
ENGINE = Path(__file__).resolve().parents[1] / "engine"


def rows() -> list[Row]:
    """The one row: MiB of the wheel; the time stands beside it, since it says more of the machine than of us."""
    with tempfile.TemporaryDirectory() as folder:
        maturin = Path(sys.executable).with_name("maturin")
        argv = [str(maturin), "build", "--quiet", "--locked", "--profile", "wheel", "--out", folder]
        began = time.monotonic()
        subprocess.run(
            [*argv, "--manifest-path", str(ENGINE / "Cargo.toml")],
            check=True,
            env={**os.environ, "CARGO_TARGET_DIR": str(Path(folder) / "target")},
        )
        took = time.monotonic() - began
        (wheel,) = Path(folder).glob("*.whl")
        size = wheel.stat().st_size / 2**20
    detail = f"{wheel.name}, built from nothing in {took:.0f} s on {os.cpu_count()} cores"
    return [Row("engine wheel, MiB", size, LIMIT_MIB, detail)]
