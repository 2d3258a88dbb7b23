"""The exporter without sockets: all that the benchmarks use of its inner parts stands here.

A `Pipeline` polls in the calling thread, and makes the page of a scrape in it.
"""

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from series import Family

from exporter.app import make_registry
from exporter.client import Answer
from exporter.clock import Clock
from exporter.decode import federation, lists_snapshot, stats, workers
from exporter.errors import PollError, Reason
from exporter.http1 import Request
from exporter.localai import LocalAI
from exporter.metrics import DEFINITIONS
from exporter.model import ClockReading, Snapshot
from exporter.poller import Asker, Poller
from exporter.settings import Target
from exporter.store import Store
from exporter.web import Metrics

_MOST_BYTES = 64 * 2**20  # of an answer: 100,000 workers of v4, which lists them twice, are more than the default
_TEXT = "text/plain;version=0.0.4"
_HELP = {definition.name: definition.help for definition in DEFINITIONS}
_NODE = ("role", "backend", "host", "id")


def ticking_clock(wall: float) -> Clock:
    """Return a clock that goes on by a little at each reading: no two runs differ by what it says."""
    ticks = itertools.count()

    def read() -> float:
        return next(ticks) * 0.001_234_567

    return Clock(wall=lambda: wall + read(), monotonic=read, awake=read)


def snapshot(bodies: Mapping[str, bytes], now: float, clock: Clock) -> Snapshot:
    """Decode what LocalAI v4 said at `now`, in Unix seconds."""
    listed = workers(bodies["/api/p2p/workers"], now)
    federated = federation(bodies["/api/p2p/federation"], now)
    totals = stats(bodies["/api/p2p/stats"], listed.generation)
    return lists_snapshot(listed, federated, totals, ClockReading(now, clock.monotonic(), exact=True))


class Replayed:
    """Gives the loop one snapshot after the other, without asking anybody."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        self._snapshots = iter(snapshots)

    def poll(self, deadline: float) -> Snapshot:  # noqa: ARG002 - as the loop's other asker has it
        """Return the next one."""
        return next(self._snapshots)

    def forget(self) -> None:
        """Do nothing: there is nothing that could be asked anew."""


class Remembered:
    """Answers in place of a connection, with bodies that were made before.

    Args:
        clock: the exporter's.

    Attributes:
        bodies: by path; what is not there is a 404.
        now: LocalAI's clock, in Unix seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.bodies: Mapping[str, bytes] = {}
        self.now = 0.0

    def get(self, path: str, deadline: float) -> Answer:  # noqa: ARG002 - as the client has it
        """Return the answer.

        Raises:
            PollError: there is none.
        """
        if path not in self.bodies:
            raise PollError(Reason.HTTP_STATUS, "status 404", status=404)
        return Answer(self.bodies[path], self.now, self._clock.monotonic(), "application/json")


def asker(remembered: Remembered, clock: Clock) -> Asker:
    """Return whom the loop asks, with these answers in place of a connection."""
    return LocalAI(remembered, clock, _MOST_BYTES)


class Pipeline:
    """Loop, store and registry for one LocalAI.

    Args:
        asker: whom the loop asks.
        nodes: how many it lists.
        clock: the clocks.
        exposed: False where the pages are another encoder's, so that polls do nothing for ours.
    """

    def __init__(self, asker: Asker, nodes: int, clock: Clock, *, exposed: bool = True) -> None:
        settings = Target(node_limit=nodes)
        self._clock = clock
        self._store = Store()
        self._poller = Poller(
            asker,
            self._store,
            clock,
            interval=settings.poll_interval,
            timeout=settings.poll_timeout,
            retention=settings.node_retention,
            limit=settings.node_limit,
        )
        registry = make_registry(settings, self._store, clock, process=False)
        self._metrics = Metrics(registry) if exposed else None

    def poll(self) -> None:
        """Poll once, and do what the loop does after each poll.

        Raises:
            RuntimeError: the poll failed.
        """
        outcome = self._poller.poll()
        if outcome.failure is not None:
            raise RuntimeError(outcome.failure.detail)
        if self._metrics is not None:
            self._metrics.prepare()

    def page(self, *, compressed: bool = False) -> Sequence[bytes]:
        """Make the page of a scrape in the text format, and return its pieces.

        Raises:
            ValueError: this pipeline's pages are made by another encoder.
        """
        if self._metrics is None:
            raise ValueError("this pipeline is not exposed")
        wanted = {"accept": _TEXT, "accept-encoding": "gzip" if compressed else "identity"}
        return self._metrics(Request("GET", "/metrics", wanted, arrived_at=time.monotonic())).body

    def families(self) -> Iterator[Family]:
        """Yield what the outcome says of every node, for a collector of the library's.

        The two dozen samples of which there are as many whatever the nodes are left out, in favour of the peer.
        """
        outcome = self._store.latest()
        if outcome is None or outcome.view is None:
            return
        now = outcome.view.snapshot.clock.at(self._clock.monotonic())
        shown = outcome.view.shown
        labels = [(node.kind.role, node.kind.backend, node.host, node.id) for node in (item.node for item in shown)]
        rows = list(zip(labels, shown, strict=True))
        seen = [(row, item.node.last_seen) for row, item in rows if item.node.last_seen is not None]
        online = Counter[tuple[str, ...]]()
        for row, item in rows:
            online[row[:3]] += item.node.online
        yield _family("node_online", _NODE, ((row, item.node.online) for row, item in rows))
        yield _family("node_last_seen_timestamp_seconds", _NODE, seen)
        yield _family(
            "node_last_seen_age_seconds", _NODE, ((row, round(now - last_seen, 3)) for row, last_seen in seen)
        )
        moved = ((row, round(outcome.epoch + item.moved_at, 3)) for row, item in rows if item.moved_at is not None)
        yield _family("node_heartbeat_timestamp_seconds", _NODE, moved)
        described = (((*row, item.node.name, item.node.service_id, item.node.tunnel_address), 1) for row, item in rows)
        yield _family("node_info", (*_NODE, "name", "service_id", "tunnel_address"), described)
        yield _family("host_nodes_online", _NODE[:3], online.items())


def _family(name: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    name = f"localai_p2p_{name}"
    return Family(name, _HELP[name], "gauge", labels, samples)
