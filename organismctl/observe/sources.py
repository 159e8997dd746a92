"""Which sources a deployment has: from the files to what :func:`organismctl.observe.look.observe` asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.observe import card, node_api, ticket_files
from organismctl.observe.look import Source
from organismctl.observe.snapshot import Snapshot

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment
    from organismctl.files.organism import LoadedOrganism

NODE_KINDS = (node_api.STATUS, node_api.CONFIG, node_api.TICKETS)
ALL_KINDS = (*NODE_KINDS, node_api.DIGEST, ticket_files.KIND, card.KIND)


@dataclass(frozen=True, slots=True)
class Looks:
    """Sources, and the second round that follows them."""

    sources: Sequence[Source]
    then: Callable[[Snapshot], Sequence[Source]] | None = None


def sources_for(kinds: Collection[str], organism: LoadedOrganism, deployment: Deployment | None) -> Looks:
    """The sources that give facts of ``kinds``.

    Args:
        kinds: Some of :data:`ALL_KINDS`.
        organism: Whose spanned members are looked at.
        deployment: ``None``: nothing is known about where to look, so there is nothing to ask.
    """
    if deployment is None:
        return Looks(())
    sources: list[Source] = []
    addresses = node_addresses(deployment)
    asked = [at for at in addresses if at.url is not None or _on_roster(deployment, at.node)]
    looks = [node_api.NodeApi(at, kind) for kind in NODE_KINDS if kind in kinds for at in asked]
    if any(look.address.url is not None for look in looks):
        from organismctl.observe.node_client import warm_up

        warm_up()
    sources += looks
    if ticket_files.KIND in kinds and (paths := ticket_paths(organism, deployment)):
        sources.append(ticket_files.TicketFiles(paths))
    if card.KIND in kinds:
        sources += _cards(organism, deployment)
    then = node_api.common_height(addresses) if node_api.DIGEST in kinds else None
    return Looks(sources, then)


def node_addresses(deployment: Deployment) -> list[node_api.Address]:
    """How each node of a deployment is asked, spares included; a token that cannot be read is said, not raised."""
    from organismctl.errors import OrganismError
    from organismctl.files.secret import read_secret

    token, problem = None, None
    if name := deployment.secrets.read_token or deployment.secrets.operate_token:
        try:
            token = read_secret(deployment.resolve(name)).reveal()
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
    """Every ticket file of a spanned member that organism.toml has."""
    spanned = {member.name for member in organism.config.span}
    return [
        ticket_files.TicketPath(ticket.node, side.name, deployment.resolve(ticket.file), ticket.file)
        for side in deployment.spans
        if side.name in spanned
        for ticket in side.tickets
    ]


def _on_roster(deployment: Deployment, name: str) -> bool:
    node = deployment.node(name)
    return node is not None and node.roster


def _cards(organism: LoadedOrganism, deployment: Deployment) -> list[card.Card]:
    timeout = deployment.thresholds.probe_timeout_ms / 1000
    sides = {side.name: side for side in deployment.spans}
    cards = []
    for member in organism.config.span:
        side = sides.get(member.name)
        where = side.card if side else None
        if where is not None and not card.is_url(where):
            where = str(deployment.resolve(where))
        cards.append(card.Card(member.name, where, timeout))
    return cards
