"""``init --from-peer``: from a look at a network to drafts of both files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.check.wire_view import WirePeer, WireView
    from organismctl.errors import Problem
    from organismctl.files.wire_drafts import WireAdmission, WireDraft, WireNode

LINK = "organismctl/link/1"
"""In the ids of the streams between our own nodes, which are no surfaces."""
MOST_NODES = 99


def draft_from(
    points: Sequence[str],
    *,
    name: str,
    network: str,
    group: str | None,
    acl: tuple[str, str] | None,
    via: Sequence[str] | None = None,
    timeout: str = "10s",
) -> WireDraft:
    """Look at a network, and draft the organism whose committee the first entry point belongs to.

    Args:
        points: Entry points, ``PEERID@HOST:PORT``.
        name: The organism's name.
        network: Text or 64 hex.
        group: The committee's group id, 64 hex; ``None``: the one that stands out.
        acl: Issuer and key, when they are known.
        via: Node APIs that are asked instead of UDP.
        timeout: For the whole look.

    Raises:
        UnreachableError: No entry point answered, or none is on this network.
        InputError: Which group is the committee cannot be told.
    """
    from datetime import UTC, datetime

    from organismctl.check.wire_view import wire_view
    from organismctl.cli.inspect import look
    from organismctl.errors import UnreachableError
    from organismctl.files.wire_drafts import WireDraft
    from organismctl.identity.digest import uid

    snapshot = look(points, network, via=via, timeout=timeout)
    view = wire_view(snapshot, uid(network))
    if view.blind is not None:
        raise UnreachableError(view.blind, advice="organismctl inspect shows each entry point")
    chosen = _group(view, points[0].partition("@")[0].lower(), group)
    members = sorted((one for one in view.joined(chosen) if not one.observer), key=lambda one: one.peer_id)
    known = {point.partition("@")[0].lower(): point.partition("@")[2] for point in points}
    surfaces = _surfaces(members, chosen)
    return WireDraft(
        name=name,
        network=network,
        group_id=chosen,
        entry_points=tuple(door.subject for door in view.answering),
        date=datetime.fromtimestamp(snapshot.taken_ms / 1000, UTC).date().isoformat(),
        nodes=_nodes(members, known if not via else {}),
        surfaces=surfaces,
        others=_others(view, members),
        admissions=_admissions(members),
        relays=tuple(dict.fromkeys(relay for one in members for relay in one.relays)),
        acl=acl,
    )


def _group(view: WireView, first: str, wanted: str | None) -> str:
    """The committee's group: the one asked for, else the one of the first entry point with most members."""
    from organismctl.errors import InputError, UnreachableError

    if wanted is not None:
        if not view.joined(wanted):
            raise InputError(
                f"no peer has joined {wanted[:10]}", advice="organismctl inspect lists the groups"
            )
        return wanted
    peer = view.peers.get(first)
    if peer is None:
        raise UnreachableError(
            "the first entry point's own entry was not seen on this network",
            advice="is --network right? `organismctl inspect` without --network shows which it is on",
        )
    sizes = {one: len(view.joined(one)) for one in peer.groups}
    most = [one for one, size in sizes.items() if size == max(sizes.values())]
    if not most:
        raise InputError(f"{first[:10]} has joined no group", advice="name a committee member as entry point")
    if len(most) > 1:
        listed = "; ".join(f"{one} ({sizes[one]} peers)" for one in most[:8])
        raise InputError(
            f"{first[:10]} has joined {len(most)} groups of one size (maps are groups too): {listed}",
            advice="say which is the committee: --group ID",
        )
    return most[0]


def _nodes(members: Sequence[WirePeer], known: Mapping[str, str]) -> tuple[WireNode, ...]:
    """Members in the order of their ids; where one was asked itself, that address comes first."""
    from organismctl.files.wire_drafts import WireNode

    few = len(members) <= 26
    return tuple(
        WireNode(
            f"node-{chr(ord('a') + index)}" if few else f"node-{index + 1}",
            one.peer_id,
            tuple(
                dict.fromkeys(
                    (*([known[one.peer_id]] if one.peer_id in known else []), *_usable(one.addresses))
                )
            ),
            one.version,
        )
        for index, one in enumerate(members[:MOST_NODES])
    )


def _usable(addresses: Sequence[str]) -> list[str]:
    """Addresses that deployment.toml takes."""
    from organismctl.identity.peer_entry import parse_address

    good = []
    for one in addresses:
        try:
            parse_address(one)
        except ValueError:
            continue
        good.append(one)
    return good


def _surfaces(members: Sequence[WirePeer], group: str) -> tuple[str, ...]:
    """Streams that members serve in common, the most served first; the links between nodes are none."""
    from organismctl.identity.digest import derive

    secret = bytes.fromhex(group)
    ids = [bytes.fromhex(one.peer_id) for one in members[:MOST_NODES]]
    links = {derive(secret, LINK, one, other).hex() for one in ids for other in ids if one != other}
    counts: dict[str, int] = {}
    for member in members:
        for stream in member.streams:
            if stream not in links:
                counts[stream] = counts.get(stream, 0) + 1
    needed = min(2, len(members))
    found = [stream for stream, count in counts.items() if count >= needed]
    return tuple(sorted(found, key=lambda stream: (-counts[stream], stream)))


def _others(view: WireView, members: Sequence[WirePeer]) -> tuple[tuple[str, str], ...]:
    own = {one.peer_id for one in members}
    rest = (peer for peer in view.peers.values() if peer.peer_id not in own)
    return tuple(sorted((stream, peer.peer_id) for peer in rest for stream in peer.streams))


def _admissions(members: Sequence[WirePeer]) -> tuple[WireAdmission, ...]:
    """What every member's tickets claim in common: an issuer that only some have is for something else."""
    from organismctl.files.wire_drafts import WireAdmission
    from organismctl.identity.jwt import inspect_jwt
    from organismctl.identity.validator import JWT_CLASS, KEY_SIZES

    per_member: list[set[tuple[str | None, str]]] = []
    for member in members:
        claimed = set()
        for ticket in member.tickets:
            if ticket.class_ != JWT_CLASS.hex() or ticket.data is None:
                continue
            try:
                told = inspect_jwt(ticket.data)
            except ValueError:
                continue
            if told.alg in KEY_SIZES:
                claimed.add((told.registered.get("iss"), told.alg))
        per_member.append(claimed)
    common = set.intersection(*per_member) if per_member else set()
    return tuple(WireAdmission(issuer, alg) for issuer, alg in sorted(common, key=str))


def write_wire(folder: Path, draft: WireDraft) -> tuple[list[Path], list[Problem]]:
    """Write both files; what a person has still to fill in comes back as problems.

    Raises:
        PathError: The system refused.
    """
    from organismctl.errors import InputError
    from organismctl.files.atomic import os_errors, write_atomic
    from organismctl.files.deployment import parse_deployment
    from organismctl.files.organism import parse_organism
    from organismctl.files.wire_drafts import wire_deployment, wire_organism

    paths = [folder / "organism.toml", folder / "deployment.toml"]
    texts = [wire_organism(draft), wire_deployment(draft)]
    missing: list[Problem] = []
    for read in (
        lambda: parse_organism(texts[0], str(paths[0])),
        lambda: parse_deployment(texts[1], paths[1]),
    ):
        try:
            read()
        except InputError as exc:
            missing += exc.problems
    with os_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        write_atomic(path, text.encode(), 0o644)
    return paths, missing
