"""After a scenario: what was acknowledged and is not there, and where ledgers differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.hosts.fleet import Fleet
from tests.hosts.load import Record
from tests.support.committee import wait_for

PAGE = 1000
Entry: TypeAlias = "tuple[str, str]"
"""The chain's digest, and the request id (empty without one)."""


@dataclass(frozen=True)
class Verdict:
    """The end of a scenario.

    Attributes:
        height: The height at which all nodes were compared.
        acknowledged: How many writes the clients hold an acknowledgement of.
        lost: How many of them are missing on one node or more.
        diverged: How many heights hold different entries, or states, on different nodes.
    """

    height: int
    acknowledged: int
    lost: int
    diverged: int


def judge(fleet: Fleet, record: Record, *names: str, timeout: float = 120.0) -> Verdict:
    """Wait until every node has certified and applied all that was acknowledged; then compare every entry."""
    chosen = list(names or [name for name in fleet.names if fleet.runs(name)])
    want = max((ack.height for ack in record.acks), default=0)

    def look() -> int | None:
        height = min(fleet.status(name)["ledger"]["applied"] for name in chosen)
        return height if height >= want else None

    height = wait_for(f"{chosen} have height {want}", look, timeout)
    lost, diverged = compare([_ledger(fleet, name, height) for name in chosen], record, height)
    return Verdict(height, len(record.acks), lost, diverged + _states(fleet, chosen))


def compare(ledgers: Sequence[Mapping[int, Entry]], record: Record, height: int) -> tuple[int, int]:
    """How many acknowledged writes some ledger lacks at their height; at how many heights ledgers differ."""
    nothing = ("", "")
    lost = sum(
        any(ledger.get(ack.height, nothing)[1] != ack.request_id for ledger in ledgers) for ack in record.acks
    )
    differ = sum(len({ledger.get(at, nothing)[0] for ledger in ledgers}) > 1 for at in range(height + 1))
    return lost, differ


def _ledger(fleet: Fleet, name: str, height: int) -> dict[int, Entry]:
    """Its entries from 0 to ``height``."""
    found: dict[int, Entry] = {}
    with fleet.client(name, "read", timeout=15.0) as client:
        while len(found) <= height:
            page = client.log(len(found), min(PAGE, height + 1 - len(found)))
            assert page.entries, f"{name} has no entry {len(found)}"
            for entry in page.entries:
                request: Any = entry.command.get("request_id")
                found[entry.height] = (entry.digest.hex(), request or "")
    return found


def _states(fleet: Fleet, names: list[str]) -> int:
    """1 when the nodes' states differ at a height that all of them have just now."""

    def look() -> set[bytes] | None:
        for height in fleet.common_heights(names):
            states: set[bytes | None] = set()
            for name in names:
                with fleet.client(name, "read") as client:
                    states.add(client.log_digest(height).state_digest)
            if None not in states:
                return {one for one in states if one is not None}
        return None

    return int(len(wait_for(f"{names} tell their states", look)) > 1)
