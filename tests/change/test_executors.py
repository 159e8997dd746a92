"""Executors with real commands: templates, redaction, time limits, systemd's and ssh's argv by stand-in binaries."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from organismctl.change.errors import ParkedError
from organismctl.change.executor import Host, executor
from organismctl.change.executor.command import ExecutorError, fill
from organismctl.change.executor.systemd import Systemd
from organismctl.errors import InputError


def host(folder: Path, **changes: Any) -> Host:
    values: dict[str, Any] = {
        "node": "node-a",
        "peer_id": "ab" * 32,
        "url": "http://127.0.0.1:1",
        "data": folder / "data; rm -rf $HOME",
        "deployment": folder / "deployment.toml",
    }
    return Host(**{**values, **changes})


def python(code: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *args)


def test_templates_are_filled_argument_by_argument(tmp_path: Path) -> None:
    out = tmp_path / "argv"
    code = f"import sys, json; open({str(out)!r}, 'w').write(json.dumps(sys.argv[1:]))"
    one = host(tmp_path, start=python(code, "{node}", "--at={data}", "{url}{peer_id}", "{deployment}"))
    executor("command", one).start()
    import json

    assert json.loads(out.read_text()) == [
        "node-a",
        f"--at={tmp_path}/data; rm -rf $HOME",
        "http://127.0.0.1:1" + "ab" * 32,
        str(tmp_path / "deployment.toml"),
    ]
    with pytest.raises(InputError, match=r"unknown placeholder \{nod\}; allowed: \{node\}"):
        fill(["x", "{nod}"], one)
    with pytest.raises(InputError, match="no command is given"):
        executor("command", host(tmp_path)).stop()


def test_output_is_bounded_redacted_and_free_of_control_characters(tmp_path: Path) -> None:
    code = "print('x' * 100000); print('token canary-secret-1 \\x1b[31mred'); raise SystemExit(3)"
    with pytest.raises(ExecutorError, match="exit code 3") as caught:
        executor("command", host(tmp_path, start=python(code)), secrets=("canary-secret-1",)).start()
    assert "canary" not in caught.value.message
    assert "[secret]" in caught.value.message
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 6000


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    # A shell, since it must have a child before the limit, also on a busy machine.
    start = ("sh", "-c", f"sleep 600 & echo $! > {shlex.quote(str(pid))}; sleep 600")
    with pytest.raises(ExecutorError, match="was killed"):
        executor("command", host(tmp_path, start=start), timeout_s=2).start()
    child = int(pid.read_text())
    for _ in range(1000):
        try:
            if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
                break
        except FileNotFoundError:
            break
        time.sleep(0.02)
    else:
        pytest.fail("the child lives")


def test_fenced_is_only_proven_by_exit_0(tmp_path: Path) -> None:
    def fenced(code: int) -> bool | None:
        return executor("command", host(tmp_path, fenced=python(f"raise SystemExit({code})"))).fenced()

    assert fenced(0) is True
    assert fenced(2) is None
    assert executor("command", host(tmp_path)).fenced() is None
    assert executor("command", host(tmp_path, fenced=("/no/such/command",))).fenced() is None


def test_manual_parks_without_a_terminal_and_asks_with_one(tmp_path: Path) -> None:
    with pytest.raises(ParkedError, match="a person to start node node-a"):
        executor("manual", host(tmp_path)).start()
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    assert "they did" in executor("manual", host(tmp_path), ask=yes).stop().said
    assert "keep its data" in asked[0]
    assert executor("manual", host(tmp_path), ask=yes).fenced() is True
    with pytest.raises(ParkedError):
        executor("manual", host(tmp_path), ask=lambda _question: False).start()


@pytest.fixture
def binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for systemctl and ssh: they note their argv; ssh runs what it was given in a shell, as sshd does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "log"
    (folder / "systemctl").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "systemctl $*" >> {log}\n'
        'case "$*" in *show*) echo "${STATE:-inactive}"; echo loaded;; esac\nexit ${CODE:-0}\n'
    )
    (folder / "ssh").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "ssh $*" >> {log}\n[ -n "$BROKEN" ] && exit 255\n'
        'while [ "$1" != "--" ]; do shift; done\nshift 2\nexec sh -c "$*"\n'
    )
    for file in folder.iterdir():
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.mark.parametrize("ssh", [None, "ops@node-b"])
def test_systemd_local_and_over_ssh(
    tmp_path: Path, binaries: Path, ssh: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = host(tmp_path, unit="organism@node-b.service", ssh=ssh)
    found = executor("systemd", one)
    found.start()
    found.stop()
    assert found.fenced() is True
    told = binaries.read_text()
    assert "systemctl --no-ask-password start -- organism@node-b.service" in told
    if ssh:
        assert "ssh -o BatchMode=yes -o ConnectTimeout=10 -- ops@node-b systemctl" in told
    monkeypatch.setenv("STATE", "active")
    assert found.fenced() is False
    monkeypatch.setenv("CODE", "5")
    with pytest.raises(ExecutorError, match="exit code 5"):
        found.start()
    assert found.fenced() is None


def test_an_ssh_that_fails_says_nothing_about_the_unit(
    tmp_path: Path, binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "1")
    found = executor("systemd", host(tmp_path, unit="x.service", ssh="ops@gone"))
    assert found.fenced() is None
    with pytest.raises(ExecutorError, match="255") as caught:
        found.stop()
    assert "BatchMode" in (caught.value.advice or "")


@pytest.mark.parametrize(
    ("unit", "ssh"),
    [
        ("-x", None),
        ("a b", None),
        ("a;b", None),
        (None, None),
        ("a", "-oProxyCommand=x"),
        ("a", "a b"),
        ("a", ""),
    ],
)
def test_names_that_could_be_options_or_commands_are_refused(tmp_path: Path, unit: Any, ssh: Any) -> None:
    with pytest.raises(InputError):
        Systemd(host(tmp_path, unit=unit, ssh=ssh), secrets=(), timeout_s=5)


def test_an_unknown_executor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allowed: manual, command, systemd"):
        executor("docker", host(tmp_path))
