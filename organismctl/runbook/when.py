"""Conditions of sections: read, and judged by live findings.

``When: MEMBER-DARK bad and no SPAN-PRODUCER-GONE bad, or STALL-WAITING`` in words: alternatives joined by ``or``,
terms by ``and``; a term is a code, verdicts (``bad`` unless given, several with ``/``) and, in brackets, a key of the
finding's values with what it must be. ``(node)`` and ``(span)`` ask whether the subject names one of ours.
``When: otherwise`` applies when no section with a condition did. ``When: after "A title"`` applies when that earlier
section did, and was done to its end, by the findings of then: they may be gone by what it did.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.finding import Finding, Status
from organismctl.runbook.model import Term, When

if TYPE_CHECKING:
    from organismctl.runbook.world import World

OTHERWISE = "otherwise"
_AFTER = re.compile(r"after \"(?P<title>[^\"]+)\"\.?")
_TERM = re.compile(
    r"(?P<no>no )?(?P<code>[A-Z]+(?:-[A-Z]+)+)"
    r"(?: (?P<statuses>[a-z]+(?:/[a-z]+)*))?"
    r"(?: \((?P<key>[a-z][a-z_]*)(?: (?P<value>[^()]+))?\))?"
)
_STATUSES = frozenset(status.value for status in Status)


class WhenError(ValueError):
    """A condition that cannot be read; the message says what is wrong."""


def parse_when(text: str, line: int) -> When:
    """Read a condition.

    Args:
        text: What stands after ``When:``; backticks are decoration.
        line: Where it stands.

    Raises:
        WhenError: It is none.
    """
    if (found := _AFTER.fullmatch(" ".join(text.split()))) is not None:
        return When((), otherwise=False, line=line, text=found[0], after=found["title"])
    plain = " ".join(text.replace("`", "").replace(",", " ").split()).rstrip(".")
    if plain == OTHERWISE:
        return When((), otherwise=True, line=line, text=plain)
    alternatives = tuple(
        tuple(_term(term) for term in one.split(" and ")) for one in re.split(r" or ", plain) if one
    )
    if not alternatives:
        raise WhenError("nothing stands there")
    for one in alternatives:
        if all(term.absent for term in one):
            raise WhenError("an alternative needs one code that is there, not only codes that are not")
    return When(alternatives, otherwise=False, line=line, text=plain)


def _term(text: str) -> Term:
    found = _TERM.fullmatch(text.strip())
    if found is None:
        raise WhenError(
            f"{text.strip()[:60]!r} is no condition such as `CODE`, `no CODE bad/warn`, `CODE (side node)`"
        )
    statuses = tuple((found["statuses"] or Status.BAD.value).split("/"))
    if unknown := [status for status in statuses if status not in _STATUSES]:
        raise WhenError(f"{unknown[0]!r} is no verdict; there are {', '.join(sorted(_STATUSES))}")
    return Term(found["code"], statuses, bool(found["no"]), found["key"], found["value"])


@dataclass(frozen=True, slots=True)
class Applies:
    """Whether a condition holds, and by which findings."""

    holds: bool
    findings: tuple[Finding, ...] = ()


def judge(when: When, findings: Sequence[Finding], world: World) -> Applies:
    """Whether a condition holds; never for findings that a person has accepted.

    Args:
        when: The condition; ``otherwise`` and ``after`` are for the caller to judge.
        findings: What the checks say now.
        world: Whose names the subjects hold.
    """
    counted = [row for row in findings if row.accepted is None]
    kept: dict[tuple[str, str], Finding] = {}
    for alternative in when.alternatives:
        for row in _alternative(alternative, counted, world):
            kept[row.code, row.subject] = row
    return Applies(bool(kept), tuple(kept.values()))


def _alternative(terms: Sequence[Term], findings: Sequence[Finding], world: World) -> list[Finding]:
    """The findings by which all of an alternative's terms hold; none when one does not."""
    against = [row for term in terms if term.absent for row in findings if _fits(term, row, world)]
    out: list[Finding] = []
    for term in terms:
        if term.absent:
            continue
        rows = [row for row in findings if _fits(term, row, world)]
        rows = [row for row in rows if not any(_related(row, other, world) for other in against)]
        if not rows:
            return []
        out += rows
    return out


def _fits(term: Term, row: Finding, world: World) -> bool:
    if row.code != term.code or row.status.value not in term.statuses:
        return False
    if term.key is None:
        return True
    if term.key == "node":
        return bool(world.nodes_in(row.subject))
    if term.key == "span":
        return bool(world.spans_in(row.subject))
    found = row.subject if term.key == "subject" else row.values.get(term.key)
    return bool(found) if term.value is None else str(found) == term.value


def _related(one: Finding, other: Finding, world: World) -> bool:
    """Whether two findings are about the same: what only one of them names parts them not."""
    for names in (world.spans_in, world.nodes_in):
        first, second = names(one.subject), names(other.subject)
        if first and second and not set(first) & set(second):
            return False
    return True
