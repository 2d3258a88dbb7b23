"""The newest outcome and the clocks become metric families: the ages anew at each scrape, all else when it changes."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.buckets import DURATION_BUCKETS
from exporter.clock import Clock
from exporter.families import Lasts, Small
from exporter.metrics import (
    API_INFO,
    BUILD_INFO,
    CLOCK_OFFSET,
    DEFINITIONS,
    ENABLED,
    ENTRIES_DROPPED,
    HOST_EXPECTED,
    LAST_SUCCESS,
    MEMBERSHIP_CHANGES,
    NODE_AGE,
    NODES,
    NODES_EXPECTED,
    NODES_HIDDEN,
    NODES_ONLINE,
    POLL_DURATION,
    POLL_FAILURES,
    POLLS,
    SERVER_INFO,
    TLS_INSECURE,
    TOKEN_INFO,
    UP,
)
from exporter.nodes import Moments, Standing
from exporter.prepared import Basis, Keeper, Prepared
from exporter.store import Store

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from exporter.model import Outcome, PollTotals, View


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
        self._expected = expected
        self._expected_hosts = expected_hosts
        self._tls_insecure = tls_insecure
        self._ages = ages
        self._keeper = Keeper(clock, stale_after, self._prepare)
        self._standing: Standing | None = None

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
        prepared = self._keeper.prepared(outcome, now)
        yield from prepared.families
        view = outcome.view if outcome else None
        if view is not None and prepared.ages is not None:
            yield NODE_AGE.large(partial(prepared.ages.texts, view.snapshot.clock.at(now)), Lasts.ONE_PAGE)

    def _prepare(self, basis: Basis[Outcome]) -> Prepared:
        outcome, epoch, fresh = basis
        small = tuple(Small(family) for family in self._small(outcome, epoch, fresh=fresh))
        view = outcome.view if outcome else None
        if view is None or not fresh or not view.shown:
            self._standing = None
            return Prepared(small)
        if self._standing is None or not self._standing.follows(view.shown):
            self._standing = None
            self._standing = Standing(view.shown)
        moments = Moments(self._standing.labels, view.shown, epoch)
        families = *self._standing.families, *small, *moments.families()
        return Prepared(families, moments.ages(view.snapshot.clock.server) if self._ages else None)

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
