"""Looks at the committee that several procedures share. Probes: they never act."""

from __future__ import annotations

from collections.abc import Iterable

from organismctl.change.fleet import NodeSeen, Survey
from organismctl.change.site import Site
from organismctl.change.step import Probe, Seen
from organismctl.identity.roster import majority


def wrong_identity(site: Site, node: NodeSeen) -> str | None:
    """Why a node is not of this organism, or ``None``."""
    if node.fingerprint != site.fingerprint:
        theirs, ours = node.fingerprint[:10], site.fingerprint[:10]
        return f"{node.name} runs fingerprint {theirs}, organism.toml gives {ours}"
    if site.group_id is not None and node.group_id is not None and node.group_id != site.group_id:
        return f"{node.name} has group id {node.group_id[:10]}, the files give {site.group_id[:10]}"
    return None


def quorum(site: Site, survey: Survey, roster: Iterable[str], what: str) -> Probe:
    """Whether a majority of a roster is up and of this organism.

    Args:
        site: The organism.
        survey: A look at all nodes.
        roster: Peer ids.
        what: The roster in words: ``with node-d``.
    """
    members = set(roster)
    live = survey.live(members)
    need = majority(len(members))
    missing = sorted(site.name_of(peer) for peer in members - live)
    if len(live) < need:
        return Probe.wait(
            f"{what}, {len(live)} of {len(members)} committee members are up, a majority is {need}",
            blocker=", ".join(missing),
        )
    return Probe.yes(f"{what}, {len(live)} of {len(members)} committee members are up (majority {need})")


def short_of_quorum(site: Site, survey: Survey) -> list[str]:
    """Why nothing can be certified now: less than a majority is up; empty when a majority is."""
    now = quorum(site, survey, survey.roster, "now")
    return [] if now.seen is Seen.YES else [f"{now.detail} (missing: {now.blocker})"]


def agreed(site: Site, survey: Survey, peers: Iterable[str], lag: int) -> Probe:
    """Whether these nodes hold the same ledger: one digest at one height, none of them far behind.

    Args:
        site: The organism.
        survey: A look at all nodes.
        peers: Peer ids that have to agree.
        lag: How many entries a node may be behind.
    """
    nodes = [survey.by_peer(peer) for peer in peers]
    seen = [node for node in nodes if node is not None]
    latest = survey.latest
    if len(seen) < len(nodes) or latest is None:
        lost = ", ".join(sorted(site.name_of(peer) for peer in peers if survey.by_peer(peer) is None))
        return Probe.wait("not every node could be seen", blocker=lost)
    for node in seen:
        if latest.certified - node.certified > lag:
            return Probe.wait(
                f"{node.name} has certified {node.certified} of {latest.certified} entries", blocker=node.name
            )
    height = min(node.certified for node in seen)
    digests = site.fleet.digests(height, {latest.name, *(node.name for node in seen)})
    unknown = sorted(name for name, digest in digests.items() if digest is None)
    if unknown:
        return Probe.wait(
            f"the digest at height {height} is unknown on {', '.join(unknown)}", blocker=unknown[0]
        )
    if len(set(digests.values())) > 1:
        told = ", ".join(f"{name} {digest[:10]}" for name, digest in sorted(digests.items()) if digest)
        return Probe.no(
            f"the nodes hold different ledgers at height {height}: {told}",
            blocker="diverged",
            advice="nothing may change while they differ: `organismctl check committee`",
        )
    digest = next(iter(digests.values())) or ""
    return Probe.yes(f"one digest, {digest[:10]}, at height {height} on {', '.join(sorted(digests))}")


def led(site: Site, survey: Survey, *, not_by: str | None = None) -> Probe:
    """Whether a majority of the roster follows one proposer, and not that one.

    Args:
        site: The organism.
        survey: A look at all nodes.
        not_by: Peer id that must not lead.
    """
    roster = survey.roster
    followed: dict[str, int] = {}
    for node in survey.seen.values():
        if node.peer_id in roster and node.proposer is not None and node.stopped is None:
            followed[node.proposer] = followed.get(node.proposer, 0) + 1
    if not followed:
        return Probe.wait("the committee has no leader", blocker="an election")
    leader, votes = max(followed.items(), key=lambda item: (item[1], item[0]))
    if votes < majority(len(roster)):
        return Probe.wait("no leader is followed by a majority", blocker="an election")
    if leader == not_by:
        return Probe.wait(f"{site.name_of(leader)} leads", blocker=site.name_of(leader))
    return Probe.yes(f"{site.name_of(leader)} leads")
