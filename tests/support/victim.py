"""A server to attack, as a process of its own: `victim.py [CERT_FILE KEY_FILE]`; ends when its standard input does."""

import ssl
import sys
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.guard import Open
from exporter.http1 import Response
from exporter.listen import bind
from exporter.router import Route, Router
from exporter.server import Server
from exporter.settings import ListenAddress
from exporter.web import Metrics, routes

LARGE_BYTES = 2**20
"""The size of `/large`: four times what the server's send buffer takes of it. Much larger, and the attack would measure
how fast the machine gives out memory."""


MANY_NODES = 30_000
"""How many series `/many` has: as many as five thousand nodes have together."""


class Secured(Open):
    """Everyone, over TLS."""

    def __init__(self, cert_file: str, key_file: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert_file, key_file)

    def tls(self) -> ssl.SSLContext:
        return self._context

    def headers(self) -> Mapping[str, str]:
        return {}


class Nodes(Collector):
    """Makes its samples at each scrape, as the exporter's own collector does."""

    def __init__(self, count: int) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("localai_p2p_node_online", "A cluster.", labels=["id"])
        for number in range(self._count):
            family.add_metric([f"node-{number}"], 1)
        yield family


def _cluster(nodes: int, path: str) -> Mapping[str, Route]:
    registry = CollectorRegistry()
    registry.register(Nodes(nodes))
    return routes(Metrics(registry), path, lambda: True, lambda: True)


def main(files: list[str]) -> None:
    table = {**_cluster(100, "/metrics"), **_cluster(MANY_NODES, "/many")}
    table["/large"] = lambda _: Response((bytes(LARGE_BYTES),))  # made for each who asks, as a page of metrics is
    guard = Secured(*files) if files else Open()
    server = Server([bind(ListenAddress("127.0.0.1", 0), "--web.listen-address")], Router(table, guard))
    sys.stdout.write(f"{server.urls[0]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main(sys.argv[1:])
