"""Crash points: where a rehearsal may kill the runner, to see that ``change resume`` completes.

The runner names a point before and after every action: ``drain:before``, ``drain:after``,
``undo:drain:before``, ``lease:before``, ``finish:after``. With ``ORGANISMCTL_REHEARSAL=1`` **and**
``ORGANISMCTL_CRASH_AT=<point>`` in its environment the process sends itself SIGKILL there: no clean-up runs,
as in a real crash. Without the first variable the second is ignored, so that a leftover can never hurt a
real change.

``ORGANISMCTL_PAUSE_AT=<point>`` stops the process there by SIGSTOP instead, so that something else can be made
to fail in the middle of an action; SIGCONT lets it go on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

REHEARSAL = "ORGANISMCTL_REHEARSAL"
CRASH_AT = "ORGANISMCTL_CRASH_AT"
PAUSE_AT = "ORGANISMCTL_PAUSE_AT"


def crash_point(name: str) -> None:
    """Die here by SIGKILL, or stop here by SIGSTOP, when a rehearsal asks for it; else do nothing.

    Args:
        name: The point's name.
    """
    if os.environ.get(REHEARSAL) != "1":
        return
    if os.environ.get(PAUSE_AT) == name:
        os.kill(os.getpid(), signal.SIGSTOP)
    if os.environ.get(CRASH_AT) == name:
        os.kill(os.getpid(), signal.SIGKILL)


def points(acting_steps: Iterable[str]) -> list[str]:
    """Every point of an undisturbed run.

    Args:
        acting_steps: Names of the steps that have an action, in order.
    """
    names = ["lease", *acting_steps, "finish"]
    return [f"{name}:{side}" for name in names for side in ("before", "after")]
