"""Snapshots on disk: keep a look at the world, judge it elsewhere.

A snapshot holds ticket bytes when ticket files or the wire were looked at: without them nobody could verify a signature
elsewhere. So such a file says ``"holds_tickets": true`` and every snapshot file is written with mode 0600;
:func:`without_tickets` is the form that may be shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.errors import InputError, Problem
from organismctl.observe.snapshot import CAUSES, DEFECT, SNAPSHOT_SCHEMA, Fact, Snapshot

if TYPE_CHECKING:
    from organismctl.identity.config import Json

MAX_SNAPSHOT = 256 << 20
MODE = 0o600


def holds_tickets(snapshot: Snapshot) -> bool:
    """Whether a snapshot holds ticket bytes."""
    return any(_bare(fact) is not fact for fact in snapshot.facts)


def without_tickets(snapshot: Snapshot) -> Snapshot:
    """The same look without any ticket's bytes; what then cannot be judged is unknown."""
    return Snapshot(snapshot.taken_ms, tuple(_bare(fact) for fact in snapshot.facts))


def _bare(fact: Fact) -> Fact:
    """The fact without ticket bytes; the same one when it holds none."""
    if fact.kind == "wire.peer":
        return _bare_peer(fact)
    if fact.kind != "ticket.file" or not isinstance(fact.value, dict) or "data" not in fact.value:
        return fact
    value = {key: one for key, one in fact.value.items() if key != "data"}
    return replace(fact, value={**value, "withheld": True})


def _bare_peer(fact: Fact) -> Fact:
    """A peer's entry carries its tickets; they are public on the wire, and all the same shown nowhere."""
    told = fact.value.get("tickets") if isinstance(fact.value, dict) else None
    if not isinstance(fact.value, dict) or not isinstance(told, list):
        return fact
    if not any(isinstance(one, dict) and "data" in one for one in told):
        return fact
    bare: list[Json] = [
        {key: value for key, value in one.items() if key != "data"} if isinstance(one, dict) else None
        for one in told
    ]
    return replace(fact, value={**fact.value, "tickets": bare})


def as_json(snapshot: Snapshot, organism: Mapping[str, Json]) -> dict[str, Any]:
    """The JSON form.

    Args:
        snapshot: The look.
        organism: Name, fingerprint and group id of whom it is about.
    """
    return {
        "schema": SNAPSHOT_SCHEMA,
        "organism": dict(organism),
        "taken_ms": snapshot.taken_ms,
        "holds_tickets": holds_tickets(snapshot),
        "facts": [_fact_json(fact) for fact in snapshot.facts],
    }


def _fact_json(fact: Fact) -> dict[str, Any]:
    return {
        "kind": fact.kind,
        "subject": fact.subject,
        "source": fact.source,
        "seen_ms": fact.seen_ms,
        "took_ms": fact.took_ms,
        "reason": fact.reason,
        "cause": fact.cause,
        "value": fact.value,
    }


def save_snapshot(path: Path, snapshot: Snapshot, organism: Mapping[str, Json]) -> None:
    """Write a snapshot with mode 0600, whole or not at all.

    Raises:
        PathError: The system refused.
    """
    from organismctl.files.atomic import write_atomic

    text = json.dumps(as_json(snapshot, organism), ensure_ascii=False, separators=(",", ":")) + "\n"
    write_atomic(path, text.encode("utf-8", "backslashreplace"), mode=MODE)


def load_snapshot(path: Path) -> tuple[Snapshot, dict[str, Any]]:
    """Read a snapshot file.

    Returns:
        The look, and the organism that it was about.

    Raises:
        PathError: The system refused.
        InputError: It is no snapshot file of this schema.
    """
    from organismctl.files.atomic import read_bounded

    raw = read_bounded(path, MAX_SNAPSHOT)
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise InputError(
            f"{path} is not JSON", advice="name a file that `organismctl observe -o FILE` wrote"
        ) from exc
    problems: list[Problem] = []
    snapshot = parse_snapshot(value, str(path), problems)
    if problems:
        raise InputError(f"{path} is no snapshot of this tool", problems, advice="observe again")
    organism = value.get("organism")
    return snapshot, organism if isinstance(organism, dict) else {}


def parse_snapshot(value: object, file: str, problems: list[Problem]) -> Snapshot:
    """The snapshot in a JSON value; every fault is added to ``problems``."""

    def problem(key: str, found: object, allowed: str) -> None:
        shown = None if found is None else json.dumps(found)[:60]
        problems.append(Problem(file, None, key, shown, allowed))

    if not isinstance(value, dict):
        problem("", type(value).__name__, "a JSON object")
        return Snapshot(0, ())
    if value.get("schema") != SNAPSHOT_SCHEMA:
        problem("schema", value.get("schema"), str(SNAPSHOT_SCHEMA))
        return Snapshot(0, ())
    taken = value.get("taken_ms")
    if not _whole(taken):
        problem("taken_ms", taken, "Unix milliseconds")
        taken = 0
    facts = value.get("facts")
    if not isinstance(facts, list):
        problem("facts", type(facts).__name__, "a list of facts")
        facts = []
    made = []
    for index, one in enumerate(facts):
        fact = _fact(one)
        if isinstance(fact, str):
            problem(f"facts[{index}]", fact, "kind, subject, source, and a value or a reason")
            if len(problems) > 20:
                break
        else:
            made.append(fact)
    return Snapshot(taken if isinstance(taken, int) else 0, tuple(made))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _fact(one: object) -> Fact | str:
    """A fact, or what is wrong with it."""
    if not isinstance(one, dict):
        return "no object"
    kind, subject, source, reason, cause = (
        one.get(key) for key in ("kind", "subject", "source", "reason", "cause")
    )
    for name, text in (("kind", kind), ("subject", subject), ("source", source)):
        if not isinstance(text, str):
            return f"{name} is no text"
    for name in ("seen_ms", "took_ms"):
        if one.get(name) is not None and not _whole(one[name]):
            return f"{name} is no whole number"
    if reason is not None and not isinstance(reason, str):
        return "reason is no text"
    if reason is not None and one.get("value") is not None:
        return "a value and a reason"
    if reason is None and one.get("seen_ms") is None:
        return "seen without a time"
    if reason is not None and cause not in CAUSES:
        cause = DEFECT
    return Fact(
        str(kind), str(subject), one.get("value"), str(source), one.get("seen_ms"), reason, one.get("took_ms"),
        cause if reason is not None else None,
    )  # fmt: skip
