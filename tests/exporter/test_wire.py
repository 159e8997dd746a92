"""The exporter of an organism without our node API: it listens itself, on a real mosaik stream, and remembers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from organismctl.identity.peer import peer_id_from_seed
from tests.check.worlds import PEERS
from tests.support.alpha import OBSERVER, SEED, STREAM, Alpha, paper
from tests.support.committee import Committee, free_ports, wait_for
from tests.support.mosaik import end_process, require_engine, start_relay
from tests.support.prometheus import get
from tests.support.waiting import wait_until_holds

ORGANISM = f"""\
schema = 1
name = "bare.organism"
network = "mosaik.universe"
[[span]]
name = "alpha"
kind = "lattice"
stable_id = "{7:064x}"
clock = "tick"
[[span.surface]]
name = "events"
type = "stream"
id = "{STREAM.hex()}"
decode = "surface-item"
[driver]
fold = "fan-in"
period = "1s"
apply_deadline = "1s"
stall = "wait"
[content]
[[surface]]
name = "facts"
type = "stream"
[[acl]]
type = "jwt"
issuers = ["acme-admission"]
keys = [{{ alg = "EdDSA", key = "{PEERS["node-a"]}" }}]
"""


def deployed(alpha: str, nobody: int) -> str:
    return (
        '[observer]\nkey = "secrets/observer.key"\ntickets = ["tickets/observer.alpha.ticket"]\n'
        f'[[node]]\nname = "node-a"\npeer_id = "{PEERS["node-a"]}"\naddress = "127.0.0.1:{nobody}"\n'
        f'[[span]]\nname = "alpha"\npeers = ["{alpha}"]\nperiod = "500ms"\ndark_after = 3\n'
    )


class Ear:
    """The exporter, as a process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "organismctl", "exporter", "--organism", str(folder), "--every", "300ms",
             "--listen", f"127.0.0.1:{port}", "--hear", "2s", "--timeout", "2s"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def memory(self) -> dict[str, Any] | None:
        assert self.process.poll() is None
        try:
            told = json.loads(get(f"{self.url}/v1/memory")[2])["memory"]
        except OSError:
            return None
        return dict(told.get("alpha/events") or {}) or None

    def page(self) -> str:
        return get(f"{self.url}/metrics")[2].decode()


@pytest.fixture
def alpha(tmp_path: Path) -> Iterator[Alpha]:
    require_engine()
    relay_port, port, nobody = free_ports(3)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "tickets").mkdir()
    seed = tmp_path / "secrets" / "observer.key"
    seed.write_text(OBSERVER.hex())
    seed.chmod(0o600)
    paper(Committee(tmp_path, {}), "observer", peer_id_from_seed(OBSERVER), 30)
    (tmp_path / "organism.toml").write_text(ORGANISM)
    at = f"{peer_id_from_seed(SEED).hex()}@127.0.0.1:{port}"
    (tmp_path / "deployment.toml").write_text("schema = 1\n" + deployed(at, nobody))
    relay = start_relay(tmp_path / "relay", relay_port)
    try:
        made = Alpha(f"http://127.0.0.1:{relay_port}", port)
        try:
            yield made
        finally:
            made.network.close()
    finally:
        end_process(relay)


def test_it_hears_events_then_silence_and_says_since_when(alpha: Alpha, tmp_path: Path) -> None:
    ear = Ear(tmp_path, free_ports(1)[0])
    try:
        with alpha.pulse():
            wait_for("events are heard", lambda: (ear.memory() or {}).get("events"))
            wait_until_holds("the page tells of them", ear.page, of_events)
        dark = wait_for("silence is heard", lambda: dark_of(ear))
        assert dark["dark_since_ms"] >= dark["last_event_ms"]
        wait_for("the page tells of it", lambda: "organism_span_dark_since_timestamp_seconds{" in ear.page())
        with alpha.pulse():
            wait_for("it speaks again", lambda: dark_of(ear) is None)
    finally:
        end_process(ear.process, 20.0)
    assert ear.process.returncode == 0


def of_events(page: str) -> None:
    assert 'organism_span_last_event_timestamp_seconds{organism="bare.organism",span="alpha"' in page
    assert 'organism_up{organism="bare.organism",source="wire/127.0.0.1:' in page
    assert "organism_span_dark_since_timestamp_seconds{" not in page
    assert "organism_quorum{" not in page  # nobody of ours answers: not known, and not well


def dark_of(ear: Ear) -> dict[str, Any] | None:
    told = ear.memory()
    return told if told is not None and told["dark_since_ms"] is not None else None
