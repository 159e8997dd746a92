"""``fingerprint check`` starts fast: nothing heavy loads with what it needs of identity."""

import subprocess
import sys

LIGHT = (
    "config",
    "fingerprint",
    "diff",
    "group_id",
    "digest",
    "durations",
    "validator",
    "reference",
    "roster",
    "jwt",
)
HEAVY = (
    "cryptography",
    "pydantic",
    "zstandard",
    "jsonschema",
    "rfc8785",
    "httpx2",
    "typer",
    "rich",
    "asyncio",
)


def test_identity_loads_nothing_heavy() -> None:
    imports = ", ".join(f"organismctl.identity.{name}" for name in LIGHT)
    code = f"import sys, {imports}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""
