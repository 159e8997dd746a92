"""Codes about how our own committee fares."""

from __future__ import annotations

from organismctl.check.codes_type import INTEGRATORS, Code
from organismctl.check.finding import Status
from organismctl.exits import Exit

COMMITTEE: tuple[Code, ...] = (
    Code(
        "MEMBER-UNREACHABLE",
        "a committee member does not answer the observer",
        "The node's API did not answer in time. That is not the same as unhealthy: the network between us and it, "
        "its address in deployment.toml or its TLS may be at fault. Whether it is bonded, its peers say.",
        "Look from its own host: is the process up, does its API listen? Peers that have a bond to it show that "
        "it lives. With `--dead` a rotation can replace it.",
        Exit.UNHEALTHY,
        "node-down",
        default=Status.UNKNOWN,
    ),
    Code(
        "OBSERVER-REFUSED",
        "the node refuses the observer, not the committee",
        "The node answers, but not to us (401 or 403): our token is missing, wrong or lacks the scope. It says "
        "nothing about the committee.",
        "Check [secrets] read_token in deployment.toml and that the node was started with the same token.",
        Exit.UNHEALTHY,
        "observer",
        default=Status.UNKNOWN,
    ),
    Code(
        "ANSWER-MALFORMED",
        "a node's answer is not what the contract says",
        "Something answers at the node's address that does not speak the node API, or speaks another version.",
        "Check the url in deployment.toml, and which version runs there.",
        Exit.UNHEALTHY,
        "observer",
        default=Status.UNKNOWN,
    ),
    Code(
        "NODE-STOPPED",
        "a node has stopped loudly",
        "The node answers, but it stopped applying: a contradiction with a certified entry, a corrupt store, or "
        "evidence that is gone. Its own reason stands in the finding. One that met another node's ledger stops too, "
        "though its own is sound: one odd node stops them all.",
        "Do not restart it blindly. Its own ledger is that of the majority: end the odd node, then start it again. "
        "Else read its reason and log, and replace it by a rotation.",
        Exit.UNHEALTHY,
        "ledger-diverged",
    ),
    Code(
        "COMMITTEE-QUORUM",
        "whether a majority of the roster is there",
        "Less than a majority of the certified roster is up and bonded: the ledger refuses writes, nothing is "
        "lost, the surfaces stand still.",
        "Bring nodes back, the newest ledger first. Never shrink the roster to get a majority.",
        Exit.UNHEALTHY,
        "committee-short",
        concerns=INTEGRATORS,
    ),
    Code(
        "COMMITTEE-TOLERANCE",
        "how many more may fail",
        "One number: how many more committee members may fail before the ledger refuses writes. Zero warns.",
        "Bring the missing nodes back, or replace them by `organismctl rotate member`.",
        Exit.UNHEALTHY,
        "node-down",
    ),
    Code(
        "ONE-HOST",
        "the whole committee runs on one host",
        "All nodes are processes of one host (carrier loopback): replicas=1, tolerance=0. Separate fault domains, "
        "partitions and clock skew between hosts cannot apply and are not checked.",
        "Fine for a rehearsal. For production put each node on a host of its own.",
        Exit.UNHEALTHY,
        "first-install",
        default=Status.WARN,
    ),
    Code(
        "ROSTER-EVEN",
        "the roster has an even number",
        "An even committee tolerates no more failures than the odd one below it, and costs one more bond each.",
        "Add or remove one member, or accept the finding while it is on its way.",
        Exit.UNHEALTHY,
        "rotate-member",
        default=Status.WARN,
    ),
    Code(
        "ROSTER-LARGE",
        "the roster has more than five",
        "mosaik seats at most five voters; beyond five its own commits may rest on three nodes, and every "
        "certificate grows.",
        "Go back to five, or accept the finding.",
        Exit.UNHEALTHY,
        "rotate-member",
        default=Status.WARN,
    ),
    Code(
        "ROSTER-DRIFT",
        "the wished roster is not the certified one",
        "deployment.toml wishes another roster than the ledger has certified. The file is only a wish.",
        "Finish or resume the rotation (`organismctl change list`), or correct `roster` in deployment.toml.",
        Exit.DRIFT,
        "lost-laptop",
    ),
    Code(
        "ROSTER-DISAGREE",
        "nodes hold different rosters",
        "Two nodes hold different members under one roster version, which the protocol forbids, or one has not "
        "heard of a newer version yet (a warning).",
        "One version, different members: treat it as a divergence; stop the minority's node and compare logs.",
        Exit.UNHEALTHY,
        "ledger-diverged",
    ),
    Code(
        "LEADER-UNIQUE",
        "exactly one proposer",
        "The ledger's proposer of the highest epoch: none, or two in one epoch, is unhealthy.",
        "None: is a majority bonded? Wait ten seconds and look again. Two in one epoch: compare digests at once.",
        Exit.UNHEALTHY,
        "leader",
    ),
    Code(
        "BOND-MISSING",
        "bonds between committee members",
        "A node has no live bond to another committee member. Re-bonding can take 60 to 90 seconds after a start.",
        "After that time: check addresses and firewalls between the two, then tickets and group id on both.",
        Exit.UNHEALTHY,
        "node-down",
    ),
    Code(
        "COMMIT-LAG",
        "how far a node is behind",
        "The node has certified fewer entries than the furthest one, beyond commit_lag.",
        "A node that was just started catches up by itself; else look at its disk and its bonds.",
        Exit.BREACH,
        "node-down",
    ),
    Code(
        "LEDGER-DIVERGED",
        "ledger digests at one height",
        "Nodes hold different ledger or state digests at one certified height. Every node may report itself "
        "healthy: only this comparison shows it.",
        "Stop every change. Keep all disks. Find the height with `log/digest`, take the majority's chain as the "
        "truth, replace the odd nodes by rotation.",
        Exit.UNHEALTHY,
        "ledger-diverged",
        concerns=INTEGRATORS,
    ),
    Code(
        "GROUP-FORKED",
        "nodes run different identities",
        "Nodes of one committee run under different fingerprints or group ids, so they cannot bond with each "
        "other. Each part may look healthy from its own metrics.",
        "Compare /v1/config of the nodes; restart the odd ones with the committee's config and secret.",
        Exit.UNHEALTHY,
        "group-forked",
    ),
    Code(
        "IDENTITY-UNDEPLOYED",
        "the committee runs another identity than the files say",
        "All nodes agree on an identity, but it is not that of organism.toml (or of the lock's deployed stanza).",
        "Deploy the config by a planned change, or restore the files that run.",
        Exit.DRIFT,
        "identity-drift",
        concerns=INTEGRATORS,
    ),
    Code(
        "VERSION-SKEW",
        "nodes run different versions",
        "Nodes run different versions of the tool. Fine during a rolling restart, not for long.",
        "Finish the rolling restart.",
        Exit.UNHEALTHY,
        "upgrade",
        default=Status.WARN,
    ),
    Code(
        "CLOCK-SKEW",
        "a node's clock is off",
        "The node's clock and the observer's differ by more than clock_skew, beyond the time the answer took. "
        "Tickets are judged by each side's own clock.",
        "Check time synchronisation (`timedatectl`, `chronyc tracking`) on both hosts.",
        Exit.BREACH,
        "node-down",
        default=Status.WARN,
    ),
    Code(
        "NODE-DRAINED",
        "a committee member is drained",
        "The committee has certified a drain of this member: it no longer proposes. Left over, it is one less to "
        "lead when others fail.",
        "Finish or abort the rotation that drained it: `organismctl change list`.",
        Exit.UNHEALTHY,
        "lost-laptop",
        default=Status.WARN,
    ),
    Code(
        "RETIREMENT-SCHEDULED",
        "a retirement is scheduled",
        "The committee has certified a retirement with a date that has not come. Until the seal it can be "
        "amended or cancelled.",
        "`organismctl retire amend` or `cancel`; else see that integrators were told.",
        Exit.UNHEALTHY,
        "retirement",
        default=Status.WARN,
        concerns=INTEGRATORS,
    ),
    Code(
        "ORGANISM-SEALED",
        "the organism is sealed",
        "The marker has gone out as the last item on every surface; every further command is refused, for ever.",
        "Verify it from outside: `organismctl surface verify`; nodes linger, then stop.",
        Exit.UNHEALTHY,
        "retirement",
        default=Status.WARN,
        concerns=INTEGRATORS,
    ),
    Code(
        "CHECK-INCOMPLETE",
        "a check could not be done as asked",
        "The check lacks what it needs: a deployment file, nodes with an address, or an answer from anybody.",
        "Name the deployment (`--organism PATH`), give nodes a url, and run it again.",
        Exit.UNHEALTHY,
        "observer",
        default=Status.UNKNOWN,
    ),
)
