"""Check ``identity``: each spanned member's published card against what organism.toml pins of it.

What moved here makes our own fingerprint stale before any integrator notices; the rows say which of our
identities has to follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.consequence import CONSEQUENCES
from organismctl.check.contradiction import contradiction_rows, marked_surfaces
from organismctl.check.finding import Finding, Place, SourceRef, Status
from organismctl.check.identity_wire import span_wire_rows
from organismctl.check.values import hex_id, items, short, source, table, text

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json, SpannedMember
    from organismctl.identity.validator import TdxCriteria, TdxValidator
    from organismctl.observe.snapshot import Fact

_REGISTERS = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")


def check_identity(scope: Scope) -> list[Finding]:
    """A row per spanned member and question: by its card, and by the wire where deployment.toml leads there."""
    marked = marked_surfaces(scope)
    return [
        row
        for index, member in enumerate(scope.organism.config.span)
        for row in (
            *_member(scope, index, member, marked.get(member.name, ())),
            *span_wire_rows(scope, scope.wire, member),
        )
    ]


def _member(scope: Scope, index: int, member: SpannedMember, marked: Sequence[str]) -> Iterator[Finding]:
    """Every card that there is of it: its own, and what an Atlas holds; of equal rows the worse one stays."""
    facts = scope.snapshot.all("span.card", member.name)
    for fact in facts or (None,):
        yield from _card(scope, index, member, fact)
    yield from contradiction_rows(scope, member, [fact for fact in facts if fact.seen], marked)


def _card(scope: Scope, index: int, member: SpannedMember, fact: Fact | None) -> Iterator[Finding]:
    refs = source(fact)
    if fact is None or not fact.seen:
        reason = fact.reason if fact is not None else "no deployment.toml is here: it names the cards"
        code, status = (
            ("ANSWER-MALFORMED" if fact and fact.cause == "malformed" else "SPAN-CARD"),
            Status.UNKNOWN,
        )
        yield finding(code, status, member.name, reason or "it was not seen", sources=refs)
        return
    if not isinstance(fact.value, dict):
        yield finding("ANSWER-MALFORMED", None, member.name, "its card is no JSON object", sources=refs)
        return
    card = fact.value
    yield finding("SPAN-CARD", Status.OK, member.name, f"its card was read ({fact.source})", sources=refs)
    yield _retired(member, card, refs)
    yield _stable_id(scope, index, member, card, refs)
    yield _content(scope, index, member, card, refs)
    yield from _issuers(member, card, refs)
    yield from _measurements(member, card, refs)


def _place(scope: Scope, key: str) -> Place:
    return Place(scope.organism.file, scope.organism.line(key))


def _retired(member: SpannedMember, card: dict[str, Json], refs: tuple[SourceRef, ...]) -> Finding:
    if "retired" not in card:
        summary = "its card does not say whether it has retired"
        return finding("SPAN-RETIRED", Status.UNKNOWN, member.name, summary, sources=refs)
    marker = card["retired"]
    if marker is None:
        return finding("SPAN-RETIRED", Status.OK, member.name, "no retirement marker", sources=refs)
    told = table(marker)
    at, replacement = told.get("effective_at"), told.get("replacement")
    since = f" at {at}" if isinstance(at, str | int) else ""
    next_one = f"; replaced by {replacement}" if isinstance(replacement, str) else "; no replacement is named"
    then = CONSEQUENCES["SPAN-RETIRED"]
    values: dict[str, Json] = {"marker": marker, **then.values()}
    summary = f"it retired{since}{next_one}: {then.sentence}"
    return finding("SPAN-RETIRED", Status.BAD, member.name, summary, values=values, sources=refs)


def _stable_id(
    scope: Scope, index: int, member: SpannedMember, card: dict[str, Json], refs: tuple[SourceRef, ...]
) -> Finding:
    pinned, found = member.stable_id.hex(), hex_id(card.get("stable_id"))
    values: dict[str, Json] = {"stable_id": found}
    limits: dict[str, Json] = {"stable_id": pinned}
    if found is None:
        return finding("SPAN-MOVED", Status.UNKNOWN, member.name, "its card gives no stable id in 64 hex",
                       limits=limits, sources=refs)  # fmt: skip
    if found == pinned:
        return finding("SPAN-MOVED", Status.OK, member.name, f"stable id {short(found)} as spanned",
                       values=values, limits=limits, sources=refs)  # fmt: skip
    then = CONSEQUENCES["SPAN-MOVED"]
    summary = f"spanned as {short(pinned)}, it publishes {short(found)}: {then.sentence}"
    return finding("SPAN-MOVED", Status.BAD, member.name, summary, values={**values, **then.values()}, limits=limits,
                   sources=refs, place=_place(scope, f"span[{index}].stable_id"))  # fmt: skip


def _content(
    scope: Scope, index: int, member: SpannedMember, card: dict[str, Json], refs: tuple[SourceRef, ...]
) -> Finding:
    found = hex_id(card.get("content_hash"))
    pinned = member.content_hash.hex() if member.content_hash is not None else None
    values: dict[str, Json] = {"content_hash": found}
    limits: dict[str, Json] = {"content_hash": pinned}
    if pinned is None:
        shown = f"; it publishes {short(found)}" if found else ""
        return finding("SPAN-CONTENT", Status.OK, member.name, f"not pinned{shown}", values=values,
                       limits=limits, sources=refs)  # fmt: skip
    if found is None:
        return finding("SPAN-CONTENT", Status.UNKNOWN, member.name, "pinned, but its card gives no content hash",
                       values=values, limits=limits, sources=refs)  # fmt: skip
    if found == pinned:
        return finding("SPAN-CONTENT", Status.OK, member.name, f"content hash {short(found)} as pinned",
                       values=values, limits=limits, sources=refs)  # fmt: skip
    then = CONSEQUENCES["SPAN-CONTENT"]
    summary = f"pinned at {short(pinned)}, it publishes {short(found)}: {then.sentence}"
    return finding("SPAN-CONTENT", Status.BAD, member.name, summary, values={**values, **then.values()}, limits=limits,
                   sources=refs, place=_place(scope, f"span[{index}].content_hash"))  # fmt: skip


def _issuers(member: SpannedMember, card: dict[str, Json], refs: tuple[SourceRef, ...]) -> Iterator[Finding]:
    """The issuance root: a list of validator signatures, or of the fingerprints of single keys."""
    raw = card.get("issuance_root")
    listed = raw if isinstance(raw, list) else [raw] if isinstance(raw, str) else None
    root = None if listed is None else [found for one in listed if (found := hex_id(one)) is not None]
    values: dict[str, Json] = {"issuance_root": [*(root or [])]}
    if not member.issuers:
        if root:
            yield finding("SPAN-ISSUER", Status.BAD, member.name, "it demands tickets, organism.toml names no issuer",
                          values=values, sources=refs)  # fmt: skip
        return
    if root is None or len(root) != len(listed or ()):
        yield finding("SPAN-ISSUER", Status.UNKNOWN, member.name, "its card gives no issuance root in 64 hex",
                      values=values, sources=refs)  # fmt: skip
        return
    yield _root(member, set(root), values, refs)


def _root(
    member: SpannedMember, root: set[str], values: dict[str, Json], refs: tuple[SourceRef, ...]
) -> Finding:
    current = [one.validator for one in member.issuers if one.state == "current"]
    coming = [one.validator for one in member.issuers if one.state == "next"]
    limits: dict[str, Json] = {
        "current": [one.signature().hex() for one in current],
        "next": [one.signature().hex() for one in coming],
    }
    lost = [one for one in current if not _names_of(one) & root]
    known = set().union(*(_names_of(one) for one in (*current, *coming)))
    over = [one for one in coming if _names_of(one) & root]
    if lost and over:
        status, summary = (
            Status.BAD,
            "the next issuer has taken over: it is to become `current` in organism.toml",
        )
    elif lost:
        status, summary = Status.BAD, f"it admits by a root that is not ours: {_short(root)}"
        if not root:
            summary = "it names no issuer any more"
    elif root - known:
        status = Status.WARN
        summary = f"it also admits by a root unknown to organism.toml: {_short(root - known)}"
    else:
        status, summary = Status.OK, "its issuance root is the one that organism.toml names"
    if status is Status.BAD:
        then = CONSEQUENCES["SPAN-ISSUER"]
        summary = f"{summary}; {then.sentence}"
        values = {**values, **then.values(), "cut_over": bool(lost and over)}
    return finding("SPAN-ISSUER", status, member.name, summary, values=values, limits=limits, sources=refs)


def _short(ids: set[str]) -> str:
    return ", ".join(short(one) for one in sorted(ids))


def _names_of(validator: object) -> set[str]:
    """How a card may name an issuer: the validator's signature, or each key's fingerprint."""
    from organismctl.identity.validator import JwtValidator, TdxValidator

    if isinstance(validator, JwtValidator):
        return {validator.signature().hex(), *(key.key_id().hex() for key in validator.keys)}
    return {validator.signature().hex()} if isinstance(validator, TdxValidator) else set()


def _measurements(
    member: SpannedMember, card: dict[str, Json], refs: tuple[SourceRef, ...]
) -> Iterator[Finding]:
    """The TDX measurements that it publishes against those that organism.toml expects; hardware is not proven."""
    from organismctl.identity.validator import TdxValidator

    tdx = [one.validator for one in member.issuers if isinstance(one.validator, TdxValidator)]
    if not tdx:
        return
    published = [table(one) for one in items(card.get("measurements"))]
    values: dict[str, Json] = {"measurements": [dict(one) for one in published]}
    if not published:
        yield finding("SPAN-MEASUREMENTS", Status.UNKNOWN, member.name, "its card gives no measurements",
                      sources=refs)  # fmt: skip
        return
    strange = [one for one in published if not any(_matches(validator, one) for validator in tdx)]
    status = Status.BAD if strange else Status.OK
    then = CONSEQUENCES["SPAN-MEASUREMENTS"]
    summary = (
        f"{len(strange)} of {len(published)} published measurements match none expected; {then.sentence}"
    )
    values |= then.values() if strange else {}
    yield finding("SPAN-MEASUREMENTS", status, member.name, summary if strange else "measurements match",
                  values=values, sources=refs)  # fmt: skip


def _matches(validator: TdxValidator, published: object) -> bool:
    told = table(published)
    fits = _fits(validator.baseline, told)
    return fits and (not validator.variants or any(_fits(one, told) for one in validator.variants))


def _fits(criteria: TdxCriteria, told: object) -> bool:
    row = table(told)
    for name in _REGISTERS:
        wanted = criteria.get(name)
        if wanted is not None and (text(row.get(name)) or "").lower() != wanted.hex():
            return False
    return True
