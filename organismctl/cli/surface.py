"""``organismctl surface``: what an integrator uses; nothing is believed but the pin, [genesis] and signatures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from organismctl.committee.client import NodeClient
    from organismctl.identity.config import OrganismConfig
    from organismctl.identity.surface_item import SurfaceItem
    from organismctl.observe.surface import Event, Pin, Reader

app = typer.Typer(
    help="The integrator's side: read a surface, and verify it from outside.",
    no_args_is_help=True,
    epilog="Examples: organismctl surface read --url http://127.0.0.1:7101 --follow; "
    "organismctl surface verify --retired",
)

Organism = Annotated[
    str | None,
    typer.Option(
        "--organism", metavar="NAME|PATH", help="The published organism.toml that is pinned (or its folder)."
    ),
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url", metavar="URL", help="A node that serves it; repeatable; default: deployment.toml's."
    ),
]
Peers = Annotated[
    list[str] | None,
    typer.Option(
        "--peer",
        metavar="PEERID@HOST:PORT",
        help="With --follow: read live from this node's mosaik stream; the node API only proves and fills gaps.",
    ),
]
Tickets = Annotated[
    list[Path] | None, typer.Option("--ticket", metavar="FILE", help="With --peer: a ticket to show there.")
]
Name = Annotated[str | None, typer.Option("--surface", metavar="NAME", help="Default: the first one.")]
From = Annotated[int, typer.Option("--from", min=0, metavar="SEQ", help="The first seq wanted.")]
READ_FORMATS = ("table", "jsonl")


@app.command()
def read(
    *,
    url: Urls = None,
    peer: Peers = None,
    ticket: Tickets = None,
    surface: Name = None,
    start: From = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on live until the marker.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many items.")] = None,
    patience: Annotated[
        str, typer.Option("--patience", metavar="DURATION", help="How long no node at all may serve.")
    ] = "30s",
    output_format: Annotated[str, typer.Option("--format", help="table or jsonl.")] = "table",
    organism: Organism = None,
) -> None:
    """Print proven items in the order of seq, each once; the marker is the last one.

    Exit codes: 0 read; 5 no node serves; 6 what is served does not prove, or an item is missing.
    """
    from organismctl.errors import UsageError
    from organismctl.observe.surface import Prover, Reader

    if output_format not in READ_FORMATS:
        raise UsageError(f"--format {output_format[:40]!r}: allowed: {', '.join(READ_FORMATS)}")
    if (peer and not follow) or (ticket and not peer):
        raise UsageError(
            "--peer goes with --follow, and --ticket with --peer", advice="organismctl surface read --help"
        )
    config, pin, clients = _handle(organism, url, surface)
    printer = _Printer(as_json=output_format == "jsonl")
    reader = Reader(clients, Prover(pin), start=start, patience_s=_seconds(patience), on_event=printer.event)
    items = reader.follow() if follow else reader.read()
    if peer:
        items = _over_the_wire(peer, ticket or [], config.network, reader)
    for count, item in enumerate(items, 1):
        printer.item(item)
        if limit is not None and count >= limit:
            break


@app.command()
def verify(
    *,
    url: Urls = None,
    surface: Name = None,
    start: From = 0,
    retired: Annotated[bool, typer.Option("--retired", help="Demand the marker as the last item.")] = False,
    output_format: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    organism: Organism = None,
) -> None:
    """Read the whole surface from every node, and prove that all of them serve the same items.

    Exit codes: 0 proven; 5 a node could not be read; 6 something does not prove.
    """
    from organismctl.cli.output import emit, emit_json, progress, table, wants_json
    from organismctl.observe.surface_audit import audit

    as_json = wants_json(output_format)
    _, pin, clients = _handle(organism, url, surface)
    with progress(f"reading {pin.surface}") as told:
        verdict = audit(clients, pin, start, retired=retired, on_items=told.step)
    if as_json:
        emit_json(verdict.as_json())
    else:
        rows = [
            [
                one.status,
                one.endpoint,
                str(one.items),
                "-" if one.last_seq is None else str(one.last_seq),
                one.detail,
            ]
            for one in verdict.endpoints
        ]
        emit(
            f"surface {pin.surface}  fingerprint {pin.fingerprint.hex()[:10]}  id {pin.surface_id.hex()[:10]}"
        )
        emit(table(rows, ["status", "node", "items", "last seq", "detail"]))
        emit(verdict.summary)
    raise typer.Exit(verdict.exit)


def _handle(
    organism: str | None, urls: list[str] | None, surface: str | None
) -> tuple[OrganismConfig, Pin, Sequence[NodeClient]]:
    """The published config, the pin and the endpoints that the options name."""
    import os

    from organismctl.committee.client import NodeClient
    from organismctl.errors import InputError
    from organismctl.files.context import resolve_context
    from organismctl.files.organism import load_organism
    from organismctl.identity.fingerprint import IdentityError, identity_of
    from organismctl.observe.surface import Pin

    context = resolve_context(organism, env=os.environ, cwd=Path.cwd())
    config = load_organism(context.organism_path).config
    try:
        identity = identity_of(config)
    except IdentityError as error:
        # A published file's command is never run here: it is somebody else's.
        raise InputError(
            f"the pin cannot be made: {error}", advice="ask for an organism.toml of scheme declared"
        ) from error
    names = list(identity.surface_ids)
    name = surface or next(iter(names), None)
    if name not in names:
        raise InputError(
            f"there is no surface {name!r}" if name else "the organism has no surface",
            advice=f"organism.toml has: {', '.join(names) or 'none'}",
        )
    if config.genesis is None:
        raise InputError(
            "organism.toml has no [genesis], so a stranger can prove nothing",
            advice="ask the organism's operator for the published organism.toml",
        )
    pin = Pin(identity.fingerprint, config.genesis.roster, identity.surface_ids[name], name)
    clients = [NodeClient(url) for url in urls] if urls else _deployed(context.deployment_path)
    if not clients:
        raise InputError("no node is named", advice="give --url URL, once for each node")
    return config, pin, clients


def _over_the_wire(
    peers: list[str], tickets: list[Path], network: bytes, reader: Reader
) -> Iterator[SurfaceItem]:
    from organismctl.cli.inspect import entry_point
    from organismctl.observe.sources import read_observer
    from organismctl.observe.surface_wire import WireReader

    points = [entry_point(text) for text in peers]
    return WireReader(points, network, read_observer(None, tickets), reader).follow()


def _deployed(path: Path | None) -> list[NodeClient]:
    from organismctl.committee.client import NodeClient
    from organismctl.files.deployment import load_deployment

    if path is None:
        return []
    deployment = load_deployment(path)
    return [
        NodeClient(node.url, ca=deployment.resolve(node.ca) if node.ca else None)
        for node in deployment.nodes
        if node.url
    ]


class _Printer:
    """Prints items as they come."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json

    def item(self, item: SurfaceItem) -> None:
        import sys

        row = _row(item)
        if self._json:
            import json

            sys.stdout.write(json.dumps(row) + "\n")
        else:
            from organismctl.cli.output import clean

            signers = f"{row['signers']} signatures"
            sys.stdout.write(clean(f"{item.seq:>8}  {row['item']:<10}  {signers}  {row['text']}") + "\n")
        sys.stdout.flush()

    def event(self, event: Event) -> None:
        from organismctl.cli.output import say

        if self._json and event.kind == "handle-failure":
            import json
            import sys

            failure = {"event": event.kind, "detail": event.detail, "seen_ms": int(time.time() * 1000)}
            sys.stdout.write(json.dumps(failure) + "\n")
            sys.stdout.flush()
        say(f"{event.kind}: {event.endpoint} {event.detail}".replace("  ", " "))


def _row(item: SurfaceItem) -> dict[str, Any]:
    marker = item.retirement
    row: dict[str, Any] = {
        "seq": item.seq,
        "height": item.height,
        "item": "retirement" if marker else "fact",
        "signers": len(item.certificate.signatures),
        "roster_version": item.certificate.roster_version,
        "seen_ms": int(time.time() * 1000),
    }
    if marker is not None:
        row["marker"] = {
            "effective_at": marker.effective_at,
            "replacement": marker.replacement,
            "reason": marker.reason,
        }
        row["text"] = f"retired, effective {marker.effective_at}" + (
            f", replaced by {marker.replacement}" if marker.replacement else ""
        )
    else:
        row["text"] = _fact_text(item)
        row["data"] = item.item.data.hex() if hasattr(item.item, "data") else ""
    return row


def _fact_text(item: SurfaceItem) -> str:
    """A fact of our own machine as a person reads it; the hex of any other."""
    data: bytes = getattr(item.item, "data", b"")
    return f"{len(data)} bytes {data[:24].hex()}{'…' if len(data) > 24 else ''}"


def _seconds(text: str) -> float:
    from organismctl.errors import UsageError
    from organismctl.identity.durations import parse_duration

    try:
        return parse_duration(text) / 1000
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is no duration", advice=f"allowed: {error}") from error
