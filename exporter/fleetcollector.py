"""The newest outcome of distributed mode becomes metric families, as `collector` makes them of the rest."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.ages import Ages
from exporter.clock import Clock
from exporter.families import COUNT, EXACT, Definition, Lasts, Small, Written, escaped, needs_escape
from exporter.fleet import Capacity, Fleet, FleetNode, FleetOutcome, FleetView, Model, Status
from exporter.fleetmetrics import (
    DEFINITIONS,
    ENABLED,
    ENTRIES_DROPPED,
    FAILURES,
    LAST_SUCCESS,
    MODEL_LOADED,
    MODEL_MAX,
    MODEL_MIN,
    MODEL_TICKS,
    MODEL_UNSATISFIABLE,
    MODELS_HIDDEN,
    NODE_AGE,
    NODE_DISK,
    NODE_DISK_AVAILABLE,
    NODE_HEARTBEAT,
    NODE_INFO,
    NODE_MODELS,
    NODE_RAM,
    NODE_RAM_AVAILABLE,
    NODE_REQUESTS,
    NODE_STATUS,
    NODE_VRAM,
    NODE_VRAM_AVAILABLE,
    NODES,
    NODES_HIDDEN,
    UP,
)
from exporter.prepared import Basis, Keeper, Prepared
from exporter.store import Store


class FleetCollector(Collector):
    """Reads the store at each scrape; all that it knows was handed in.

    Args:
        store: the newest outcome.
        clock: for ages, and for what is published as wall time.
        stale_after: seconds for which the last good answer is shown while the questions fail.
        ages: False where the page will be read later than now, when every age in it would be wrong.
    """

    def __init__(self, store: Store, clock: Clock, *, stale_after: float, ages: bool = True) -> None:
        self._store = store
        self._clock = clock
        self._ages = ages
        self._keeper = Keeper(clock, stale_after, self._prepare)

    def describe(self) -> Iterator[Metric]:
        """Name every family that may come, so that the registry refuses a second collector of the same names."""
        for definition in DEFINITIONS:
            yield definition.family(())

    def collect(self) -> Iterator[Metric]:
        """Give the families of the newest outcome; the ages, which are made for this scrape alone, come last."""
        outcome, now = self._store.latest_fleet(), self._clock.monotonic()
        prepared = self._keeper.prepared(outcome, now)
        yield from prepared.families
        view = outcome.view if outcome else None
        if view is not None and view.fleet is not None and prepared.ages is not None:
            yield NODE_AGE.large(partial(prepared.ages.texts, view.fleet.clock.at(now)), Lasts.ONE_PAGE)

    def _prepare(self, basis: Basis[FleetOutcome]) -> Prepared:
        outcome, epoch, fresh = basis
        if outcome is None:
            return Prepared(())
        families: list[Written] = [Small(family) for family in _small(outcome, epoch, fresh=fresh)]
        view = outcome.view
        if view is None or view.fleet is None or not fresh or not view.nodes:
            return Prepared(tuple(families))
        nodes = tuple(map(_written, view.nodes))
        families += _large(nodes)
        seen, moments = _heard(nodes)
        ages = Ages(NODE_AGE, _labels(seen), moments, view.fleet.clock.server) if seen and self._ages else None
        return Prepared(tuple(families), ages)


def _small(outcome: FleetOutcome, epoch: float, *, fresh: bool) -> Iterator[Metric]:
    # A loop that hangs until nothing is fresh has no newest poll to speak of.
    yield UP.single(outcome.failure is None and fresh)
    yield FAILURES.family(((reason,), count) for reason, count in outcome.failures.items())
    view = outcome.view
    if view is None:
        return
    yield LAST_SUCCESS.single(epoch + view.received_at)
    if not fresh:
        return
    yield ENABLED.single(view.fleet is not None)
    if view.fleet is not None:
        yield from _fleet(view.fleet, view)


def _fleet(fleet: Fleet, view: FleetView) -> Iterator[Metric]:
    by_status = Counter(node.status for node in fleet.nodes)
    yield NODES.family(((status,), by_status[status]) for status in Status)
    yield NODES_HIDDEN.family(((reason,), count) for reason, count in view.hidden.items())
    yield ENTRIES_DROPPED.family(
        ((listing, reason), count)
        for listing, dropped in fleet.dropped.items()
        for reason, count in (("invalid", dropped.invalid), ("duplicate", dropped.duplicate))
    )
    yield MODELS_HIDDEN.single(view.models_hidden)
    for definition, read in _OF_MODELS:
        samples = [((model.name,), value) for model in view.models if (value := read(model)) is not None]
        if samples:
            yield definition.family(samples)


_OF_MODELS: tuple[tuple[Definition, Callable[[Model], float | None]], ...] = (
    (MODEL_LOADED, lambda model: model.loaded),
    (MODEL_MIN, lambda model: model.schedule.least if model.schedule else None),
    (MODEL_MAX, lambda model: model.schedule.most if model.schedule else None),
    (MODEL_TICKS, lambda model: model.schedule.unsatisfied if model.schedule else None),
    (MODEL_UNSATISFIABLE, lambda model: model.unsatisfiable),
)
"""Which figure of a model each metric has; None is unknown, and has no sample."""


def _size(capacity: Capacity | None) -> int | None:
    return capacity.size if capacity else None


def _available(capacity: Capacity | None) -> int | None:
    return capacity.available if capacity else None


_OF_NODES: tuple[tuple[Definition, str, Callable[[FleetNode], float | None]], ...] = (
    (NODE_HEARTBEAT, EXACT, lambda node: node.last_heartbeat),
    (NODE_VRAM, COUNT, lambda node: _size(node.vram)),
    (NODE_VRAM_AVAILABLE, COUNT, lambda node: _available(node.vram)),
    (NODE_RAM, COUNT, lambda node: _size(node.ram)),
    (NODE_RAM_AVAILABLE, COUNT, lambda node: _available(node.ram)),
    (NODE_DISK, COUNT, lambda node: _size(node.disk)),
    (NODE_DISK_AVAILABLE, COUNT, lambda node: _available(node.disk)),
    (NODE_MODELS, COUNT, lambda node: node.models),
    (NODE_REQUESTS, COUNT, lambda node: node.in_flight),
)
"""Which figure of a node each metric has, and how it is written; None is unknown, and has no sample."""


def _large(nodes: tuple[FleetNode, ...]) -> Iterator[Written]:
    """Give the families that have a sample for each node; one is written when it is asked for."""
    yield NODE_STATUS.large(partial(_statuses, nodes))
    for definition, form, read in _OF_NODES:
        if any(read(node) is not None for node in nodes):
            yield definition.large(partial(_figures, definition, form, read, nodes))
    yield NODE_INFO.large(partial(_infos, nodes))


def _figures(
    definition: Definition, form: str, read: Callable[[FleetNode], float | None], nodes: tuple[FleetNode, ...]
) -> Iterator[bytes]:
    known = [(node, value) for node in nodes if (value := read(node)) is not None]
    return definition.written(_labels(node for node, _ in known), form, (value for _, value in known))


def _statuses(nodes: tuple[FleetNode, ...]) -> Iterator[bytes]:
    labels = (f'{{name="{node.name}",status="{status}"}}' for node in nodes for status in Status)
    return NODE_STATUS.written(labels, COUNT, (node.status == status for node in nodes for status in Status))


def _infos(nodes: tuple[FleetNode, ...]) -> Iterator[bytes]:
    labels = (
        f'{{address="{node.address}",gpu_vendor="{node.gpu_vendor}",id="{node.id}",name="{node.name}",'
        f'node_type="{node.node_type}"}}'
        for node in nodes
    )
    return NODE_INFO.written(labels, "1.0")


def _heard(nodes: tuple[FleetNode, ...]) -> tuple[list[FleetNode], list[float]]:
    heard = [node for node in nodes if node.last_heartbeat is not None]
    return heard, [node.last_heartbeat for node in heard if node.last_heartbeat is not None]


def _labels(nodes: Iterable[FleetNode]) -> list[str]:
    return [f'{{name="{node.name}"}}' for node in nodes]


def _written(node: FleetNode) -> FleetNode:
    """Return the same with texts that can stand in a template."""
    if not needs_escape(f"{node.address}{node.gpu_vendor}{node.id}{node.name}{node.node_type}"):
        return node
    return replace(
        node,
        address=escaped(node.address),
        gpu_vendor=escaped(node.gpu_vendor),
        id=escaped(node.id),
        name=escaped(node.name),
        node_type=escaped(node.node_type),
    )
