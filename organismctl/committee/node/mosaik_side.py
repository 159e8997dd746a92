"""What a node on the mosaik carrier has beside the rest: its network, its tickets there, its surfaces on the wire."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from organismctl.committee.carrier.mosaik import MosaikCarrier
from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.committee.carrier.mosaik_network import MosaikNetwork, Ticket
from organismctl.committee.carrier.mosaik_validators import mosaik_validators
from organismctl.committee.node.mosaik_surfaces import MapSurface, StreamSurface
from organismctl.committee.node.mosaik_upstream import WireReader
from organismctl.committee.node.publishing import Publisher
from organismctl.committee.node.settings import MosaikSettings, NodeSettings, Upstream, own_tickets
from organismctl.committee.node.tickets import Held, TicketStore, judge, ticket_files
from organismctl.committee.node.upstream import UpstreamReader
from organismctl.errors import OrganismError
from organismctl.files.atomic import stamp
from organismctl.files.deployment import load_deployment
from organismctl.identity.digest import derive

RENEW_S = 1.0
"""How often ticket files are looked at."""
MAX_TICKETS = 64
log = logging.getLogger(__name__)


class MosaikSide:
    """See the module.

    Args:
        settings: The node.
        mosaik: What it is told of mosaik.
        tickets: Its tickets for spanned members.

    Raises:
        OrganismError: The extension is not installed, or does not take a validator.
    """

    def __init__(self, settings: NodeSettings, mosaik: MosaikSettings, tickets: TicketStore) -> None:
        load_engine()
        self._settings = settings
        self._mosaik = mosaik
        self._store = tickets
        self._published: list[Ticket] = []
        self._publishing = asyncio.Lock()
        self._files = mosaik.tickets
        self._stamp = stamp(mosaik.deployment)
        self.network = MosaikNetwork(mosaik.network)
        self.carrier = MosaikCarrier(
            settings.peer_id,
            self.network,
            mosaik.group,
            lambda: mosaik_validators(settings.config.acl, "[[acl]]"),
            settings.peers,
        )
        self.streams: dict[str, StreamSurface] = {}
        self.maps: dict[str, MapSurface] = {}
        self.ticket_fault = ""
        """Why the last renewal failed, or empty."""

    async def start(self) -> None:
        """Begin to take part in the network, with the tickets as they are now.

        Raises:
            OrganismError: It cannot be done; says why.
        """
        self._published = self._tickets()
        if self._settings.config.acl and not self._files and self._settings.peers:
            log.warning(
                "[[acl]] admits by ticket and deployment.toml names none for this node: nobody bonds to it before "
                "`tickets import` has put one there"
            )
        await self.network.start(self._published)

    async def close(self) -> None:
        """Leave the network, after everything that uses it."""
        await self.network.close()

    def reads(self, upstream: Upstream) -> bool:
        """Whether a spanned member is read on the wire: the deployment names peers of it."""
        return bool(upstream.peers)

    def reader(self, upstream: Upstream, http: UpstreamReader) -> WireReader:
        """Reads a spanned member on the wire."""
        return WireReader(upstream, self.network, http)

    # Surfaces.

    def surfaces(
        self, publisher: Publisher, first: Callable[[], bool]
    ) -> dict[str, Coroutine[Any, Any, None]]:
        """Put every surface on the wire: what is to be run for each.

        Args:
            publisher: Has the items.
            first: Whether this node writes maps before the others.

        Raises:
            OrganismError: One cannot be served.
        """
        runs: dict[str, Coroutine[Any, Any, None]] = {}
        ids = self._settings.identity.surface_ids
        for surface in self._settings.config.surfaces:
            lane = publisher.lane(surface.name)
            if lane is None:
                continue
            if surface.type == "stream":
                stream = StreamSurface(publisher, lane, self.network.producer(ids[surface.name]))
                self.streams[surface.name] = stream
                runs[surface.name] = stream.run()
            elif surface.type == "map":
                store = self.network.map_writer(ids[surface.name], self.carrier.validators)
                self.maps[surface.name] = MapSurface(publisher, lane, store, first)
                runs[surface.name] = self.maps[surface.name].run()
            else:
                log.warning("surface %s: a %s is not put on the wire", surface.name, surface.type)
        return runs

    # Tickets.

    async def renew(self) -> None:
        """Publish tickets as their files change, for ever."""
        while True:
            await asyncio.sleep(RENEW_S)
            await self.publish()

    async def publish(self) -> None:
        """Publish the tickets as the files are now: new ones stand before old ones go; shown when this returns.

        A failure is told by :attr:`ticket_fault`, and tried again by the next.
        """
        async with self._publishing:
            tickets = await asyncio.to_thread(self._tickets)
            if tickets == self._published:
                return
            try:
                await asyncio.to_thread(self.network.set_tickets, tickets)
            except OrganismError as exc:
                self.ticket_fault = exc.message
                log.warning("%s", exc.message)
                return
            self.ticket_fault = ""
            self._published = tickets
            log.info("%d tickets are published", len(tickets))

    def _tickets(self) -> list[Ticket]:
        """Ours for our own committee, then those for spanned members; each once, as the files are now."""
        self._read_again()
        found = dict.fromkeys([*ticket_files(self._files), *self._store.published()])
        return list(found)[:MAX_TICKETS]

    def _read_again(self) -> None:
        """Take in the ticket files that deployment.toml names now; one that cannot be read changes nothing."""
        found = stamp(self._mosaik.deployment)
        if found == self._stamp:
            return
        self._stamp = found
        try:
            self._files = own_tickets(load_deployment(self._mosaik.deployment), self._settings.name)
        except OrganismError as exc:
            log.warning(
                "our tickets stay as they were, for deployment.toml is not read again: %s", exc.message
            )

    def admission(self) -> list[Held]:
        """This node's tickets for our own committee, judged now by every validator of ``[[acl]]`` of their class."""
        config, now_s = self._settings.config, int(time.time())
        return [
            Held(
                "",
                ticket_class,
                derive(ticket_class, data),
                judge(config.acl, ticket_class, data, self._settings.peer_id, config.network, now_s),
            )
            for ticket_class, data in ticket_files(self._files)
        ]
