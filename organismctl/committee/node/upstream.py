"""One spanned member as this node reads it: its endpoints, its roster chain, its items.

Remote input throughout: bounded, strictly read, and every fault is a value that the caller gets as an exception of
one of three kinds: :class:`AwayError` (cannot be asked), :class:`RefusedError` (answers, and is not what we pinned),
or nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from organismctl.committee.answers import read_items, read_line, read_surfaces
from organismctl.committee.evidence import Pointer
from organismctl.committee.fold import Resolution
from organismctl.committee.machine import upstream_clock_event
from organismctl.committee.node.decoding import DecodeError, decode_exec
from organismctl.committee.node.settings import Upstream
from organismctl.committee.node.store import NodeStore
from organismctl.committee.strict import JsonObject, MalformedAnswerError, blob, digest, many, obj, read_json
from organismctl.identity.config import ReadSurface
from organismctl.identity.digest import h
from organismctl.identity.postcard import PostcardError
from organismctl.identity.roster import (
    ChainError,
    Roster,
    RosterLink,
    decode_link,
    roster_digest,
    verify_chain,
)
from organismctl.identity.surface_item import Fact, RetirementMarker, SurfaceItem, decode_item, verify_item

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

ANSWER_S = 3.0
BEAT_S = 15.0
MAX_ANSWER = 32 << 20
MAX_LINE = 1 << 20
PAGE = 500


class AwayError(Exception):
    """It cannot be asked now; the text says why."""


class RefusedError(Exception):
    """It answers, and what it says cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Event:
    """One item of an upstream surface, checked.

    Attributes:
        position: Its seq.
        clock_event: The slot or tick that it reports.
        data: The fact's bytes; empty for a marker.
        marker: The spanned member's own retirement, or ``None``.
    """

    position: int
    clock_event: int
    data: bytes
    marker: RetirementMarker | None = None


class UpstreamReader:
    """See the module.

    Args:
        upstream: What is spanned.
        store: Remembers an organism's first roster, so that a later one cannot take its place.
    """

    def __init__(self, upstream: Upstream, store: NodeStore) -> None:
        self.upstream = upstream
        self._store = store
        self._client: httpx2.AsyncClient | None = None
        self._turn = 0
        self._rosters: dict[int, Roster] = {}
        self._fingerprint: bytes | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    # What the node asks.

    async def follow(self, surface: ReadSurface, start: int) -> AsyncIterator[Event | None]:
        """Items from ``start`` on: replay, then live; ``None`` on each keep-alive. Ends after a marker.

        Raises:
            AwayError: No endpoint answers, or the connection broke.
            RefusedError: What comes cannot be used.
        """
        endpoint = self._endpoint()
        try:
            name = await self._name(endpoint, surface)
            async for line in self._lines(f"{endpoint}/v1/surfaces/{name}/follow?from={start}"):
                if not line:
                    yield None
                    continue
                found = _checked(read_line, line)
                event = await self._event(endpoint, surface, found.item)
                if event.position < start:
                    raise RefusedError(f"it sends seq {event.position} where {start} was asked for")
                start = event.position + 1
                yield event
        except AwayError:
            self._turn += 1
            raise

    async def resolve(self, surface: ReadSurface, pointers: Sequence[Pointer]) -> dict[Pointer, Resolution]:
        """What became of pointers to one surface; ``GONE`` only when an endpoint answers, and none has it.

        Neighbours share requests, so that a replay of many observations is no load on anybody.
        """
        found = dict.fromkeys(pointers, Resolution.UNKNOWN)
        for endpoint in self.upstream.endpoints:
            left = sorted(
                (one for one, state in found.items() if state is not Resolution.RESOLVED),
                key=lambda one: one.position,
            )
            try:
                name = await self._name(endpoint, surface)
                while left:
                    left = await self._page(endpoint, name, surface, left, found)
            except (AwayError, RefusedError):
                continue
        return found

    async def _page(
        self,
        endpoint: str,
        name: str,
        surface: ReadSurface,
        left: list[Pointer],
        found: dict[Pointer, Resolution],
    ) -> list[Pointer]:
        """Look up the first pointers, as far as one request reaches; gives the rest."""
        start = left[0].position
        limit = min(PAGE, left[-1].position - start + 1)
        url = f"{endpoint}/v1/surfaces/{name}/items?from={start}&limit={limit}"
        page = _checked(lambda raw: read_items(read_json(raw)), await self._get(url))
        held = {item.seq: data for data in page.items for item in [_item(data)]}
        end = max([start, *held]) + 1
        if not held and not await self._past(endpoint, name, start):
            return []
        for pointer in left:
            if pointer.position >= end:
                break
            data = held.get(pointer.position)
            same = data is not None and await self._is(endpoint, surface, data, pointer)
            found[pointer] = Resolution.RESOLVED if same else Resolution.GONE
        return [one for one in left if one.position >= end]

    async def _is(self, endpoint: str, surface: ReadSurface, data: bytes, pointer: Pointer) -> bool:
        event = await self._event(endpoint, surface, data)
        told = (event.position, event.clock_event, h(event.data))
        return told == (pointer.position, pointer.clock_event, pointer.blake3)

    async def _past(self, endpoint: str, name: str, position: int) -> bool:
        """Whether the surface went past a position: then an item that is not there is gone, not yet to come."""
        found = _checked(
            lambda raw: read_surfaces(read_json(raw)), await self._get(f"{endpoint}/v1/surfaces")
        )
        return any(item.name == name and item.next_seq > position for item in found.surfaces)

    async def fetch(self, surface: ReadSurface, start: int, end: int) -> AsyncIterator[Event]:
        """Items from ``start`` up to (not including) ``end``, as far as an endpoint still has them.

        Raises:
            AwayError: The endpoint does not answer.
            RefusedError: What it says cannot be used.
        """
        endpoint = self._endpoint()
        name = await self._name(endpoint, surface)
        while start < end:
            limit = min(PAGE, end - start)
            url = f"{endpoint}/v1/surfaces/{name}/items?from={start}&limit={limit}"
            page = _checked(lambda raw: read_items(read_json(raw)), await self._get(url))
            events = [await self._event(endpoint, surface, data) for data in page.items]
            for event in events:
                if start <= event.position < end:
                    start = event.position + 1
                    yield event
            if not events:
                return

    async def read(self, surface: ReadSurface, data: bytes) -> Event:
        """An item that came another way, such as a mosaik stream; proven when this can be proven.

        Raises:
            AwayError: Who may sign it must be asked for, and no endpoint answers.
            RefusedError: It cannot be used.
        """
        return await self._event(self._endpoint() if self.proves else None, surface, data)

    @property
    def proves(self) -> bool:
        """Whether items are checked against the organism's roster: it has one, and somebody to ask for it."""
        return self.upstream.member.kind == "organism" and bool(self.upstream.endpoints)

    def passed(self, surface: ReadSurface, position: int) -> bool:  # noqa: ARG002 # a Reader's signature
        """Whether what was not seen at a position can never be seen: not while it can be asked for."""
        return False

    def note(self, surface: ReadSurface) -> str:  # noqa: ARG002 # a Reader's signature
        """What is to be said of a live surface: nothing."""
        return ""

    def losses(self, surface: ReadSurface) -> tuple[int, int]:  # noqa: ARG002 # a Reader's signature
        """How many events were lost: none that cannot be asked for again."""
        return 0, 0

    def producers(self, surface: ReadSurface) -> int | None:  # noqa: ARG002 # a Reader's signature
        """How many producers it is subscribed to: endpoints are asked one at a time."""
        return None

    # Items and who signed them.

    async def _event(self, endpoint: str | None, surface: ReadSurface, data: bytes) -> Event:
        item = _item(data)
        if self.upstream.member.kind == "organism" and endpoint is not None:
            await self._prove(endpoint, surface, item)
        if isinstance(item.item, RetirementMarker):
            return Event(item.seq, 0, b"", item.item)
        fact = item.item.data if isinstance(item.item, Fact) else b""
        if surface.decode == "exec":
            try:
                return Event(item.seq, await decode_exec(surface.command, fact), fact)
            except DecodeError as exc:
                raise RefusedError(f"its decoder: {exc}") from exc
        return Event(item.seq, upstream_clock_event(fact, item.seq), fact)

    async def _prove(self, endpoint: str, surface: ReadSurface, item: SurfaceItem) -> None:
        version = item.certificate.roster_version
        if version not in self._rosters:
            await self._learn(endpoint)
        roster = self._rosters.get(version)
        if roster is None or self._fingerprint is None:
            raise RefusedError(f"seq {item.seq} is signed by roster version {version}, which nothing proves")
        verdict = verify_item(item, self._fingerprint, surface.id, roster)
        if not verdict.verified:
            raise RefusedError(
                f"seq {item.seq} has {len(verdict.valid)} of {verdict.threshold} needed signatures"
            )

    async def _learn(self, endpoint: str) -> None:
        """Prove the organism's rosters from its first one."""
        pin = await self._pin(endpoint)
        raw = _checked(read_json, await self._get(f"{endpoint}/v1/roster"))
        first, links = _checked_chain(raw)
        genesis = self._genesis(roster_digest(first.members))
        try:
            rosters = verify_chain(pin, genesis, first, links)
        except ChainError as exc:
            raise RefusedError(f"its roster chain does not prove: {exc}") from exc
        self._store.put(self._key(), genesis)
        self._rosters = {roster.version: roster for roster in rosters}
        self._fingerprint = pin

    def _genesis(self, told: bytes) -> bytes:
        """The digest to start from: its card's, else what was seen first (and is held on to)."""
        return self.upstream.genesis or self._store.get(self._key()) or told

    def _key(self) -> str:
        return f"genesis.of.{self.upstream.member.stable_id.hex()}"

    async def _pin(self, endpoint: str) -> bytes:
        found = _checked(
            lambda raw: read_surfaces(read_json(raw)), await self._get(f"{endpoint}/v1/surfaces")
        )
        pinned = self.upstream.member.content_hash
        if pinned is not None and pinned != found.fingerprint:
            raise RefusedError(
                f"it is pinned to {pinned.hex()[:10]} and now publishes {found.fingerprint.hex()[:10]}"
            )
        return found.fingerprint

    async def _name(self, endpoint: str, surface: ReadSurface) -> str:
        """The name under which an endpoint serves a surface of ours, by its id."""
        found = _checked(
            lambda raw: read_surfaces(read_json(raw)), await self._get(f"{endpoint}/v1/surfaces")
        )
        for item in found.surfaces:
            if item.id == surface.id:
                if not item.name.isascii() or not all(c.isalnum() or c in "._-" for c in item.name):
                    raise RefusedError("the surface's name is not one that a path can hold")
                return item.name
        raise RefusedError(f"it serves no surface {surface.id.hex()[:10]}")

    # HTTP.

    def _endpoint(self) -> str:
        endpoints = self.upstream.endpoints
        if not endpoints:
            raise AwayError("deployment.toml names no endpoint for it")
        return endpoints[self._turn % len(endpoints)].rstrip("/")

    def _session(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            plain = all(one.startswith("http:") for one in self.upstream.endpoints)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else ssl.create_default_context()
            self._client = httpx2.AsyncClient(verify=tls, trust_env=False, follow_redirects=False)
        return self._client

    async def _get(self, url: str) -> bytes:
        import httpx2

        data = bytearray()
        try:
            async with self._session().stream("GET", url, timeout=ANSWER_S, headers=_PLAIN) as response:
                _admitted(response.status_code)
                async for chunk in response.aiter_raw():
                    data += chunk
                    if len(data) > MAX_ANSWER:
                        raise RefusedError("its answer is too large")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as exc:
            raise AwayError(_why(exc)) from exc
        return bytes(data)

    async def _lines(self, url: str) -> AsyncIterator[bytes]:
        import httpx2

        rest = b""
        limits = httpx2.Timeout(BEAT_S, connect=ANSWER_S)
        try:
            async with self._session().stream("GET", url, timeout=limits, headers=_PLAIN) as response:
                _admitted(response.status_code)
                async for chunk in response.aiter_raw():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
                    if len(rest) > MAX_LINE:
                        raise RefusedError("a line is too long")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as exc:
            raise AwayError(_why(exc)) from exc


_PLAIN = {"accept-encoding": "identity"}


def _admitted(status: int) -> None:
    """Say whose side it is when an endpoint gives nothing.

    Raises:
        RefusedError: It answers, and refuses this node.
        AwayError: It gives nothing to anybody now.
    """
    if status in (401, 403):
        raise RefusedError(f"it refuses this node: HTTP status {status}")
    if status != 200:
        raise AwayError(f"HTTP status {status}")


def _why(exc: Exception) -> str:
    return "no answer in time" if "Timeout" in type(exc).__name__ else str(exc)[:200] or type(exc).__name__


def _checked(read: Callable[[bytes], T], data: bytes) -> T:
    try:
        return read(data)
    except MalformedAnswerError as exc:
        raise RefusedError(f"it does not answer as a node of ours: {exc}") from exc


def _checked_chain(raw: JsonObject) -> tuple[Roster, list[RosterLink]]:
    try:
        genesis = obj(raw.get("genesis"), "genesis")
        members = many(genesis.get("members"), "genesis.members", _member, 255)
        links = [decode_link(data) for data in many(raw.get("links"), "links", blob, 65_536)]
    except (MalformedAnswerError, PostcardError) as exc:
        raise RefusedError(f"its roster chain is malformed: {exc}") from exc
    return Roster(1, members), links


def _item(data: bytes) -> SurfaceItem:
    try:
        return decode_item(data)
    except PostcardError as exc:
        raise RefusedError(f"an item is malformed: {exc}") from exc


def _member(value: object, where: str) -> bytes:
    return digest(obj(value, where).get("peer_id"), where)
