"""The demo's world: a folder, the organisms in it, and every process that was started there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ORGANISMCTL = [sys.executable, "-m", "organismctl"]


@dataclass
class Outcome:
    """What one command did."""

    argv: Sequence[str]
    code: int
    stdout: str
    stderr: str

    def json(self) -> dict:
        """The command's JSON output."""
        return json.loads(self.stdout)


@dataclass
class World:
    """Runs commands, shows them, and ends all that it started."""

    folder: Path
    nodes: list[tuple[Path, str]] = field(default_factory=list)
    background: list[subprocess.Popen] = field(default_factory=list)

    def run(
        self,
        *args: str,
        expect: int | Sequence[int] = 0,
        cwd: Path | None = None,
        show: bool = True,
        env: dict[str, str] | None = None,
    ) -> Outcome:
        """Run ``organismctl ARGS`` and show it as an operator would see it.

        Raises:
            SystemExit: The exit code is not the expected one; the demo ends there.
        """
        if show:
            say(f"$ organismctl {' '.join(args)}")
        done = subprocess.run(
            [*ORGANISMCTL, *args],
            cwd=cwd or self.folder,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        outcome = Outcome(args, done.returncode, done.stdout, done.stderr)
        expected = [expect] if isinstance(expect, int) else list(expect)
        if show or done.returncode not in expected:
            for line in (done.stdout + done.stderr).rstrip().splitlines():
                say(f"  {line}")
            say(f"  [exit {done.returncode}]")
        if done.returncode not in expected:
            raise SystemExit(
                f"the demo stops: expected exit {expected}, got {done.returncode}; files: {self.folder}"
            )
        return outcome

    def start(self, *args: str, stdout: Path, cwd: Path | None = None) -> subprocess.Popen:
        """Start ``organismctl ARGS`` in the background, its output going to a file."""
        say(f"$ organismctl {' '.join(args)} > {stdout.name} &")
        with stdout.open("wb") as out, stdout.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [*ORGANISMCTL, *args],
                cwd=cwd or self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.background.append(process)
        return process

    def own(self, deployment: Path, *nodes: str) -> None:
        """Remember nodes that run now or will; they are stopped at the end, whatever happens."""
        self.nodes += [(deployment, node) for node in nodes]

    def serve(self, deployment: Path, *nodes: str) -> None:
        """Start nodes in the background, all at once.

        Raises:
            SystemExit: One of them did not start.
        """
        self.own(deployment, *nodes)
        argv = [*ORGANISMCTL, "committee", "serve", "--deployment", str(deployment), "--detach", "--node"]
        starts = [
            subprocess.Popen(
                [*argv, node],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for node in nodes
        ]
        for node, start in zip(nodes, starts, strict=True):
            _, told = start.communicate()
            if start.returncode != 0:
                raise SystemExit(f"the demo stops: {node} did not start: {told}; files: {self.folder}")

    def close(self) -> None:
        """End every process that the demo started: readers, nodes, and the relay that both of them use."""
        relay = self.background[:1]
        for process in self.background[1:]:
            _end(process)
        stops = [
            subprocess.Popen(
                [*ORGANISMCTL, "committee", "stop", "--deployment", str(deployment), "--node", node],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for deployment, node in dict.fromkeys(self.nodes)
        ]
        for stop in stops:
            stop.wait()
        for process in relay:
            _end(process)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world in a new folder; on leaving, also by Ctrl-C, everything it started is stopped."""

    def interrupted(_signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    # A shell starts background jobs with SIGINT ignored; the demo cleans up all the same.
    signal.signal(signal.SIGINT, interrupted)
    folder.mkdir(parents=True)
    made = World(folder)
    try:
        yield made
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        made.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def say(text: str) -> None:
    """One line of the demo's own output, at once."""
    print(text, flush=True)


def scene(number: int, title: str) -> None:
    """A heading."""
    say(f"\n== {number}. {title} ==")


def free_ports(count: int) -> list[int]:
    """Ports on loopback that are free for TCP and UDP, below those that the kernel gives out: nobody takes them."""
    ports: list[int] = []
    for port in _PORTS:
        with suppress(OSError), socket.socket() as one, socket.socket(type=socket.SOCK_DGRAM) as other:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise SystemExit("the demo stops: no ports are free")


def _own_ports() -> Iterator[int]:
    """Each port of the range once, from another one for each process."""
    first, count = 30_000, 2_500
    for offset in range(count):
        yield first + (os.getpid() * 37 + offset) % count


_PORTS = _own_ports()


def wait_for(what: str, probe, timeout: float = 30.0) -> None:
    """Wait until a condition holds.

    Raises:
        SystemExit: It did not in time.
    """
    end = time.monotonic() + timeout
    while not probe():
        if time.monotonic() > end:
            raise SystemExit(f"the demo stops: {what} did not happen within {timeout:.0f} s")
        time.sleep(0.1)
