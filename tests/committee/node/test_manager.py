"""What a service manager is told, over a real socket: the protocol itself, a node, a relay."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from organismctl.committee.node.manager import JournalFormatter, Manager, in_journal
from organismctl.committee.node.relay import answers
from organismctl.committee.node.serve import moved
from tests.support.committee import SERVE, free_ports, make_committee
from tests.support.manager import Listening, listening
from tests.support.mosaik import COMMITTEE, both_carriers, end_process, require_engine


@pytest.fixture
def carrier(request: pytest.FixtureRequest) -> str:
    if request.param == "mosaik":
        require_engine()
    return str(request.param)


@pytest.mark.parametrize("abstract", [False, True])
def test_each_message_arrives(tmp_path: Path, abstract: bool) -> None:
    with listening(tmp_path, 60.0, abstract=abstract) as heard:
        manager = Manager(heard.environ)
        assert (manager.present, manager.watched, manager.pause_s) == (True, True, 15.0)
        assert heard.environ == {}, "what the process starts must not speak for it"
        for _ in range(2):
            manager.ready()
            manager.status("proposer,\nMAINPID=1\x1b[31m ü")
            manager.beat()
        manager.stopping()
        assert heard.waiting() == ["READY=1", "STATUS=proposer, MAINPID=1 [31m ü", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "/no/such/socket"},
        {"NOTIFY_SOCKET": "/" + "x" * 200},
        {"NOTIFY_SOCKET": "@"},
        {"NOTIFY_SOCKET": "vsock:2:1234"},
        {"NOTIFY_SOCKET": "relative"},
    ],
)
def test_nobody_listens(environ: dict[str, str]) -> None:
    manager = Manager(environ)
    manager.ready()
    manager.status("well")
    manager.beat()
    manager.stopping()


def test_a_watchdog_of_another_process_or_of_nonsense_is_none(tmp_path: Path) -> None:
    with listening(tmp_path) as heard:
        for given in (
            {"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"},
            {"WATCHDOG_USEC": "soon"},
            {"WATCHDOG_USEC": "0"},
        ):
            manager = Manager({**heard.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), **given})
            manager.beat()
            assert not manager.watched
        mine = {"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}
        Manager({"NOTIFY_SOCKET": str(tmp_path / "notify"), **mine}).beat()
        assert heard.waiting() == ["WATCHDOG=1"]


def test_a_full_socket_holds_nobody_up(tmp_path: Path) -> None:
    with listening(tmp_path) as heard:
        manager = Manager(heard.environ)
        for number in range(2000):
            manager.status(f"status {number}")
        assert 0 < len(heard.waiting()) < 2000
        # What was not taken is told again.
        manager.status("status 1999")
        assert heard.waiting() == ["STATUS=status 1999"]


@pytest.mark.parametrize(
    ("before", "now", "goes_on"),
    [((3, 3), (4, 4), True), ((3, 3), (4, 3), False), ((3, 3), (3, 4), False), ((3, 3), (3, 3), False)],
)
def test_a_node_goes_on_when_both_of_its_clocks_do(before: Any, now: Any, goes_on: bool) -> None:
    assert moved(before, now) is goes_on


def told_of_a_life(heard: Listening, process: subprocess.Popen[bytes]) -> None:
    """It beats, and ends in order."""
    heard.wait("WATCHDOG=1")
    heard.wait("WATCHDOG=1")
    process.send_signal(signal.SIGTERM)
    heard.wait("STOPPING=1")
    assert process.wait(30) == 0
    assert heard.told.count("READY=1") == 1


def test_lines_have_the_priority_that_the_journal_files_them_by(tmp_path: Path) -> None:
    def line(level: int, message: str, exc: BaseException | None = None) -> str:
        info = None if exc is None else (type(exc), exc, None)
        return JournalFormatter().format(logging.LogRecord("ledger", level, "", 0, message, None, info))

    assert line(logging.INFO, "it leads") == "<6>ledger: it leads"
    assert line(logging.WARNING, "late") == "<4>ledger: late"
    assert line(logging.DEBUG, "x") == "<7>ledger: x"
    assert line(logging.ERROR, "stopped", ValueError("why")) == "<3>ledger: stopped\n<3>ValueError: why"
    with (tmp_path / "stream").open("wb") as stream:
        found = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert in_journal(named, stream.fileno())
        assert not in_journal(named, 0)
        assert not in_journal({}, stream.fileno())


@both_carriers
def test_a_node_tells_its_manager(tmp_path: Path, carrier: str) -> None:
    committee = make_committee(tmp_path / "acme", names=["node-a"], carrier=carrier)
    with listening(tmp_path, 1.0, abstract=True) as heard, (tmp_path / "log").open("wb") as log:
        stream = os.fstat(log.fileno())
        heard.environ["JOURNAL_STREAM"] = f"{stream.st_dev}:{stream.st_ino}"
        committee.start_relay()
        process = subprocess.Popen(
            [*SERVE, "--node", "node-a", "--deployment", str(committee.deployment)],
            env={**os.environ, **heard.environ}, stdout=log, stderr=log,
        )  # fmt: skip
        committee.processes["node-a"] = process
        try:
            heard.wait("READY=1", 90)
            assert committee.status("node-a")["node"] == "node-a"  # at once: it was told when it was so
            line = heard.wait("STATUS=proposer, leader node-a, epoch ")
            assert line.endswith("; 0 of 0 peers bonded")
            told_of_a_life(heard, process)
            assert (
                "<6>organismctl.committee.node.serve: node node-a answers" in (tmp_path / "log").read_text()
            )
        finally:
            committee.close()


def test_a_relay_tells_its_manager(tmp_path: Path) -> None:
    require_engine()
    (port,) = free_ports(1)
    with listening(tmp_path, 1.0) as heard, (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMITTEE, "relay", "--bind", f"127.0.0.1:{port}", "--data", str(tmp_path / "relay")],
            env={**os.environ, **heard.environ}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            heard.wait("READY=1")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as page:
                assert page.status == 200
            assert heard.wait("STATUS=") == f"STATUS=answers at http://127.0.0.1:{port}"
            told_of_a_life(heard, process)
        finally:
            end_process(process)


def test_a_relay_that_is_gone_does_not_answer() -> None:
    (port,) = free_ports(1)
    assert not answers(f"http://127.0.0.1:{port}")
