"""The one table of commands: where each lives, and its line in the help. A test holds it to the modules."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command or a group of commands.

    Attributes:
        module: The module below ``organismctl.cli`` whose ``app`` it is.
        summary: Its line in ``organismctl --help``.
        section: The heading it stands under.
    """

    module: str
    summary: str
    section: str


COMMANDS: dict[str, Command] = {
    "init": Command("init", "Draft organism.toml and deployment.toml.", "Begin"),
    "doctor": Command("doctor", "Check the tool's own surroundings.", "Begin"),
    "status": Command("status", "Show the organism on one screen.", "See"),
    "watch": Command("watch", "Watch each spanned member and node, live.", "See"),
    "report": Command("report", "One page on the organism: horizons, lag, identities, findings.", "See"),
    "fingerprint": Command(
        "fingerprint", "What the organism is: show, explain, diff, check (the CI gate).", "See"
    ),
    "lock": Command("lock", "The accepted identity: init, accept, show.", "See"),
    "check": Command(
        "check", "Judge tickets, identities, committee, subscriptions, evidence, or all.", "See"
    ),
    "observe": Command("observe", "Look at the world once, and keep what was seen.", "See"),
    "inspect": Command("inspect", "Show a mosaik network by its own signed catalogs.", "See"),
    "explain": Command("explain", "What a finding's code means, and what to do.", "See"),
    "runbook": Command("runbook", "Runbooks that probe: list, show, run, report, check, new.", "Act"),
    "tickets": Command("tickets", "Renew tickets: request, show, import, install, issue.", "Act"),
    "rotate": Command("rotate", "Rotate a committee member.", "Act"),
    "retire": Command("retire", "End the organism in order; amend, cancel, verify.", "Act"),
    "change": Command("change", "Changes: list, show, apply, resume, take over, abort, history.", "Act"),
    "committee": Command(
        "committee", "Our own committee: init, serve, start, stop, status, void, relay.", "Run"
    ),
    "exporter": Command("exporter", "Run the resident exporter that Prometheus scrapes.", "Run"),
    "export": Command("export", "Rules, routes and dashboards for other tools.", "Run"),
    "surface": Command("surface", "The integrator's side: read and verify a surface.", "Run"),
}
