"""Second round: pointers of the ledger looked up at the spanned member's own endpoints. Gives ``span.evidence``.

The nodes say which pointers they have certified; whether those still resolve is asked of upstream, not of the nodes.
A bounded sample is looked up, always with the oldest in it, since that is the first that compaction takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from organismctl.errors import OrganismError
from organismctl.observe.look import Source, Want, now_ms
from organismctl.observe.snapshot import NOT_ASKED, UNREACHABLE, Fact, Snapshot
from organismctl.observe.span_endpoint import MAX_ANSWER, items_from, usable_name

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment
    from organismctl.files.organism import LoadedOrganism
    from organismctl.observe.node_client import LookingClient

KIND, NODE_KIND = "span.evidence", "node.evidence"
PAGES, PAGE = 8, 64
"""Requests for one surface, and items that each reaches over."""
MAX_LISTED = 10_000
MAX_SEQ = (1 << 63) - 1
SHOWN = 20
"""Pointers that are listed one by one; of the others the number is said."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One pointer: its position, its event's hash, and the ledger's height (``None``: not told)."""

    position: int
    blake3: str
    height: int | None


@dataclass(frozen=True, slots=True)
class SpanEvidence:
    """The evidence of one surface of one spanned member.

    Attributes:
        span: The spanned member's name.
        surface: The surface's name, as organism.toml calls it.
        surface_id: 32 bytes.
        urls: Its node APIs.
        pointers: What to look up, by rising position.
        timeout_s: Seconds for one answer.
    """

    span: str
    surface: str
    surface_id: bytes
    urls: tuple[str, ...]
    pointers: tuple[Wanted, ...] = field(repr=False)
    timeout_s: float = 3.0

    @property
    def subject(self) -> str:
        """How the fact names it."""
        return f"{self.span}/{self.surface}"

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return (Want(KIND, self.subject, self._source),)

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        if not self.urls:
            reason = "it has no endpoint in deployment.toml: a bare stream has no replay, nobody can be asked"
            yield Fact.unseen(KIND, self.subject, self._source, reason, NOT_ASKED)
            return
        begun, left, faults = time.monotonic(), list(self.pointers), []
        found: dict[int, str] = {}
        asked = None
        for url in self.urls:
            try:
                self._ask(url, left, found)
            except OrganismError as exc:
                faults.append(exc.message)
                continue
            asked = url
            left = [one for one in left if found.get(one.position) != "resolved"]
            if not left:
                break
        if asked is None:
            yield Fact.unseen(KIND, self.subject, self._source, faults[0], UNREACHABLE)
            return
        took = round((time.monotonic() - begun) * 1000)
        yield Fact(
            KIND, self.subject, self._value(found), f"endpoint {asked}", seen_ms=now_ms(), took_ms=took
        )

    def _value(self, found: Mapping[int, str]) -> dict[str, Any]:
        heights = {one.position: one.height for one in self.pointers}
        bad = sorted(position for position, state in found.items() if state in ("gone", "differs"))
        return {
            "looked_up": len(found),
            "resolved": sum(state == "resolved" for state in found.values()),
            "gone": sum(state == "gone" for state in found.values()),
            "differs": sum(state == "differs" for state in found.values()),
            "not_resolving": [
                {"position": one, "height": heights.get(one), "state": found[one]} for one in bad[:SHOWN]
            ],
            "oldest_needed": self.pointers[0].position if self.pointers else None,
        }

    def _ask(self, url: str, pointers: Sequence[Wanted], found: dict[int, str]) -> None:
        from organismctl.observe.node_client import LookingClient

        with LookingClient(url, timeout=self.timeout_s) as client:
            name, following = self._name(client)
            for start in page_starts([one.position for one in pointers]):
                here = [one for one in pointers if start <= one.position < start + PAGE]
                found.update(_looked_up(client, name, following, start, here))

    def _name(self, client: LookingClient) -> tuple[str, int]:
        """The surface's name there, and its next seq.

        Raises:
            UnreachableError: It does not serve it.
        """
        from organismctl.errors import UnreachableError

        listed = client.document("/v1/surfaces", MAX_ANSWER).get("surfaces")
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and one.get("id") == self.surface_id.hex():
                name, following = one.get("name"), one.get("next_seq")
                if isinstance(name, str) and usable_name(name) and isinstance(following, int):
                    return name, following
        raise UnreachableError(f"{client.url} serves no surface {self.surface_id.hex()[:10]}")

    @property
    def _source(self) -> str:
        return f"endpoint {self.urls[0]}" if self.urls else "endpoint"


def page_starts(positions: Sequence[int]) -> list[int]:
    """Where pages begin so that at most :data:`PAGES` of them hold the oldest, the newest, and some between."""
    starts: list[int] = []
    for position in positions:
        if not starts or position >= starts[-1] + PAGE:
            starts.append(position)
    if len(starts) <= PAGES:
        return starts
    step = (len(starts) - 1) / (PAGES - 1)
    return [starts[round(step * number)] for number in range(PAGES)]


def _looked_up(
    client: LookingClient, name: str, following: int, start: int, pointers: Sequence[Wanted]
) -> Iterator[tuple[int, str]]:
    """What became of pointers of one page; nothing of those that the surface has not reached."""
    from organismctl.identity.digest import h
    from organismctl.identity.surface_item import Fact as FactItem

    held: dict[int, str] = {}
    at = start
    while at < start + PAGE and (page := items_from(client, name, at, start + PAGE - at)):
        for item in page:
            held[item.seq] = h(item.item.data if isinstance(item.item, FactItem) else b"").hex()
        at = max(page[-1].seq, at) + 1
        if at > pointers[-1].position:
            break
    for one in pointers:
        if one.position >= following:
            continue
        told = held.get(one.position)
        if told is None and at <= one.position and (more := items_from(client, name, one.position, 1)):
            told = next(
                (
                    h(i.item.data).hex()
                    for i in more
                    if i.seq == one.position and isinstance(i.item, FactItem)
                ),
                None,
            )
        yield one.position, "gone" if told is None else "resolved" if told == one.blake3 else "differs"


def resolve_after(
    organism: LoadedOrganism, deployment: Deployment, timeout_s: float
) -> Callable[[Snapshot], Sequence[Source]]:
    """The second round: a look-up for each surface of which a node told evidence.

    Args:
        organism: Whose spanned members.
        deployment: Where their endpoints are.
        timeout_s: Seconds for one answer.
    """

    def more(snapshot: Snapshot) -> Sequence[Source]:
        told = pointers_of(snapshot)
        looks: list[Source] = []
        for member in organism.config.span:
            side = deployment.span(member.name)
            for surface in member.surfaces:
                pointers = told.get((member.stable_id.hex(), surface.id.hex()))
                if pointers:
                    urls = side.endpoints if side is not None else ()
                    looks.append(
                        SpanEvidence(member.name, surface.name, surface.id, urls, tuple(pointers), timeout_s)
                    )
        return looks

    return more


def pointers_of(snapshot: Snapshot) -> dict[tuple[str, str], list[Wanted]]:
    """Stable id and surface id to pointers that nodes told, by rising position; what is malformed is left out."""
    found: dict[tuple[str, str], dict[int, Wanted]] = {}
    for fact in snapshot.of(NODE_KIND):
        value = fact.value if isinstance(fact.value, dict) else {}
        listed = value.get("evidence")
        extent = value.get("extent")
        rows = list(listed[-MAX_LISTED:]) if isinstance(listed, list) else []
        rows += [
            one.get("oldest")
            for one in (extent if isinstance(extent, list) else [])[:4096]
            if isinstance(one, dict)
        ]
        for row in rows:
            if (one := _wanted(row)) is not None:
                found.setdefault(one[0], {})[one[1].position] = one[1]
    return {key: [some[at] for at in sorted(some)] for key, some in found.items()}


def _wanted(row: Any) -> tuple[tuple[str, str], Wanted] | None:
    pointer = row.get("pointer") if isinstance(row, dict) else None
    if not isinstance(pointer, dict) or row.get("state") == "voided":
        return None
    stable, surface, position, digest = (
        pointer.get(key) for key in ("stable_id", "surface_id", "position", "blake3")
    )
    if not all(isinstance(one, str) and len(one) == 64 for one in (stable, surface, digest)):
        return None
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < MAX_SEQ:
        return None
    height = row.get("height")
    known = height if isinstance(height, int) and not isinstance(height, bool) else None
    return (str(stable), str(surface)), Wanted(position, str(digest), known)
