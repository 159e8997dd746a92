"""Prometheus: a rule file, and the scrape configuration, of one organism."""

from __future__ import annotations

from typing import TYPE_CHECKING

from organismctl.export.alerts import Alert, Subject, alerts
from organismctl.export.yaml import Yaml, to_yaml

if TYPE_CHECKING:
    from organismctl.identity.fingerprint import Identity

JOB = "organismctl"


def rules(subject: Subject, hold_ms: int, identity: Identity | None = None) -> str:
    """The rule file.

    Args:
        subject: Whose alerts.
        hold_ms: How long a condition must last before its alert fires; each alert takes a multiple of it.
        identity: What the organism is, for the head.
    """
    pin = identity.fingerprint.hex() if identity is not None else "not known here"
    head = (
        f"Alerts of {subject.organism}; fingerprint {pin}.\n"
        "Made by `organismctl export prometheus`: export anew when deployment.toml's thresholds change.\n"
        "`promtool check rules FILE` proves it. Each alert names the command that shows it and, as next, its\n"
        "runbook's. They ask for the organism by name: say in contexts.toml where it is,\n"
        "on the machine that you answer from."
    )
    made: list[Yaml] = [_rule(subject, alert, hold_ms) for alert in alerts(subject)]
    return to_yaml({"groups": [{"name": f"organism {subject.organism}", "rules": made}]}, head)


def _rule(subject: Subject, alert: Alert, hold_ms: int) -> Yaml:
    wait = alert.for_ms(hold_ms)
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({"for": duration(wait)} if wait else {}),
        "labels": {
            "organism": subject.organism,
            "severity": alert.severity,
            "concerns": alert.concerns,
            "runbook": alert.runbook,
        },
        "annotations": {
            "summary": f"{subject.organism}: {alert.summary}",
            "description": alert.description,
            "codes": " ".join(alert.codes),
            "runbook": alert.runbook,
            "command": alert.command,
            "next": subject.command(f"runbook run {alert.runbook}"),
        },
    }


def scrape(target: str, every_ms: int) -> str:
    """The scrape configuration.

    Args:
        target: ``HOST:PORT`` of the exporter.
        every_ms: How often it is scraped: as often as it sweeps.
    """
    return to_yaml(
        {
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "scrape_interval": duration(every_ms),
                    "static_configs": [{"targets": [target]}],
                }
            ]
        },
        "For prometheus.yml. Scraping more often than the exporter sweeps tells nothing new.",
    )


def duration(ms: int) -> str:
    """A duration as Prometheus writes it."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"
