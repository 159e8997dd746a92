"""Waiting for what comes, by what a look shows, never by a time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from organismctl.errors import OrganismError

T = TypeVar("T")
PATIENCE_S = 90.0
"""How long a condition may take on a busy machine: a run that passes does not wait so long."""


def wait_for(what: str, look: Callable[[], T | None], timeout: float = PATIENCE_S) -> T:
    """Wait until ``look`` gives something true; faults of nodes that are away count as nothing."""
    end = time.monotonic() + timeout
    why = ""
    while time.monotonic() < end:
        try:
            found = look()
            if found:
                return found
        except OrganismError as exc:
            why = exc.message
        time.sleep(0.03)
    raise AssertionError(f"not in {timeout} s: {what} ({why})")


def wait_until_holds(
    what: str, look: Callable[[], T], judge: Callable[[T], object], timeout: float = PATIENCE_S
) -> T:
    """Look again until all holds that ``judge`` asserts of one look; gives that look.

    What a look itself asserts fails at once; faults of nodes that are away count as nothing. The last thing that did
    not hold is the cause of the failure.
    """
    end = time.monotonic() + timeout
    while True:
        failed: Exception
        try:
            found = look()
            try:
                judge(found)
            except (AssertionError, LookupError, TypeError) as exc:  # or what it judges is not there yet
                failed = exc
            else:
                return found
        except OrganismError as exc:
            failed = exc
        if time.monotonic() >= end:
            raise AssertionError(f"not in {timeout} s: {what}") from failed
        time.sleep(0.03)
