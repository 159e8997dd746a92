"""Source: a spanned member's own node API, as anybody may read it. Gives ``span.endpoint``.

For each surface that organism.toml reads: how far it has come, how far back it still goes, and its marker. What is
asked is the same few items however long the surface is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from organismctl.errors import OrganismError
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import MALFORMED, UNREACHABLE, Fact

if TYPE_CHECKING:
    from organismctl.identity.surface_item import SurfaceItem
    from organismctl.observe.node_client import LookingClient

KIND = "span.endpoint"
MAX_SURFACES = 256
MAX_ANSWER = 4 << 20
MAX_PROBES = 40
"""Questions until the oldest item is found, where an endpoint does not tell it at once; 2^40 items are enough."""


@dataclass(frozen=True, slots=True)
class SpanEndpoint:
    """One endpoint of one spanned member.

    Attributes:
        span: The spanned member's name.
        url: Its node API.
        surfaces: Ids of the surfaces that are read of it, 32 bytes each.
        timeout_s: Seconds for one answer.
    """

    span: str
    url: str
    surfaces: tuple[bytes, ...]
    timeout_s: float = 3.0

    @property
    def subject(self) -> str:
        """How the fact names it."""
        return f"{self.span} @ {self.url}"

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return (Want(KIND, self.subject, self._source),)

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        from organismctl.observe.node_client import LookingClient

        begun = time.monotonic()
        try:
            with LookingClient(self.url, timeout=self.timeout_s) as client:
                value = self._ask(client)
        except OrganismError as exc:
            yield Fact.unseen(KIND, self.subject, self._source, exc.message, cause_of(exc))
            return
        took = round((time.monotonic() - begun) * 1000)
        yield Fact(KIND, self.subject, value, self._source, seen_ms=now_ms(), took_ms=took)

    def _ask(self, client: LookingClient) -> dict[str, Any]:
        answer = client.document("/v1/surfaces", MAX_ANSWER)
        listed, wanted = answer.get("surfaces"), {one.hex() for one in self.surfaces}
        return {
            "fingerprint": answer.get("fingerprint"),
            "surfaces": [
                {**one, **details(client, one)}
                for one in (listed if isinstance(listed, list) else [])[:MAX_SURFACES]
                if isinstance(one, dict) and one.get("id") in wanted
            ],
        }

    @property
    def _source(self) -> str:
        return f"endpoint {self.url}"


def cause_of(exc: OrganismError) -> str:
    """Whose trouble it is: an endpoint that answers with something else is malformed."""
    from organismctl.committee.client import NodeError

    return MALFORMED if isinstance(exc, NodeError) else UNREACHABLE


def details(client: LookingClient, told: dict[str, Any]) -> dict[str, Any]:
    """The oldest item that a surface still has, the times of both ends, and its marker; nothing where it has none."""
    name, following = told.get("name"), told.get("next_seq")
    if not isinstance(name, str) or isinstance(following, bool) or not isinstance(following, int):
        return {}
    if following < 1 or not usable_name(name):
        return {}
    try:
        newest, oldest = item_at(client, name, following - 1), _oldest(client, name, following)
    except OrganismError as exc:
        return {"unread": exc.message[:200]}
    out: dict[str, Any] = {"oldest": None if oldest is None else oldest.seq}
    out |= {"oldest_ms": _made_ms(oldest), "head_ms": _made_ms(newest)}
    marker = newest.retirement if newest is not None else None
    if marker is not None:
        out["marker"] = {
            "effective_at": marker.effective_at,
            "replacement": marker.replacement,
            "reason": marker.reason,
        }
    return out


def usable_name(name: str) -> bool:
    """Whether a remote's name of a surface can stand in a path."""
    return 0 < len(name) <= 256 and name.isascii() and all(one.isalnum() or one in "._-" for one in name)


def items_from(client: LookingClient, name: str, start: int, limit: int) -> list[SurfaceItem]:
    """Items of a surface from a seq on, as far as one answer reaches.

    Raises:
        OrganismError: It does not answer, or not with items.
    """
    from organismctl.committee.answers import read_items
    from organismctl.committee.strict import MalformedAnswerError
    from organismctl.errors import UnreachableError
    from organismctl.identity.postcard import PostcardError
    from organismctl.identity.surface_item import decode_item

    raw = client.document(f"/v1/surfaces/{name}/items?from={start}&limit={limit}", MAX_ANSWER)
    try:
        return [decode_item(data) for data in read_items(raw).items]
    except (MalformedAnswerError, PostcardError) as exc:
        raise UnreachableError(f"{client.url} serves items that are none: {exc}") from exc


def item_at(client: LookingClient, name: str, seq: int) -> SurfaceItem | None:
    """The item at a seq, or ``None`` when it is not there (any more)."""
    return next((one for one in items_from(client, name, seq, 1) if one.seq == seq), None)


def _oldest(client: LookingClient, name: str, following: int) -> SurfaceItem | None:
    """The first item that is still there: told at once, or found by halving where only an exact seq is answered."""
    found = items_from(client, name, 0, 1)
    if found:
        return found[0]
    low, high, best = 0, following - 1, None
    for _ in range(MAX_PROBES):
        if low > high:
            break
        middle = (low + high) // 2
        page = items_from(client, name, middle, 1)
        if page:
            best, high = page[0], middle - 1
        else:
            low = middle + 1
    return best


def _made_ms(item: SurfaceItem | None) -> int | None:
    """When an item says that it was made, Unix ms; ``None`` for facts of another make."""
    from organismctl.committee.machine import FactError, decode_fact
    from organismctl.identity.surface_item import Fact as FactItem

    if item is None or not isinstance(item.item, FactItem):
        return None
    try:
        return decode_fact(item.item.data).tick_ms
    except FactError:
        return None
