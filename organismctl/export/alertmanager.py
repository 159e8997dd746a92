"""Alertmanager: routes of one organism's alerts by severity, and what silences what.

A whole file that `amtool check-config` takes; where Alertmanager runs already, its one route, receivers and
inhibitions go into the present file.
"""

from __future__ import annotations

from dataclasses import dataclass

from organismctl.export.alerts import PAGE, TICKET, quoted
from organismctl.export.yaml import Yaml, to_yaml


@dataclass(frozen=True, slots=True)
class Receivers:
    """Where alerts go: a webhook each, or ``None`` (the receiver is there and tells nobody yet)."""

    page: str | None = None
    ticket: str | None = None


INHIBITS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("OrganismExporterDown", "Organism(SourceDown|QuorumUnknown)", ("organism",)),
    ("OrganismQuorumLost", "Organism(NodeDown|LeaderNotUnique|LedgerBehind|ToleranceGone|Finding)", ("organism",)),
    ("OrganismGroupForked", "Organism(NodeDown|LedgerBehind)", ("organism", "node")),
    ("OrganismNodeDown", "OrganismSourceDown", ("organism",)),
    ("OrganismMemberDark", "Organism(SpanLag|StallWaiting)", ("organism", "span")),
    ("OrganismSpanRefused", "Organism(SpanLag|SpanOurSide)", ("organism", "span", "node")),
    ("OrganismTicketNearEnd", "OrganismTicketEndsSoon", ("organism", "span", "node")),
)  # fmt: skip
"""What says more silences what follows from it: (alert, pattern of alerts, labels that must be equal)."""


def config(organism: str, receivers: Receivers) -> str:
    """The configuration."""
    page, ticket = f"{organism} page", f"{organism} ticket"
    head = (
        f"Routes of {organism}'s alerts. Made by `organismctl export alertmanager`; `amtool check-config FILE` proves "
        "it.\nEach alert carries the annotations runbook and command."
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
            "inhibit_rules": [_inhibit(mine, *one) for one in INHIBITS],
            "receivers": [_receiver(page, receivers.page), _receiver(ticket, receivers.ticket)],
        },
        head,
    )


def _inhibit(mine: list[str], source: str, targets: str, equal: tuple[str, ...]) -> Yaml:
    return {
        "source_matchers": [*mine, f"alertname={quoted(source)}"],
        "target_matchers": [*mine, f"alertname=~{quoted(targets)}"],
        "equal": [*equal],
    }


def _receiver(name: str, webhook: str | None) -> Yaml:
    if webhook is None:
        return {"name": name}
    return {"name": name, "webhook_configs": [{"url": webhook, "send_resolved": True}]}
