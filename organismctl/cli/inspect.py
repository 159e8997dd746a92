"""``organismctl inspect``: show a mosaik network that one has never seen, by its own signed catalogs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from organismctl.cli.judging import DEFAULT_DEADLINE, Deadline, Output

if TYPE_CHECKING:
    from organismctl.identity.peer_entry import EntryPoint
    from organismctl.observe.look import Source
    from organismctl.observe.snapshot import Snapshot
    from organismctl.observe.wire.observer import Observer

app = typer.Typer(help="Show a mosaik network by its own signed catalogs.", rich_markup_mode=None)

_GRACE_S = 1.5
"""What a look has beyond its timeout: sockets of entry points that do not answer take a second to close."""
MAX_PRODUCERS = 8
"""Producers of one stream that are listened to."""

Points = Annotated[
    list[str], typer.Argument(metavar="PEERID@HOST:PORT...", help="Peers to ask for their catalogs.")
]
Network = Annotated[
    str | None,
    typer.Option(
        "--network", metavar="NAME", help="The network: text or 64 hex; else whichever they are on."
    ),
]
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Our seed, 64 hex, mode 0600; else a fresh identity."),
]
Ticket = Annotated[
    list[Path] | None, typer.Option("--ticket", metavar="FILE", help="A ticket of ours; repeatable.")
]
Via = Annotated[
    list[str] | None,
    typer.Option(
        "--via", metavar="URL", help="Where UDP is blocked: the node API of each entry point, in their order."
    ),
]


@app.command()
def inspect(
    points: Points,
    *,
    network: Network = None,
    key: Key = None,
    ticket: Ticket = None,
    stream: Annotated[
        list[str] | None,
        typer.Option("--stream", metavar="ID", help="Subscribe to this stream too; repeatable."),
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="DURATION", help="How long to listen to it.")
    ] = "10s",
    via: Via = None,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json.")] = "table",
    output: Output = None,
    timeout: Deadline = DEFAULT_DEADLINE,
) -> None:
    """Show peers, groups, streams and live tickets of a network, as its peers sign it; nothing is published.

    With --stream our own entry and tickets are published to the producers, since they admit nobody unknown.
    """
    from organismctl.check.wire_view import wire_view
    from organismctl.cli.judging import now_ms
    from organismctl.cli.output import emit, wants_json, width
    from organismctl.report.inspect import inspect_json, inspect_text
    from organismctl.report.text import json_text

    as_json = wants_json(format_)
    snapshot = look(
        points, network, key=key, tickets=ticket, streams=stream, listen=listen, via=via, timeout=timeout
    )
    named = {"text": network, "id": network_id(network).hex() if network is not None else None}
    value = inspect_json(snapshot, wire_view(snapshot), named)
    emit(json_text(value) if as_json else inspect_text(value, width(), now_ms()), output)
    raise typer.Exit(value["exit"])


def look(
    points: Sequence[str],
    network: str | None,
    *,
    key: Path | None = None,
    tickets: Sequence[Path] | None = None,
    streams: Sequence[str] | None = None,
    listen: str = "10s",
    via: Sequence[str] | None = None,
    timeout: str = DEFAULT_DEADLINE,
) -> Snapshot:
    """One look at a network.

    Args:
        points: Entry points, ``PEERID@HOST:PORT``.
        network: Text or 64 hex; ``None``: whichever they are on.
        key: The observer's seed.
        tickets: The observer's tickets.
        streams: Streams to listen to, text or 64 hex.
        listen: How long.
        via: Node APIs that are asked instead of UDP.
        timeout: For everything but the listening.

    Raises:
        UsageError: An option is wrong.
        OrganismError: The key or a ticket cannot be read.
    """
    from organismctl.cli.judging import seconds
    from organismctl.cli.output import progress
    from organismctl.errors import UsageError
    from organismctl.observe.look import observe
    from organismctl.observe.sources import read_observer

    parsed = [entry_point(one) for one in points]
    if streams and network is None:
        raise UsageError("--stream needs --network: a subscription names it")
    if streams and via:
        raise UsageError("--stream needs UDP: a node's API tells the catalog, and no streams")
    whole, wanted = seconds(timeout, "--timeout"), network_id(network) if network is not None else None
    observer = read_observer(key, tickets or ())
    listening = seconds(listen, "--listen") if streams else 0.0
    then = _producers(
        [named_id(one, "--stream") for one in streams or ()], wanted, observer, listening, parsed
    )
    with progress("looking") as told:
        return observe(
            [_source(parsed, wanted, observer, whole, via)],
            whole + _GRACE_S + listening,
            then=then,
            on_progress=told.step,
        )


def _source(
    points: Sequence[EntryPoint],
    network: bytes | None,
    observer: Observer,
    timeout_s: float,
    via: Sequence[str] | None,
) -> Source:
    """The catalogs: over UDP, or through node APIs."""
    if not via:
        from organismctl.observe.wire.sources import TIMEOUT_S, WireSource

        return WireSource(points, network, observer, min(timeout_s, TIMEOUT_S))
    from organismctl.errors import UsageError
    from organismctl.files.deployment_shape import usable_url

    if len(via) != len(points):
        raise UsageError(
            f"{len(via)} --via for {len(points)} entry points", advice="one each, in their order"
        )
    from organismctl.observe.node_api import Address
    from organismctl.observe.wire_via import Via as Asked
    from organismctl.observe.wire_via import ViaSource

    for url in via:
        if not url.startswith(("http://", "https://")) or not usable_url(url):
            raise UsageError(f"--via {url[:80]!r} is no URL", advice="such as --via http://10.0.0.5:7101")
    each = max(timeout_s / len(via), 0.1)
    asked = [
        Asked(Address(str(point.address), url, timeout_s=each), point)
        for point, url in zip(points, via, strict=True)
    ]
    return ViaSource(asked, network)


def _producers(
    streams: Sequence[bytes],
    network: bytes | None,
    observer: Observer,
    listen_s: float,
    points: Sequence[EntryPoint],
) -> Callable[[Snapshot], Sequence[Source]] | None:
    """The second round: a subscription to each producer that the catalogs show."""
    if not streams or network is None:
        return None

    def more(snapshot: Snapshot) -> Sequence[Source]:
        from organismctl.check.wire_view import wire_view
        from organismctl.observe.snapshot import NOT_ASKED, Fact
        from organismctl.observe.sources import Given
        from organismctl.observe.wire.sources import StreamSource

        view, known = wire_view(snapshot, network), {point.peer_id.hex(): point for point in points}
        sources: list[Source] = []
        for stream in streams:
            found = [
                point
                for peer in view.serving(stream.hex())
                if (point := known.get(peer.peer_id) or _reached(peer.peer_id, peer.addresses)) is not None
            ]
            sources += [
                StreamSource(one, network, stream, observer, listen_s) for one in found[:MAX_PRODUCERS]
            ]
            if not found:
                why = "no peer in the catalogs serves it at an address"
                sources.append(Given(Fact.unseen("wire.stream", f"{stream.hex()}@", "wire", why, NOT_ASKED)))
        return sources

    return more


def _reached(peer_id: str, addresses: Sequence[str]) -> EntryPoint | None:
    """A peer by the first of its addresses that can be one."""
    from organismctl.identity.peer_entry import EntryPoint

    for address in addresses:
        try:
            return EntryPoint.parse(f"{peer_id}@{address}")
        except ValueError:
            continue
    return None


def entry_point(text: str) -> EntryPoint:
    """An entry point of the command line.

    Raises:
        UsageError: It is none.
    """
    from organismctl.errors import UsageError
    from organismctl.identity.peer_entry import EntryPoint

    try:
        return EntryPoint.parse(text)
    except ValueError as exc:
        raise UsageError(
            f"{text[:120]!r} is no entry point: {exc}", advice="PEERID@HOST:PORT, the peer id as 64 hex"
        ) from exc


def network_id(text: str) -> bytes:
    """The id of a network, by mosaik's hex-or-hash rule; a mistyped id is warned of."""
    return named_id(text, "--network")


def named_id(text: str, option: str) -> bytes:
    """The id that mosaik makes of a text: 64 hex as they are, all else hashed; a mistyped id is warned of."""
    from organismctl.cli.output import say
    from organismctl.identity.digest import near_hex, uid

    if near_hex(text):
        say(
            f"warning: {option} {text[:80]} looks like an id, but is not 64 hex: it is taken as text and hashed"
        )
    return uid(text)
