"""Which sources a deployment has: from the files to what :func:`organismctl.observe.look.observe` asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.identity.admission import own_label
from organismctl.observe import (
    card,
    exporter_history,
    exporter_memory,
    metrics,
    node_api,
    span_endpoint,
    span_evidence,
    ticket_files,
)
from organismctl.observe.look import Source, Want
from organismctl.observe.snapshot import OBSERVER, Fact, Snapshot
from organismctl.observe.span_sources import card_sources, endpoint_sources, metrics_sources

if TYPE_CHECKING:
    from pathlib import Path

    from organismctl.files.deployment import Deployment
    from organismctl.files.organism import LoadedOrganism
    from organismctl.identity.peer_entry import EntryPoint
    from organismctl.observe.wire.observer import Observer
    from organismctl.observe.wire_via import Via

NODE_KINDS = (
    node_api.STATUS, node_api.CONFIG, node_api.TICKETS, node_api.SUBSCRIPTIONS, node_api.EVIDENCE,
    node_api.SURFACES, node_api.FACTS,
)  # fmt: skip
WIRE_KINDS = ("wire.catalog", "wire.peer")
STREAM_KIND = "wire.stream"
ALL_KINDS = (
    *NODE_KINDS, node_api.DIGEST, ticket_files.KIND, card.KIND, metrics.KIND, span_endpoint.KIND, span_evidence.KIND,
    exporter_memory.KIND, exporter_history.KIND, *WIRE_KINDS, STREAM_KIND,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WireLook:
    """How the wire is looked at.

    Attributes:
        leave_out: Not at all.
        via: Nodes whose API is asked instead of UDP; their names.
        streams: Streams of ours to subscribe to, 32 bytes each.
        spans: Whether to subscribe to the streams of spanned members that we read.
        listen_s: Seconds to listen to each.
    """

    leave_out: bool = False
    via: Sequence[str] = ()
    streams: Sequence[bytes] = ()
    spans: bool = False
    listen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Given:
    """A source that need not look: what it tells is known beforehand, such as why nothing can be seen."""

    fact: Fact

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return (Want(self.fact.kind, self.fact.subject, self.fact.source),)

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        yield self.fact


@dataclass(frozen=True, slots=True)
class Looks:
    """Sources, and the second round that follows them."""

    sources: Sequence[Source]
    then: Callable[[Snapshot], Sequence[Source]] | None = None


def sources_for(
    kinds: Collection[str],
    organism: LoadedOrganism,
    deployment: Deployment | None,
    wire: WireLook | None = None,
) -> Looks:
    """The sources that give facts of ``kinds``.

    Args:
        kinds: Some of :data:`ALL_KINDS`.
        organism: Whose spanned members are looked at.
        deployment: ``None``: nothing is known about where to look, so there is nothing to ask.
        wire: How the wire is looked at, where the deployment names a mosaik address; by default over UDP.

    Raises:
        InputError: ``via`` names no node.
    """
    if deployment is None:
        return Looks(())
    sources: list[Source] = []
    addresses = node_addresses(deployment)
    asked = [at for at in addresses if at.url is not None or _on_roster(deployment, at.node)]
    looks = [node_api.NodeApi(at, kind) for kind in _node_kinds(kinds, organism) for at in asked]
    if any(look.address.url is not None for look in looks):
        from organismctl.observe.node_client import warm_up

        warm_up()
    sources += looks
    if ticket_files.KIND in kinds and (paths := ticket_paths(organism, deployment)):
        sources.append(ticket_files.TicketFiles(paths))
    if card.KIND in kinds:
        sources += card_sources(organism, deployment)
    if span_endpoint.KIND in kinds:
        sources += endpoint_sources(organism, deployment)
    if metrics.KIND in kinds:
        sources += metrics_sources(deployment, wire or WireLook())
    sources += _exporter(kinds, organism, deployment)
    sources += _wire(kinds, organism, deployment, wire or WireLook())
    return Looks(sources, _then(kinds, organism, deployment, addresses))


def _node_kinds(kinds: Collection[str], organism: LoadedOrganism) -> list[str]:
    """What nodes are asked; how degraded facts are only where the stall policy lets them be."""
    waits = organism.config.driver.stall == "wait"
    return [kind for kind in NODE_KINDS if kind in kinds and not (waits and kind == node_api.FACTS)]


def _exporter(kinds: Collection[str], organism: LoadedOrganism, deployment: Deployment) -> Iterator[Source]:
    """What a resident exporter is asked, where deployment.toml names one."""
    url, name = deployment.exporter.url, organism.config.name
    if url is None:
        return
    subjects = exporter_memory.subjects_of(organism)
    timeout = deployment.thresholds.probe_timeout_ms / 1000
    if exporter_memory.KIND in kinds:
        yield exporter_memory.ExporterMemory(url, name, subjects, timeout)
    if exporter_history.KIND in kinds:
        yield exporter_history.ExporterHistory(url, name, subjects, timeout)


def _then(
    kinds: Collection[str],
    organism: LoadedOrganism,
    deployment: Deployment,
    addresses: Sequence[node_api.Address],
) -> Callable[[Snapshot], Sequence[Source]] | None:
    """The second round: what is asked depends on what the first one told."""
    rounds: list[Callable[[Snapshot], Sequence[Source]]] = []
    if node_api.DIGEST in kinds:
        rounds.append(node_api.common_height(addresses))
    if span_evidence.KIND in kinds:
        timeout = deployment.thresholds.probe_timeout_ms / 1000
        rounds.append(span_evidence.resolve_after(organism, deployment, timeout))
    if not rounds:
        return None
    return lambda snapshot: [source for one in rounds for source in one(snapshot)]


def node_addresses(deployment: Deployment) -> list[node_api.Address]:
    """How each node of a deployment is asked, spares included; a token that cannot be read is said, not raised."""
    from organismctl.errors import OrganismError
    from organismctl.files.credentials import secret_file
    from organismctl.files.secret import read_secret

    token, problem = None, None
    if path := secret_file(deployment, "read_token") or secret_file(deployment, "operate_token"):
        try:
            token = read_secret(path).reveal()
        except OrganismError as exc:
            problem = f"the observer's token: {exc.message}"
    timeout = deployment.thresholds.probe_timeout_ms / 1000
    return [
        node_api.Address(
            node=node.name,
            url=node.url,
            token=token,
            token_problem=problem,
            ca=str(deployment.resolve(node.ca)) if node.ca else None,
            timeout_s=timeout,
        )
        for node in deployment.nodes
    ]


def ticket_paths(organism: LoadedOrganism, deployment: Deployment) -> list[ticket_files.TicketPath]:
    """Every ticket file of a spanned member that organism.toml has, and of our own committee."""
    spanned = {member.name for member in organism.config.span}
    own = own_label(organism.config)
    paths = [
        ticket_files.TicketPath(ticket.node, side.name, deployment.resolve(ticket.file), ticket.file)
        for side in deployment.spans
        if side.name in spanned
        for ticket in side.tickets
    ]
    return paths + [
        ticket_files.TicketPath(node.name, own, deployment.resolve(file), file)
        for node in deployment.nodes
        for file in node.tickets
    ]


def _on_roster(deployment: Deployment, name: str) -> bool:
    node = deployment.node(name)
    return node is not None and node.roster


def _wire(
    kinds: Collection[str], organism: LoadedOrganism, deployment: Deployment, look: WireLook
) -> list[Source]:
    """The network's catalogs, and the subscriptions that were asked for; nothing without a mosaik address."""
    if look.leave_out or not any(kind in kinds for kind in WIRE_KINDS):
        return []
    network = organism.config.network
    expected = [node.peer_id for node in deployment.nodes if node.roster]
    if look.via:
        from organismctl.observe.wire_via import ViaSource

        return [ViaSource(_via(deployment, look.via), network, expected)]
    points = _entry_points(deployment)
    if not points:
        return []
    from organismctl.observe.wire.sources import TIMEOUT_S, WireSource

    timeout = min(TIMEOUT_S, max(deployment.thresholds.probe_timeout_ms / 1000, 1.0))
    sources: list[Source] = [WireSource(points, network, timeout_s=timeout, expected=expected)]
    if STREAM_KIND in kinds and look.listen_s > 0:
        pairs = [
            *_own_streams(deployment, look),
            *(_span_streams(organism, deployment) if look.spans else ()),
        ]
        sources += _subscriptions(network, deployment, look.listen_s, pairs, timeout)
    return sources


def _own_streams(deployment: Deployment, look: WireLook) -> Iterator[tuple[bytes, EntryPoint]]:
    """Each of our streams at each node of the roster that has a mosaik address."""
    from organismctl.identity.peer_entry import EntryPoint

    for node in deployment.nodes:
        if node.roster and node.address is not None:
            point = EntryPoint.parse(f"{node.peer_id.hex()}@{node.address}")
            yield from ((stream, point) for stream in look.streams)


def _span_streams(organism: LoadedOrganism, deployment: Deployment) -> Iterator[tuple[bytes, EntryPoint]]:
    """Each stream that we read of a spanned member, at each of its peers that deployment.toml names."""
    from organismctl.identity.peer_entry import EntryPoint

    for member in organism.config.span:
        side = deployment.span(member.name)
        for peer in side.peers if side is not None else ():
            point = EntryPoint.parse(peer)
            yield from ((surface.id, point) for surface in member.surfaces if surface.type == "stream")


def _subscriptions(
    network: bytes,
    deployment: Deployment,
    listen_s: float,
    pairs: Sequence[tuple[bytes, EntryPoint]],
    timeout_s: float,
) -> list[Source]:
    """A subscription each; without an observer's files each says so, since the trouble is ours."""
    from organismctl.errors import OrganismError
    from organismctl.observe.wire.sources import StreamSource

    try:
        observer = observer_of(deployment)
    except OrganismError as exc:
        return [
            Given(
                Fact.unseen(
                    STREAM_KIND,
                    f"{stream.hex()}@{point.peer_id.hex()}",
                    f"wire {point}",
                    exc.message,
                    OBSERVER,
                )
            )
            for stream, point in pairs
        ]
    return [StreamSource(point, network, stream, observer, listen_s, timeout_s) for stream, point in pairs]


def _entry_points(deployment: Deployment) -> list[EntryPoint]:
    """Where a look at the wire begins: the roster's nodes with an address, and the spanned members' peers.

    A spare that runs is told by the others; one that does not, as is usual, would only hold the look up.
    """
    roster = [node for node in deployment.nodes if node.roster and node.address is not None]
    texts = [f"{node.peer_id.hex()}@{node.address}" for node in roster]
    texts += [peer for side in deployment.spans for peer in side.peers]
    if not texts:
        return []
    from organismctl.identity.peer_entry import EntryPoint

    return [EntryPoint.parse(text) for text in dict.fromkeys(texts)]


def _via(deployment: Deployment, names: Sequence[str]) -> list[Via]:
    from organismctl.errors import InputError
    from organismctl.observe.wire_via import Via, point_of

    addresses = {at.node: at for at in node_addresses(deployment)}
    made = []
    for name in dict.fromkeys(names):
        node = deployment.node(name)
        if node is None:
            known = ", ".join(addresses) or "none"
            raise InputError(f"--via: no node is called {name[:80]!r}", advice=f"nodes: {known}")
        if node.url is None:
            raise InputError(f"--via: {name} has no url", advice=f"give it one in {deployment.file}")
        made.append(Via(addresses[name], point_of(node.peer_id, node.address, node.url)))
    return made


def observer_of(deployment: Deployment) -> Observer:
    """Who looks at the wire, by ``[observer]``: its lasting identity and its tickets; else a fresh one.

    Raises:
        OrganismError: A file that it names cannot be read, or holds no seed.
    """
    from organismctl.files.credentials import observer_key_file

    tickets = [deployment.resolve(file) for file in deployment.observer.tickets]
    return read_observer(observer_key_file(deployment), tickets)


def read_observer(key: Path | None, tickets: Sequence[Path]) -> Observer:
    """An observer of files.

    Args:
        key: Its seed, 64 hex, mode 0600; ``None``: a fresh identity with each look.
        tickets: Its tickets.

    Raises:
        OrganismError: A file cannot be read, or holds no seed.
    """
    from organismctl.files.atomic import read_bounded
    from organismctl.identity.peer_entry import PeerTicket
    from organismctl.observe.wire.observer import Observer

    made = []
    for path in tickets:
        value = ticket_files.ticket_value(data := read_bounded(path, ticket_files.MAX_TICKET))
        made.append(PeerTicket(bytes.fromhex(str(value["class"])), ticket_files.ticket_bytes(data)))
    return Observer(_seed(key) if key is not None else None, tuple(made))


def _seed(path: Path) -> bytes:
    from organismctl.errors import InputError
    from organismctl.files.secret import read_secret
    from organismctl.identity.digest import parse_digest

    try:
        return parse_digest(read_secret(path).reveal())
    except ValueError as exc:
        raise InputError(f"{path} holds no seed", advice="64 hex characters: `openssl rand -hex 32`") from exc
