"""What a committee on mosaik needs in a test: the extension, a relay, tickets that ``[[acl]]`` admits."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.errors import OrganismError
from organismctl.files.deployment import load_deployment
from organismctl.identity.digest import uid
from organismctl.identity.jwt import issue_jwt

COMMITTEE = [sys.executable, "-m", "organismctl", "committee"]
CARRIERS = ("loopback", "mosaik")
ADMISSION_SEED = uid("stable-node-seed")
both_carriers = pytest.mark.parametrize("carrier", CARRIERS, indirect=True)
"""Runs a test once on each carrier; it takes the fixture ``carrier``, or one that does."""


def require_engine() -> None:
    """Skip the test where the extension is not built; where everything must run, a skip fails."""
    try:
        load_engine()
    except OrganismError as exc:
        pytest.skip(f"{exc.message}; {exc.advice}")


def start_relay(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A relay on loopback that listens."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "relay.log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMITTEE, "relay", "--bind", f"127.0.0.1:{port}", "--data", str(folder)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )

    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return process
        time.sleep(0.03)
    end_process(process)
    raise AssertionError(f"the relay does not listen:\n{(folder / 'relay.log').read_text()}")


def end_process(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """End a process of this test, in order where it goes quickly."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def admit(deployment_file: Path, *names: str, seconds: int = 7 * 86_400, serial: int = 0) -> None:
    """Issue tickets for our own committee to nodes, in place of those that they have.

    Args:
        deployment_file: Names the nodes.
        names: Whom.
        seconds: How long they are valid.
        serial: Makes another ticket of it.
    """
    deployment = load_deployment(deployment_file)
    now = int(time.time())
    for name in names:
        node = deployment.node(name)
        assert node is not None
        ticket = issue_jwt(
            "EdDSA",
            ADMISSION_SEED,
            node.peer_id,
            issued_at_s=now - serial,
            expires_at_s=now + seconds,
            issuer="acme-admission",
        )
        path = deployment_file.parent / "tickets" / f"{name}.admission.ticket"
        path.parent.mkdir(exist_ok=True)
        # In one step, as a tool that renews tickets does: a node never reads half of one.
        fresh = path.with_suffix(".fresh")
        fresh.write_bytes(ticket)
        fresh.chmod(0o600)
        fresh.replace(path)
