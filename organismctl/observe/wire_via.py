"""Source: the wire's catalog asked through a node's API, where UDP is blocked. Gives ``wire.catalog``, ``wire.peer``.

The node only carries bytes: every signature is checked here, as if they had come over UDP.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from organismctl.identity.peer_entry import EntryPoint
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import MALFORMED, NOT_ASKED, OBSERVER, UNREACHABLE, Fact
from organismctl.observe.wire.faults import WireError
from organismctl.observe.wire.telling import CATALOG, PEER, Telling, facts_of

if TYPE_CHECKING:
    from organismctl.observe.node_api import Address

MAX_ANSWER = 96 << 20
"""The longest catalog of a look over UDP (64 MiB), in base64url."""


@dataclass(frozen=True, slots=True)
class Via:
    """One node whose API is asked: how, and whose catalog it is."""

    address: Address
    point: EntryPoint

    @property
    def source(self) -> str:
        """How facts name it."""
        return f"{self.address.source} (via {self.address.node})"


def point_of(peer_id: bytes, address: str | None, url: str | None) -> EntryPoint:
    """The entry point that stands for a node: its mosaik address, else where its API is."""
    if address is not None:
        return EntryPoint.parse(f"{peer_id.hex()}@{address}")
    parts = urlsplit(url or "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return EntryPoint(peer_id, parts.hostname or "unknown", port)


@dataclass(frozen=True, slots=True)
class ViaSource:
    """The catalogs of some nodes, asked over HTTP and merged.

    Attributes:
        nodes: Whom to ask, one after the other; each within its own timeout.
        network: The network id, or ``None``: whichever each node is on.
        expected: Peer ids that are asked about besides the nodes' own.
    """

    nodes: Sequence[Via]
    network: bytes | None
    expected: Sequence[bytes] = ()

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        source = self.nodes[0].source if self.nodes else "node-api"
        peers = dict.fromkeys((*self.expected, *(via.point.peer_id for via in self.nodes)))
        return [
            *(Want(CATALOG, str(via.point), via.source) for via in self.nodes),
            *(Want(PEER, peer.hex(), source) for peer in peers),
        ]

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        tellings = [_ask(via) for via in self.nodes]
        yield from facts_of(tellings, self.network, now_ms(), expected=self.expected)


def _ask(via: Via) -> Telling:
    """One node's catalog as it came, or why it did not."""
    begun = time.monotonic()
    told: bytes | WireError
    try:
        told = _catalog(via.address)
    except WireError as exc:
        told = exc
    took = round((time.monotonic() - begun) * 1000)
    return Telling(via.point, via.source, told, seen_ms=now_ms(), took_ms=took)


def _catalog(at: Address) -> bytes:
    """The bytes that a node's API gives.

    Raises:
        WireError: It gave none, with whose side it is.
    """
    from organismctl.committee.client import NodeAccessError, NodeAnswerError
    from organismctl.errors import InputError, OrganismError
    from organismctl.observe.node_client import LookingClient

    if at.url is None:
        raise WireError(f"deployment.toml gives {at.node} no url", NOT_ASKED)
    try:
        with LookingClient(at.url, at.token, at.ca, at.timeout_s) as client:
            return client.wire_catalog(MAX_ANSWER)
    except OrganismError as exc:
        cause = MALFORMED if isinstance(exc, NodeAnswerError) else UNREACHABLE
        if isinstance(exc, NodeAccessError | InputError):
            cause = OBSERVER
        raise WireError(exc.message, cause) from exc
