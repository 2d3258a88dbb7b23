"""The newest outcome and the clocks become metric families, anew at each scrape.

Every metric's name, type, labels and help text stand here and nowhere else. One worker looks so::

    localai_p2p_up 1.0
    localai_p2p_nodes{backend="llama_cpp",role="worker"} 1.0
    localai_p2p_nodes_online{backend="llama_cpp",role="worker"} 1.0
    localai_p2p_node_online{backend="llama_cpp",host="gpu-01",id="gpu-01-mENxBjydya",role="worker"} 1.0
    localai_p2p_node_last_seen_age_seconds{backend="llama_cpp",host="gpu-01",id="gpu-01-mENxBjydya",role="worker"} 7.5
    localai_p2p_host_nodes_online{backend="llama_cpp",host="gpu-01",role="worker"} 1.0
"""

import itertools
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.clock import Clock, steady_epoch
from exporter.model import DURATION_BUCKETS, Kind, Outcome, PollTotals, ShownNode, View
from exporter.store import Store

_KIND = ("role", "backend")
_NODE = ("role", "backend", "host", "id")


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric, as it is documented.

    Attributes:
        name: as it is exposed, `_total` included.
        help: what a sample says, with its unit.
        labels: their names.
        type: `gauge`, `counter` or `histogram`.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    type: str = "gauge"

    def family(self, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        """Return the family with a sample for each pair of label values and value."""
        kind = CounterMetricFamily if self.type == "counter" else GaugeMetricFamily
        family = kind(self.name, self.help, labels=self.labels)
        for labels, value in samples:
            if len(labels) != len(self.labels):
                raise ValueError(f"{self.name} takes {len(self.labels)} label values, not {len(labels)}")
            family.add_metric(labels, value)
        return family

    def single(self, value: float, *labels: str) -> Metric:
        """Return the family with one sample."""
        return self.family([(labels, value)])


UP = Definition("localai_p2p_up", "1 when the newest poll of LocalAI was answered and understood, else 0.")
ENABLED = Definition(
    "localai_p2p_enabled", "1 when P2P is on in LocalAI, 0 when it is off; absent where it does not say."
)
NODES = Definition("localai_p2p_nodes", "Nodes that LocalAI knows, online or not, by its own total.", _KIND)
NODES_ONLINE = Definition("localai_p2p_nodes_online", "Nodes that are online by LocalAI's own verdict.", _KIND)
NODES_EXPECTED = Definition("localai_p2p_nodes_expected", "Nodes that the operator expects to be online.", ("role",))
NODE_ONLINE = Definition("localai_p2p_node_online", "1 when LocalAI calls the node online, else 0.", _NODE)
NODE_LAST_SEEN = Definition(
    "localai_p2p_node_last_seen_timestamp_seconds",
    "Unix time of the node's last heartbeat, on the node's clock.",
    _NODE,
)
NODE_AGE = Definition(
    "localai_p2p_node_last_seen_age_seconds",
    "Seconds since the node's last heartbeat on LocalAI's clock, at the time of the scrape; "
    "negative when the node's clock runs ahead.",
    _NODE,
)
NODE_HEARTBEAT = Definition(
    "localai_p2p_node_heartbeat_timestamp_seconds",
    "Unix time at which the exporter last saw the node's last-seen move, on the exporter's clock; "
    "absent until it moved once.",
    _NODE,
)
NODE_INFO = Definition(
    "localai_p2p_node_info",
    "What LocalAI says of the node; always 1.",
    (*_NODE, "name", "service_id", "tunnel_address"),
)
HOST_NODES_ONLINE = Definition(
    "localai_p2p_host_nodes_online",
    "Online nodes of a host: the sum of localai_p2p_node_online over it.",
    ("role", "backend", "host"),
)
HOST_EXPECTED = Definition("localai_p2p_host_expected", "1 for each host that the operator expects.", ("host",))
MEMBERSHIP_CHANGES = Definition(
    "localai_p2p_membership_changes_total",
    "Changes from poll to poll: joined is a new id, lost one that went offline, returned one that came back online, "
    "forgotten one that LocalAI lists no more.",
    (*_KIND, "change"),
    "counter",
)
NODES_HIDDEN = Definition(
    "localai_p2p_nodes_hidden",
    "Nodes without series of their own: not seen for longer than the retention, or beyond the limit.",
    (*_KIND, "reason"),
)
ENTRIES_DROPPED = Definition(
    "localai_p2p_entries_dropped",
    "Entries of LocalAI's newest lists that were not used, because they are invalid, or repeat an id.",
    (*_KIND, "reason"),
)
CLOCK_OFFSET = Definition(
    "localai_p2p_server_clock_offset_seconds", "LocalAI's clock minus the exporter's, in seconds."
)
TOKEN_INFO = Definition(
    "localai_p2p_token_info",
    "Which network LocalAI is in: the beginning of the SHA-256 of its join token; always 1.",
    ("fingerprint",),
)
SERVER_INFO = Definition("localai_p2p_server_info", "LocalAI's version, as it says it; always 1.", ("version",))
BUILD_INFO = Definition(
    "localai_p2p_exporter_build_info", "The exporter's version and its Python's; always 1.", ("version", "python")
)
TLS_INSECURE = Definition("localai_p2p_exporter_tls_insecure", "1 when LocalAI's certificate is not checked, else 0.")
API_INFO = Definition(
    "localai_p2p_exporter_api_info",
    "Which generation of LocalAI's P2P API was read, and from which endpoints; always 1.",
    ("generation", "source"),
)
POLLS = Definition(
    "localai_p2p_exporter_polls_total", "Polls of LocalAI that ended, failed ones included.", (), "counter"
)
POLL_FAILURES = Definition(
    "localai_p2p_exporter_poll_failures_total", "Polls that failed, by reason.", ("reason",), "counter"
)
POLL_DURATION = Definition(
    "localai_p2p_exporter_poll_duration_seconds", "How long polls took, in seconds.", (), "histogram"
)
LAST_SUCCESS = Definition(
    "localai_p2p_exporter_last_poll_success_timestamp_seconds", "Unix time at which LocalAI was last understood."
)

DEFINITIONS = tuple(value for value in globals().values() if isinstance(value, Definition))
"""Every metric of this program, in the order of the documentation."""


class P2PCollector(Collector):
    """Reads the store at each scrape; all that it knows was handed in.

    Args:
        store: the newest outcome.
        clock: for ages, and for what is published as wall time.
        stale_after: seconds for which the last good answer is shown while polls fail.
        expected: how many nodes of a role there should be online.
        expected_hosts: hosts that should have an online node.
        tls_insecure: whether LocalAI's certificate goes unchecked.
        ages: False where the page will be read later than now, when every age in it would be wrong.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        stale_after: float,
        expected: Mapping[str, int],
        expected_hosts: tuple[str, ...],
        tls_insecure: bool,
        ages: bool = True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._stale_after = stale_after
        self._expected = expected
        self._expected_hosts = expected_hosts
        self._tls_insecure = tls_insecure
        self._ages = ages

    def describe(self) -> Iterator[Metric]:
        """Name every family that may come, so that the registry refuses a second collector of the same names."""
        for definition in DEFINITIONS:
            if definition.type == "histogram":
                yield HistogramMetricFamily(definition.name, definition.help)
            else:
                yield definition.family(())

    def collect(self) -> Iterator[Metric]:
        """Build the families of the newest outcome."""
        outcome = self._store.latest()
        now = self._clock.monotonic()
        yield BUILD_INFO.single(1, __version__, platform.python_version())
        yield TLS_INSECURE.single(self._tls_insecure)
        if self._expected:
            yield NODES_EXPECTED.family(((role,), count) for role, count in self._expected.items())
        if self._expected_hosts:
            yield HOST_EXPECTED.family(((host,), 1) for host in self._expected_hosts)
        if outcome is None:
            return
        view = outcome.view
        fresh = view is not None and now - view.received_at <= self._stale_after
        # A loop that hangs for so long has no newest poll to speak of.
        yield UP.single(outcome.failure is None and fresh)
        yield from _totals(outcome)
        if view is None:
            return
        epoch = steady_epoch(outcome.epoch, self._clock)
        yield LAST_SUCCESS.single(epoch + view.received_at)
        yield API_INFO.single(1, view.snapshot.generation, view.snapshot.source)
        if fresh:
            yield from _server(view, epoch)
            yield from _kinds(view)
            yield from self._nodes(view.shown, view, now, epoch)

    def _nodes(self, shown: tuple[ShownNode, ...], view: View, now: float, epoch: float) -> Iterator[Metric]:
        if not shown:
            return
        labels = [(node.kind.role, node.kind.backend, node.host, node.id) for node in (item.node for item in shown)]
        rows = list(zip(labels, shown, strict=True))
        yield NODE_ONLINE.family((row, item.node.online) for row, item in rows)
        seen = [(row, item.node.last_seen) for row, item in rows if item.node.last_seen is not None]
        if seen:
            yield NODE_LAST_SEEN.family(seen)
        if seen and self._ages:
            server_now = view.snapshot.clock.at(now)
            yield NODE_AGE.family((row, server_now - last_seen) for row, last_seen in seen)
        moved = [(row, epoch + item.moved_at) for row, item in rows if item.moved_at is not None]
        if moved:
            yield NODE_HEARTBEAT.family(moved)
        yield NODE_INFO.family(
            ((*row, item.node.name, item.node.service_id, item.node.tunnel_address), 1) for row, item in rows
        )
        yield HOST_NODES_ONLINE.family(_hosts(shown))


def _hosts(shown: tuple[ShownNode, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    online: dict[tuple[Kind, str], int] = {}
    for item in shown:
        key = item.node.kind, item.node.host
        online[key] = online.get(key, 0) + item.node.online
    return (((kind.role, kind.backend, host), count) for (kind, host), count in online.items())


def _totals(outcome: Outcome) -> Iterator[Metric]:
    totals = outcome.totals
    if outcome.changes:
        yield MEMBERSHIP_CHANGES.family(
            ((kind.role, kind.backend, change), count) for (kind, change), count in outcome.changes.items()
        )
    yield POLLS.single(totals.polls)
    yield POLL_FAILURES.family(((reason,), count) for reason, count in totals.failures.items())
    yield _durations(totals)


def _durations(totals: PollTotals) -> Metric:
    bounds = [*(str(bound) for bound in DURATION_BUCKETS), "+Inf"]
    counts = itertools.accumulate(totals.durations)
    return HistogramMetricFamily(
        POLL_DURATION.name, POLL_DURATION.help, buckets=list(zip(bounds, counts, strict=True)), sum_value=totals.seconds
    )


def _server(view: View, epoch: float) -> Iterator[Metric]:
    snapshot = view.snapshot
    if snapshot.clock.exact:
        yield CLOCK_OFFSET.single(snapshot.clock.server - (epoch + snapshot.clock.monotonic))
    if snapshot.server.enabled is not None:
        yield ENABLED.single(snapshot.server.enabled)
    if snapshot.server.version is not None:
        yield SERVER_INFO.single(1, snapshot.server.version)
    if snapshot.server.fingerprint is not None:
        yield TOKEN_INFO.single(1, snapshot.server.fingerprint)


def _kinds(view: View) -> Iterator[Metric]:
    counts = [((kind.role, kind.backend), of_kind) for kind, of_kind in view.snapshot.counts.items()]
    yield NODES.family((labels, of_kind.total) for labels, of_kind in counts)
    yield NODES_ONLINE.family((labels, of_kind.online) for labels, of_kind in counts)
    yield NODES_HIDDEN.family(
        ((kind.role, kind.backend, reason), count) for (kind, reason), count in view.hidden.items()
    )
    yield ENTRIES_DROPPED.family(
        ((*labels, reason), count)
        for labels, of_kind in counts
        for reason, count in (("invalid", of_kind.invalid), ("duplicate", of_kind.duplicate))
    )
