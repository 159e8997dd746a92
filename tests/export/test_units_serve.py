"""Each unit serves: its own ExecStart, under what it takes away, with its credentials, until it says READY.

No systemd runs as process 1 here. tests/support/sandbox.py applies the unit's lines by the same means of the kernel,
and says what it leaves out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from organismctl.cli.app import run
from tests.support.committee import Committee, free_ports, make_committee
from tests.support.manager import Listening, listening
from tests.support.mosaik import require_engine
from tests.support.prometheus import get
from tests.support.sandbox import give, service
from tests.support.units import needs_systemd

pytestmark = needs_systemd
PROBE = """\
import ctypes, errno, json, mmap, os, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    if libc.syscall(*words) < 0:
        raise OSError(ctypes.get_errno(), "")
def says(do):
    try:
        do()
    except OSError as exc:
        return errno.errorcode[exc.errno]
    return "done"
print(json.dumps({
    "write": says(lambda: open("/etc/organismctl-probe", "w")),
    "device": says(lambda: open("/dev/kmsg")),
    "packets": says(lambda: socket.socket(17, socket.SOCK_RAW)),
    "write and run": says(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "proc": says(lambda: open("/proc/cpuinfo")),
    "namespace": says(lambda: call(272, 0x10000000)),
    "mount": says(lambda: call(165, 0, 0, 0, 0, 0)),
    "owner": says(lambda: os.chown("/", 0, 0)),
    "user": str(os.geteuid()),
    "thread": says(lambda: threading.Thread(target=int).start()),
    "own folder": says(lambda: open(os.path.join(os.environ["PROBED"], "x"), "w")),
}))
"""


def units(committee: Committee, *more: str) -> Path:
    """The committee's units, as the command writes them."""
    folder = committee.folder / "units"
    folder.mkdir()
    where = ("--organism", str(committee.folder), "-o", str(folder), "--user", "daemon")
    assert run(["export", "systemd", *where, *more]) == 0
    return folder


class Host:
    """Starts services as systemd would, as far as it goes without it.

    Args:
        folder: Its own.
        stack: Ends what was started.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._numbers = iter(range(100))

    def start(self, unit: Path, instance: str = "") -> tuple[Listening, subprocess.Popen[bytes]]:
        """Start one, with the manager that it tells."""
        own = self._folder / str(next(self._numbers))
        own.mkdir()
        give(service(unit, instance), own / "credentials")
        heard = self._stack.enter_context(listening(own, 2.0))
        given = {**os.environ, **heard.environ, "CREDENTIALS_DIRECTORY": str(own / "credentials")}
        process = self._stack.enter_context(self._process(unit, instance, own / "log", given))
        return heard, process

    @contextmanager
    def _process(
        self, unit: Path, instance: str, log: Path, env: dict[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.sandbox", str(unit), instance],
                env=env,
                stdout=out,
                stderr=out,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)
            sys.stderr.write(f"{unit.name}:\n{log.read_text(errors='replace')[-3000:]}\n")


@pytest.fixture(autouse=True)
def _may_take_away() -> None:
    """Only root may, and in a container only when it is let."""
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if os.geteuid() != 0 or tried.returncode != 0:
        pytest.skip(f"nothing can be taken away here: {tried.stderr.strip() or 'it needs root'}")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "h").mkdir()
    with ExitStack() as stack:
        yield Host(tmp_path / "h", stack)


def hide_secrets(committee: Committee) -> None:
    """What a unit reads as a credential is not where deployment.toml says, once it runs."""
    (committee.folder / "secrets").rename(committee.folder / "taken away")


def ended(heard: Listening, process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    heard.wait("STOPPING=1")
    assert process.wait(30) == 0


def test_the_sandbox_takes_away_what_the_unit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests below would prove nothing."""
    committee = make_committee(tmp_path / "acme", names=["node-a"])
    unit = units(committee, "--only", "node") / "organismctl-node-acme.test@.service"
    (tmp_path / "probe.py").write_text(PROBE)
    text = unit.read_text()
    (line,) = (one for one in text.splitlines() if one.startswith("ExecStart="))
    probe = (
        f"ExecStart={sys.executable} {tmp_path / 'probe.py'}\nEnvironment=PROBED={committee.data('node-a')}"
    )
    unit.write_text(text.replace(line, probe))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.sandbox", str(unit), "node-a"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "write": "EROFS", "device": "ENOENT", "packets": "EAFNOSUPPORT", "write and run": "EPERM", "proc": "ENOENT",
        "namespace": "EPERM", "mount": "EPERM", "owner": "EPERM", "user": "1", "thread": "done", "own folder": "done",
    }  # fmt: skip


def test_node_exporter_and_check_serve_with_credentials_alone(
    tmp_path: Path, host: Host, capfd: pytest.CaptureFixture[str]
) -> None:
    committee = make_committee(tmp_path / "acme", names=["node-a"])
    (tmp_path / "textfiles").mkdir()
    (port,) = free_ports(1)
    folder = units(committee, "--listen", f"127.0.0.1:{port}", "--textfiles", str(tmp_path / "textfiles"))
    token = committee.token("read")
    node, process = host.start(folder / "organismctl-node-acme.test@.service", "node-a")
    node.wait("READY=1")
    node.wait("STATUS=proposer, leader node-a")
    exporter, exporting = host.start(folder / "organismctl-exporter-acme.test.service")
    _, checking = host.start(folder / "organismctl-check-acme.test.service")
    hide_secrets(committee)
    exporter.wait("READY=1")
    # It asked the node with the token of its credentials: deployment.toml's file is gone.
    page = get(f"http://127.0.0.1:{port}/metrics")[2].decode()
    assert 'organism_node_up{node="node-a",organism="acme.test"} 1.0' in page
    assert checking.wait(60) in (0, 2, 3, 5, 6)
    told = (tmp_path / "textfiles" / "organismctl_acme.test.prom").read_text()
    assert 'organismctl_check_exit{organism="acme.test",command="check all"}' in told
    node.wait("WATCHDOG=1")
    exporter.wait("WATCHDOG=1")
    ended(exporter, exporting)
    ended(node, process)
    assert token not in page + told + capfd.readouterr().err


def test_relay_and_node_serve_on_mosaik(tmp_path: Path, host: Host) -> None:
    require_engine()
    committee = make_committee(tmp_path / "acme", names=["node-a", "node-b"], carrier="mosaik")
    folder = units(committee)
    relay, relaying = host.start(folder / "organismctl-relay-acme.test.service")
    relay.wait("READY=1")
    template = folder / "organismctl-node-acme.test@.service"
    nodes = {name: host.start(template, name) for name in committee.names}
    for heard, _ in nodes.values():
        heard.wait("READY=1", 90)
    for heard, _ in nodes.values():
        while not heard.wait("STATUS=", 90).endswith("1 of 1 peers bonded"):
            pass
    relay.wait("WATCHDOG=1")
    for heard, process in [*nodes.values(), (relay, relaying)]:
        ended(heard, process)
