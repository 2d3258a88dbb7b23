"""A LocalAI that says what a test wants, and the exporter's pages of it, on one fake clock."""

import re

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from exporter.collector import P2PCollector
from exporter.errors import PollError, Reason
from exporter.exposition import Page, Renderer
from exporter.model import Node, Snapshot
from exporter.poller import Poller
from exporter.store import Store
from support.clocks import FakeClock
from support.stock import Stock
from support.values import SERVER_NOW, snapshot


class World:
    """A poller, a collector and a renderer, as one exporter has them.

    Args:
        ages: whether the pages have ages.
        limit: the most nodes with series of their own.
    """

    def __init__(self, *, ages: bool = True, limit: int = 5_000) -> None:
        self.time = FakeClock(wall=SERVER_NOW - 100)
        self._ages = ages
        self._answer: Snapshot | PollError = snapshot()
        self._store = Store()
        self._poller = Poller(
            self, self._store, self.time.clock, interval=15.0, timeout=10.0, retention=86_400.0, limit=limit
        )
        self.registry, self._stock = CollectorRegistry(), CollectorRegistry()
        self.registry.register(self.collector())
        self._stock.register(Stock(self.collector, self._store, self.time.clock))
        for registry in (self.registry, self._stock):
            Gauge("of_another_collector", "Another", registry=registry).set(0.5)
        self._renderer = Renderer(self.registry)

    def collector(self) -> P2PCollector:
        """Make another collector of the same outcomes."""
        return P2PCollector(
            self._store,
            self.time.clock,
            stale_after=60.0,
            expected={"worker": 3, "federated": 0},
            expected_hosts=("gpu-01", "gpu-02"),
            tls_insecure=False,
            ages=self._ages,
        )

    def forget(self) -> None:
        """Nothing is remembered."""

    def poll(self, deadline: float) -> Snapshot:
        """Give the answer, as LocalAI does."""
        assert deadline == self.time.monotonic_now + 10.0
        if isinstance(self._answer, PollError):
            raise self._answer
        return self._answer

    def sees(self, *nodes: Node, **more: object) -> None:
        """Poll a LocalAI that lists these."""
        self._answer = snapshot(*nodes, monotonic=self.time.monotonic_now, **more)  # type: ignore[arg-type]
        self._poller.poll()

    def fails(self) -> None:
        """Poll one that is too late."""
        self._answer = PollError(Reason.TIMEOUT, "late")
        self._poller.poll()

    def page(self, accept: str = "", accept_encoding: str = "") -> Page:
        """Scrape."""
        return self._renderer.page(accept, accept_encoding)

    def text(self) -> str:
        """Scrape in the text format."""
        return self.page().body.decode()

    def stock(self, accept: str) -> str:
        """Return the page that the library alone makes."""
        encoder, _ = choose_encoder(accept)
        return encoder(self._stock).decode()

    def series(self, name: str) -> dict[str, float]:
        """Return the samples of a name, by their label values in the order of their names."""
        found = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                if sample.name == f"localai_p2p_{name}":
                    found[" ".join(value for _, value in sorted(sample.labels.items()))] = sample.value
        return found

    def names(self) -> set[str]:
        """Return the names of our metrics, without what all begin with."""
        return set(re.findall(r"^# TYPE localai_p2p_(\w+)", self.text(), re.MULTILINE))
