"""A poll and a scrape in one thread, without a socket: what an interval costs, with our encoder and the stock one."""

import gc
import gzip
import time
from collections.abc import Callable, Mapping

from figures import rotated
from fleet import SETTLED_POLLS, Fleet, bodies
from ours import Pipeline, Remembered, Replayed, asker, snapshot
from prometheus_client import generate_latest
from stock import stock_registry

from exporter.clock import Clock
from exporter.model import Snapshot

_INTERVAL_SECONDS = 15.0
_GZIP_LEVEL = 9
"""At which prometheus_client compresses."""


class _Runner:
    """One exporter in memory, and the nodes that it alone sees; as for `interval_seconds`."""

    def __init__(self, nodes: int, churn: float, *, exposed: bool, reading: bool) -> None:
        self._clock = Clock.system()
        self._now = self._clock.wall()
        self._fleet = Fleet(nodes, churn, self._now)
        self._reading = reading
        self._localai = Remembered(self._clock)
        self._snapshots: list[Snapshot] = []
        loops_asker = asker(self._localai, self._clock) if reading else Replayed(iter(self._snapshots.pop, None))
        self.pipeline = Pipeline(loops_asker, nodes, self._clock, exposed=exposed)

    def prepare(self) -> None:
        """Let an interval pass, and make what LocalAI says then."""
        self._now += _INTERVAL_SECONDS
        said = bodies(self._fleet.entries(self._now), self._now)
        if self._reading:
            self._localai.now, self._localai.bodies = self._now, said
        else:
            self._snapshots.append(snapshot(said, self._now, self._clock))


def interval_seconds(nodes: int, churn: float, rounds: int, *, reading: bool) -> Mapping[str, list[float]]:
    """Return how long a poll and a scrape that takes gzip last, for `ours` and `stock` in every round.

    Args:
        nodes: how many there are.
        churn: which share of them is replaced from poll to poll.
        rounds: how many.
        reading: whether a poll reads LocalAI's answers, which is the same for both; else it begins when they are read.
    """
    runners = {name: _Runner(nodes, churn, exposed=name == "ours", reading=reading) for name in ("ours", "stock")}
    registry = stock_registry(runners["stock"].pipeline.families)
    scrapes: Mapping[str, Callable[[], object]] = {
        "ours": lambda: runners["ours"].pipeline.page(compressed=True),
        "stock": lambda: gzip.compress(generate_latest(registry), _GZIP_LEVEL),
    }
    found: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(-SETTLED_POLLS, rounds):
        for name in rotated(list(runners), number):
            runners[name].prepare()
            gc.collect()
            started = time.perf_counter()
            runners[name].pipeline.poll()
            scrapes[name]()
            seconds = time.perf_counter() - started
            if number >= 0:
                found[name].append(seconds)
    return found
