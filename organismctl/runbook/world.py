"""What a runbook knows of the organism it is run for: names, contacts, and what placeholders stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from organismctl.check.finding import Finding
from organismctl.runbook.model import PLACEHOLDER

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment

SAMPLES: Mapping[str, str] = {
    "node": "node-a",
    "span": "acme-mainnet",
    "spare": "node-d",
    "organism": "acme.settlement",
    "deployment": "deployment.toml",
    "contact": "ops@acme-mainnet.example",
    "coalition": "coalition@example.example",
    "escalate": "oncall@acme.example",
    "bundle": "bundle.json",
    "reason": "a reason",
    "out": "node-a",
    "lifetime": "30d",
    "effective_at": "2030-01-01T00:00Z",
    "file": "seen.json",
    "announcement": "7",
}
"""Every placeholder that there is, with a value that proves a command line."""
_GROUPED = ("identities", "digests", "state_digests", "versions")
_LISTED = ("odd", "missing")


@dataclass(frozen=True, slots=True)
class World:
    """The organism of a run.

    Attributes:
        organism: Its name.
        deployment: The deployment file, or empty where there is none.
        nodes: Names of all nodes of the file.
        spares: Those that are not wished on the roster.
        contacts: Spanned member to its contact; empty where the file names none.
        coalitions: ``NAME: CONTACT`` of each coalition.
        escalate: Whom to turn to on our own side, by the file; empty where it names nobody.
        operator: Who runs it.
    """

    organism: str = ""
    deployment: str = ""
    nodes: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()
    contacts: Mapping[str, str] = field(default_factory=dict)
    coalitions: tuple[str, ...] = ()
    escalate: str = ""
    operator: str = ""

    def nodes_in(self, subject: str) -> tuple[str, ...]:
        """Our nodes that a finding's subject names."""
        return tuple(name for name in self.nodes if name in _words(subject))

    def spans_in(self, subject: str) -> tuple[str, ...]:
        """Spanned members that a finding's subject names."""
        return tuple(name for name in self.contacts if name in _words(subject))


def world_of(organism: str, deployment: Deployment | None, spans: Sequence[str]) -> World:
    """The world of an organism's files.

    Args:
        organism: Its name.
        deployment: Our side, or ``None``.
        spans: Names of its spanned members.
    """
    if deployment is None:
        return World(organism, contacts=dict.fromkeys(spans, ""))
    sides = {side.name: side.contact or "" for side in deployment.spans}
    return World(
        organism=organism,
        deployment=str(deployment.path),
        nodes=tuple(node.name for node in deployment.nodes),
        spares=tuple(node.name for node in deployment.nodes if not node.roster),
        contacts={name: sides.get(name, "") for name in spans},
        coalitions=tuple(f"{one.name}: {one.contact}" for one in deployment.coalitions if one.contact),
        escalate=deployment.runbooks.escalate or "",
        operator=deployment.operator,
    )


Binding = tuple[tuple[str, str], ...]
"""Placeholder to value, for one turn of a block."""


def bindings(
    names: Sequence[str], findings: Sequence[Finding], given: Mapping[str, str], world: World
) -> list[Binding]:
    """What a block's placeholders stand for: one turn for each node or pair that the findings name.

    Args:
        names: The block's placeholders.
        findings: Those by which its section applies.
        given: What a person gave; it goes before everything else.
        world: The organism.

    Returns:
        At least one turn; what nobody knows is left out of it.
    """
    fixed = {"organism": world.organism, "deployment": world.deployment, **given}
    turns: dict[Binding, None] = {}
    spares: dict[str, str] = {}
    for row in findings:
        for node in nodes_of(row, world) or ("",):
            spare = spares.setdefault(node, _spare(world, len(spares)))
            for span in world.spans_in(row.subject) or ("",):
                turns[_bound(names, {"node": node, "span": span, "spare": spare, **fixed})] = None
    found = list(turns) or [_bound(names, {"spare": _spare(world, 0), **fixed})]
    most = max(len(turn) for turn in found)
    return [turn for turn in found if len(turn) == most]


def _spare(world: World, number: int) -> str:
    """Each node that is replaced has a spare of its own."""
    return world.spares[number] if number < len(world.spares) else ""


def _bound(names: Sequence[str], known: Mapping[str, str]) -> Binding:
    return tuple((name, known[name]) for name in names if known.get(name))


def nodes_of(row: Finding, world: World) -> tuple[str, ...]:
    """The nodes that a finding is about: in its subject, else those that are not like the most."""
    if found := world.nodes_in(row.subject):
        return found
    for key in _LISTED:
        value = row.values.get(key)
        if isinstance(value, list) and value:
            return tuple(name for name in world.nodes if name in value)
    for key in _GROUPED:
        value = row.values.get(key)
        if isinstance(value, dict):
            return _minority([part for part in value.values() if isinstance(part, list)], world)
    return ()


def _minority(groups: Sequence[Sequence[object]], world: World) -> tuple[str, ...]:
    """Everybody outside the one group that holds more than all others; nobody when there is none."""
    total = sum(len(group) for group in groups)
    most = max(groups, key=len, default=())
    if 2 * len(most) <= total:
        return ()
    return tuple(name for name in world.nodes if name not in most and any(name in group for group in groups))


def fill(text: str, binding: Binding) -> str:
    """Fill what is known into one word of a command line, or into a text."""
    known = dict(binding)
    return PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), text)


def fill_prose(text: str, findings: Sequence[Finding], given: Mapping[str, str], world: World) -> str:
    """A text for people, with names and contacts of those whom the findings are about.

    Args:
        text: Markdown.
        findings: Those by which its section applies; with none, everybody counts.
        given: What a person gave.
        world: The organism.
    """
    spans = [name for row in findings for name in world.spans_in(row.subject)] or list(world.contacts)
    nodes = [name for row in findings for name in nodes_of(row, world)]
    told = [
        world.contacts[span] or f"the operator of {span} (deployment.toml names no contact)"
        for span in dict.fromkeys(spans)
    ]
    known = {
        "organism": world.organism,
        "deployment": world.deployment,
        "contact": ", ".join(dict.fromkeys(told)) or "the spanned member's operator",
        "coalition": ", ".join(world.coalitions) or "no coalition (deployment.toml names none)",
        "escalate": world.escalate
        or "whoever is on call next (deployment.toml names nobody under [runbooks] escalate)",
        "node": ", ".join(dict.fromkeys(nodes)),
        "span": ", ".join(dict.fromkeys(spans)),
        "spare": _spare(world, 0),
        **given,
    }
    return PLACEHOLDER.sub(lambda found: known.get(found[1]) or found[0], text)


def _words(subject: str) -> frozenset[str]:
    """The names in a subject: ``node-a × beta / events``."""
    return frozenset(re.split(r"[\s×/,]+", subject))
