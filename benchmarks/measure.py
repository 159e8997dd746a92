"""How the benchmarks measure: whole processes, the median of several runs, side by side in one run."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: The ratio.
        limit: What it may be at most (or at least, when ``at_least``).
        detail: The two figures behind the ratio.
    """

    name: str
    value: float
    limit: float
    detail: str
    at_least: bool = False

    @property
    def held(self) -> bool:
        """Whether the limit holds."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Run:
    """One process: wall-clock seconds, exit code, peak resident memory in bytes."""

    seconds: float
    code: int
    peak: int


def once(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Run:
    """Run a process to its end, output discarded."""
    begin = time.perf_counter()
    child = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Run(time.perf_counter() - begin, child.returncode, usage.ru_maxrss * 1024)


def median(argv: Sequence[str], *, runs: int = 11, cwd: Path | None = None, expect: int = 0) -> float:
    """The median wall-clock seconds of a process.

    Raises:
        RuntimeError: It ended with another code than expected: then the figure would be of something else.
    """
    taken = []
    for _ in range(runs):
        run = once(argv, cwd=cwd)
        if run.code != expect:
            raise RuntimeError(f"{' '.join(argv)} ended with {run.code}, expected {expect}")
        taken.append(run.seconds)
    return sorted(taken)[runs // 2]


def bare(runs: int = 21) -> float:
    """``python -c pass``, the yardstick of start-up."""
    return median([sys.executable, "-c", "pass"], runs=runs)


def organismctl() -> str:
    """The installed console script, as an operator runs it."""
    return str(Path(sys.executable).with_name("organismctl"))


def peak_of_self() -> int:
    """This process's peak resident memory, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def gather(
    processes: Sequence[subprocess.Popen[bytes]], count: int, seconds: float
) -> list[dict[str, float]]:
    """The figures that processes print, one JSON object a line.

    Args:
        processes: Their standard output is a pipe; whichever of them prints, counts.
        count: How many figures are to come.
        seconds: How long they may take together.

    Returns:
        What has come by then.
    """
    out, end = b"", time.monotonic() + seconds
    pipes = [process.stdout for process in processes if process.stdout is not None]
    for pipe in pipes:
        os.set_blocking(pipe.fileno(), False)
    while out.count(b"}") < count and time.monotonic() < end:
        time.sleep(0.1)
        out += b"".join(pipe.read() or b"" for pipe in pipes)
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes in order, and close their pipes."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
