"""The newest outcome of distributed mode becomes metric families, as `collector` makes them of the rest.

The name, type, labels and help text of every metric of distributed mode stand here and nowhere else. A node and a model
look so::

    localai_distributed_up 1.0
    localai_distributed_enabled 1.0
    localai_distributed_nodes{status="healthy"} 1.0
    localai_distributed_node_status{name="gpu-01",status="healthy"} 1.0
    localai_distributed_node_status{name="gpu-01",status="offline"} 0.0
    localai_distributed_node_last_heartbeat_age_seconds{name="gpu-01"} 7.5
    localai_distributed_node_vram_available_bytes{name="gpu-01"} 25769803776.0
    localai_distributed_model_replicas_loaded{model="llama-3"} 1.0
    localai_distributed_model_replicas_min{model="llama-3"} 2.0
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.clock import Clock, steady_epoch
from exporter.families import (
    COUNT,
    EXACT,
    MILLISECONDS,
    Ages,
    Definition,
    Prepared,
    Small,
    Written,
    escaped,
    needs_escape,
)
from exporter.fleet import Capacity, Fleet, FleetNode, FleetOutcome, FleetView, Model, Status
from exporter.store import Store

_NODE = ("name",)
_MODEL = ("model",)

UP = Definition(
    "localai_distributed_up",
    "1 when the newest questions on LocalAI's distributed mode were answered and understood, else 0.",
)
ENABLED = Definition("localai_distributed_enabled", "1 when LocalAI is in distributed mode, 0 when it is not.")
NODES = Definition(
    "localai_distributed_nodes", "Nodes in LocalAI's registry by status, those without series included.", ("status",)
)
NODE_STATUS = Definition(
    "localai_distributed_node_status",
    "1 for the status that LocalAI gives the node, 0 for every other; unknown is a status that the exporter does not "
    "know.",
    (*_NODE, "status"),
)
NODE_HEARTBEAT = Definition(
    "localai_distributed_node_last_heartbeat_timestamp_seconds",
    "Unix time at which LocalAI last heard of the node, on its own clock.",
    _NODE,
)
NODE_AGE = Definition(
    "localai_distributed_node_last_heartbeat_age_seconds",
    "Seconds since LocalAI last heard of the node, on its own clock, at the time of the scrape.",
    _NODE,
)
NODE_VRAM = Definition(
    "localai_distributed_node_vram_size_bytes",
    "Memory of the node's GPUs in bytes, 0 without one; absent where the node does not say.",
    _NODE,
)
NODE_VRAM_AVAILABLE = Definition(
    "localai_distributed_node_vram_available_bytes",
    "Memory of the node's GPUs that models can have, in bytes, as the node last said it.",
    _NODE,
)
NODE_RAM = Definition(
    "localai_distributed_node_ram_size_bytes",
    "Memory of the node's machine in bytes; absent where the node does not say.",
    _NODE,
)
NODE_RAM_AVAILABLE = Definition(
    "localai_distributed_node_ram_available_bytes",
    "Memory of the node's machine that is free, in bytes, as the node last said it.",
    _NODE,
)
NODE_DISK = Definition(
    "localai_distributed_node_disk_size_bytes",
    "Size in bytes of the file system that the node's models lie on; absent where it is not said, as before v4.8.",
    _NODE,
)
NODE_DISK_AVAILABLE = Definition(
    "localai_distributed_node_disk_available_bytes",
    "Free bytes of the file system that the node's models lie on, as the node last said it; 0 is full.",
    _NODE,
)
NODE_MODELS = Definition(
    "localai_distributed_node_models_loaded",
    "Replicas of models that are loaded on the node, by LocalAI's own count.",
    _NODE,
)
NODE_REQUESTS = Definition(
    "localai_distributed_node_requests_in_flight", "Requests that the node's loaded models are answering now.", _NODE
)
NODE_INFO = Definition(
    "localai_distributed_node_info",
    "What LocalAI's registry says of the node; always 1.",
    (*_NODE, "id", "node_type", "address", "gpu_vendor"),
)
NODES_HIDDEN = Definition(
    "localai_distributed_nodes_hidden",
    "Nodes of distributed mode without series of their own: offline or unhealthy, and silent for longer than the "
    "retention, or beyond the limit.",
    ("reason",),
)
MODEL_LOADED = Definition(
    "localai_distributed_model_replicas_loaded",
    "Replicas of the model that are loaded on healthy nodes; 0 for one that is scheduled alone.",
    _MODEL,
)
MODEL_MIN = Definition(
    "localai_distributed_model_replicas_min",
    "The fewest replicas of the model that are wanted; absent without a schedule, and where each node shall have one.",
    _MODEL,
)
MODEL_MAX = Definition(
    "localai_distributed_model_replicas_max",
    "The most replicas of the model that are wanted; absent where there is no such limit.",
    _MODEL,
)
MODEL_TICKS = Definition(
    "localai_distributed_model_unsatisfiable_ticks",
    "How many times LocalAI has found no node with room for a replica of the model since it last loaded one, or a node "
    "joined.",
    _MODEL,
)
MODEL_UNSATISFIABLE = Definition(
    "localai_distributed_model_unsatisfiable",
    "1 when replicas of the model are missing, and LocalAI has found no room for one so often that it now waits for "
    "five minutes between two tries, else 0.",
    _MODEL,
)
MODELS_HIDDEN = Definition("localai_distributed_models_hidden", "Models without series of their own: beyond the limit.")
ENTRIES_DROPPED = Definition(
    "localai_distributed_entries_dropped",
    "Elements of the newest lists of distributed mode that were not used, because they are invalid, or repeat another.",
    ("list", "reason"),
)
FAILURES = Definition(
    "localai_p2p_exporter_distributed_failures_total",
    "Polls whose questions on distributed mode failed, by reason.",
    ("reason",),
    "counter",
)
LAST_SUCCESS = Definition(
    "localai_p2p_exporter_distributed_last_success_timestamp_seconds",
    "Unix time at which LocalAI was last understood on distributed mode.",
)

DEFINITIONS = tuple(value for value in globals().values() if isinstance(value, Definition))
"""Every metric of distributed mode, in the order of the documentation."""


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
        self._stale_after = stale_after
        self._ages = ages
        self._prepared: Prepared | None = None

    def describe(self) -> Iterator[Metric]:
        """Name every family that may come, so that the registry refuses a second collector of the same names."""
        for definition in DEFINITIONS:
            yield definition.family(())

    def collect(self) -> Iterator[Metric]:
        """Give the families of the newest outcome; the ages, which are made for this scrape alone, come last."""
        outcome, now = self._store.latest_fleet(), self._clock.monotonic()
        if outcome is None:
            return
        view = outcome.view
        fresh = view is not None and now - view.received_at <= self._stale_after
        prepared = self._prepared
        # On from what the newest scrape saw: a wall clock that was set is set once, not at every scrape.
        epoch = steady_epoch(prepared.epoch if prepared and prepared.outcome is outcome else outcome.epoch, self._clock)
        if prepared is None or not prepared.holds(outcome, epoch, fresh=fresh):
            self._prepared = prepared = None  # before the next one is made: it may hold an outcome of megabytes
            prepared = self._prepared = self._prepare(outcome, epoch, fresh=fresh)
        yield from prepared.families
        if view is not None and view.fleet is not None and prepared.ages is not None:
            yield NODE_AGE.large(partial(prepared.ages.at, view.fleet.clock.at(now)), lasts=False)

    def _prepare(self, outcome: FleetOutcome, epoch: float, *, fresh: bool) -> Prepared:
        families: list[Written] = [Small(family) for family in _small(outcome, epoch, fresh=fresh)]
        view = outcome.view
        if view is None or not fresh or not view.nodes:
            return Prepared(outcome, epoch, fresh, tuple(families))
        nodes = tuple(map(_written, view.nodes))
        families += _large(nodes)
        seen, moments = _heard(nodes)
        ages = Ages(NODE_AGE.template(_labels(seen), MILLISECONDS), tuple(moments)) if seen and self._ages else None
        return Prepared(outcome, epoch, fresh, tuple(families), ages)


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
) -> bytes:
    known = [(node, value) for node in nodes if (value := read(node)) is not None]
    return definition.template(_labels(node for node, _ in known), form).filled(value for _, value in known)


def _statuses(nodes: tuple[FleetNode, ...]) -> bytes:
    labels = [f'{{name="{node.name}",status="{status}"}}' for node in nodes for status in Status]
    return NODE_STATUS.template(labels, COUNT).filled(node.status == status for node in nodes for status in Status)


def _infos(nodes: tuple[FleetNode, ...]) -> bytes:
    labels = [
        f'{{address="{node.address}",gpu_vendor="{node.gpu_vendor}",id="{node.id}",name="{node.name}",'
        f'node_type="{node.node_type}"}}'
        for node in nodes
    ]
    return NODE_INFO.template(labels, "1.0").filled()


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
