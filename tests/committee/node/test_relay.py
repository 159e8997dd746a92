"""`organismctl committee relay`: in the background, once per folder, and ended in order."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

from organismctl.committee.node.process import look
from organismctl.exits import Exit
from tests.support.committee import free_ports
from tests.support.mosaik import COMMITTEE, require_engine, start_relay


def relay(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMITTEE, "relay", *args], capture_output=True, text=True, timeout=90, check=False
    )


def test_detach_and_stop(tmp_path: Path) -> None:
    require_engine()
    (port,) = free_ports(1)
    data = ("--data", str(tmp_path / "relay"))
    bind = ("--bind", f"127.0.0.1:{port}")
    started = relay(*bind, *data, "--detach")
    assert started.returncode == Exit.OK, started.stderr
    try:
        assert f'[mosaik] relay = "http://127.0.0.1:{port}"' in started.stderr
        with socket.create_connection(("127.0.0.1", port), 5):
            pass
        again = relay(*bind, *data, "--detach")
        assert again.returncode == Exit.REFUSED
        assert "runs already" in again.stderr
        assert "committee relay --stop" in again.stderr
    finally:
        stopped = relay(*data, "--stop")
    assert (stopped.returncode, "is stopped" in stopped.stderr) == (Exit.OK, True)
    assert not look(tmp_path / "relay").running
    assert "was off already" in relay(*data, "--stop").stderr


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    require_engine()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = relay("--bind", f"127.0.0.1:{port}", "--data", str(tmp_path / "relay"))
    assert failed.returncode == Exit.ERROR
    assert str(port) in failed.stderr
    assert "Traceback" not in failed.stderr


def test_it_ends_in_order(tmp_path: Path) -> None:
    require_engine()
    (port,) = free_ports(1)
    process = start_relay(tmp_path / "relay", port)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_an_address_that_is_none_is_a_wrong_command_line(tmp_path: Path) -> None:
    wrong = relay("--bind", "nowhere", "--data", str(tmp_path / "relay"))
    assert wrong.returncode == Exit.USAGE
    assert "HOST:PORT" in wrong.stderr
    assert not (tmp_path / "relay").exists()
