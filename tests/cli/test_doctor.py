"""``doctor``: each trouble of the surroundings is a row with its next step, and nothing unseen is called well."""

from __future__ import annotations

import os
import re
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from organismctl.cli.app import run
from organismctl.observe import surroundings
from tests.cli.conftest import ROOT, Json
from tests.observe.servers import Answer, fault, serving
from tests.support.committee import free_ports

TOKEN = "canary-read-token"
Rows = dict[str, dict[str, Any]]


@pytest.fixture
def site(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An organism drafted and founded here; no node runs."""
    assert run(["init", "site", "--from-example", "upstream", "--first-port", str(free_ports(1)[0])]) == 0
    assert run(["committee", "init", "--deployment", "site/deployment.toml"]) == 0
    assert run(["lock", "init", "--organism", "site"]) == 0
    monkeypatch.chdir(here / "site")
    return here / "site"


def put_url(site: Path, url: str) -> None:
    path = site / "deployment.toml"
    path.write_text(re.sub(r"http://127.0.0.1:\d+", url, path.read_text()))


@pytest.fixture
def look(js: Json) -> Callable[[int], Rows]:
    def call(expect: int) -> Rows:
        return {row["subject"]: row for row in js("doctor", "doctor", expect=expect)["rows"]}

    return call


def answering(shift_ms: int | None) -> Callable[[str, str | None], Answer]:
    def answer(path: str, _auth: str | None) -> Answer:
        now = None if shift_ms is None else int(time.time() * 1000) + shift_ms
        return (200, status(now)) if path == "/v1/status" else fault(404, "not_found")

    return answer


def status(now_ms: int | None) -> dict[str, Any]:
    from tests.check.worlds import status as told

    return {**told("node-a"), "now_ms": now_ms}


def test_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(surroundings.EXTRAS) == set(project)
    for extra, modules in surroundings.EXTRAS.items():
        wanted = " ".join(project[extra])
        assert all(module.replace("_", "-") in wanted for module in modules)


def test_without_an_organism_it_still_looks_at_the_tool(here: Path, look: Callable[[int], Rows]) -> None:
    rows = look(0)
    assert rows["organismctl"]["status"] == "ok"
    assert rows["organism"]["status"] == "warn"


def test_a_named_organism_that_is_not_there_is_a_wrong_command_line(here: Path) -> None:
    assert run(["doctor", "--organism", "nowhere"]) == 64
    assert run(["doctor", "--format", "xml"]) == 64


def test_a_node_that_does_not_answer_is_unknown(site: Path, look: Callable[[int], Rows]) -> None:
    put_url(site, "http://127.0.0.1:9")
    rows = look(5)
    assert rows["node-a"]["status"] == "unknown"
    assert rows["node-a"]["advice"]
    assert rows["carrier"]["status"] == "warn"
    assert "replicas=1, tolerance=0" in rows["carrier"]["detail"]
    assert rows["journals"]["status"] == "ok"
    assert not (site / ".organism").exists(), "doctor changes nothing"


@pytest.mark.parametrize(("shift", "state", "code"), [(0, "ok", 0), (-60_000, "bad", 1), (60_000, "bad", 1)])
def test_clocks(site: Path, look: Callable[[int], Rows], shift: int, state: str, code: int) -> None:
    with serving(answering(shift)) as url:
        put_url(site, url)
        assert look(code)["node-a"]["status"] == state


def test_a_refusal_is_the_observers_own_trouble(site: Path, look: Callable[[int], Rows]) -> None:
    with serving(lambda _path, _auth: fault(401, "unauthorized")) as url:
        put_url(site, url)
        row = look(1)["node-a"]
    assert "refuses this observer" in row["detail"]
    assert "read_token" in row["advice"]


def test_what_is_wrong_here_is_not_blamed_on_the_node(site: Path, look: Callable[[int], Rows]) -> None:
    path = site / "deployment.toml"
    path.write_text(
        re.sub(r'http://127.0.0.1:\d+"', 'https://127.0.0.1:9"\nca = "missing.pem"', path.read_text())
    )
    row = look(5)["node-a"]
    assert row["status"] == "unknown"
    assert "missing.pem" in row["detail"]
    assert "authority" in row["advice"], "starting the node would not help"


def test_a_secret_that_others_can_read(site: Path, look: Callable[[int], Rows]) -> None:
    (site / "secrets" / "group.secret").chmod(0o644)
    row = look(1)["secrets.group"]
    assert "0644" in row["detail"]
    assert "chmod 600" in row["advice"]


def test_broken_files_do_not_hide_each_other(site: Path, look: Callable[[int], Rows]) -> None:
    (site / "organism.toml").write_text("schema = 1\n")
    (site / "organism.lock").write_text("schema = \n")
    rows = look(1)
    assert rows["organism.toml"]["status"] == "bad"
    assert rows["organism.lock"]["status"] == "bad"
    assert rows["deployment.toml"]["status"] == "ok"
    assert rows["node-a"]["status"] == "unknown"


def test_little_room_and_a_closed_folder(
    site: Path, look: Callable[[int], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = surroundings.shutil.disk_usage(site)
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda _path: usage._replace(free=1 << 20))
    monkeypatch.setattr(surroundings.os, "access", lambda *_: False)
    rows = look(1)
    assert rows["disk"]["status"] == "bad"
    assert rows["journals"]["status"] == "bad"


def test_no_secret_is_ever_shown(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {path.read_text().strip() for path in (site / "secrets").iterdir()}
    for form in ("table", "json"):
        run(["doctor", "--format", form])
        seen = capsys.readouterr()
        assert not any(secret in seen.out + seen.err for secret in secrets)


def test_the_table_names_the_next_step(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.environ.pop("XDG_CONFIG_HOME", None)
    put_url(site, "http://127.0.0.1:9")
    assert run(["doctor", "-o", "doctor.txt"]) == 5
    text = (site / "doctor.txt").read_text()
    assert text.startswith("STATUS")
    assert "  next: node-a: is the node running there" in text
    assert text.endswith("exit 5\n")


def test_the_carrier_and_what_it_needs(
    site: Path, look: Callable[[int], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "one host" in look(5)["carrier"]["detail"]
    assert run(["committee", "init", "--carrier", "mosaik"]) == 0
    monkeypatch.setattr("organismctl.committee.carrier.mosaik_engine.MODULE", "organismctl_engine_of_nowhere")
    row = look(1)["carrier"]
    assert row["status"] == "bad"
    assert "make engine" in row["advice"]
    for key in (site / "secrets").glob("*.key"):
        key.rename(key.with_suffix(".elsewhere"))
    assert look(5)["carrier"]["status"] == "warn"
