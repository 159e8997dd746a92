"""The executor ``systemd`` over the system's own ssh to a real sshd on loopback, with the units that the tool writes.

No systemd runs as process 1 here: a stand-in for systemctl on the host's PATH starts and ends each unit's ExecStart,
and says in its output that it is one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from organismctl.change.executor import Host, executor
from organismctl.change.executor.command import ExecutorError
from organismctl.cli.app import run
from tests.support import systemctl
from tests.support.committee import Committee, make_committee
from tests.support.sshd import Server, needs_sshd, prepared, running

pytestmark = needs_sshd
UNIT = "organismctl-node-acme.test@{}.service"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A host that is reached by ssh as node-…; nothing listens yet."""
    units = tmp_path / "units"
    units.mkdir()
    systemctl.script(tmp_path / "remote", units)
    made = prepared(tmp_path / "ssh", f"{tmp_path / 'remote'}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    return made


@pytest.fixture
def up(server: Server) -> Iterator[Server]:
    with running(server):
        yield server


def reached(folder: Path, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "node": "node-a", "peer_id": "ab" * 32, "url": "http://127.0.0.1:1", "data": folder,
        "deployment": folder / "deployment.toml", "unit": UNIT.format("node-a"), "ssh": "node-a.acme.example",
    }  # fmt: skip
    return executor("systemd", Host(**{**values, **changes}), timeout_s=30)


def refused(folder: Path, **changes: Any) -> tuple[str, str]:
    """Why it was not started, and the next step; that it is off is not known then."""
    one = reached(folder, **changes)
    with pytest.raises(ExecutorError) as caught:
        one.start()
    assert one.fenced() is None
    return caught.value.message, caught.value.advice or ""


def by_units(committee: Committee, units: Path, *names: str) -> None:
    """deployment.toml names the executor for nodes, and the host has the units that the tool writes for it."""
    text = committee.deployment.read_text()
    for name in names:
        head, mark, rest = text.partition(f'name = "{name}"\n')
        own = f'executor = "systemd"\nunit = "{UNIT.format(name)}"\nssh = "{name}.acme.example"\n'
        begin, end = rest.index("executor = "), rest.index("fenced = ")
        text = head + mark + rest[:begin] + own + rest[rest.index("\n", end) + 1 :]
    committee.deployment.write_text(text)
    assert (
        run(["export", "systemd", "--organism", str(committee.folder), "--only", "node", "-o", str(units)])
        == 0
    )


def ctl(committee: Committee, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "organismctl", *words, "--organism", str(committee.folder)],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_rotation_by_units_over_ssh(tmp_path: Path, up: Server, capsys: pytest.CaptureFixture[str]) -> None:
    units = tmp_path / "units"
    committee = make_committee(tmp_path / "acme", names=["node-a", "node-b", "node-c"], spares=["node-d"])
    try:
        by_units(committee, units, "node-a", "node-d")
        told = capsys.readouterr().err
        assert "for node-b: executor" in told
        assert "for node-a: executor" not in told, "deployment.toml names the very unit that was written"
        committee.start("node-b", "node-c")
        assert "node node-a answers" in ctl(committee, "committee", "start", "--node", "node-a")
        committee.bonded("node-b", "node-c")
        told = ctl(committee, "rotate", "member", "--out", "node-a", "--in", "node-d", "--yes")
        assert "node-a is off by the word of its executor" in told
        assert committee.status("node-d")["role"] in ("acceptor", "proposer")
        shown = committee.status("node-b")["roster"]["members"]
        assert {one["name"] for one in shown} == {"node-b", "node-c", "node-d"}
        # Again by hand: what runs is started to no effect, what is off is stopped to none.
        spare = reached(tmp_path, node="node-d", unit=UNIT.format("node-d"), ssh="node-d.acme.example")
        assert spare.fenced() is False
        assert systemctl.SAID in spare.start().output
        assert spare.stop().said == f"systemctl stop {UNIT.format('node-d')} on node-d.acme.example"
        assert spare.fenced() is True
        assert systemctl.SAID in spare.stop().output
    finally:
        systemctl.end_all(units)
        committee.close()


def test_a_unit_that_is_not_there(tmp_path: Path, up: Server) -> None:
    message, advice = refused(tmp_path)
    assert f"Unit {UNIT.format('node-a')} not found." in message
    assert systemctl.SAID in message
    assert advice == f"look at `systemctl status {UNIT.format('node-a')}` on node-a.acme.example"


def test_a_host_without_systemctl(tmp_path: Path, up: Server) -> None:
    (tmp_path / "remote" / "systemctl").write_text("#!/bin/sh\nexit 127\n")
    message, advice = refused(tmp_path)
    assert "there is no systemctl on node-a.acme.example" in message
    assert "does a systemd run there?" in advice


def test_a_host_key_that_is_not_known(tmp_path: Path, up: Server) -> None:
    up.known_hosts.write_text("")
    message, advice = refused(tmp_path)
    assert "its host key is not known here" in message
    assert "take it once by `ssh node-a.acme.example true`" in advice
    assert up.known_hosts.read_text() == "", "a key is taken by a person, never by a change"


def test_a_host_key_that_changed(tmp_path: Path, up: Server) -> None:
    known = up.known_hosts.read_text().split()[:2]
    up.known_hosts.write_text(" ".join([*known, (up.folder / "client.pub").read_text().split()[1]]))
    message, advice = refused(tmp_path)
    assert "its host key is another than the known one" in message
    assert "somebody may stand in between" in advice


def test_a_key_that_it_does_not_take(tmp_path: Path, up: Server) -> None:
    up.authorized.write_text("")
    message, advice = refused(tmp_path)
    assert "it takes none of the keys that this user has" in message
    assert "ssh-copy-id node-a.acme.example" in advice


def test_an_sshd_that_is_down(tmp_path: Path, server: Server) -> None:
    message, advice = refused(tmp_path)
    assert "it does not answer" in message
    assert "Connection refused" in message
    assert "is the host up, and its sshd?" in advice


def test_a_host_that_nobody_knows(tmp_path: Path, up: Server) -> None:
    message, advice = refused(tmp_path, ssh="ops@nowhere.invalid")
    assert "its name is not known here" in message
    assert "`ssh -G ops@nowhere.invalid`" in advice
