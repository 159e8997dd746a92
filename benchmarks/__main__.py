"""`python -m benchmarks [NAME…]`: run the benchmarks and print their table; exit 1 when a limit does not hold."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from benchmarks.measure import Row

NAMES = (
    "startup",
    "tickets",
    "committee_check",
    "appends",
    "replay",
    "catalog",
    "engine_build",
    "inspect",
    "appends_mosaik",
    "exporter",
    "wire_lag",
)
ENGINE = ("engine_build", "inspect", "appends_mosaik", "wire_lag")
"""Those that measure against real mosaik."""


def main(argv: list[str]) -> int:
    """Run the named benchmarks, or all."""
    # Bytecode is what an operator's machine has after the first start; without it every start is a cold one.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows: list[Row] = []
    for name in argv or NAMES:
        if name in ENGINE and importlib.util.find_spec("organismctl_engine") is None:
            sys.stderr.write(f"{name} is left out: the engine is not built (`make engine`)\n")
            continue
        sys.stderr.write(f"{name} …\n")
        rows += importlib.import_module(f"benchmarks.{name}").rows()
    width = max(len(row.name) for row in rows)
    print(f"{'benchmark':<{width}}  {'ratio':>8}  {'limit':>8}  {'':4}  figures")
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        print(
            f"{row.name:<{width}}  {row.value:>8.2f}  {sign}{row.limit:>7.2f}  "
            f"{'ok' if row.held else 'MISS':4}  {row.detail}"
        )
    return 0 if all(row.held for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
