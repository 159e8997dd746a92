"""Codes about how our committee hears its spanned members, and what its evidence rests on."""

from __future__ import annotations

from organismctl.check.codes_type import INTEGRATORS, Code
from organismctl.check.finding import Status
from organismctl.exits import Exit

_STALL = (
    "At run time: get the input back (tickets, endpoints, peers, the node itself), change the thresholds in "
    "deployment.toml, or let an entry pass by VoidEvidence. `stall`, `apply_deadline`, `fold`, `period` and the "
    "spanned set are in organism.toml: changing one is a new fingerprint, with notice and redeployment."
)

SPANS: tuple[Code, ...] = (
    Code(
        "SPAN-LAG",
        "how far a committee member is behind a spanned member",
        "Events that somebody has seen on the spanned member's surface and this node has not certified, and how "
        "long that takes at the surface's rate. Each pair by itself; the number of one pair says nothing of another.",
        "Is its subscription live (SPAN-SUBSCRIPTION)? Live and behind: does the committee certify (`check "
        "committee`), is the node's host overloaded? A node that has just started catches up by itself.",
        Exit.BREACH,
        "span-dark",
    ),
    Code(
        "SPAN-SUBSCRIPTION",
        "whether a node's subscription to a spanned member stands",
        "The node's own subscription does not stand although the spanned member serves others: it is our node's side "
        "(others of ours hear it), or our committee's (none of ours does, and somebody outside does).",
        "One node: its host's network, its `endpoints` and `peers`, its log. All of ours: the network between us and "
        "them, deployment.toml's `endpoints` and `peers`, our group's tickets (`check tickets`).",
        Exit.UNHEALTHY,
        "span-dark",
    ),
    Code(
        "SPAN-REFUSED",
        "a spanned member refuses a node of ours",
        "The spanned member is there and serves others, and refuses this node. mosaik says no more than that; where "
        "the node's ticket fails, the failing step of mosaik's validation is named, judged from the ticket itself.",
        "A failing step: `organismctl tickets request`, `tickets import`, `tickets install`. No failing step: their "
        "policy may have moved, see SPAN-ISSUER and their change channel.",
        Exit.UNHEALTHY,
        "tickets",
    ),
    Code(
        "SPAN-PRODUCER-GONE",
        "whether anybody produces a spanned member's surface",
        "Nobody serves the surface any more: none of its endpoints answers, or no peer in the network's catalog lists "
        "it. Their side: nothing that we do to our nodes brings it back.",
        "Call its operator (`contact` under its [[span]]). Meanwhile the stall policy applies. " + _STALL,
        Exit.UNHEALTHY,
        "span-dark",
    ),
    Code(
        "MEMBER-DARK",
        "for how many periods a surface has been silent",
        "Nothing came for more than dark_after periods of its clock, while somebody listened: a node whose "
        "subscription is live, the observer (`--listen`), or the resident exporter. Silence that nobody listened to "
        "proves nothing and is unknown.",
        "Ask its operator which side it is; SPAN-PRODUCER-GONE, SPAN-REFUSED and SPAN-SUBSCRIPTION say what is known. "
        "Unknown: listen longer than dark_after periods, or run `organismctl exporter`. " + _STALL,
        Exit.UNHEALTHY,
        "span-dark",
        concerns=INTEGRATORS,
    ),
    Code(
        "SPAN-SLOW-CONSUMER",
        "whether events were lost on the way to a node",
        "Events of a stream never reached this node, which cannot ask for them again: the producer dropped it as a "
        "slow consumer or limits its rate (mosaik drops what a subscriber does not take in time), or the node itself "
        "let them give way. Other nodes of ours that lost nothing make it this node's side.",
        "This node only: its host's CPU and link. All of ours: the spanned member's buffer or limit; ask its operator. "
        "Name `endpoints` under its [[span]], so that what a stream lost is fetched.",
        Exit.BREACH,
        "span-dark",
        default=Status.WARN,
    ),
    Code(
        "SPAN-RETIRING",
        "a spanned member announces its retirement on its surface",
        "Its RetirementMarker stands on its own surface: nothing comes after it. Since when, until when and by what it "
        "is replaced stands in the finding. Our fingerprint names it, so it goes stale with it.",
        "Before it takes effect: span its replacement instead (a new fingerprint and group id: announce, "
        "`organismctl fingerprint diff`, `organismctl lock accept --reason TEXT --announcement ID`, redeploy), or "
        "retire too: `organismctl retire --effective-at TIME`. Its signatures: `organismctl surface verify`.",
        Exit.DRIFT,
        "span-retires",
        concerns=INTEGRATORS,
    ),
    Code(
        "SPAN-CARD-CONTRADICTS",
        "whether a spanned member's card agrees with everything else",
        "Its card contradicts another card of it (an Atlas, the same URL asked again), what its endpoints serve, or "
        "the last item of its surfaces: it lies, has shrunk, flaps, or is half way through a change. Which is right "
        "nobody here can say.",
        "Ask its operator by a second way (`contact` under its [[span]]). Until then take nothing over from either.",
        Exit.DRIFT,
        "identity-drift",
    ),
    Code(
        "SPAN-CLOCK",
        "whether a spanned member's or node's clock makes sense",
        "A moment that it tells lies ahead of the moment at which it was seen. It counts as seen now: a clock that "
        "runs ahead makes nothing look fresher than it is, and hides nothing.",
        "Check time synchronisation on both sides (`timedatectl`, `chronyc tracking`).",
        Exit.BREACH,
        "span-dark",
        default=Status.WARN,
    ),
    Code(
        "SURFACE-STALE",
        "whether our own surface is fresh",
        "The last item of our surface against the pace at which facts can be made: five periods of the slowest clock, "
        "and the apply deadline. Older while every spanned member is heard, it is our side; older while one is silent, "
        "it only warns: MEMBER-DARK and STALL-WAITING say which one.",
        "See whether the committee certifies (`organismctl check committee`) and every node hears every spanned member "
        "(`organismctl check subscriptions`).",
        Exit.UNHEALTHY,
        "committee-short",
        concerns=INTEGRATORS,
    ),
    Code(
        "STALL-WAITING",
        "which spanned member the next fact waits for",
        'Under stall = "wait" a fact needs every spanned member; the surface stands still until the missing one '
        "reports. The finding names it, since when, and at which clock event.",
        _STALL,
        Exit.UNHEALTHY,
        "span-dark",
        concerns=INTEGRATORS,
    ),
    Code(
        "FACT-DEGRADED",
        "how degraded the newest facts are",
        'Under stall = "partial" a fact goes out at its deadline with what there is, and says what it lacks. The '
        "finding counts, over the newest facts, how many lack which spanned member.",
        "Bring the missing spanned member back. " + _STALL,
        Exit.BREACH,
        "span-dark",
        default=Status.WARN,
        concerns=INTEGRATORS,
    ),
    Code(
        "EVIDENCE-UNRESOLVED",
        "whether evidence still resolves upstream",
        "A pointer of the ledger names an upstream event that is not there any more, or is another one. Whoever "
        "replays the ledger must reject it there: a new or restored node stops applying at that height, and goes on "
        "storing entries. On a bare stream nobody can be asked: unknown.",
        "Confirm that it is the upstream's retention or a reorg (its operator, its endpoints); ask for a longer one. "
        "A stopped node goes on when the committee certifies VoidEvidence for exactly that height and pointer: "
        'POST /v1/ledger/append {"command": {"type": "void_evidence", …}} with the operate scope.',
        Exit.UNHEALTHY,
        "evidence",
    ),
    Code(
        "EVIDENCE-RETENTION",
        "how long the oldest evidence will still resolve",
        "The spanned member keeps a window of its surface. At the rate at which it moves, the oldest pointer that our "
        "ledger holds leaves it at the projected moment: from then on no node can be replaced or restored by replay.",
        "Before that moment: ask for longer retention, replace nodes that are due now (`organismctl rotate member`), "
        "and keep the nodes' disks, whose checkpoints need no replay.",
        Exit.BREACH,
        "evidence",
    ),
)
