"""Starting and ending a node's process: background, locks, lies in the pid file, ports that are taken."""

from __future__ import annotations

import fcntl
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from organismctl.committee.node.founding import init
from organismctl.committee.node.process import PID_FILE, ProcessLock, look, stop
from organismctl.errors import InputError, OrganismError, RefusedError
from organismctl.exits import Exit
from tests.support.committee import Committee, make_committee


@pytest.fixture
def founded(tmp_path: Path) -> Iterator[Committee]:
    """One founded node, not running."""
    committee = make_committee(tmp_path / "acme", names=["node-a"])
    try:
        yield committee
    finally:
        stop(committee.data("node-a"), patience=2.0)


def command(committee: Committee, *args: str) -> subprocess.CompletedProcess[str]:
    """`organismctl committee …`, as an executor runs it."""
    return subprocess.run(
        [sys.executable, "-m", "organismctl", "committee", *args, "--deployment", str(committee.deployment)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_detach_check_stop(founded: Committee) -> None:
    node = ("--node", "node-a")
    assert command(founded, "stop", *node, "--check").returncode == Exit.OK
    assert command(founded, "status").returncode == Exit.UNHEALTHY
    started = command(founded, "serve", *node, "--detach")
    assert started.returncode == 0, started.stderr
    assert founded.status("node-a")["node"] == "node-a"
    assert command(founded, "stop", *node, "--check").returncode == Exit.DRIFT
    status = command(founded, "status")
    assert status.returncode == Exit.OK
    assert "node-a" in status.stdout
    again = command(founded, "serve", *node, "--detach")
    assert again.returncode == Exit.REFUSED
    assert "runs already" in again.stderr
    assert command(founded, "stop").returncode == Exit.USAGE
    assert command(founded, "stop", "--all", "--check").returncode == Exit.DRIFT
    every = command(founded, "stop", "--all")
    assert every.returncode == Exit.OK
    assert "node node-a is stopped" in every.stderr
    assert not look(founded.data("node-a")).running
    assert command(founded, "stop", *node).returncode == Exit.OK
    assert command(founded, "stop", *node, "--check").returncode == Exit.OK


def test_a_daemon_that_cannot_start_says_why(founded: Committee) -> None:
    with socket.create_server(("127.0.0.1", founded.ports["node-a"])):
        failed = command(founded, "serve", "--node", "node-a", "--detach")
    assert failed.returncode == Exit.ERROR
    assert "cannot listen" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not look(founded.data("node-a")).running


def test_a_stopped_process_is_ended_by_force(founded: Committee) -> None:
    founded.start("node-a")
    process = founded.processes["node-a"]
    process.send_signal(signal.SIGSTOP)
    found = look(founded.data("node-a"))
    assert (found.running, found.pid) == (True, process.pid)
    # A stopped process ignores SIGTERM until it goes on; only SIGKILL ends it.
    assert stop(founded.data("node-a"), patience=0.3)
    assert process.wait(10) == -signal.SIGKILL


def test_a_pid_file_that_lies_ends_nobody(founded: Committee) -> None:
    data = founded.data("node-a")
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (data / "node.pid").write_text(f"{bystander.pid}\n")
        assert not look(data).running
        assert not stop(data)
        lock = ProcessLock(data)
        lock.acquire()
        (data / "node.pid").write_text(f"{bystander.pid}\n")
        with pytest.raises(OrganismError):
            stop(data, patience=0.1)
        with pytest.raises(RefusedError, match="runs already"):
            ProcessLock(data).acquire()
        lock.release()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait(5)


def test_a_folder_that_is_not_here_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(OrganismError, match="not on this host"):
        look(tmp_path / "elsewhere")


def test_an_address_that_others_reach_needs_tls(founded: Committee) -> None:
    refused = command(founded, "serve", "--node", "node-a", "--bind", "0.0.0.0")
    assert refused.returncode == Exit.REFUSED
    assert "--tls-cert" in refused.stderr


def test_a_wrong_key_is_refused(founded: Committee) -> None:
    key = founded.folder / "secrets" / "node-a.key"
    key.write_text("11" * 32)
    refused = command(founded, "serve", "--node", "node-a")
    assert refused.returncode == Exit.ERROR
    assert "11" * 32 not in refused.stderr
    assert command(founded, "serve", "--node", "node-x").returncode == Exit.ERROR


def test_init_leaves_what_is_there(founded: Committee) -> None:
    before = {path: path.read_bytes() for path in founded.folder.rglob("*") if path.is_file()}
    init(founded.deployment)
    assert {path: path.read_bytes() for path in founded.folder.rglob("*") if path.is_file()} == before
    for secret in (founded.folder / "secrets").iterdir():
        assert secret.stat().st_mode & 0o777 == 0o600


def test_init_join_needs_a_committee(tmp_path: Path) -> None:
    committee = make_committee(tmp_path / "acme", spares=["node-d"])
    organism = committee.folder / "organism.toml"
    text = organism.read_text()
    organism.write_text(text[: text.index("[genesis]")])
    with pytest.raises(InputError, match="genesis"):
        init(committee.deployment, "node-d", join=True)
    organism.write_text(text)
    deployment = committee.deployment.read_text()
    committee.deployment.write_text(deployment.replace("roster = false\n", ""))
    (committee.data("node-d") / "ledger.sqlite").unlink()
    # The file now wishes four members, but the first roster had three: a founder's ledger would be a lie.
    with pytest.raises(RefusedError, match="moved on"):
        init(committee.deployment, "node-d")
    init(committee.deployment, "node-d", join=True)


def test_who_only_looks_holds_up_no_start(tmp_path: Path) -> None:
    (tmp_path / PID_FILE).touch()
    with (tmp_path / PID_FILE).open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        over = threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN))
        over.start()
        lock = ProcessLock(tmp_path)
        lock.acquire()
        over.join()
    assert look(tmp_path).running
    lock.release()
