"""Small repairs of single nodes that are no change of the committee: start one, and let one pass what is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from organismctl.change.errors import TransientError
from organismctl.errors import InputError, OrganismError, RefusedError, UnreachableError

if TYPE_CHECKING:
    from organismctl.change.api import Node
    from organismctl.change.wiring import Wiring

TICK_S = 0.2
SETTLE_S = 30.0
"""How long a node may take to apply what was certified for it."""


def start(
    wiring: Wiring, name: str, *, restart: bool, wait_s: float, waiting: Callable[[float], None]
) -> str:
    """Start a node by its executor, and wait until it answers.

    Args:
        wiring: The organism.
        name: The node's name.
        restart: Whether it is stopped first.
        wait_s: For its answer, at most.
        waiting: Told how long it has been waited for.

    Returns:
        What was done, a sentence.

    Raises:
        OrganismError: The executor could not, or it does not answer.
    """
    node = _node(wiring, name)
    executor = wiring.executor(name)
    if restart:
        executor.stop()
    elif _answers(node):
        return f"node {name} answers already"
    executor.start()
    begun = time.monotonic()
    while not _answers(node):
        took = time.monotonic() - begun
        if took > wait_s:
            raise UnreachableError(
                f"node {name} was started and does not answer within {wait_s:.0f} s",
                advice="read its log; `organismctl runbook run node-down`",
            )
        waiting(took)
        time.sleep(TICK_S)
    return f"node {name} answers"


def void_next(wiring: Wiring, name: str, reason: str) -> str | None:
    """Certify a VoidEvidence for the pointer that stops a node, and wait until it stands elsewhere or goes on.

    Returns:
        What was voided, a sentence; ``None`` when nothing stops it.

    Raises:
        OrganismError: Nobody takes the command, or the node does not say what stops it.
    """
    node = _node(wiring, name)
    told = _replay(node)
    if told.get("unresolved") is None:
        return None
    gone = [row for row in told.get("evidence", ()) if isinstance(row, dict) and row.get("state") == "gone"]
    if not gone:
        raise RefusedError(
            f"node {name} applies nothing, and names no pointer that is gone: {str(told['unresolved'])[:300]}",
            advice="`organismctl check evidence` says more",
        )
    last = gone[-1]
    command = {
        "type": "void_evidence", "height": last["height"], "pointer": last["pointer"], "reason": reason, "fence": None,
    }  # fmt: skip
    _certify(wiring, command, f"void-{name}-{last['height']}")
    end = time.monotonic() + SETTLE_S
    while _stands_at(node, last):
        if time.monotonic() > end:
            raise UnreachableError(
                f"node {name} still stands at height {last['height']}, {SETTLE_S:.0f} s after it was voided",
                advice="is it bonded with the others? `organismctl check committee`",
            )
        time.sleep(TICK_S)
    return f"voided: height {last['height']}, position {last['pointer'].get('position')}"


def _stands_at(node: Node, row: Mapping[str, Any]) -> bool:
    told = _replay(node)
    gone = [one for one in told.get("evidence", ()) if isinstance(one, dict) and one.get("state") == "gone"]
    return told.get("unresolved") is not None and bool(gone) and gone[-1] == row


def _certify(wiring: Wiring, command: Mapping[str, Any], request: str) -> None:
    """Have a command certified by whichever node takes it."""
    fault: OrganismError | None = None
    for node in wiring.nodes.values():
        try:
            node.append(command, request)
        except (UnreachableError, TransientError) as exc:
            fault = exc
        else:
            return
    raise fault or UnreachableError(f"{wiring.config.name}: no node has a url in deployment.toml")


def _node(wiring: Wiring, name: str) -> Node:
    node = wiring.nodes.get(name)
    if node is None:
        known = ", ".join(wiring.nodes) or "none"
        raise InputError(f"no node {name[:80]!r} in deployment.toml", advice=f"there are: {known}")
    return node


def _replay(node: Node) -> Mapping[str, Any]:
    with node.client() as client:
        return client.replay()


def _answers(node: Node) -> bool:
    try:
        with node.client() as client:
            client.health()
    except OrganismError:
        return False
    return True
