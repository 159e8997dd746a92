"""Identities of the zipnet, builder and coalition books (domain fact sheet A.10).

The books leave two encodings open; both spellings are here, and the first is the default: a chain id as
decimal text (else a little-endian u64), and a schema version as one byte (else its decimal digit).
"""

from __future__ import annotations

from collections.abc import Iterable

from organismctl.identity.digest import derive, h, uid

UNIVERSE = uid("mosaik.universe")
ZIPNET_PARTS = (
    "committee", "submit", "register", "broadcasts", "live-round", "client-registry", "server-registry",
)  # fmt: skip
LATTICE_PARTS = ("zipnet", "unseal", "offer", "atelier", "relay", "tally")
MODULES = ("atlas", "almanac", "chronicle", "compute", "randomness")


def zipnet_instance(name: str) -> bytes:
    """``H("zipnet." + name)``; its parts are ``derive(instance, part)`` over :data:`ZIPNET_PARTS`."""
    return h(b"zipnet." + name.encode())


def lattice(instance: str, chain_id: int, *, binary_chain: bool = False) -> bytes:
    """``H("builder|" + instance + "|chain=" + chain_id)``; its parts over :data:`LATTICE_PARTS`."""
    chain = chain_id.to_bytes(8, "little") if binary_chain else str(chain_id).encode()
    return h(b"builder|" + instance.encode() + b"|chain=" + chain)


def coalition(name: str, version: int = 1, *, digit: bool = False) -> bytes:
    """``H("coalition|" ‖ SCHEMA_VERSION_U8 ‖ "|" ‖ name)``."""
    return h(b"coalition|" + _version(version, digit) + b"|" + name.encode())


def book_organism(
    name: str, members: Iterable[bytes], content: bytes = b"", acl: bytes = b"", version: int = 1
) -> bytes:
    """The book's organism formula with its parts concatenated as given: ambiguous, so only for comparison."""
    return h(
        b"organism|"
        + _version(version, digit=False)
        + b"|"
        + name.encode()
        + b"".join(members)
        + content
        + acl
    )


def coalition_root(
    coalition_id: bytes,
    lattices: Iterable[bytes],
    organisms: Iterable[bytes] = (),
    issuer: bytes | None = None,
) -> bytes:
    """``H(COALITION ‖ ordered lattice ids ‖ ordered organism ids ‖ [ticket issuer fingerprint])``."""
    return h(coalition_id + b"".join(lattices) + b"".join(organisms) + (issuer or b""))


def module(root: bytes, name: str | None = None) -> bytes:
    """``derive(root, "module", name)``; without a name the common parent of all modules."""
    return derive(root, "module") if name is None else derive(root, "module", name)


def tickets_root(root: bytes) -> bytes:
    """``derive(root, "tickets")``."""
    return derive(root, "tickets")


def member_id(stable_id: bytes) -> bytes:
    """A member's 20-byte id: the first bytes of its stable id."""
    return stable_id[:20]


def _version(version: int, digit: bool) -> bytes:
    return str(version).encode() if digit else bytes([version])
