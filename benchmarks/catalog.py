"""A catalog of 10,000 signed entries, decoded and verified, in units of the bare signature checks.

The bare checks are ``Ed25519PublicKey.from_public_bytes(peer).verify(signature, digest)`` over digests that are
there already. Both run in this process, in turns, in seconds of this thread's CPU, and the least disturbed run of
each counts: neither does any I/O, so whatever makes a run longer is something else on the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from benchmarks.measure import Row
from organismctl.identity.digest import h
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.peer_entry import (
    PeerEntry,
    PeerTicket,
    encode_catalog,
    read_catalog,
    read_entry,
    sign_entry,
)

ENTRIES, RUNS, LIMIT = 10_000, 7, 1.5


def entry(number: int) -> bytes:
    """A signed entry as a node of a busy committee has it: two addresses, a relay, streams, groups, a ticket."""
    seed = h(f"benchmark peer {number}".encode())
    jwt = h(seed).hex().encode() * 7  # as long as a JWT under ES256
    return sign_entry(
        PeerEntry(
            protocol="0.3.18",
            network=h(b"benchmark"),
            started_ms=1_700_000_000_000 + number,
            updated_ms=1_700_000_100_000 + number,
            peer_id=peer_id_from_seed(seed),
            relays=("https://relay.example.org./",),
            addresses=(f"10.0.{number // 250}.{number % 250}:7301", f"[2001:db8::{number:x}]:7301"),
            streams=(h(b"facts"), h(seed + b"stream")),
            groups=(h(b"committee"), h(b"a map"), h(seed + b"group")),
            tickets=(PeerTicket(h(b"a class"), jwt),),
        ),
        seed,
    )


def taken(work: Callable[[], object]) -> float:
    """CPU seconds that a piece of work takes."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def rows() -> list[Row]:
    """Decode and verify against verify alone."""
    signed = [entry(number) for number in range(ENTRIES)]
    catalog = encode_catalog(signed)
    checks = [(one.entry.peer_id, one.signature, one.digest) for one in map(read_entry, signed)]

    def bare() -> None:
        for peer, signature, digest in checks:
            Ed25519PublicKey.from_public_bytes(peer).verify(signature, digest)

    def whole() -> None:
        if len(read_catalog(catalog).entries) != ENTRIES:
            raise RuntimeError("an entry was not read, so the figure would be of something else")

    least_bare, least_whole = (
        min(column) for column in zip(*((taken(bare), taken(whole)) for _ in range(RUNS)), strict=True)
    )
    detail = (
        f"{least_whole * 1000:.0f} ms for {ENTRIES} entries ({len(catalog) >> 20} MiB), "
        f"signatures alone {least_bare * 1000:.0f} ms"
    )
    title = f"catalog of {ENTRIES} signed entries, decoded and verified / signature checks"
    return [Row(title, least_whole / least_bare, LIMIT, detail)]


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name}: {row.value:.2f} (limit {row.limit}): {row.detail}")
