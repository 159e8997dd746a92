"""Alertmanager: routes of one organism's alerts by severity, and what silences what.

A whole file that `amtool check-config` takes; where Alertmanager runs already, its one route, receivers and
inhibitions go into the present file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from organismctl.export.alerts import PAGE, TICKET, quoted
from organismctl.export.yaml import Yaml, to_yaml


@dataclass(frozen=True, slots=True)
class Receivers:
    """Where alerts go: a webhook each, or ``None`` (the receiver is there and tells nobody yet)."""

    page: str | None = None
    ticket: str | None = None


class Inhibit(NamedTuple):
    """What says more silences what follows from it.

    Attributes:
        source: The alert that silences.
        targets: Pattern of the alerts that it silences.
        equal: Labels that both must have alike.
        more: A further matcher of what is silenced, or nothing.
    """

    source: str
    targets: str
    equal: tuple[str, ...]
    more: str = ""


INHIBITS = (
    Inhibit("OrganismExporterDown", "Organism(SourceDown|QuorumUnknown)", ("organism",)),
    Inhibit("OrganismQuorumLost", "Organism(NodeDown|LeaderNotUnique|LedgerBehind|ToleranceGone)", ("organism",)),
    Inhibit("OrganismGroupForked", "Organism(NodeDown|LedgerBehind)", ("organism", "node")),
    Inhibit("OrganismNodeDown", "OrganismSourceDown", ("organism",),
            'source=~"(node|subscriptions|evidence|facts|metrics)/.*"'),
    Inhibit("OrganismMemberDark", "Organism(SpanLag|StallWaiting)", ("organism", "span")),
    Inhibit("OrganismSpanRefused", "Organism(SpanLag|SpanOurSide)", ("organism", "span", "node")),
    Inhibit("OrganismTicketNearEnd", "OrganismTicketEndsSoon", ("organism", "span", "node")),
)  # fmt: skip


def config(organism: str, receivers: Receivers) -> str:
    """The configuration."""
    page, ticket = f"{organism} page", f"{organism} ticket"
    head = (
        f"Routes of {organism}'s alerts. Made by `organismctl export alertmanager`; `amtool check-config FILE` proves "
        "it.\nEach alert carries the annotations command, which shows it, and next, which mends it."
    )
    mine = [f"organism={quoted(organism)}"]
    return to_yaml(
        {
            "route": {
                "receiver": ticket,
                "group_by": ["organism", "alertname", "span"],
                "routes": [
                    {
                        "matchers": [*mine, f"severity={quoted(PAGE)}"],
                        "receiver": page,
                        "group_wait": "10s",
                        "group_interval": "1m",
                        "repeat_interval": "1h",
                    },
                    {
                        "matchers": [*mine, f"severity={quoted(TICKET)}"],
                        "receiver": ticket,
                        "group_wait": "1m",
                        "group_interval": "15m",
                        "repeat_interval": "1d",
                    },
                ],
            },
            "inhibit_rules": [_inhibit(mine, one) for one in INHIBITS],
            "receivers": [_receiver(page, receivers.page), _receiver(ticket, receivers.ticket)],
        },
        head,
    )


def _inhibit(mine: list[str], one: Inhibit) -> Yaml:
    return {
        "source_matchers": [*mine, f"alertname={quoted(one.source)}"],
        "target_matchers": [*mine, f"alertname=~{quoted(one.targets)}", *([one.more] if one.more else [])],
        "equal": [*one.equal],
    }


def _receiver(name: str, webhook: str | None) -> Yaml:
    if webhook is None:
        return {"name": name}
    return {"name": name, "webhook_configs": [{"url": webhook, "send_resolved": True}]}
