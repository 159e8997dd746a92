"""What a runbook consists of, as plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SEVERITIES = ("page", "ticket", "planned")
"""Somebody acts now; on a working day; when it was planned."""
PROOF, ESCALATION = "How to know that it worked", "When to escalate"
"""Titles of the sections that every runbook has."""
PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)\}")
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""A runbook's name: its file's, without the suffix."""


class Kind(StrEnum):
    """What a block is."""

    PROSE = "prose"
    PROBE = "probe"
    RUN = "run"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a section.

    Attributes:
        kind: What it is.
        text: Its lines as they stand in the file, fences included.
        line: Its first line in the file, from 1.
        commands: ``(line number, command line)`` of a probe or run block.
        patience_ms: A probe is repeated until it is well or its section's condition is gone, so long at most; 0: it is
            done once.
        code: A run block's placeholders stand for what findings of this code are about, those of its section alone;
            without any the block is passed over. ``None``: for all that its section applies by.
    """

    kind: Kind
    text: str
    line: int
    commands: tuple[tuple[int, str], ...] = ()
    patience_ms: int = 0
    code: str | None = None

    def placeholders(self) -> tuple[str, ...]:
        """Names of what has to be filled in, in order, each once."""
        return tuple(dict.fromkeys(PLACEHOLDER.findall("\n".join(text for _, text in self.commands))))


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on the findings.

    Attributes:
        code: A finding's code.
        statuses: Verdicts that count.
        absent: Whether there must be none.
        key: A key of the finding's values (or ``subject``, ``node``, ``span``) that must hold, or ``None``.
        value: What it must be; ``None``: anything but nothing.
    """

    code: str
    statuses: tuple[str, ...] = ("bad",)
    absent: bool = False
    key: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """When a section applies: any of the alternatives, each of which needs all of its terms.

    Attributes:
        alternatives: At least one, unless it is ``otherwise`` or ``after`` another.
        otherwise: It applies when no section with a condition did.
        after: The title of an earlier section: it applies when that one did and was done to its end, by the
            findings of then.
        line: Where it stands.
        text: As it is written, for people.
    """

    alternatives: tuple[tuple[Term, ...], ...]
    otherwise: bool
    line: int
    text: str
    after: str | None = None

    def codes(self) -> tuple[str, ...]:
        """Every code that it names."""
        return tuple(dict.fromkeys(term.code for one in self.alternatives for term in one))


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a runbook under one heading.

    Attributes:
        title: The heading; empty for what stands before the first one.
        line: Where it stands.
        when: Its condition; ``None``: it always applies.
        blocks: What it holds, without its heading and condition.
        heading: The heading's line as it is.
    """

    title: str
    line: int
    when: When | None
    blocks: tuple[Block, ...]
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Front:
    """What the front matter says.

    Attributes:
        title: A few words.
        codes: Finding codes that it answers.
        severity: One of :data:`SEVERITIES`.
        roles: Who runs it.
        takes: How long it takes, in words.
        lines: Key to its line in the file.
    """

    title: str
    codes: tuple[str, ...]
    severity: str
    roles: tuple[str, ...]
    takes: str
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runbook:
    """A whole runbook.

    Attributes:
        name: Its file's name without the suffix.
        file: The file as it is named to people.
        front: Its front matter.
        sections: The first holds what stands before the first heading of the second level.
        text: The file's text.
    """

    name: str
    file: str
    front: Front
    sections: tuple[Section, ...]
    text: str = field(repr=False)

    def condition(self, section: Section) -> When | None:
        """The condition by whose findings a section applies: its own, or that of the section which it goes after."""
        if section.when is None or section.when.after is None:
            return section.when
        return self.sections[self.number(section.when.after)].when

    def number(self, title: str) -> int:
        """The place of the section of a title, which is there."""
        return [section.title for section in self.sections].index(title)

    def blocks(self, *kinds: Kind) -> Iterator[tuple[Section, Block]]:
        """Every block of some kinds, with its section."""
        for section in self.sections:
            for block in section.blocks:
                if block.kind in kinds:
                    yield section, block
