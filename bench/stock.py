"""The peer that prometheus_client's documentation describes: a custom collector, behind the library's own server.

    stock.py FILE

It prints where it serves the series of FILE, which `series.dump` wrote, and does so until it is ended.
"""

import itertools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from series import Family, load


class StockCollector(Collector):
    """Yields fresh families at each scrape.

    Args:
        families: gives what they are made of.
    """

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        """Name nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Build the library's families."""
        for family in self._families():
            if family.type == "histogram":
                yield _histogram(family)
                continue
            kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for labels, value in family.samples:
                metric.add_metric(labels, value)
            yield metric


def _histogram(family: Family) -> Metric:
    bounds = [labels[0] for labels, _ in family.samples]
    counts = itertools.accumulate(value for _, value in family.samples)
    buckets = list(zip(bounds, counts, strict=True))
    return HistogramMetricFamily(family.name, family.help, buckets=buckets, sum_value=1.0)  # any: it is not handed on


def stock_registry(families: Callable[[], Iterable[Family]]) -> CollectorRegistry:
    """Return a registry that has one such collector; as for `StockCollector`."""
    registry = CollectorRegistry()
    registry.register(StockCollector(families))
    return registry


def main() -> None:
    """Serve until the process is ended."""
    families = load(Path(sys.argv[1]))
    server, _ = start_http_server(0, "127.0.0.1", stock_registry(lambda: families))
    print(f"127.0.0.1:{server.server_port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
