"""Which sources tell of spanned members: their cards, Atlases and endpoints, and our nodes' own metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from organismctl.observe import card, metrics, span_endpoint
from organismctl.observe.snapshot import OBSERVER, Fact

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment
    from organismctl.files.organism import LoadedOrganism
    from organismctl.observe.look import Source
    from organismctl.observe.sources import WireLook


def metrics_sources(deployment: Deployment, look: WireLook) -> Iterator[metrics.Metrics]:
    """mosaik's exporter of each node that has one; sampled as far apart as streams are listened to."""
    timeout, gap = deployment.thresholds.probe_timeout_ms / 1000, max(look.listen_s, metrics.GAP_S)
    for node in deployment.nodes:
        if node.roster and node.metrics is not None:
            yield metrics.Metrics(node.name, node.metrics, gap, timeout)


def endpoint_sources(
    organism: LoadedOrganism, deployment: Deployment
) -> Iterator[span_endpoint.SpanEndpoint]:
    """Each node API of each spanned member whose surfaces we read."""
    timeout = deployment.thresholds.probe_timeout_ms / 1000
    for member in organism.config.span:
        side = deployment.span(member.name)
        ids = tuple(surface.id for surface in member.surfaces)
        for url in side.endpoints if side is not None and ids else ():
            yield span_endpoint.SpanEndpoint(member.name, url, ids, timeout)


def card_sources(organism: LoadedOrganism, deployment: Deployment) -> list[Source]:
    """Each spanned member's own card, and those of the coalitions' Atlases."""
    timeout = deployment.thresholds.probe_timeout_ms / 1000
    sides = {side.name: side for side in deployment.spans}
    atlases = list(_atlases(organism, deployment, timeout))
    cards: list[Source] = []
    for member in organism.config.span:
        side = sides.get(member.name)
        where = side.card if side else None
        if where is None and atlases:
            continue  # an Atlas tells of it, or says that it has no card of it
        if where is not None and not card.is_url(where):
            where = str(deployment.resolve(where))
        cards.append(card.Card(member.name, where, timeout))
    return [*cards, *atlases]


def _atlases(organism: LoadedOrganism, deployment: Deployment, timeout_s: float) -> Iterator[Source]:
    members = {member.name: member.stable_id.hex() for member in organism.config.span}
    named = [one for one in deployment.coalitions if one.atlas is not None] if members else []
    if not named:
        return
    from organismctl.errors import OrganismError
    from organismctl.observe.atlas import MAP, Atlas
    from organismctl.observe.sources import Given, observer_of

    for coalition in named:
        where, seed = coalition.atlas or "", None
        if where.startswith(MAP):
            try:
                seed = observer_of(deployment).seed
            except OrganismError as exc:
                source = f"atlas {where}"
                yield from (
                    Given(Fact.unseen(card.KIND, name, source, exc.message, OBSERVER)) for name in members
                )
                continue
        elif not card.is_url(where):
            where = str(deployment.resolve(where))
        relay = deployment.mosaik.relay
        yield Atlas(coalition.name, where, members, organism.config.network, relay, seed, timeout_s)
