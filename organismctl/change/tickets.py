"""What a change must know of tickets, judged by the check of that name over the files and the nodes' own word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from organismctl.change.site import Verdict

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.deployment import Deployment
    from organismctl.files.organism import LoadedOrganism

LOOK_S = 10.0
KINDS = ("ticket.file", "node.tickets")


def outlive(
    organism: LoadedOrganism, deployment: Deployment, nodes: Sequence[str], now_ms: int, until_ms: int
) -> list[Verdict]:
    """Whether each node stays admitted at every spanned member until ``until_ms``: a verdict a pair.

    Args:
        organism: organism.toml.
        deployment: deployment.toml.
        nodes: Nodes that the change needs.
        now_ms: Unix ms.
        until_ms: The change's deadline, Unix ms.
    """
    from organismctl.check.tickets import outlives

    return [
        Verdict(found.code, found.status.value, found.subject, found.summary)
        for found in outlives(_scope(organism, deployment, now_ms), nodes, until_ms)
    ]


def expired(organism: LoadedOrganism, deployment: Deployment, node: str, now_ms: int) -> bool | None:
    """Whether no ticket of the node admits it anywhere any more; ``None`` when that cannot be told.

    A spanned member that demands no ticket never fences a node.
    """
    from organismctl.check.ticket_matrix import Matrix, State

    matrix = Matrix(_scope(organism, deployment, now_ms))
    states = [matrix.cell(node, span).state for span in matrix.spans]
    if not states or any(state in (State.VALID, State.FREE) for state in states):
        return False
    return None if State.UNKNOWN in states else True


def _scope(organism: LoadedOrganism, deployment: Deployment, now_ms: int) -> Scope:
    from organismctl.check.scope import make_scope
    from organismctl.observe.look import observe
    from organismctl.observe.sources import sources_for

    looks = sources_for(KINDS, organism, deployment)
    snapshot = observe(looks.sources, LOOK_S, then=looks.then)
    return make_scope(organism, snapshot, deployment, None, now_ms)
