"""Ids that the zipnet, builder and coalition books define over mosaik's digests.

Where the books leave an encoding open the choice is organismctl's and stands at the function.
"""

from __future__ import annotations

from collections.abc import Iterable

from organismctl.identity.digest import derive, from_parts, h

UNIVERSE = "mosaik.universe"
MEMBER_ID_SIZE = 20
MODULES = ("atlas", "almanac", "chronicle", "compute", "randomness")
ZIPNET_PARTS = (
    "committee",
    "submit",
    "register",
    "broadcasts",
    "live-round",
    "client-registry",
    "server-registry",
)
LATTICE_PARTS = ("zipnet", "unseal", "offer", "atelier", "relay", "tally")


def zipnet_instance(name: str) -> bytes:
    """``H("zipnet." + name)``; its parts are ``derive(instance, part)``."""
    return h(f"zipnet.{name}".encode())


def lattice_id(instance: str, chain_id: int | str) -> bytes:
    """A builder lattice; the chain id stands in decimal text."""
    return h(f"builder|{instance}|chain={chain_id}".encode())


def coalition_id(name: str, version: int = 1) -> bytes:
    """A coalition; the schema version stands as one byte after the prefix."""
    return from_parts(b"coalition|", bytes([version]), b"|", name)


def coalition_root(
    coalition: bytes,
    lattices: Iterable[bytes],
    organisms: Iterable[bytes] = (),
    ticket_issuer: bytes | None = None,
) -> bytes:
    """The root over ordered lattice ids, ordered organism ids and, when there is one, the ticket issuer."""
    return from_parts(coalition, *lattices, *organisms, *(() if ticket_issuer is None else (ticket_issuer,)))


def module_id(root: bytes, module: str) -> bytes:
    """A coalition's module: ``derive(root, "module", name)``."""
    return derive(root, "module", module)


def tickets_root(root: bytes) -> bytes:
    """Where a coalition's ticket issuance starts: ``derive(root, "tickets")``."""
    return derive(root, "tickets")


def book_organism_id(
    name: str, members: Iterable[bytes], content: bytes, acl: bytes, version: int = 1
) -> bytes:
    """The book's bare formula, joined without lengths and so ambiguous; organismctl/1 replaces it."""
    return from_parts(b"organism|", bytes([version]), b"|", name, *members, content, acl)


def member_id(stable_id: bytes) -> bytes:
    """The first 20 bytes of a stable id."""
    return stable_id[:MEMBER_ID_SIZE]
