"""What entry points tell, checked and merged into facts.

Rules:
    1. Only what a peer signed says anything about that peer; all else is a problem with the entry point that
       told it.
    2. Of several entries of one peer the newest (start, update) counts, whoever told it.
    3. Two different entries of one version, both signed, are a problem with the peer: it is then not believed.
    4. A peer is told by those who have any entry of it that may be trusted, also an older one.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from organismctl.identity.digest import short
from organismctl.identity.peer_entry import MAX_ENTRIES, Catalog, EntryPoint, EntryProblem, PeerEntry, Signed
from organismctl.observe.snapshot import MALFORMED, UNREACHABLE, Fact
from organismctl.observe.wire.observer import OBSERVER_TAG

if TYPE_CHECKING:
    from organismctl.identity.config import Json
    from organismctl.observe.wire.faults import WireError

CATALOG, PEER, STREAM = "wire.catalog", "wire.peer", "wire.stream"

MAX_DRIFT_MS = 50_000
"""How far ahead of our clock an entry may be dated: what mosaik itself allows (``max_time_drift``)."""
CHECK_S = 10.0
"""How long the catalogs of one look are checked: four of 20,000 strangers each take less."""
MAX_PROBLEMS = 100
"""Problems that are listed for one entry point; of the others the number is said."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What one entry point told.

    Attributes:
        point: The entry point.
        source: How facts name the source: ``wire PEERID@HOST:PORT``, or ``node-api URL`` when asked through a node.
        told: Its catalog as it came, or why it did not.
        seen_ms: When, Unix ms.
        took_ms: How long it took.
    """

    point: EntryPoint
    source: str
    told: bytes | WireError = field(repr=False)
    seen_ms: int
    took_ms: int


@dataclass(slots=True)
class _Told:
    """A telling that is being checked."""

    telling: Telling
    network: bytes | None = None
    entries: list[Signed] = field(default_factory=list)
    problems: list[EntryProblem] = field(default_factory=list)


@dataclass(slots=True)
class _Peer:
    """Everything that is told of one peer."""

    best: Signed
    by: _Told
    told_by: list[_Told]
    torn: bool = False


def facts_of(
    tellings: Iterable[Telling],
    network: bytes | None,
    now_ms: int,
    *,
    expected: Sequence[bytes] = (),
    observer: bytes | None = None,
    seconds: float = CHECK_S,
) -> list[Fact]:
    """Check and merge what entry points told.

    Args:
        tellings: What each told, or why it did not.
        network: The network that is looked at; ``None``: whichever each entry point says it is on.
        now_ms: The wall clock, Unix ms.
        expected: Peer ids that are asked about: each has a fact, if only that nobody tells of it.
        observer: The observer's own peer id, so that its own entry is marked.
        seconds: How long catalogs are checked; one that is not begun by then is not seen.

    Returns:
        ``wire.catalog`` of each entry point, then ``wire.peer`` of each peer.
    """
    known: dict[bytes, bytes] = {}
    end = time.monotonic() + seconds
    tolds = [
        _checked(telling if time.monotonic() < end else _unread(telling, seconds), network, now_ms, known)
        for telling in tellings
    ]
    peers = _merged(tolds)
    facts = [_catalog_fact(told) for told in tolds]
    facts += [_peer_fact(peer, observer) for _, peer in sorted(peers.items())]
    asked = dict.fromkeys((*expected, *(told.telling.point.peer_id for told in tolds)))
    facts += [_missing(peer_id, tolds) for peer_id in asked if peer_id not in peers]
    return facts


def _unread(telling: Telling, seconds: float) -> Telling:
    """A telling that there is no time left to check."""
    if not isinstance(telling.told, bytes):
        return telling
    from organismctl.observe.wire.faults import WireError

    what = f"its catalog of {len(telling.told)} bytes was not checked: the others took {seconds:g} s"
    return replace(telling, told=WireError(what))


def _checked(telling: Telling, network: bytes | None, now_ms: int, known: dict[bytes, bytes]) -> _Told:
    """What may be trusted of one telling, and what is wrong with it."""
    told = _Told(telling)
    if not isinstance(telling.told, bytes):
        return told
    from organismctl.identity.peer_entry import read_catalog

    catalog = read_catalog(telling.told, max_entries=MAX_ENTRIES, known=known)
    told.problems += catalog.problems
    own = [one.entry.network for one in catalog.entries if one.entry.peer_id == telling.point.peer_id]
    told.network = own[-1] if own else None
    if not own:
        told.problems.append(_own_is_missing(catalog, telling.point.peer_id))
    _sift(told, catalog, network if network is not None else told.network, now_ms)
    return told


def _own_is_missing(catalog: Catalog, peer_id: bytes) -> EntryProblem:
    if any(problem.peer_id == peer_id for problem in catalog.problems):
        return EntryProblem("it tells an entry of its own that it did not sign", peer_id)
    return EntryProblem("it tells no entry of its own", peer_id)


def _sift(told: _Told, catalog: Catalog, network: bytes | None, now_ms: int) -> None:
    """Take what is of this network and not of the future; one entry a peer."""
    foreign: dict[bytes, int] = {}
    own: dict[bytes, Signed] = {}
    for one in catalog.entries:
        entry = one.entry
        if network is not None and entry.network != network:
            foreign[entry.network] = foreign.get(entry.network, 0) + 1
        elif (ahead := max(entry.version) - now_ms) > MAX_DRIFT_MS:
            told.problems.append(EntryProblem(f"dated {ahead // 1000} s ahead of this clock", entry.peer_id))
        elif entry.peer_id in own:
            told.problems.append(EntryProblem("it tells two entries of one peer", entry.peer_id))
            told.entries.append(one)
        else:
            own[entry.peer_id] = one
            told.entries.append(one)
    for other, count in foreign.items():
        of = "entry" if count == 1 else "entries"
        told.problems.append(EntryProblem(f"{count} {of} of another network, {short(other)}"))


def _merged(tolds: Sequence[_Told]) -> dict[bytes, _Peer]:
    """The newest entry of each peer, and who tells of it."""
    peers: dict[bytes, _Peer] = {}
    for told in tolds:
        for one in told.entries:
            peer = peers.get(one.entry.peer_id)
            if peer is None:
                peers[one.entry.peer_id] = _Peer(one, told, [told])
                continue
            if peer.told_by[-1] is not told:
                peer.told_by.append(told)
            _compare(peer, one, told)
    return peers


def _compare(peer: _Peer, one: Signed, told: _Told) -> None:
    if one.entry.version > peer.best.entry.version:
        peer.best, peer.by, peer.torn = one, told, False
    elif one.entry.version == peer.best.entry.version and one.digest != peer.best.digest:
        peer.torn = True
        what = "it signed two different entries of one version"
        for teller in {id(peer.by): peer.by, id(told): told}.values():
            teller.problems.append(EntryProblem(what, one.entry.peer_id))


def _catalog_fact(told: _Told) -> Fact:
    telling = told.telling
    subject = str(telling.point)
    if not isinstance(telling.told, bytes):
        error = telling.told
        return Fact.unseen(CATALOG, subject, telling.source, error.message, error.cause)
    return Fact(
        CATALOG,
        subject,
        {
            "peer_id": telling.point.peer_id.hex(),
            "address": telling.point.address,
            "network": told.network.hex() if told.network is not None else None,
            "entries": len(told.entries),
            "problems": _problem_values(told.problems),
            "took_ms": telling.took_ms,
        },
        telling.source,
        seen_ms=telling.seen_ms,
        took_ms=telling.took_ms,
    )


def _problem_values(problems: Sequence[EntryProblem]) -> list[Json]:
    values: list[Json] = [
        {"peer_id": one.peer_id.hex() if one.peer_id is not None else None, "what": one.what}
        for one in problems[:MAX_PROBLEMS]
    ]
    if more := len(problems) - MAX_PROBLEMS:
        values += [{"peer_id": None, "what": f"{more} more problems"}] if more > 0 else []
    return values


def _peer_fact(peer: _Peer, observer: bytes | None) -> Fact:
    entry, telling = peer.best.entry, peer.by.telling
    subject = entry.peer_id.hex()
    if peer.torn:
        reason = "it signed two different entries of one version, so neither is believed"
        return Fact.unseen(PEER, subject, telling.source, reason, MALFORMED)
    value = entry_value(entry)
    value["told_by"] = [str(told.telling.point) for told in peer.told_by]
    value["observer"] = OBSERVER_TAG in entry.tags or entry.peer_id == observer
    return Fact(PEER, subject, value, telling.source, seen_ms=telling.seen_ms)


def entry_value(entry: PeerEntry) -> dict[str, Json]:
    """An entry as JSON, the tickets' bytes in base64url: for facts, never for an output."""
    return {
        "network": entry.network.hex(),
        "protocol": entry.protocol,
        "started_ms": entry.started_ms,
        "updated_ms": entry.updated_ms,
        "addresses": list(entry.addresses),
        "relays": list(entry.relays),
        "tags": [one.hex() for one in entry.tags],
        "streams": [one.hex() for one in entry.streams],
        "groups": [one.hex() for one in entry.groups],
        "tickets": [
            {
                "class": ticket.kind.hex(),
                "ticket_id": ticket.id.hex(),
                "data": base64.urlsafe_b64encode(ticket.data).rstrip(b"=").decode(),
            }
            for ticket in entry.tickets
        ],
    }


def _missing(peer_id: bytes, tolds: Sequence[_Told]) -> Fact:
    """Nobody tells of a peer that is asked about."""
    answered = [told for told in tolds if isinstance(told.telling.told, bytes)]
    if not answered:
        reason, cause = "no entry point gave its catalog", UNREACHABLE
    elif any(problem.peer_id == peer_id for told in answered for problem in told.problems):
        reason, cause = (
            "what is told of it may not be trusted: see the problems of the entry points",
            MALFORMED,
        )
    else:
        reason, cause = "no entry point that answered tells of it", UNREACHABLE
    source = answered[0].telling.source if answered else tolds[0].telling.source if tolds else "wire"
    return Fact.unseen(PEER, peer_id.hex(), source, reason, cause)
