"""The node's metrics in a registry of its own, read from the node when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from organismctl.committee.ledger.core import Role
from organismctl.committee.node.node import CommitteeNode

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "organism_node_"


class NodeCollector(Collector):
    """Reads one node."""

    def __init__(self, node: CommitteeNode) -> None:
        self._node = node

    def collect(self) -> Iterable[Metric]:
        """All series."""
        yield from self._ledger()
        yield from self._surfaces()
        yield from self._subscriptions()

    def _ledger(self) -> Iterator[Metric]:
        node, ledger = self._node, self._node.runner.status()
        gauges = {
            "certified_height": ("Highest certified height on disk", ledger.certified),
            "applied_height": ("Highest height that the fold applied", node.applier.fold.height),
            "epoch": ("Highest promised epoch", ledger.epoch.number),
            "proposer": ("Whether this node proposes", int(ledger.role is Role.PROPOSER)),
            "roster_size": ("Members of the certified roster", len(ledger.roster.members)),
            "bonds_connected": ("Peers to which there is a live bond", self._bonds()),
            "tick_seconds": ("Certified time, Unix seconds", node.state.tick),
            "sealed": ("Whether the organism is retired", int(node.state.sealed)),
            "stopped": ("Whether the node stopped loudly", int(node.stopped is not None)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(PREFIX + name, text, value)
        yield CounterMetricFamily(PREFIX + "frames_dropped", "Frames for peers away", node.carrier.dropped)

    def _bonds(self) -> int:
        return sum(bond.connected for bond in self._node.carrier.bonds().values())

    def _surfaces(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(PREFIX + "surface_next_seq", "Next seq of a surface", labels=["surface"])
        for lane, name in enumerate(self._node.settings.machine.surfaces):
            family.add_metric([name], self._node.publisher.next_seq[lane])
        yield family

    def _subscriptions(self) -> Iterator[Metric]:
        labels = ["span", "surface"]
        live = GaugeMetricFamily(PREFIX + "subscription_live", "Whether events flow", labels=labels)
        received = CounterMetricFamily(PREFIX + "events_received", "Events that came in", labels=labels)
        last = GaugeMetricFamily(PREFIX + "last_event_seconds", "When the last came, Unix", labels=labels)
        for one in self._node.subscriptions:
            key = [one.reader.upstream.member.name, one.seen.surface.name]
            live.add_metric(key, int(one.seen.state.value == "live"))
            received.add_metric(key, one.seen.received)
            if one.seen.last_event_ms is not None:
                last.add_metric(key, one.seen.last_event_ms / 1000)
        yield from (live, received, last)


def render(node: CommitteeNode) -> bytes:
    """The text of all series."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(node))
    return generate_latest(registry)
