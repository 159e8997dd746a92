"""``organismctl surface``: what an integrator uses; nothing is believed but the pin, [genesis] and signatures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.surface_pin import Fingerprint, Genesis, Handle, Name, Organism, Urls, open_handle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from organismctl.identity.surface_item import SurfaceItem
    from organismctl.observe.surface import Event, Reader

app = typer.Typer(
    help="The integrator's side: read a surface, and verify it from outside.",
    no_args_is_help=True,
)

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
    fingerprint: Fingerprint = None,
    genesis: Genesis = None,
) -> None:
    """Print proven items in the order of seq, each once; the marker is the last one.

    Exit codes: 0 read; 5 no node serves, --from is beyond the end, or the first roster is the nodes' own word;
    6 what is served does not prove, or an item is missing.
    """
    from organismctl.errors import UsageError
    from organismctl.exits import Exit
    from organismctl.observe.surface import Prover, Reader

    if output_format not in READ_FORMATS:
        raise UsageError(f"--format {output_format[:40]!r}: allowed: {', '.join(READ_FORMATS)}")
    if (peer and not follow) or (ticket and not peer):
        raise UsageError(
            "--peer goes with --follow, and --ticket with --peer", advice="organismctl surface read --help"
        )
    handle = open_handle(organism, url, surface, fingerprint, genesis)
    printer = _Printer(as_json=output_format == "jsonl")
    reader = Reader(
        handle.clients, Prover(handle.pin), start=start, patience_s=_seconds(patience), on_event=printer.event
    )
    items = reader.follow() if follow else reader.read()
    if peer:
        items = _over_the_wire(peer, ticket or [], handle.network, reader)
    count = 0
    for count, item in enumerate(items, 1):
        printer.item(item)
        if limit is not None and count >= limit:
            break
    if not count:
        _say_where_it_ends(handle, start)
    if not handle.rooted:
        raise typer.Exit(Exit.UNKNOWN)


@app.command()
def verify(
    *,
    url: Urls = None,
    surface: Name = None,
    start: From = 0,
    retired: Annotated[bool, typer.Option("--retired", help="Demand the marker as the last item.")] = False,
    output_format: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    organism: Organism = None,
    fingerprint: Fingerprint = None,
    genesis: Genesis = None,
) -> None:
    """Read the whole surface from every node, and prove that all of them serve the same items.

    Exit codes: 0 proven; 5 a node could not be read, or the first roster is the nodes' own word; 6 something does not
    prove.
    """
    from organismctl.cli.output import emit, emit_json, progress, table, wants_json
    from organismctl.observe.surface_audit import audit

    as_json = wants_json(output_format)
    handle = open_handle(organism, url, surface, fingerprint, genesis)
    pin = handle.pin
    with progress(f"reading {pin.surface}") as told:
        verdict = audit(handle.clients, pin, start, retired=retired, rooted=handle.rooted, on_items=told.step)
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


def _say_where_it_ends(handle: Handle, start: int) -> None:
    """Nothing was read: say where the surface ends.

    Raises:
        typer.Exit: With 5, when the first seq wanted is beyond the end.
    """
    from contextlib import suppress

    from organismctl.cli.output import say
    from organismctl.errors import OrganismError
    from organismctl.exits import Exit

    end = 0
    for client in handle.clients:
        with suppress(OrganismError):  # another node told that there is nothing
            served = client.surfaces().surfaces
            end = max(end, *(one.next_seq for one in served if one.name == handle.pin.surface))
    say(
        f"nothing from seq {start} on: "
        + (f"the surface ends with seq {end - 1}" if end else "it has no item yet")
    )
    if start > end:
        raise typer.Exit(Exit.UNKNOWN)


def _over_the_wire(
    peers: list[str], tickets: list[Path], network: bytes | None, reader: Reader
) -> Iterator[SurfaceItem]:
    from organismctl.cli.inspect import entry_point
    from organismctl.errors import UsageError
    from organismctl.observe.sources import read_observer
    from organismctl.observe.surface_wire import WireReader

    if network is None:
        raise UsageError("--peer needs the published organism.toml: it names the network")
    points = [entry_point(text) for text in peers]
    return WireReader(points, network, read_observer(None, tickets), reader).follow()


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
