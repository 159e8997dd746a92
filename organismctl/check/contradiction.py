"""A spanned member's card against everything else that is known of it: a card that lies, shrinks or flaps.

A card is a claim. It is held against the other cards of the same look (an Atlas, the same URL asked again), against
what the member's own endpoints serve, and against the last item of its surfaces. Which of two is right nobody here
can say; that they differ is a fault by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.consequence import CONSEQUENCES
from organismctl.check.finding import Finding, SourceRef, Status
from organismctl.check.span_reading import surface_views
from organismctl.check.span_view import ENDPOINT
from organismctl.check.values import hex_id, items, listed, short, source, table, text

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json, SpannedMember
    from organismctl.observe.snapshot import Fact

_REGISTERS = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")


def marked_surfaces(scope: Scope) -> Mapping[str, Sequence[str]]:
    """Spanned member to its surfaces whose last item is a marker; read once for all members."""
    found: dict[str, list[str]] = {}
    for view in surface_views(scope):
        if view.marker is not None:
            found.setdefault(view.member.name, []).append(view.surface.name)
    return found


def contradiction_rows(
    scope: Scope, member: SpannedMember, cards: Sequence[Fact], marked: Sequence[str]
) -> Iterator[Finding]:
    """Rows about one spanned member.

    Args:
        scope: The look.
        member: The spanned member.
        cards: Every card of it that was seen.
        marked: Its surfaces whose last item is a marker.
    """
    yield from _served(scope, member)
    if not cards:
        return
    against = [*_each_other(cards), *_endpoints(scope, member, cards), *_markers(cards, marked)]
    refs = tuple(ref for fact in cards for ref in source(fact))
    values: dict[str, Json] = {"contradictions": [*against], "cards": [fact.source for fact in cards]}
    if against:
        yield finding("SPAN-CARD-CONTRADICTS", Status.BAD, member.name, listed(against, 3), values=values,
                      sources=refs)  # fmt: skip
    elif len(cards) > 1 or _fingerprints(scope, member):
        yield finding("SPAN-CARD-CONTRADICTS", Status.OK, member.name, "everything that tells of it tells the same",
                      values=values, sources=refs)  # fmt: skip


def _each_other(cards: Sequence[Fact]) -> Iterator[str]:
    """Cards of one look that do not say the same; what one leaves out that another says is a difference too."""
    first = cards[0]
    for other in cards[1:]:
        mine, theirs = _claims(first.value), _claims(other.value)
        fields = [name for name, value in mine.items() if theirs[name] != value]
        if fields:
            yield f"{first.source} and {other.source} differ in {listed(fields)}"


def _claims(value: object) -> dict[str, object]:
    """What of a card is compared, in a form in which equal claims are equal."""
    card = table(value)
    root = card.get("issuance_root")
    listed_root = root if isinstance(root, list) else [root] if isinstance(root, str) else []
    rows = [table(one) for one in items(card.get("measurements"))[:256]]
    retired = card.get("retired")
    return {
        "stable_id": hex_id(card.get("stable_id")),
        "content_hash": hex_id(card.get("content_hash")),
        "issuance_root": sorted(found for one in listed_root[:256] if (found := hex_id(one)) is not None),
        "measurements": sorted([text(row.get(name)) or "" for name in _REGISTERS] for row in rows),
        "retired": None if retired is None else str(table(retired).get("effective_at")),
    }


def _fingerprints(scope: Scope, member: SpannedMember) -> dict[str, tuple[str, tuple[SourceRef, ...]]]:
    """What an organism's own endpoints say that they run."""
    side = scope.deployment.span(member.name) if scope.deployment is not None else None
    if member.kind != "organism" or side is None:
        return {}
    found = {}
    for url in side.endpoints:
        fact = scope.snapshot.get(ENDPOINT, f"{member.name} @ {url}")
        told = hex_id(table(fact.value).get("fingerprint")) if fact is not None and fact.seen else None
        if told is not None:
            found[url] = (told, source(fact))
    return found


def _endpoints(scope: Scope, member: SpannedMember, cards: Sequence[Fact]) -> Iterator[str]:
    for url, (told, _) in _fingerprints(scope, member).items():
        for card in cards:
            claimed = hex_id(table(card.value).get("content_hash"))
            if claimed is not None and claimed != told:
                yield f"{card.source} says {short(claimed)}, {url} serves {short(told)}"


def _markers(cards: Sequence[Fact], marked: Sequence[str]) -> Iterator[str]:
    """A marker on its surface that its card does not know of."""
    if not marked:
        return
    for card in cards:
        value = table(card.value)
        if "retired" in value and value["retired"] is None:
            yield f"{card.source} says that it has not retired, a marker is the last item of {listed(marked)}"


def _served(scope: Scope, member: SpannedMember) -> Iterator[Finding]:
    """The pinned content hash against what each endpoint runs, card or no card."""
    pinned = member.content_hash.hex() if member.content_hash is not None else None
    if pinned is None:
        return
    for url, (told, refs) in _fingerprints(scope, member).items():
        subject, limits = f"{member.name} @ {url}", {"content_hash": pinned}
        if told == pinned:
            yield finding("SPAN-CONTENT", Status.OK, subject, f"it serves {short(told)} as pinned",
                          values={"content_hash": told}, limits=dict(limits), sources=refs)  # fmt: skip
            continue
        then = CONSEQUENCES["SPAN-CONTENT"]
        summary = f"pinned at {short(pinned)}, it serves {short(told)}: {then.sentence}"
        yield finding("SPAN-CONTENT", Status.BAD, subject, summary,
                      values={"content_hash": told, **then.values()}, limits=dict(limits), sources=refs)  # fmt: skip
