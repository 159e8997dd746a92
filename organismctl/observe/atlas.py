"""Source: a coalition's Atlas, which holds a card of every member. Gives ``span.card``, beside the member's own.

An Atlas is a mosaik map, and is read in one of three ways:

- ``map:STORE@PEERID@HOST:PORT``: the map itself, through organismctl-engine; ``STORE`` is its store id (text or 64
  hex). The observer joins the map's group for the time of the look.
- the URL of a node that serves it (``…/v1/surfaces/NAME/items``): the same items by the node API;
- the URL or path of a document: ``{"cards": [card…]}``, or an object of member id to card.

Items of a map are facts whose bytes are a card in JSON; of several cards of one member the one with the greatest seq
counts. A card is found by the member id of the books, the first 20 bytes of the stable id; where no card has it, by
the card's own name, so that a member that moved is seen to have moved rather than to be missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.errors import OrganismError, UnreachableError
from organismctl.observe.card import KIND, MAX_CARD, fetch, is_url, parse_card
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import MALFORMED, OBSERVER, UNREACHABLE, Fact

if TYPE_CHECKING:
    from organismctl.committee.carrier.mosaik_engine import ItemMap
    from organismctl.identity.peer_entry import EntryPoint

MAX_DOCUMENT = 32 << 20
MAX_CARDS = 65_536
MAX_PAGES = 256
MAP = "map:"
MEMBER_ID = 40
"""Hex characters of a member id: the first 20 bytes of the stable id."""
LOOK_S = 0.05


class AtlasError(OrganismError):
    """An Atlas that answers, and holds no cards that can be read."""


@dataclass(frozen=True, slots=True)
class Atlas:
    """One coalition's Atlas.

    Attributes:
        coalition: The coalition's name.
        where: As in ``[[coalition]] atlas``; a path is absolute.
        members: Spanned members: name to stable id in hex.
        network: The network id, 32 bytes; for a map.
        relay: mosaik's relay of our own, or ``None``; for a map.
        seed: The observer's seed, or ``None`` for a fresh identity; for a map.
        timeout_s: Seconds for a document.
        join_s: Seconds until a map must be there.
    """

    coalition: str
    where: str
    members: Mapping[str, str]
    network: bytes
    relay: str | None = None
    seed: bytes | None = field(default=None, repr=False)
    timeout_s: float = 3.0
    join_s: float = 8.0

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return [Want(KIND, name, self._source) for name in self.members]

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        begun = time.monotonic()
        try:
            cards = self._cards()
        except (ValueError, AtlasError) as exc:
            yield from self._unseen(str(exc), MALFORMED)
            return
        except OrganismError as exc:
            yield from self._unseen(exc.message, OBSERVER if self.where.startswith(MAP) else UNREACHABLE)
            return
        took = round((time.monotonic() - begun) * 1000)
        for name, stable in self.members.items():
            card = find(cards, name, stable)
            if card is None:
                reason = f"the Atlas of {self.coalition} holds no card of it"
                yield Fact.unseen(KIND, name, self._source, reason, MALFORMED)
            else:
                yield Fact(KIND, name, card, self._source, seen_ms=now_ms(), took_ms=took)

    def _unseen(self, reason: str, cause: str) -> Iterator[Fact]:
        for name in self.members:
            yield Fact.unseen(KIND, name, self._source, f"the Atlas of {self.coalition}: {reason}", cause)

    @property
    def _source(self) -> str:
        return f"atlas {self.where}"

    def _cards(self) -> list[dict[str, Any]]:
        if self.where.startswith(MAP):
            return newest(self._map_items())
        if is_url(self.where) and self.where.rstrip("/").endswith("/items"):
            return newest(_served_items(self.where, self.timeout_s))
        return cards_of(_document(self.where, self.timeout_s))

    def _map_items(self) -> list[bytes]:
        store, point = map_place(self.where)
        return read_map(store, point, self.network, self.relay, self.seed, self.join_s)


def map_place(where: str) -> tuple[bytes, EntryPoint]:
    """Store id and entry point of ``map:STORE@PEERID@HOST:PORT``.

    Raises:
        ValueError: It is none.
    """
    from organismctl.identity.digest import uid
    from organismctl.identity.peer_entry import EntryPoint

    store, _, place = where.removeprefix(MAP).partition("@")
    if not where.startswith(MAP) or not store or not place:
        raise ValueError(f"{where[:80]!r} is no map:STORE@PEERID@HOST:PORT")
    return uid(store), EntryPoint.parse(place)


def find(cards: Sequence[Mapping[str, Any]], name: str, stable: str) -> dict[str, Any] | None:
    """The card of a spanned member: by its member id, else by its name."""
    for card in cards:
        told = card.get("stable_id")
        if isinstance(told, str) and told.lower()[:MEMBER_ID] == stable[:MEMBER_ID]:
            return dict(card)
    return next((dict(card) for card in cards if card.get("name") == name), None)


def cards_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cards of a document.

    Raises:
        AtlasError: It holds none.
    """
    listed = document.get("cards")
    rows: Iterable[Any] = listed if isinstance(listed, list) else document.values()
    cards = [one for one in rows if isinstance(one, dict)]
    if len(cards) > MAX_CARDS or not cards:
        raise AtlasError(f"the document holds {len(cards) or 'no'} cards")
    return cards


def newest(items: Iterable[bytes]) -> list[dict[str, Any]]:
    """The newest card of each member among surface items; what is no card says nothing.

    Raises:
        AtlasError: None of them is a card.
    """
    from organismctl.identity.postcard import PostcardError
    from organismctl.identity.surface_item import Fact as FactItem
    from organismctl.identity.surface_item import decode_item

    best: dict[str, tuple[int, dict[str, Any]]] = {}
    for data in items:
        try:
            item = decode_item(data)
            if not isinstance(item.item, FactItem) or len(item.item.data) > MAX_CARD:
                continue
            card = parse_card(item.item.data)
        except (PostcardError, ValueError):
            continue
        told = card.get("stable_id")
        if isinstance(told, str) and item.seq >= best.get(told, (0, card))[0]:
            best[told] = (item.seq, card)
    if not best:
        raise AtlasError("none of its items is a card")
    return [card for _, card in sorted(best.values(), key=lambda pair: -pair[0])]


def _document(where: str, timeout_s: float) -> dict[str, Any]:
    from organismctl.files.atomic import read_bounded

    raw = fetch(where, timeout_s, MAX_DOCUMENT) if is_url(where) else read_bounded(Path(where), MAX_DOCUMENT)
    return parse_card(raw)


def _served_items(url: str, timeout_s: float) -> Iterator[bytes]:
    """Every item that a node serves of a map, page by page."""
    from organismctl.committee.answers import read_items
    from organismctl.committee.strict import MalformedAnswerError, read_json

    start = 0
    for _ in range(MAX_PAGES):
        try:
            page = read_items(read_json(fetch(f"{url}?from={start}&limit=1000", timeout_s, MAX_DOCUMENT)))
        except MalformedAnswerError as exc:
            raise AtlasError(f"{url} serves no items: {exc}") from exc
        yield from page.items
        if not page.items or page.next <= start:
            return
        start = page.next


def read_map(
    store: bytes, point: EntryPoint, network: bytes, relay: str | None, seed: bytes | None, join_s: float
) -> list[bytes]:
    """Every item of a mosaik map, through the engine; blocks.

    Args:
        store: The map's store id.
        point: A peer that knows who writes it.
        network: The network id.
        relay: A relay of our own, or ``None``.
        seed: The observer's seed, or ``None``: a fresh identity.
        join_s: Seconds until the map must be online.

    Raises:
        OrganismError: The engine is not here, the network cannot be joined, or the map does not come online.
    """
    import secrets

    from organismctl.committee.carrier.mosaik_engine import start_network, translated

    joined = start_network(
        network, seed or secrets.token_bytes(32), relay=relay, bind=["127.0.0.1:0" if point.host == "127.0.0.1" else
        "0.0.0.0:0"], bootstrap=[(point.peer_id, [f"{point.host}:{point.port}"])], tickets=[], timeout_s=join_s,
    )  # fmt: skip
    try:
        with translated("read the Atlas"), closing(joined.map_reader(store)) as opened:
            return _held(opened, f"the Atlas' map does not come online in {join_s:g} s at {point}", join_s)
    finally:
        with translated("leave the network"):
            joined.close(0.0)


def _held(opened: ItemMap, why_not: str, join_s: float) -> list[bytes]:
    """What a map holds, once it holds something.

    Raises:
        UnreachableError: It does not come online in time.
    """
    end = time.monotonic() + join_s
    while not (opened.online() and opened.keys()):
        if time.monotonic() > end:
            raise UnreachableError(why_not)
        time.sleep(LOOK_S)
    found = [opened.get(key) for key in sorted(opened.keys())[-MAX_CARDS:]]
    return [one for one in found if one is not None]
