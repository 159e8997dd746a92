"""A surface of a spanned member that is a mosaik map: it replays, and pointers into it resolve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from organismctl.committee.carrier.mosaik_engine import ItemMap, Validator, translated
from organismctl.committee.carrier.mosaik_network import MosaikNetwork
from organismctl.committee.evidence import Pointer
from organismctl.committee.fold import Resolution
from organismctl.committee.node.upstream import AwayError, Event, RefusedError, UpstreamReader
from organismctl.errors import OrganismError
from organismctl.identity.config import ReadSurface
from organismctl.identity.digest import h

MARKER_KEY = (1 << 64) - 1
"""Where the marker stands, and seals the map."""
LOOK_S = 0.2
AWAY_S = 3.0
T = TypeVar("T")


class MapReader:
    """Follows one map.

    Args:
        network: The mosaik network.
        http: Reads and proves items.
        surface: The surface.
        validators: Whom its group admits.
    """

    def __init__(
        self,
        network: MosaikNetwork,
        http: UpstreamReader,
        surface: ReadSurface,
        validators: Callable[[], list[Validator]],
    ) -> None:
        self._network = network
        self._http = http
        self._surface = surface
        self._validators = validators
        self._map: ItemMap | None = None

    async def close(self) -> None:
        """Leave its group."""
        opened, self._map = self._map, None
        if opened is not None:
            await asyncio.to_thread(opened.close)

    def _open(self) -> ItemMap:
        if self._map is None:
            try:
                self._map = self._network.map_reader(self._surface.id, self._validators())
            except OrganismError as exc:
                raise AwayError(exc.message) from exc
        return self._map

    async def follow(self, start: int) -> AsyncIterator[Event | None]:
        """Items from ``start`` on, then live; ends after the marker.

        Raises:
            AwayError: Its group is not online here.
            RefusedError: An item cannot be used.
        """
        opened = self._open()
        lost: float | None = None
        while True:
            if not self._online(opened):
                lost = lost or time.monotonic()
                if time.monotonic() - lost > AWAY_S:
                    raise AwayError(
                        "its map is not online here: nobody serves it, or our ticket does not admit"
                    )
                await asyncio.sleep(LOOK_S)
                continue
            lost = None
            event = await self._next(opened, start)
            if event is None:
                yield None
                await asyncio.sleep(LOOK_S)
                continue
            yield event
            if event.marker is not None:
                return
            start = event.position + 1

    async def _next(self, opened: ItemMap, start: int) -> Event | None:
        """The item of a seq, else the next one there is, else the marker once nothing is before it."""
        data = self._get(opened, start)
        if data is None:
            keys = [key for key in self._keys(opened) if key >= start]
            later = min((key for key in keys if key != MARKER_KEY), default=None)
            if later is None and MARKER_KEY not in keys:
                return None
            data = self._get(opened, MARKER_KEY if later is None else later)
        if data is None:
            return None
        event = await self._http.read(self._surface, data)
        if event.position < start:
            raise RefusedError(f"seq {event.position} stands where {start} or more was asked for")
        return event

    async def resolve(self, pointers: Sequence[Pointer]) -> dict[Pointer, Resolution]:
        """What became of pointers into the map; gone only when the map went past them."""
        found = dict.fromkeys(pointers, Resolution.UNKNOWN)
        try:
            opened = self._open()
            if not self._online(opened):
                return found
            top = max(self._keys(opened), default=-1)
            for pointer in pointers:
                data = self._get(opened, pointer.position)
                if data is not None:
                    same = await self._is(data, pointer)
                    found[pointer] = Resolution.RESOLVED if same else Resolution.GONE
                elif top > pointer.position:
                    found[pointer] = Resolution.GONE
        except (AwayError, RefusedError):
            return found
        return found

    async def _is(self, data: bytes, pointer: Pointer) -> bool:
        event = await self._http.read(self._surface, data)
        told = (event.position, event.clock_event, h(event.data))
        return told == (pointer.position, pointer.clock_event, pointer.blake3)

    # The extension's map, with its errors as ours.

    @staticmethod
    def _online(opened: ItemMap) -> bool:
        return _asked(opened.online)

    @staticmethod
    def _keys(opened: ItemMap) -> list[int]:
        return _asked(opened.keys)

    @staticmethod
    def _get(opened: ItemMap, key: int) -> bytes | None:
        return _asked(lambda: opened.get(key))


def _asked(look: Callable[[], T]) -> T:
    try:
        with translated("read a map"):
            return look()
    except OrganismError as exc:
        raise AwayError(exc.message) from exc
