"""The peer that a user would write first: gauges that are set, and prometheus_client's server.

    naive.py FILE

It prints where it serves the series of FILE, which `series.dump` wrote, and does so until it is ended.
"""

import sys
import threading
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics, start_http_server
from series import load


def main() -> None:
    """Serve until the process is ended."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # the others have no such series either
    registry = CollectorRegistry()
    for family in load(Path(sys.argv[1])):
        if family.type == "histogram":
            bounds = [float(bound) for (bound,), _ in family.samples]
            histogram = Histogram(family.name, family.help, registry=registry, buckets=bounds)
            for bound, (_, count) in zip(bounds, family.samples, strict=True):
                for _ in range(int(count)):
                    histogram.observe(bound)
            continue
        gauge = Gauge(family.name, family.help, family.labels, registry=registry)
        for labels, value in family.samples:
            (gauge.labels(*labels) if labels else gauge).set(value)
    server, _ = start_http_server(0, "127.0.0.1", registry)
    print(f"127.0.0.1:{server.server_port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
