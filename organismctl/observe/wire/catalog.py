"""Catalog sync, the asking side: send our catalog, which is mostly empty, and receive the whole of theirs.

Only the bytes are fetched here, in the background loop; checking 10,000 signatures is for the thread that asked
(:mod:`organismctl.observe.wire.telling`), so that it delays no other conversation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import iroh

from organismctl.identity.peer_entry import EntryPoint, encode_catalog
from organismctl.observe.look import now_ms
from organismctl.observe.wire.endpoint import CATALOG_ALPN, bound, connect, within
from organismctl.observe.wire.faults import WireError
from organismctl.observe.wire.frames import MAX_CATALOG, Budget
from organismctl.observe.wire.telling import Telling

MAX_AT_ONCE = 32
"""Entry points asked at a time; each holds a socket and up to a catalog."""
MAX_HELD = 256 << 20
"""Bytes of catalogs that one look holds at most: four of the longest."""


async def exchange(
    endpoint: iroh.Endpoint, point: EntryPoint, ours: Sequence[bytes], budget: Budget | None = None
) -> bytes:
    """One catalog sync.

    Args:
        endpoint: Ours.
        point: The peer.
        ours: The signed entries that we offer.
        budget: Bytes of the whole look.

    Returns:
        Their catalog as it came, unchecked.

    Raises:
        WireError: It did not come.
    """
    link = await connect(endpoint, point, CATALOG_ALPN, MAX_CATALOG, budget)
    try:
        await link.send(encode_catalog(ours))
        return await link.receive()
    finally:
        link.close()


async def ask_all(points: Sequence[EntryPoint], seconds: float) -> list[Telling]:
    """Ask every entry point for its catalog, offering nothing.

    Each is asked from an endpoint of its own: one that has met a peer before would find it again wherever it is,
    and say that it answers at an address where it does not.

    Args:
        points: Whom to ask.
        seconds: For all of them together.

    Returns:
        What each told, or why it did not, in their order.
    """
    budget, gate = Budget(MAX_HELD), asyncio.Semaphore(MAX_AT_ONCE)
    end = asyncio.get_running_loop().time() + seconds

    async def ask(point: EntryPoint) -> Telling:
        begun, late = time.monotonic(), f"no catalog from {point.address} within {seconds:g} s"
        told: bytes | WireError
        try:
            async with gate:
                left = end - asyncio.get_running_loop().time()
                async with within(max(left, 0.0), late), bound() as endpoint:
                    told = await exchange(endpoint, point, (), budget)
        except WireError as exc:
            told = exc
        took = round((time.monotonic() - begun) * 1000)
        return Telling(point, f"wire {point}", told, seen_ms=now_ms(), took_ms=took)

    return list(await asyncio.gather(*(ask(point) for point in points)))
