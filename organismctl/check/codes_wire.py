"""Codes about what the wire shows: mosaik's own catalog, read without anybody's co-operation."""

from __future__ import annotations

from organismctl.check.codes_type import INTEGRATORS, Code
from organismctl.check.finding import Status
from organismctl.exits import Exit

WIRE: tuple[Code, ...] = (
    Code(
        "WIRE-UNREACHABLE",
        "an entry point does not tell its catalog",
        "mosaik's UDP address of this peer gave the observer no catalog in time. That is not the same as "
        "unhealthy: a firewall between us and it lets no UDP through more often than a node is down.",
        "Check `address` under its [[node]] (or `peers` under its [[span]]) in deployment.toml; where UDP is "
        "blocked, ask through a node: `--via NODE`.",
        Exit.UNHEALTHY,
        "observer",
        default=Status.UNKNOWN,
    ),
    Code(
        "CATALOG-UNPROVEN",
        "an entry point sends what does not prove",
        "The catalog that this entry point sent holds an entry that is malformed, is for another network, or "
        "whose signature is not its peer's. It was not believed; the finding names who sent it.",
        "One of ours: look at that host, its process may be replaced or broken. Somebody else's: tell its "
        "operator; nothing was taken from it.",
        Exit.UNHEALTHY,
        "key-compromise",
        default=Status.WARN,
    ),
    Code(
        "PEER-ABSENT",
        "a committee member is not in the network's catalog",
        "Entry points answered, and none of their catalogs holds this peer: nobody in the network can find it, "
        "so nobody bonds with it. Known to some entry points only, it warns: it has just started, or the "
        "network is parted.",
        "Is it up? Is its `network` the same, and does it have a bootstrap peer? An entry is forgotten 5 minutes "
        "after its last update; after a start allow 90 seconds.",
        Exit.UNHEALTHY,
        "node-down",
    ),
    Code(
        "GROUP-STRANGER",
        "a peer outside the roster says it joined our group",
        "A peer that is neither on the certified roster nor in deployment.toml lists our group id. Anybody may "
        "say so, the id is public; with the group secret and a ticket it would be bonded.",
        "A replaced member that still runs: stop it. Nobody of ours: see whether a member's secret or ticket has "
        "leaked; a new group secret is a planned change.",
        Exit.UNHEALTHY,
        "key-compromise",
        default=Status.WARN,
    ),
    Code(
        "TICKET-WIRE",
        "the ticket on the wire against the one in the file",
        "What a node publishes in its signed entry is what the other side judges; a file only says what it was "
        "meant to publish. The finding says where a ticket is: in the file only, on the wire only, on both, or "
        "another one on the wire than in the file.",
        "File only, or another id: `organismctl tickets install`. Wire only: somebody renewed it beside the "
        "files; import what the issuer sent.",
        Exit.DRIFT,
        "tickets",
    ),
    Code(
        "TICKET-ADMISSION",
        "a node's own admission to the committee, as its peers judge it",
        "The tickets that the node publishes, judged by [[acl]] in mosaik's order: every validator must pass, "
        "the earliest horizon governs. A node never checks its own ticket: without a valid one it joins, hears "
        "nobody, elects itself and looks healthy from its own metrics.",
        "Get it a ticket from the committee's issuer and install it: the bond survives when the new one is there "
        "before the horizon.",
        Exit.BREACH,
        "tickets",
    ),
    Code(
        "SURFACE-UNSERVED",
        "which nodes serve a surface",
        "An integrator pinned to this fingerprint looks for exactly this surface id. No node that serves it "
        "means ConnectTimeout for all of them; some nodes that do not serve it are so many fewer to fail over to.",
        "Is the committee up, and does it run this fingerprint (`organismctl check committee`)? A node that does "
        "not serve it runs another config or has not caught up.",
        Exit.UNHEALTHY,
        "committee-short",
        concerns=INTEGRATORS,
    ),
    Code(
        "SURFACE-HEARD",
        "what a subscriber hears of a surface",
        "The observer subscribed as an integrator would. Nothing heard in the time of listening only warns: "
        "silence is proven by listening longer than the surface's period.",
        "Listen longer (`--listen 60s`); compare with the ledger's next seq; a refusal names whose side it is.",
        Exit.UNHEALTHY,
        "committee-short",
        default=Status.WARN,
        concerns=INTEGRATORS,
    ),
    Code(
        "SPAN-UNSERVED",
        "which peers serve a spanned member's surface",
        "The wire shows which peers serve the surface that organism.toml reads. None of them in a catalog that "
        "answered: our nodes hear nothing from that spanned member, whatever its card says.",
        "Ask its operator: down, or moved to another fingerprint (then `organismctl check identity` shows the "
        "card)? Check `peers` under its [[span]] in deployment.toml.",
        Exit.UNHEALTHY,
        "span-dark",
    ),
    Code(
        "SPAN-HEARD",
        "what a subscriber hears of a spanned member",
        "The observer subscribed to a surface that organism.toml reads, with its own tickets. Nothing heard only "
        "warns: listen longer than dark_after periods. A RetirementMarker as its last item says that nothing more "
        "will come; whether it is genuine, its signatures say.",
        "A refusal concerns the observer's ticket, not our nodes' ([observer] tickets in deployment.toml). A marker: "
        "`organismctl surface verify` with its roster, then its replacement.",
        Exit.UNHEALTHY,
        "span-dark",
        default=Status.WARN,
    ),
)
