"""The checks against a real committee: processes on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from organismctl.cli.app import run
from tests.support.committee import make_committee, wait_for


def test_a_real_committee_before_and_after_a_node_dies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    committee = make_committee(tmp_path / "acme")

    def look() -> tuple[int, dict[str, Any]]:
        code = run(["check", "committee", "--organism", str(committee.deployment), "--format", "json"])
        return code, {
            row["code"] + " " + row["subject"]: row for row in json.loads(capsys.readouterr().out)["findings"]
        }

    try:
        committee.start()
        _, rows = wait_for("a healthy committee", lambda: found if (found := look())[0] == 0 else None)
        assert rows["LEDGER-DIVERGED committee"]["status"] == "ok"
        assert rows["COMMITTEE-TOLERANCE committee"]["values"]["replicas"] == 1
        assert rows["IDENTITY-UNDEPLOYED committee"]["status"] == "ok"
        committee.kill("node-c")
        _, rows = wait_for(
            "the loss seen",
            lambda: (
                found if (found := look())[1]["COMMITTEE-QUORUM committee"]["values"]["there"] == 2 else None
            ),
        )
        assert rows["MEMBER-UNREACHABLE node-c"]["status"] == "unknown"
        assert rows["COMMITTEE-QUORUM committee"]["status"] == "ok"
    finally:
        committee.close()
