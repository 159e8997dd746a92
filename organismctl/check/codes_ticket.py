"""Codes about tickets: the committee members' admission at the spanned members."""

from __future__ import annotations

from organismctl.check.codes_type import Code
from organismctl.check.finding import Status
from organismctl.exits import Exit

_RENEW = (
    "Renew it: `organismctl tickets request`, then `tickets import` what the issuer sends back, then `tickets "
    "install`. Replacing a ticket before its horizon keeps the bond; removing it drops the bond at once."
)

TICKETS: tuple[Code, ...] = (
    Code(
        "TICKET-HORIZON",
        "when a ticket stops admitting",
        "The effective horizon of a committee member at a spanned member: the earliest moment at which one of the "
        "required tickets stops admitting, min(exp, iat or quoted + max_age). Below ticket_warn it warns, below "
        "ticket_bad it is a breach; past it, the spanned member admits this node no more.",
        _RENEW,
        Exit.BREACH,
        "tickets",
    ),
    Code(
        "TICKET-INVALID",
        "a ticket does not admit",
        "A spanned member would refuse this ticket. mosaik says InvalidTicket and nothing else; the step of its "
        "validation that fails is named here.",
        "issuer, signature, algorithm: ask the issuer. subject: it was issued to another peer id. not-before, "
        "expired: look at both clocks. max-lifetime, max-age: ask for one that fits the policy. " + _RENEW,
        Exit.BREACH,
        "tickets",
    ),
    Code(
        "TICKET-MISSING",
        "a ticket is missing",
        "A committee member holds no ticket for a spanned member that demands one. It still joins the committee "
        "and looks healthy there, but it hears nothing from that spanned member.",
        _RENEW,
        Exit.BREACH,
        "tickets",
    ),
    Code(
        "TICKET-UNSEEN",
        "a ticket could not be judged",
        "The ticket's file or the node could not be read, or the issuer's key is a shared secret that is not "
        "here. Whether the node is admitted is not known.",
        "Name the file under [[span.ticket]] in deployment.toml, check its mode, and that the node answers.",
        Exit.BREACH,
        "tickets",
        default=Status.UNKNOWN,
    ),
    Code(
        "TICKET-NEVER-EXPIRES",
        "a ticket never stops admitting",
        "The ticket has no expiry, and the validator takes it so. Whoever copies it from the node's disk with the "
        "node's key is admitted for ever; rotation will never be exercised.",
        "Ask the issuer for tickets with an expiry, or accept the finding with a date.",
        Exit.BREACH,
        "tickets",
        default=Status.WARN,
    ),
    Code(
        "TICKET-INSTALLED",
        "whether the node holds the ticket of the file",
        "The ticket in the file and the tickets that the node has installed are compared. One that is only in a "
        "file admits nobody.",
        "Install it: `organismctl tickets install`.",
        Exit.DRIFT,
        "tickets",
    ),
    Code(
        "TICKET-QUORUM",
        "until when a majority is admitted at a spanned member",
        "The moment at which fewer than a majority of the committee will hold a valid ticket for a spanned "
        "member, or for the committee itself. One issuer's tickets tend to expire together; then evidence can no "
        "longer be vouched for.",
        "Renew enough tickets before that moment. " + _RENEW,
        Exit.BREACH,
        "tickets",
    ),
    Code(
        "TICKET-QUORUM-LOST",
        "a majority is shut out at a spanned member",
        "Fewer than a majority of the committee hold a valid ticket for a spanned member now: its events cannot "
        "be vouched for and the surfaces go dark by the stall policy.",
        "Renew tickets for any node at once. " + _RENEW,
        Exit.UNHEALTHY,
        "tickets",
    ),
    Code(
        "TICKET-NEXT-ISSUER",
        "tickets from the issuer that is about to take over",
        'organism.toml names an issuer with state = "next". A committee member without its ticket is refused '
        "from the spanned member's cut-over on.",
        "Ask the next issuer for a ticket for this node, and install it beside the present one: both coexist.",
        Exit.BREACH,
        "issuance-root",
        default=Status.WARN,
    ),
    Code(
        "TICKET-OUTLIVED",
        "a change would outlive a ticket",
        "A change is refused, because a ticket that it needs stops admitting before the change's deadline: a "
        "node would be shut out in the middle of it.",
        "Renew the ticket first, then plan the change again. " + _RENEW,
        Exit.REFUSED,
        "tickets",
    ),
)
