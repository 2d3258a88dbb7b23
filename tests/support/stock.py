"""What the library alone makes of an outcome: a way to the same page that keeps nothing, and knows no template."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector

from exporter import metrics
from exporter.clock import Clock, steady_epoch
from exporter.collector import P2PCollector
from exporter.families import Large
from exporter.model import Node, Outcome, View
from exporter.store import Store

Row = tuple[str, ...]


class Stock(Collector):
    """Gives the families of a collector that was made for this scrape, those of nodes straight from the store.

    Args:
        make: makes the collector.
        store: what it reads.
        clock: likewise.
    """

    def __init__(self, make: Callable[[], P2PCollector], store: Store, clock: Clock) -> None:
        self._make = make
        self._store = store
        self._clock = clock

    def describe(self) -> tuple[()]:
        """Name nothing: the registry is to ask for no more than a scrape does."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield them in the same order."""
        outcome = self._store.latest()
        of_nodes = self._of_nodes(outcome, outcome.view) if outcome and outcome.view else {}
        for family in self._make().collect():
            if isinstance(family, Large):
                yield of_nodes[family.name]
            else:
                plain = Metric(family.name, family.documentation, family.type)
                plain.samples = family.samples
                yield plain

    def _of_nodes(self, outcome: Outcome, view: View) -> dict[str, Metric]:
        server_now = view.snapshot.clock.at(self._clock.monotonic())
        epoch = steady_epoch(outcome.epoch, self._clock)
        nodes = [item.node for item in view.shown]
        hosts: Counter[Row] = Counter()
        for node in nodes:
            hosts[_row(node)[:3]] += node.online
        seen = [(_row(node), node.last_seen) for node in nodes if node.last_seen is not None]
        moved = [(_row(item.node), item.moved_at) for item in view.shown if item.moved_at is not None]
        infos = [((*_row(node), node.name, node.service_id, node.tunnel_address), 1.0) for node in nodes]
        families = (
            metrics.NODE_ONLINE.family((_row(node), node.online) for node in nodes),
            metrics.NODE_LAST_SEEN.family(seen),
            metrics.NODE_AGE.family((row, _age(server_now, last_seen)) for row, last_seen in seen),
            metrics.NODE_HEARTBEAT.family((row, round(epoch + moved_at, 3)) for row, moved_at in moved),
            metrics.NODE_INFO.family(infos),
            metrics.HOST_NODES_ONLINE.family(hosts.items()),
        )
        return {family.name: family for family in families}


def _age(now: float, last_seen: float) -> float:
    """Return it of two moments that count in hundredths of a second."""
    return (round(now * 100) - round(last_seen * 100)) / 100


def _row(node: Node) -> Row:
    return node.kind.role, node.kind.backend, node.host, node.id
