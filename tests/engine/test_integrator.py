"""The consumer in Rust under examples/ reads a live surface of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from organismctl.identity.digest import h
from organismctl.identity.surface_item import Fact, RetirementMarker, SurfaceItem, certificate, encode_item
from tests.engine.conftest import NETWORK, Nodes, until

ROOT = Path(__file__).parents[2]
SURFACE = h(b"a surface")
BUILD_LIMIT = 3600


@pytest.fixture(scope="module")
def integrator(engine: Any) -> Path:
    """The built program; it shares the engine's build directory, so that mosaik is built once."""
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("the consumer in Rust cannot be built here: cargo is needed")
    profile = os.environ.get("ENGINE_PROFILE") or "wheel"
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "engine" / "target")
    manifest = ROOT / "examples" / "rust-integrator" / "Cargo.toml"
    built = subprocess.run(
        [cargo, "build", "--profile", profile, "--locked", "--quiet", "--manifest-path", manifest],
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return target / profile / "rust-integrator"


def command(program: Path, node: Any, *more: str) -> list[str]:
    peer = f"{node.peer_id.hex()}@{node.addresses[0]}"
    return [str(program), "--network", NETWORK.hex(), "--stream", SURFACE.hex(), "--peer", peer, *more]


@pytest.mark.timeout(BUILD_LIMIT + 300)
@pytest.mark.slow
def test_it_reads_a_surface_up_to_the_marker(integrator: Path, nodes: Nodes) -> None:
    node = nodes.start("surface")
    producer = node.producer(SURFACE)
    signatures = {bytes([number]) * 32: bytes([number]) * 64 for number in range(3)}
    items = [
        SurfaceItem(seq, seq + 10, Fact(b"fact %d" % seq), certificate(1, signatures)) for seq in range(5)
    ]
    marker = RetirementMarker("2126-12-01T00:00:00Z", "REF", "moved")
    items.append(SurfaceItem(5, 15, marker, certificate(1, signatures)))
    reading = subprocess.Popen(
        command(integrator, node, "--relay", nodes.relay.url, "--count", "100"),
        stdout=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(reading.stdout or []))
    reader.start()
    try:
        until(producer.consumers, "the consumer in Rust")
        assert [producer.send(encode_item(item)) for item in items] == ["sent"] * 6
        assert reading.wait(60) == 0
    finally:
        reading.kill()
        reading.wait()
        reader.join()
        assert reading.stdout is not None
        reading.stdout.close()
    read = [json.loads(line) for line in lines]
    assert [line["seq"] for line in read] == list(range(6))
    assert [line["height"] for line in read] == list(range(10, 16))
    assert [bytes.fromhex(line["fact"]) for line in read[:5]] == [b"fact %d" % seq for seq in range(5)]
    assert read[5]["retirement"] == {
        "effective_at": "2126-12-01T00:00:00Z",
        "replacement": "REF",
        "reason": "moved",
    }
    assert {line["signers"] for line in read} == {3}


@pytest.mark.timeout(BUILD_LIMIT + 300)
def test_it_says_what_it_needs(integrator: Path) -> None:
    for arguments in (
        [],
        ["--network"],
        ["--colour", "red"],
        ["--network", "n", "--stream", "s", "--peer", "x"],
    ):
        ended = subprocess.run(
            [integrator, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode != 0
        assert "Error" in ended.stderr
        assert ended.stdout == ""
