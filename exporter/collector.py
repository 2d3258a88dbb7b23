"""The newest outcome and the clocks become metric families: the ages anew at each scrape, all else when it changes.

Every metric's name, type, labels and help text stand here and nowhere else. One worker looks so::

    localai_p2p_up 1.0
    localai_p2p_nodes{backend="llama_cpp",role="worker"} 1.0
    localai_p2p_nodes_online{backend="llama_cpp",role="worker"} 1.0
    localai_p2p_node_online{backend="llama_cpp",host="gpu-01",id="gpu-01-mENxBjydya",role="worker"} 1.0
    localai_p2p_node_last_seen_age_seconds{backend="llama_cpp",host="gpu-01",id="gpu-01-mENxBjydya",role="worker"} 7.5
    localai_p2p_host_nodes_online{backend="llama_cpp",host="gpu-01",role="worker"} 1.0
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.buckets import DURATION_BUCKETS
from exporter.clock import Clock, steady_epoch
from exporter.families import Definition, Small, Template, Written, escaped, needs_escape
from exporter.store import Store

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from exporter.model import Kind, Node, Outcome, PollTotals, ShownNode, View

_KIND = ("role", "backend")
_NODE = ("role", "backend", "host", "id")

_TEXTS_OF_A_NODE = tuple(map(attrgetter, ("id", "host", "name", "service_id", "tunnel_address")))

# How values are written where there is one for each node.
_COUNT = "%.1f"
_EXACT = "%r"
_MILLISECONDS = "%.3f"  # no clock here is read more precisely, and all 17 digits would take three times as long


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
        self._prepared: _Prepared | None = None

    def describe(self) -> Iterator[Metric]:
        """Name every family that may come, so that the registry refuses a second collector of the same names."""
        for definition in DEFINITIONS:
            if definition.type == "histogram":
                yield HistogramMetricFamily(definition.name, definition.help)
            else:
                yield definition.family(())

    def collect(self) -> Iterator[Metric]:
        """Give the families of the newest outcome; the ages, which are made for this scrape alone, come last."""
        outcome, now = self._store.latest(), self._clock.monotonic()
        view = outcome.view if outcome else None
        fresh = view is not None and now - view.received_at <= self._stale_after
        prepared = self._prepared
        # On from what the newest scrape saw: a wall clock that was set is set once, not at every scrape.
        known = prepared if prepared and prepared.outcome is outcome else outcome
        epoch = steady_epoch(known.epoch, self._clock) if known else 0.0
        if prepared is None or not prepared.holds(outcome, epoch, fresh=fresh):
            self._prepared = prepared = None  # before the next one is made: it may hold an outcome of megabytes
            prepared = self._prepared = self._prepare(outcome, epoch, fresh=fresh)
        yield from prepared.families
        if view is not None and prepared.ages is not None:
            yield NODE_AGE.large(partial(prepared.ages.at, view.snapshot.clock.at(now)), lasts=False)

    def _prepare(self, outcome: Outcome | None, epoch: float, *, fresh: bool) -> _Prepared:
        families: list[Written] = [Small(family) for family in self._small(outcome, epoch, fresh=fresh)]
        view = outcome.view if outcome else None
        if view is None or not fresh or not view.shown:
            return _Prepared(outcome, epoch, fresh, tuple(families))
        nodes = _Nodes(view.shown, epoch)
        families += nodes.families()
        return _Prepared(outcome, epoch, fresh, tuple(families), nodes.ages() if self._ages else None)

    def _small(self, outcome: Outcome | None, epoch: float, *, fresh: bool) -> Iterator[Metric]:
        yield BUILD_INFO.single(1, __version__, platform.python_version())
        yield TLS_INSECURE.single(self._tls_insecure)
        if self._expected:
            yield NODES_EXPECTED.family(((role,), count) for role, count in self._expected.items())
        if self._expected_hosts:
            yield HOST_EXPECTED.family(((host,), 1) for host in self._expected_hosts)
        if outcome is None:
            return
        # A loop that hangs until nothing is fresh has no newest poll to speak of.
        yield UP.single(outcome.failure is None and fresh)
        yield from _totals(outcome)
        if outcome.view is None:
            return
        yield LAST_SUCCESS.single(epoch + outcome.view.received_at)
        yield API_INFO.single(1, outcome.view.snapshot.generation, outcome.view.snapshot.source)
        if fresh:
            yield from _server(outcome.view, epoch)
            yield from _kinds(outcome.view)


class _Ages(NamedTuple):
    """What the ages of nodes are made of: a template, and when each of them was last seen."""

    template: Template
    last_seen: tuple[float, ...]

    def at(self, server_now: float) -> bytes:
        return self.template.filled([server_now - last_seen for last_seen in self.last_seen])


class _Prepared(NamedTuple):
    """What scrapes are given until something changes: families, and what the ages are made of."""

    outcome: Outcome | None
    epoch: float
    fresh: bool
    families: tuple[Written, ...]
    ages: _Ages | None = None

    def holds(self, outcome: Outcome | None, epoch: float, *, fresh: bool) -> bool:
        return self.outcome is outcome and self.epoch == epoch and self.fresh == fresh


class _Nodes:
    """Writes the families that have a sample for each node; one when it is asked for, as each may have megabytes."""

    def __init__(self, shown: tuple[ShownNode, ...], epoch: float) -> None:
        self._shown = _written(shown)
        self._epoch = epoch

    def families(self) -> Iterator[Written]:
        yield NODE_ONLINE.large(self._online)
        if any(item.node.last_seen is not None for item in self._shown):
            yield NODE_LAST_SEEN.large(self._last_seen)
        if any(item.moved_at is not None for item in self._shown):
            yield NODE_HEARTBEAT.large(self._heartbeats)
        yield NODE_INFO.large(self._infos)
        yield HOST_NODES_ONLINE.large(self._hosts)

    def ages(self) -> _Ages | None:
        seen, moments = self._seen()
        return _Ages(NODE_AGE.template(_labels(seen), _MILLISECONDS), tuple(moments)) if seen else None

    def _seen(self) -> tuple[list[Node], list[float]]:
        seen = [item.node for item in self._shown if item.node.last_seen is not None]
        return seen, [node.last_seen for node in seen if node.last_seen is not None]

    def _online(self) -> bytes:
        nodes = [item.node for item in self._shown]
        return NODE_ONLINE.template(_labels(nodes), _COUNT).filled([node.online for node in nodes])

    def _last_seen(self) -> bytes:
        seen, moments = self._seen()
        return NODE_LAST_SEEN.template(_labels(seen), _EXACT).filled(moments)

    def _heartbeats(self) -> bytes:
        moved = [item.node for item in self._shown if item.moved_at is not None]
        moments = [self._epoch + item.moved_at for item in self._shown if item.moved_at is not None]
        return NODE_HEARTBEAT.template(_labels(moved), _MILLISECONDS).filled(moments)

    def _infos(self) -> bytes:
        labels = [
            f'{{backend="{node.kind.backend}",host="{node.host}",id="{node.id}",name="{node.name}",role="{node.kind.role}",'
            f'service_id="{node.service_id}",tunnel_address="{node.tunnel_address}"}}'
            for node in (item.node for item in self._shown)
        ]
        return NODE_INFO.template(labels, "1.0").filled()

    def _hosts(self) -> bytes:
        online: dict[tuple[Kind, str], int] = {}
        for item in self._shown:
            key = item.node.kind, item.node.host
            online[key] = online.get(key, 0) + item.node.online
        labels = [f'{{backend="{kind.backend}",host="{host}",role="{kind.role}"}}' for kind, host in online]
        return HOST_NODES_ONLINE.template(labels, _COUNT).filled(online.values())


def _labels(nodes: Iterable[Node]) -> list[str]:
    return [
        f'{{backend="{node.kind.backend}",host="{node.host}",id="{node.id}",role="{node.kind.role}"}}' for node in nodes
    ]


def _written(shown: tuple[ShownNode, ...]) -> tuple[ShownNode, ...]:
    """Return the same with texts that can stand in a template: nearly always they can, and it is looked at once."""
    nodes = [item.node for item in shown]
    if any(needs_escape("".join(map(text_of, nodes))) for text_of in _TEXTS_OF_A_NODE):
        return tuple(replace(item, node=_escaped(item.node)) for item in shown)
    return shown


def _escaped(node: Node) -> Node:
    return replace(
        node,
        id=escaped(node.id),
        host=escaped(node.host),
        name=escaped(node.name),
        service_id=escaped(node.service_id),
        tunnel_address=escaped(node.tunnel_address),
    )


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
    counts = accumulate(totals.durations)
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
