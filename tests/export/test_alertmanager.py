"""The routes: amtool takes them, and each alert finds its receiver."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from organismctl.cli.app import run
from organismctl.export.alertmanager import INHIBITS, Receivers, config
from organismctl.export.alerts import alerts
from organismctl.exporter.series import BY_NAME
from tests.export.test_rules import NAME, subject
from tests.support.prometheus import tool

HOOKS = Receivers("https://pager.acme.example/hook", "https://queue.acme.example/hook")


def amtool(folder: Path, *argv: str) -> str:
    done = subprocess.run(
        [tool("amtool"), *argv], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("receivers", [Receivers(), HOOKS])
def test_amtool_checks_the_file(tmp_path: Path, receivers: Receivers) -> None:
    (tmp_path / "alertmanager.yml").write_text(config(NAME, receivers))
    told = amtool(tmp_path, "check-config", "alertmanager.yml")
    assert "2 receivers" in told
    assert f"{len(INHIBITS)} inhibit rules" in told


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"severity": "page"}, "acme.settlement page"),
        ({"severity": "ticket"}, "acme.settlement ticket"),
        ({"severity": "page", "organism": "another"}, "acme.settlement ticket"),
    ],
)
def test_each_severity_finds_its_receiver(tmp_path: Path, labels: dict[str, str], receiver: str) -> None:
    (tmp_path / "alertmanager.yml").write_text(config("acme.settlement", HOOKS))
    pairs = [f"{key}={value}" for key, value in {"organism": "acme.settlement", **labels}.items()]
    told = amtool(tmp_path, "config", "routes", "test", "--config.file=alertmanager.yml", *pairs)
    assert told.strip() == receiver


def test_what_silences_and_what_is_silenced_are_alerts_with_those_labels() -> None:
    made = {alert.name: alert for alert in alerts(subject())}
    for source, targets, equal, _ in INHIBITS:
        assert source in made
        silenced = [name for name in made if re.fullmatch(targets, name)]
        assert silenced
        assert source not in silenced
        for name in (source, *silenced):
            labels = {"organism"}
            for series in re.findall(r"organism_\w+", made[name].expr):
                labels |= set(BY_NAME[series].labels) if series in BY_NAME else set()
            # A label that both lack is equal, too: Alertmanager takes it for empty.
            assert set(equal) <= labels | {"span", "node"}, name


def test_the_command_refuses_what_is_no_webhook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats = Path(__file__).parents[2] / "docs" / "formats"
    for name in ("organism.toml", "deployment.toml"):
        (tmp_path / name).write_text((formats / name).read_text())
    monkeypatch.chdir(tmp_path)
    assert run(["export", "alertmanager", "--page", "ftp://x"]) == 64
    assert run(["export", "alertmanager", "--page", HOOKS.page or "", "-o", "am.yml"]) == 0
    told: dict[str, Any] = yaml.safe_load((tmp_path / "am.yml").read_text())
    assert [one["name"] for one in told["receivers"]] == ["acme.settlement page", "acme.settlement ticket"]
    assert told["receivers"][0]["webhook_configs"][0]["url"] == HOOKS.page
