"""The ordinary renewal of tickets: ask the issuer, judge what comes back, place it, install it on the nodes.

A bundle is judged whole before anything is written: every ticket under the validators that the spanned member
uses, for the node that it names, with a horizon no earlier than the present one's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.errors import InputError, OrganismError, RefusedError
from organismctl.files.atomic import os_errors, write_atomic
from organismctl.files.ticket_papers import Holder, Issued, TicketBundle, TicketRequest
from organismctl.identity.admission import COMMITTEE, own_committee
from organismctl.identity.digest import derive
from organismctl.observe.ticket_files import MAX_TICKET, ticket_bytes, ticket_value

if TYPE_CHECKING:
    from pathlib import Path

    from organismctl.committee.client import NodeClient
    from organismctl.files.deployment import Deployment, Node
    from organismctl.files.organism import LoadedOrganism
    from organismctl.identity.config import OrganismConfig, SpannedMember
    from organismctl.identity.verdict import TicketVerdict

POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Renewed:
    """One ticket that is to be placed.

    Attributes:
        node: The node that holds it.
        span: The spanned member.
        ticket: The ticket.
        verdict: How it was judged.
        old_horizon_s: The horizon of the ticket in the present file; ``None`` for never or none.
        path: Where it goes.
        file: The same as deployment.toml names it.
        admission: Whether it is for our own committee.
        ahead: Whether it admits from the spanned member's cut-over on: it goes beside the present one.
    """

    node: Node
    span: SpannedMember
    ticket: Issued
    verdict: TicketVerdict
    old_horizon_s: int | None
    path: Path
    file: str
    admission: bool = False
    ahead: bool = False

    @property
    def ticket_id(self) -> bytes:
        """mosaik's id of the ticket, 32 bytes."""
        return derive(self.ticket.ticket_class, self.ticket.data)


def find_span(config: OrganismConfig, name: str) -> SpannedMember:
    """The spanned member of that label.

    Raises:
        InputError: There is none.
    """
    for member in config.span:
        if member.name == name:
            return member
    known = ", ".join(member.name for member in config.span) or "none"
    raise InputError(f"no spanned member is called {name!r}", advice=f"organism.toml has: {known}")


def make_request(
    organism: LoadedOrganism,
    deployment: Deployment,
    span: str | None,
    nodes: Sequence[str],
    lifetime_s: int,
    pin: bytes,
) -> TicketRequest:
    """What to send to the issuer of a spanned member, or of our own committee.

    Args:
        organism: organism.toml.
        deployment: deployment.toml.
        span: The spanned member's label; ``None``: our own committee, whose issuers are ``[[acl]]``.
        nodes: Names of the nodes; empty = all.
        lifetime_s: The wanted lifetime, seconds.
        pin: Our fingerprint.

    Raises:
        InputError: The spanned member or a node is unknown, or no ticket is needed there.
    """
    member = own_committee(organism.config) if span is None else find_span(organism.config, span)
    current = [issuer.validator for issuer in member.issuers if issuer.state == "current"]
    if not current:
        stanza = "[[acl]]" if span is None else "[[span.issuer]] for it"
        raise InputError(f"{member.name} demands no ticket: organism.toml has no {stanza}")
    _known_nodes(deployment, nodes)
    names: list[str] = []
    audiences: list[str] = []
    for validator in current:
        names += getattr(validator, "issuers", ())
        audiences += getattr(validator, "audiences", ())
    holders = tuple(
        Holder(node.name, node.peer_id) for node in deployment.nodes if not nodes or node.name in nodes
    )
    return TicketRequest(
        organism.config.name, pin, organism.config.network, member.name, member.stable_id,
        tuple(dict.fromkeys(names)), tuple(dict.fromkeys(audiences)), lifetime_s, holders,
    )  # fmt: skip


def judge_bundle(
    config: OrganismConfig,
    deployment: Deployment,
    bundle: TicketBundle,
    now_s: int,
    *,
    allow_earlier: bool = False,
) -> list[Renewed]:
    """Judge every ticket of a bundle; nothing is written.

    Args:
        config: The organism's config.
        deployment: deployment.toml.
        bundle: What came back.
        now_s: Unix seconds.
        allow_earlier: Take a ticket whose horizon is earlier than the present one's.

    Raises:
        RefusedError: With every ticket that cannot be taken, and why.
    """
    ours = own_committee(config)
    member = next((one for one in (*config.span, ours) if one.stable_id == bundle.stable_id), None)
    if member is None:
        raise RefusedError(
            f"the bundle is for stable id {bundle.stable_id.hex()[:10]}, which organism.toml does not span",
            advice="ask the issuer for a bundle for one of the spanned members",
        )
    faults: list[str] = []
    taken: list[Renewed] = []
    if member is not ours and deployment.span(member.name) is None:
        faults.append(f"deployment.toml has no [[span]] {member.name!r} to name the tickets under")
    for ticket in bundle.tickets:
        try:
            taken.append(_judge(config, deployment, member, ticket, now_s, allow_earlier=allow_earlier))
        except RefusedError as error:
            faults.append(error.message)
    names = [one.node.name for one in taken]
    faults += [f"two tickets are for {name}" for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        raise RefusedError(
            "nothing was imported:\n  " + "\n  ".join(faults),
            advice="ask the issuer for new ones; `organismctl tickets show FILE` shows a ticket's claims",
        )
    return taken


def _judge(
    config: OrganismConfig,
    deployment: Deployment,
    member: SpannedMember,
    ticket: Issued,
    now_s: int,
    *,
    allow_earlier: bool,
) -> Renewed:
    from organismctl.check.ticket_matrix import judge

    node = next((one for one in deployment.nodes if one.peer_id == ticket.peer_id), None)
    if node is None:
        raise RefusedError(f"a ticket is for peer {ticket.peer_id.hex()[:10]}, which is no node of ours")
    verdicts = [judge(ticket.data, issuer, node.peer_id, config.network, now_s) for issuer in member.issuers]
    # A ticket that is proven under one issuer is not "unknown" because another's key is not here.
    verdict = min(verdicts, key=lambda one: (True, None, False).index(one.valid), default=None)
    if verdict is None:
        raise RefusedError(f"{member.name} demands no ticket: organism.toml has no [[span.issuer]] for it")
    if verdict.valid is False:
        raise RefusedError(
            f"{node.name} × {member.name}: fails at step {verdict.failing_step}: {verdict.detail}"
        )
    if ticket.ticket_class.hex() != ticket_value(ticket.data)["class"]:
        raise RefusedError(
            f"{node.name} × {member.name}: its bytes are not of the class that the bundle names"
        )
    ahead = is_ahead(config, member.name, node.peer_id, ticket, now_s)
    file = _file_of(config, deployment, member, node, ahead=ahead)
    path = deployment.resolve(file)
    old = _present(path, config, member, node, now_s)
    if old is not None and not allow_earlier and (earlier := _earlier(verdict, old)):
        raise RefusedError(f"{node.name} × {member.name}: its horizon is {earlier} than the present one's")
    return Renewed(
        node,
        member,
        ticket,
        verdict,
        old.horizon_s if old is not None else None,
        path,
        file,
        member not in config.span,
        ahead,
    )


def is_ahead(config: OrganismConfig, span: str, peer_id: bytes, ticket: Issued, now_s: int) -> bool:
    """Whether only an issuer that is about to take over (``state = "next"``) admits by this ticket."""
    from organismctl.check.ticket_matrix import judge

    issuers = (issuer for member in config.span if member.name == span for issuer in member.issuers)
    admit = (one for one in issuers if judge(ticket.data, one, peer_id, config.network, now_s).valid)
    return {issuer.state for issuer in admit} == {"next"}


def _earlier(new: TicketVerdict, old: TicketVerdict) -> str:
    """By how much the new horizon lies before the old one; empty when it does not."""
    if new.horizon_s is None or (old.horizon_s is not None and new.horizon_s >= old.horizon_s):
        return ""
    return f"{old.horizon_s - new.horizon_s} s earlier" if old.horizon_s is not None else "earlier (never)"


def _file_of(
    config: OrganismConfig, deployment: Deployment, member: SpannedMember, node: Node, *, ahead: bool
) -> str:
    if member not in config.span:
        return node.tickets[0] if node.tickets else f"tickets/{node.name}.{COMMITTEE}.ticket"
    if ahead:  # the present one still admits: it is not replaced before the cut-over
        return f"tickets/{node.name}.{member.name}.next.ticket"
    side = deployment.span(member.name)
    known = next((one.file for one in side.tickets if one.node == node.name), None) if side else None
    return known or f"tickets/{node.name}.{member.name}.ticket"


def _present(
    path: Path, config: OrganismConfig, member: SpannedMember, node: Node, now_s: int
) -> TicketVerdict | None:
    """The verdict on the ticket that is there now; ``None`` when there is none that admits."""
    from organismctl.check.ticket_matrix import judge
    from organismctl.files.atomic import read_bounded

    try:
        data = ticket_bytes(read_bounded(path, MAX_TICKET))
    except OrganismError:
        return None
    verdicts = [judge(data, issuer, node.peer_id, config.network, now_s) for issuer in member.issuers]
    admitting = [one for one in verdicts if one.valid]
    return max(
        admitting,
        key=lambda one: math.inf if one.horizon_s is None else one.horizon_s,
        default=None,
    )


def place(deployment: Deployment, renewed: Sequence[Renewed]) -> None:
    """Write the ticket files (0600, each atomically) and name them in deployment.toml.

    Raises:
        OrganismError: A file cannot be written; the rest of the bundle can be imported again.
    """
    from organismctl.files.edit import edit, set_admission, set_ticket

    for one in renewed:
        with os_errors(one.path.parent, "create"):
            one.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(one.path, one.ticket.data, 0o600)
    edit(
        deployment.path,
        *(
            set_admission(one.node.name, one.file)
            if one.admission
            else set_ticket(one.span.name, one.node.name, one.file, beside=one.ahead)
            for one in renewed
        ),
    )


def install(
    client: NodeClient,
    span: str,
    ticket: Issued,
    *,
    deadline_s: float,
    replace: bool = True,
    ahead: bool = False,
    waiting: Callable[[float], None] = lambda _seconds: None,
) -> None:
    """Send a ticket to its node and wait until the node shows it as admitted.

    Args:
        client: The node's API, with the operate scope.
        span: The spanned member.
        ticket: The ticket.
        deadline_s: How long to wait until it is seen there.
        replace: Whether the older tickets of that spanned member go away.
        ahead: Whether it admits from the cut-over on: then it is enough that the node has it.
        waiting: Told every now and then for how long it has been waiting.

    Raises:
        OrganismError: The node refuses, does not answer, or does not show the ticket in time.
    """
    wanted = derive(ticket.ticket_class, ticket.data)
    client.install_ticket(span, ticket.ticket_class, ticket.data, replace=replace)
    began = time.monotonic()
    while True:
        seen = next((one for one in client.tickets() if one.ticket_id == wanted), None)
        if seen is not None and (seen.valid or ahead):
            return
        if seen is not None and seen.failing_step:
            raise RefusedError(f"the node refuses the ticket at step {seen.failing_step}")
        if time.monotonic() - began > deadline_s:
            raise OrganismError(f"the node does not show the ticket after {deadline_s:.0f} s")
        waiting(time.monotonic() - began)
        time.sleep(POLL_S)


def files_to_install(
    config: OrganismConfig, deployment: Deployment, spans: Sequence[str], nodes: Sequence[str]
) -> Iterator[tuple[Node, str, Issued]]:
    """Every ticket file of the chosen pairs that is there, as ``(node, spanned member, ticket)``.

    Raises:
        InputError: A spanned member or node is unknown.
        OrganismError: A file that deployment.toml names is not there or cannot be read.
    """
    from organismctl.files.atomic import read_bounded

    for name in spans:
        find_span(config, name)
    _known_nodes(deployment, nodes)
    for side in deployment.spans:
        for one in side.tickets:
            node = deployment.node(one.node)
            if node is None or (spans and side.name not in spans) or (nodes and one.node not in nodes):
                continue
            raw = read_bounded(deployment.resolve(one.file), MAX_TICKET)
            kind = bytes.fromhex(str(ticket_value(raw)["class"]))
            yield node, side.name, Issued(node.peer_id, kind, ticket_bytes(raw))


def _known_nodes(deployment: Deployment, nodes: Sequence[str]) -> None:
    unknown = sorted(set(nodes) - {node.name for node in deployment.nodes})
    if unknown:
        raise InputError(f"no node is called {unknown[0]!r}", advice="see [[node]] in deployment.toml")
