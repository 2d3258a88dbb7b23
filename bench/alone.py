"""What the exporter takes of a machine by itself: its start, and the memory for its nodes."""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

import peers
from fleet import SETTLED_POLLS, fleet_server
from peers import peer
from scraping import wire_answer

_FEW = 2


def start_seconds(interval: float) -> tuple[float, float]:
    """Return how long it takes from the exporter's start to its first 200, and how long a Python that does nothing."""
    with fleet_server(_FEW, interval) as server:
        command = peers.ours(server.url, _FEW, interval, self_metrics=True)
        started = time.perf_counter()
        with peer(command) as served:
            wire_answer(served.port, compressed=True)
            until_served = time.perf_counter() - started
    started = time.perf_counter()
    subprocess.run([*peers.BOUND_TO_US, sys.executable, "-P", "-c", "pass"], check=True)
    return until_served, time.perf_counter() - started


def peak_bytes(sizes: Sequence[int], interval: float) -> list[int]:
    """Return the most memory that an exporter had resident at each size, polled and scraped as Prometheus does it."""
    with ExitStack() as stack:
        servers = [stack.enter_context(fleet_server(nodes, interval)) for nodes in sizes]
        served = [
            stack.enter_context(peer(peers.ours(server.url, nodes, interval, self_metrics=True)))
            for nodes, server in zip(sizes, servers, strict=True)
        ]
        for server, one in zip(servers, served, strict=True):
            for polls in range(1, SETTLED_POLLS + 1):
                server.wait_for_polls(polls)
                one.wait_until_idle()
                wire_answer(one.port, compressed=True)
        return [one.peak_bytes() for one in served]
