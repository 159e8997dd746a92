"""A real Prometheus for tests: Debian's, on loopback, with intervals short enough to wait for."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.committee import free_ports, wait_for


def tool(name: str) -> str:
    """A program of Debian's packages prometheus and prometheus-alertmanager."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")
    return found


def get(url: str, accept: str = "*/*") -> tuple[int, str, bytes]:
    """Status, content type and body of a page."""
    request = urllib.request.Request(url, headers={"accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.headers["content-type"], exc.read()


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def ask(self, path: str, **query: str) -> Any:
        """The data of an answer of its API."""
        tail = f"?{urllib.parse.urlencode(query)}" if query else ""
        try:
            _, _, body = get(f"{self.url}/api/v1/{path}{tail}")
        except OSError:
            return None
        told = json.loads(body)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The present result of an expression."""
        return list((self.ask("query", query=expr) or {"result": []})["result"])

    def firing(self) -> list[dict[str, str]]:
        """Labels of the alerts that fire now, with their annotations."""
        told = (self.ask("alerts") or {"alerts": []})["alerts"]
        return [{**one["labels"], **one["annotations"]} for one in told if one["state"] == "firing"]


@contextmanager
def prometheus(folder: Path, target: str, rules: Path, every: str = "1s") -> Iterator[Prometheus]:
    """Run it, scraping one target, until the block ends."""
    port = free_ports(1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(
        f"global:\n  scrape_interval: {every}\n  scrape_timeout: {every}\n  evaluation_interval: {every}\n"
        f"rule_files: [{json.dumps(str(rules))}]\n"
        f'scrape_configs:\n  - job_name: organismctl\n    static_configs:\n      - targets: ["{target}"]\n'
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:

        def ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return get(f"{server.url}/-/ready")[0] == 200
            except OSError:
                return False

        wait_for("Prometheus is ready", ready)
        yield server
    finally:
        process.terminate()
        process.wait(20)
