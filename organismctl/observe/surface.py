"""A surface as an integrator reads it: nothing is believed but the pin, ``[genesis]`` and signatures.

Invariants:

1. An item is given out only after a majority of the roster that its certificate names has been proven to have
   signed it; the roster is proven by the chain from ``[genesis]`` (:mod:`organismctl.identity.roster`).
2. Items are given out in the order of seq, each once: repeats are dropped, a hole is never skipped.
3. The marker is the last item that is given out.

Endpoints take each other's place: while one of them serves the next item, the reader goes on.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from organismctl.errors import OrganismError, UnreachableError
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.committee.client import NodeClient
    from organismctl.identity.roster import Roster
    from organismctl.identity.surface_item import SurfaceItem

PAGE = 1000
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


class UnprovenError(OrganismError):
    """What an endpoint serves does not prove; it is not believed."""

    exit = Exit.UNHEALTHY


class HoleError(OrganismError):
    """The next item is served by no endpoint, though later ones are."""

    exit = Exit.UNHEALTHY


@dataclass(frozen=True, slots=True)
class Pin:
    """What an integrator knows beforehand, 32 bytes each.

    Attributes:
        fingerprint: The organism's fingerprint.
        genesis: The digest of the first roster.
        surface_id: The surface's id.
        surface: The surface's name.
    """

    fingerprint: bytes
    genesis: bytes
    surface_id: bytes
    surface: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened beside the items.

    Attributes:
        kind: ``connected``, ``switched`` (this endpoint failed, the next is tried), ``handle-failure`` (none
            of them serves now); over the wire also ``missed`` (items that the node API is asked for) and
            ``unproven`` (a datum that was dropped).
        endpoint: Its URL, or its peer; empty for ``handle-failure``.
        detail: One line.
    """

    kind: str
    endpoint: str
    detail: str


@dataclass
class Prover:
    """Proves the items of one surface; keeps the rosters that it has proven.

    Attributes:
        pin: What is known beforehand.
        rosters: Proven rosters by version.
    """

    pin: Pin
    rosters: dict[int, Roster] = field(default_factory=dict)

    def learn(self, client: NodeClient) -> None:
        """Read an endpoint's roster chain and keep what it proves.

        Raises:
            UnprovenError: It serves another fingerprint, or its chain does not lead from ``[genesis]``.
            UnreachableError: It does not answer.
        """
        served = client.surfaces()
        if served.fingerprint != self.pin.fingerprint:
            raise UnprovenError(
                f"{client.url} serves fingerprint {served.fingerprint.hex()[:10]}, "
                f"pinned is {self.pin.fingerprint.hex()[:10]}",
                advice="the organism moved to another config: ask its operator for the new reference",
            )
        for roster in proven_rosters(client.roster(), self.pin.fingerprint, self.pin.genesis):
            self.rosters[roster.version] = roster

    def item(self, data: bytes, client: NodeClient) -> SurfaceItem:
        """Decode and prove one item.

        Raises:
            UnprovenError: It is malformed or a majority's signatures are missing.
            UnreachableError: The endpoint does not answer for a roster that is not known yet.
        """
        from organismctl.identity.postcard import PostcardError
        from organismctl.identity.surface_item import decode_item, verify_item

        try:
            item = decode_item(data)
        except PostcardError as error:
            raise UnprovenError(f"{client.url} serves a malformed item: {error}") from error
        version = item.certificate.roster_version
        if version not in self.rosters:
            self.learn(client)
        roster = self.rosters.get(version)
        if roster is None:
            raise UnprovenError(
                f"item {item.seq} of {client.url} names roster version {version}, which is not proven"
            )
        verdict = verify_item(item, self.pin.fingerprint, self.pin.surface_id, roster)
        if not verdict.verified:
            raise UnprovenError(
                f"item {item.seq} of {client.url} has {len(verdict.valid)} of {verdict.threshold} needed signatures"
            )
        return item


def proven_rosters(answer: Mapping[str, Any], fingerprint: bytes, genesis: bytes) -> list[Roster]:
    """Every roster of a node's chain, proven.

    Args:
        answer: What ``GET /v1/roster`` gave.
        fingerprint: The organism's fingerprint, 32 bytes.
        genesis: The digest of the first roster, 32 bytes.

    Raises:
        UnprovenError: The chain is malformed or does not prove.
    """
    from organismctl.identity.postcard import PostcardError
    from organismctl.identity.roster import ChainError, Roster, decode_link, verify_chain

    try:
        members = tuple(bytes.fromhex(member["peer_id"]) for member in answer["genesis"]["members"])
        links = [decode_link(unbase64(link)) for link in answer["links"]]
        return verify_chain(fingerprint, genesis, Roster(1, members), links)
    except ChainError as error:
        raise UnprovenError(f"the roster does not prove from [genesis]: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, PostcardError) as error:
        raise UnprovenError("the roster chain is malformed") from error


def unbase64(text: str) -> bytes:
    """Base64url without padding.

    Raises:
        ValueError: It is none.
    """
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


@dataclass
class Reader:
    """Reads one surface from several endpoints that stand in for each other.

    Attributes:
        clients: The endpoints, in the order of preference.
        prover: Proves what they serve.
        start: The next seq wanted.
        patience_s: How long no endpoint may serve until the reader gives up.
        on_event: Told of everything beside the items.
        should_stop: Asked between items and on keep-alives.
    """

    clients: Sequence[NodeClient]
    prover: Prover
    start: int = 0
    patience_s: float = 30.0
    on_event: Callable[[Event], None] = lambda _event: None
    should_stop: Callable[[], bool] = lambda: False

    def follow(self) -> Iterator[SurfaceItem]:
        """Items from ``start`` on, then live, until the marker.

        Raises:
            UnreachableError: No endpoint served for longer than ``patience_s``.
            UnprovenError: No endpoint serves what proves.
            HoleError: No endpoint serves the next item.
        """
        failed_since: float | None = None
        pause = _FIRST_PAUSE_S
        while not self.should_stop():
            faults: list[OrganismError] = []
            for client in self.clients:
                before = self.start
                try:
                    for item in self._stream(client):
                        yield item
                        if item.retirement is not None:
                            return
                    if self.should_stop():
                        return
                except OrganismError as error:
                    faults.append(error)
                    self.on_event(Event("switched", client.url, error.message))
                if self.start > before:
                    faults, failed_since, pause = [], None, _FIRST_PAUSE_S
                    break
            if not faults:
                continue
            failed_since = failed_since or time.monotonic()
            self.on_event(Event("handle-failure", "", faults[-1].message))
            if time.monotonic() - failed_since > self.patience_s:
                raise _worst(faults)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def read(self) -> Iterator[SurfaceItem]:
        """Items from ``start`` up to the present end, from the first endpoint that serves them.

        Raises:
            OrganismError: As :meth:`follow`, when every endpoint failed.
        """
        faults: list[OrganismError] = []
        for client in self.clients:
            try:
                yield from self._replay(client)
            except OrganismError as error:
                faults.append(error)
                self.on_event(Event("switched", client.url, error.message))
            else:
                return
        raise _worst(faults)

    def _stream(self, client: NodeClient) -> Iterator[SurfaceItem]:
        self.prover.learn(client)
        self.on_event(Event("connected", client.url, f"from seq {self.start}"))
        for followed in client.follow(self.prover.pin.surface, self.start, on_beat=self._beat):
            yield from self._take(followed.item, client)
            if self.should_stop():
                return
        raise UnreachableError(f"{client.url} ended the stream before the marker")

    def _beat(self) -> None:
        if self.should_stop():
            raise UnreachableError("stopped")

    def _replay(self, client: NodeClient) -> Iterator[SurfaceItem]:
        self.prover.learn(client)
        ended = False
        while True:
            before = self.start
            page = client.items(self.prover.pin.surface, before, PAGE)
            if not page.items:
                return
            for data in page.items:
                for item in self._take(data, client):
                    if ended:
                        raise UnprovenError(f"{client.url} serves item {item.seq} after the marker")
                    yield item
                    ended = item.retirement is not None
            if self.start == before:
                raise UnprovenError(f"{client.url} serves no item from {before} on, only earlier ones again")

    def _take(self, data: bytes, client: NodeClient) -> Iterator[SurfaceItem]:
        item = self.prover.item(data, client)
        if item.seq > self.start:
            raise HoleError(f"{client.url} serves item {item.seq}, item {self.start} is missing")
        if item.seq == self.start:
            self.start += 1
            yield item


def _worst(faults: Sequence[OrganismError]) -> OrganismError:
    """A fault that tells more than silence, where there is one."""
    return next((fault for fault in faults if not isinstance(fault, UnreachableError)), faults[-1])
