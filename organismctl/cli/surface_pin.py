"""What ``surface read`` and ``verify`` are pinned to: a published organism.toml, or a bare fingerprint and URLs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from organismctl.committee.client import NodeClient
    from organismctl.observe.surface import Pin

Organism = Annotated[
    str | None,
    typer.Option(
        "--organism", metavar="NAME|PATH", help="The published organism.toml that is pinned (or its folder)."
    ),
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url", metavar="URL", help="A node that serves it; repeatable; default: deployment.toml's roster."
    ),
]
Name = Annotated[str | None, typer.Option("--surface", metavar="NAME", help="Default: the first one.")]
Fingerprint = Annotated[
    str | None,
    typer.Option(
        "--fingerprint",
        metavar="HEX",
        help="With --url, in place of an organism.toml: the pin that the operator gave out.",
    ),
]
Genesis = Annotated[
    str | None,
    typer.Option(
        "--genesis",
        metavar="HEX",
        help="With --fingerprint: [genesis] roster of the organism.toml; without it the nodes' own word is taken, "
        "which proves nothing (exit 5).",
    ),
]


@dataclass(frozen=True, slots=True)
class Handle:
    """A surface, and who serves it.

    Attributes:
        pin: What is known beforehand.
        clients: The nodes, at least one.
        network: mosaik's network id, 32 bytes; ``None`` without an organism.toml.
        rooted: Whether the first roster was known beforehand; else it is the nodes' own word.
    """

    pin: Pin
    clients: Sequence[NodeClient]
    network: bytes | None
    rooted: bool = True


def open_handle(
    organism: str | None,
    urls: list[str] | None,
    surface: str | None,
    fingerprint: str | None,
    genesis: str | None,
) -> Handle:
    """The handle that the options name.

    Raises:
        OrganismError: They contradict each other, name nothing, or no node tells what is missing.
    """
    from organismctl.committee.client import NodeClient
    from organismctl.errors import UsageError

    for url in urls or ():
        _known_url(url)
    if fingerprint is None:
        if genesis is not None:
            raise UsageError(
                "--genesis goes with --fingerprint", advice="organism.toml has it under [genesis]"
            )
        return _published(organism, urls, surface)
    if organism is not None or not urls:
        raise UsageError(
            "--fingerprint stands in place of an organism.toml, and needs --url",
            advice="organismctl surface verify --url URL --fingerprint HEX --genesis HEX",
        )
    pin = _bytes(fingerprint, "--fingerprint")
    root = None if genesis is None else _bytes(genesis, "--genesis")
    return _bare([NodeClient(url) for url in urls], pin, root, surface)


def _published(organism: str | None, urls: list[str] | None, surface: str | None) -> Handle:
    """By the published config."""
    import os

    from organismctl.committee.client import NodeClient
    from organismctl.errors import InputError, UsageError
    from organismctl.files.context import resolve_context
    from organismctl.files.organism import load_organism
    from organismctl.identity.fingerprint import IdentityError, identity_of
    from organismctl.observe.surface import Pin

    try:
        context = resolve_context(organism, env=os.environ, cwd=Path.cwd())
    except UsageError as error:
        raise UsageError(
            error.message, advice="name the published organism.toml, or its pin: --url URL --fingerprint HEX"
        ) from error
    config = load_organism(context.organism_path).config
    try:
        identity = identity_of(config)
    except IdentityError as error:
        # A published file's command is never run here: it is somebody else's.
        raise InputError(
            f"the pin cannot be made: {error}", advice="ask for an organism.toml of scheme declared"
        ) from error
    name = _chosen(surface, list(identity.surface_ids), "organism.toml has")
    if config.genesis is None:
        raise InputError(
            "organism.toml has no [genesis], so a stranger can prove nothing",
            advice="ask the organism's operator for the published organism.toml",
        )
    pin = Pin(identity.fingerprint, config.genesis.roster, identity.surface_ids[name], name)
    clients = [NodeClient(url) for url in urls] if urls else _deployed(context.deployment_path)
    if not clients:
        raise InputError("no node is named", advice="give --url URL, once for each node")
    return Handle(pin, clients, config.network)


def _bare(clients: list[NodeClient], pin: bytes, root: bytes | None, surface: str | None) -> Handle:
    """By the pin alone: the surface's id is what signatures are over, so a wrong one proves nothing."""
    from organismctl.errors import OrganismError, UnreachableError
    from organismctl.observe.surface import Pin, UnprovenError

    why, moved = [], False
    for client in clients:
        try:
            served = client.surfaces()
            first = root or _first_roster(client)
        except OrganismError as error:
            why.append(error.message)
            continue
        if served.fingerprint != pin:
            moved = True
            why.append(
                f"{client.url} serves fingerprint {served.fingerprint.hex()[:10]}, not {pin.hex()[:10]}"
            )
            continue
        ids = {one.name: one.id for one in served.surfaces}
        name = _chosen(surface, list(ids), "it serves")
        if root is None:
            _warn(first)
        return Handle(Pin(pin, first, ids[name], name), clients, None, rooted=root is not None)
    raise (UnprovenError if moved else UnreachableError)(
        "no node serves that fingerprint: " + "; ".join(why),
        advice="ask the organism's operator: it may have moved to another config, or the URL may be another's",
    )


def _first_roster(client: NodeClient) -> bytes:
    from organismctl.errors import InputError
    from organismctl.identity.digest import parse_digest

    told = client.roster().get("genesis")
    try:
        return parse_digest(str(told["roster"])) if isinstance(told, dict) else parse_digest("")
    except (KeyError, ValueError) as error:
        raise InputError(f"{client.url} names no first roster", advice="give --genesis HEX") from error


def _warn(first: bytes) -> None:
    from organismctl.cli.output import say

    say(
        f"warning: the first roster, {first.hex()[:10]}…, is the nodes' own word, so nothing is proven to a stranger\n"
        f"  next: compare it with [genesis] roster of the published organism.toml, then --genesis {first.hex()}"
    )


def _chosen(wanted: str | None, names: list[str], who: str) -> str:
    from organismctl.errors import InputError

    name = wanted or next(iter(names), None)
    if name is None or name not in names:
        raise InputError(
            f"there is no surface {name!r}" if name else "the organism has no surface",
            advice=f"{who}: {', '.join(names) or 'none'}",
        )
    return name


def _known_url(url: str) -> None:
    from organismctl.errors import UsageError
    from organismctl.files.deployment_shape import usable_url

    if not url.startswith(("http://", "https://")) or not usable_url(url):
        raise UsageError(f"--url {url[:80]!r} is no URL", advice="such as --url http://127.0.0.1:7101")


def _bytes(text: str, option: str) -> bytes:
    from organismctl.errors import UsageError
    from organismctl.identity.digest import parse_digest

    try:
        return parse_digest(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text[:80]!r} is not 64 hex", advice="`organismctl fingerprint show` prints it in full"
        ) from error


def _deployed(path: Path | None) -> list[NodeClient]:
    from organismctl.committee.client import NodeClient
    from organismctl.files.deployment import load_deployment

    if path is None:
        return []
    deployment = load_deployment(path)
    # A spare, or a node that was rotated out, has nothing to serve: it is read only where it is named by --url.
    return [
        NodeClient(node.url, ca=deployment.resolve(node.ca) if node.ca else None)
        for node in deployment.nodes
        if node.url and node.roster
    ]
