"""A plan: what a change will do, bound by a hash to what was seen when it was made.

``hash = blake3(RFC 8785 of the plan without "hash")``; it covers ``snapshot``, the digest over ``facts``, so
neither the steps nor what they rest on can be changed without making another plan. Whoever applies a plan
observes the facts anew; where one moved, the plan is stale and refused.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import canonical, digest, iso, parse_iso, parse_object
from organismctl.change.errors import PlanError, StalePlanError
from organismctl.change.step import Step

if TYPE_CHECKING:
    from organismctl.identity.config import Json

SCHEMA = 1
MAX_PLAN = 1 << 20


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as the plan tells it; ``undo`` is ``None`` or the sentence why there is none."""

    name: str
    title: str
    acts: bool
    deadline_s: int
    may_park: bool
    leased: bool
    undo: str | None
    point_of_no_return: bool

    @classmethod
    def of(cls, step: Step) -> PlannedStep:
        """The plan's view of a procedure's step."""
        return cls(
            step.name,
            step.title,
            step.act is not None,
            round(step.deadline_s),
            step.may_park,
            step.leased,
            step.no_undo,
            step.point_of_no_return,
        )


@dataclass(frozen=True, slots=True)
class Moves:
    """What the change moves: both identities, and integrators (``none``, ``rebind``, ``rebuild``)."""

    fingerprint: str = "none"
    group_id: str = "none"
    integrators: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A change before it is one.

    Attributes:
        id: The change's id: UTC time, procedure, random tail.
        procedure: ``rotate member``, ``retire``, …
        organism: Name of the organism: what prompts name.
        what: One sentence: what it will do.
        why: Why, in the operator's words; may be empty.
        operator: Who made it.
        created_ms: Unix ms.
        parameters: What the procedure was called with, JSON-ready.
        moves: What it moves.
        findings: The findings that allow it: code, status, subject, summary each.
        facts: The facts that it rests on.
        steps: The steps in order.
        notes: What a person should read before agreeing (a fallback, a risk).
    """

    id: str
    procedure: str
    organism: str
    what: str
    why: str
    operator: str
    created_ms: int
    parameters: Mapping[str, Json]
    moves: Moves
    findings: Sequence[Mapping[str, Json]] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    steps: tuple[PlannedStep, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def snapshot(self) -> str:
        """Digest over the facts, 64 hex."""
        return digest(canonical(dict(self.facts)))

    @property
    def hash(self) -> str:
        """Hash over everything, 64 hex; the journal's first line names it."""
        return digest(canonical(self._body()))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, complete, with ``snapshot`` and ``hash``."""
        return {**self._body(), "hash": self.hash}

    def text(self) -> bytes:
        """The bytes of ``plan.json``: canonical, a newline at the end."""
        return canonical(self.as_json()) + b"\n"

    def _body(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "id": self.id,
            "procedure": self.procedure,
            "organism": self.organism,
            "what": self.what,
            "why": self.why,
            "operator": self.operator,
            "created": iso(self.created_ms),
            "parameters": dict(self.parameters),
            "moves": {
                "fingerprint": self.moves.fingerprint,
                "group_id": self.moves.group_id,
                "integrators": self.moves.integrators,
            },
            "findings": [dict(item) for item in self.findings],
            "facts": dict(self.facts),
            "snapshot": self.snapshot,
            "steps": [
                {
                    "name": step.name,
                    "title": step.title,
                    "acts": step.acts,
                    "deadline_s": step.deadline_s,
                    "may_park": step.may_park,
                    "leased": step.leased,
                    "no_undo": step.undo,
                    "point_of_no_return": step.point_of_no_return,
                }
                for step in self.steps
            ],
            "notes": list(self.notes),
        }

    def check_fresh(self, now: Mapping[str, Json]) -> None:
        """Compare the plan's facts with what stands now.

        Raises:
            StalePlanError: With a line for each fact that moved.
        """
        keys = sorted({*self.facts, *now})
        moved = [
            f"{key}: was {_short(self.facts.get(key))}, now {_short(now.get(key))}"
            for key in keys
            if self.facts.get(key) != now.get(key)
        ]
        if moved:
            raise StalePlanError(moved)


def new_id(procedure: str, now_ms: int) -> str:
    """``20261124T085836Z-rotate-member-7f3a1c``: sortable, unique."""
    stamp = iso(now_ms)[:19].replace("-", "").replace(":", "")
    return f"{stamp}Z-{procedure.replace(' ', '-')}-{secrets.token_hex(3)}"


def parse_plan(raw: bytes | str, origin: Path | str) -> Plan:
    """Read a plan from untrusted bytes and check its hash.

    Args:
        raw: Text of ``plan.json``.
        origin: The file, for messages.

    Raises:
        PlanError: When it is malformed, or was edited.
    """
    if len(raw) > MAX_PLAN:
        raise PlanError(f"{origin}: longer than any plan")
    try:
        value = parse_object(raw)
        plan = _from_json(value)
        fits = canonical(plan.as_json()) == canonical(value)
    except PlanError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise PlanError(f"{origin}: not a plan ({type(exc).__name__}: {exc})"[:300]) from exc
    if not fits:
        raise PlanError(
            f"{origin}: the plan was edited: its content does not give its hash",
            advice="a plan is made by --plan-out and applied as it is; make a new one",
        )
    return plan


def read_plan(path: Path) -> Plan:
    """Read and check a plan file.

    Raises:
        PlanError: When it cannot be read, is malformed, or was edited.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise PlanError(f"{path}: cannot be read: {exc.strerror}") from exc
    return parse_plan(raw, path)


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan atomically and durably (temporary file, fsync, rename).

    Raises:
        PlanError: When it cannot be written.
    """
    from organismctl.change.journal import fsync_folder

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(plan.text())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise PlanError(
            f"{path}: the plan cannot be written ({exc.strerror}); nothing was begun",
            advice="make room or make the folder writable",
        ) from exc


def _from_json(value: dict[str, Any]) -> Plan:
    if value.get("schema") != SCHEMA:
        raise PlanError(f"a plan of schema {value.get('schema')!r}; this version reads {SCHEMA}")
    moves = value["moves"]
    return Plan(
        id=_text(value, "id"),
        procedure=_text(value, "procedure"),
        organism=_text(value, "organism"),
        what=_text(value, "what"),
        why=_text(value, "why"),
        operator=_text(value, "operator"),
        created_ms=parse_iso(_text(value, "created")),
        parameters=dict(value["parameters"]),
        moves=Moves(_text(moves, "fingerprint"), _text(moves, "group_id"), _text(moves, "integrators")),
        findings=tuple(dict(item) for item in value["findings"]),
        facts=dict(value["facts"]),
        steps=tuple(
            PlannedStep(
                _text(item, "name"),
                _text(item, "title"),
                bool(item["acts"]),
                int(item["deadline_s"]),
                bool(item["may_park"]),
                bool(item["leased"]),
                None if item["no_undo"] is None else _text(item, "no_undo"),
                bool(item["point_of_no_return"]),
            )
            for item in value["steps"]
        ),
        notes=tuple(str(note) for note in value["notes"]),
    )


def _text(value: Mapping[str, Any], key: str) -> str:
    item = value[key]
    if not isinstance(item, str):
        raise TypeError(f"{key} is not text")
    return item


def _short(value: Json) -> str:
    text = "absent" if value is None else canonical(value).decode()
    return text if len(text) <= 60 else text[:57] + "…"
