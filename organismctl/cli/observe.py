"""``organismctl observe``: look at the world once, and keep what was seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, Listen, NoWire, Organism, Output, ViaNode

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment
    from organismctl.observe.snapshot import Fact, Snapshot
    from organismctl.report.interface import Style
    from organismctl.report.model import Named

SHOWN_PEERS = 40
"""Peers of the network that the table names; a public network has thousands."""
_HEX64 = re.compile(r"[0-9a-f]{64}")

app = typer.Typer(
    help="Look at the world once, and keep what was seen.",
    rich_markup_mode=None,
)


@app.command()
def observe(
    *,
    organism: Organism = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="table or json, on standard output.")
    ] = "table",
    output: Output = None,
    timeout: Deadline = DEFAULT_DEADLINE,
    no_wire: NoWire = False,
    via: ViaNode = None,
    listen: Listen = None,
) -> None:
    """Look at nodes, tickets, cards and the wire once; -o FILE keeps it for `check --from FILE`, with mode 0600.

    Exit 5 when something could not be seen.
    """
    from organismctl.cli.judging import load_subject, style, take_look, wire_look
    from organismctl.cli.output import emit, say
    from organismctl.errors import UsageError
    from organismctl.exits import Exit
    from organismctl.observe.snapshot_file import as_json, holds_tickets, save_snapshot, without_tickets
    from organismctl.observe.sources import ALL_KINDS
    from organismctl.report.model import Named
    from organismctl.report.text import json_text

    if format_ not in ("table", "json"):
        raise UsageError(f"no format {format_!r}", advice="--format takes table or json")
    subject = load_subject(organism)
    wire = wire_look(subject, no_wire=no_wire, via=via, listen=listen)
    snapshot = take_look(subject, ALL_KINDS, timeout, wire=wire)
    named = Named.of(subject.scope(snapshot, snapshot.taken_ms))
    if output is not None:
        save_snapshot(output, snapshot, named.as_json())
        held = "; it holds tickets, so its mode is 0600" if holds_tickets(snapshot) else ""
        off = _spares_off(subject.deployment, snapshot)
        unseen = sum(not fact.seen and fact.subject not in off for fact in snapshot.facts)
        spares = f" (off, and spares: {', '.join(sorted(off))})" if off else ""
        say(f"{output}: {len(snapshot.facts)} facts, {unseen} not seen{spares}{held}")
    elif format_ == "json":
        emit(json_text(as_json(without_tickets(snapshot), named.as_json())))
    else:
        emit(_table(snapshot, named, style(output)))
    off = _spares_off(subject.deployment, snapshot)
    whole = subject.deployment is not None and all(
        fact.seen or fact.subject in off for fact in snapshot.facts
    )
    raise typer.Exit(int(Exit.OK if whole else Exit.UNKNOWN))


def _spares_off(deployment: Deployment | None, snapshot: Snapshot) -> set[str]:
    """Spares that do not run: nothing of them is to be seen, and nothing is wrong with that."""
    spares = {node.name for node in deployment.nodes if not node.roster} if deployment is not None else set()
    away = {one.subject for one in snapshot.of("node.status") if one.cause == "unreachable"}
    return spares & away


def _table(snapshot: Snapshot, named: Named, look: Style) -> str:
    """Every fact: what was seen, or why not; values are for the JSON form and the checks."""
    from organismctl.report.text import aligned, clean

    head = clean(named.line()) + "\n\n"
    if not snapshot.facts:
        return head + "nothing to look at: no deployment.toml, or it names no place to look\n"
    peers = [fact for fact in snapshot.of("wire.peer") if fact.seen]
    left_out = {id(fact) for fact in peers[SHOWN_PEERS:]}
    rows = [_row(fact) for fact in snapshot.facts if id(fact) not in left_out]
    page = head + aligned(rows, ("KIND", "SUBJECT", "STATE", "SOURCE"), look.width)
    return page + (f"and {len(left_out)} more peers: --format json lists them\n" if left_out else "")


def _row(fact: Fact) -> tuple[str, str, str, str]:
    """A fact with its ids short, as everywhere in tables."""
    state = "seen" if fact.seen else (fact.cause or "not seen")
    where = f"{fact.source}: {fact.reason}" if fact.reason else fact.source
    return fact.kind, _HEX64.sub(_ten, fact.subject), state, _HEX64.sub(_ten, where)


def _ten(found: re.Match[str]) -> str:
    return found[0][:10]
