"""LocalAI's distributed mode as frozen values: the nodes of its registry, and how models are spread over them.

It is another cluster than that of P2P, kept in a database that every frontend shows alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.errors import Reason
from exporter.model import ClockReading, Failure, Hidden

UNSATISFIABLE_FROM = 3
"""So many times in a row must LocalAI have found no room before it waits for five minutes between two tries
(`unsatisfiableTickThreshold` in its core/services/nodes/reconciler.go)."""


class Status(StrEnum):
    """What LocalAI says of a node: values of the label `status`."""

    REGISTERING = "registering"
    PENDING = "pending"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    """A word that is none of the others, as a newer release may have."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of something a node has, in bytes.

    Attributes:
        size: in all.
        available: of it; None where that is not known.
    """

    size: int
    available: int | None


@dataclass(frozen=True, slots=True)
class FleetNode:
    """One node of the registry; None is unknown.

    Attributes:
        name: unique, and kept over restarts of the node; safe as a label, as are all texts here.
        id: of its entry in the registry.
        node_type: `backend` or `agent`.
        address: where models are reached on it, `host:port`; empty for an agent.
        gpu_vendor: as LocalAI writes it; empty without a GPU.
        status: LocalAI's verdict.
        last_heartbeat: Unix time in seconds, on the clock of the LocalAI that heard it.
        vram: of all GPUs; of size 0 where the node has none.
        ram: of the machine.
        disk: of the file system that models are stored on.
        models: how many replicas are loaded on it.
        in_flight: how many requests these are answering.
    """

    name: str
    id: str
    node_type: str
    address: str
    gpu_vendor: str
    status: Status
    last_heartbeat: float | None
    vram: Capacity | None
    ram: Capacity | None
    disk: Capacity | None
    models: int | None
    in_flight: int | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What was asked for of one model; None is unknown.

    Attributes:
        model: its name.
        least: the fewest replicas that are wanted; None also where LocalAI wants one on each node that fits.
        most: the most; None also where there is no limit.
        unsatisfied: how many times LocalAI found no node with room for a replica since it last loaded one itself, or a
            node joined; it may stand though enough are loaded by now.
    """

    model: str
    least: int | None
    most: int | None
    unsatisfied: int | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many elements of a list were not used."""

    invalid: int = 0
    duplicate: int = 0


class Listing(StrEnum):
    """The three lists: values of the label `list`."""

    NODES = "nodes"
    MODELS = "models"
    SCHEDULING = "scheduling"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is loaded or scheduled.

    Attributes:
        name: unique.
        loaded: how many replicas are; None where this release does not say.
        schedule: what was asked for; None for nothing.
    """

    name: str
    loaded: int | None
    schedule: Schedule | None

    @property
    def missing(self) -> int | None:
        """How many fewer replicas are loaded than wanted at least; None where one of the two is unknown."""
        if self.loaded is None or self.schedule is None or self.schedule.least is None:
            return None
        return max(0, self.schedule.least - self.loaded)

    @property
    def unsatisfiable(self) -> bool | None:
        """Whether replicas are missing, or may be, and LocalAI has given up to look for room all the time."""
        if self.schedule is None or self.schedule.unsatisfied is None:
            return None
        # LocalAI counts from 0 again when it loads a replica by itself, or a node joins: not when a request had one
        # loaded, nor when fewer are wanted.
        return self.schedule.unsatisfied >= UNSATISFIABLE_FROM and self.missing != 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that one poll heard of distributed mode, whole.

    Attributes:
        nodes: every usable one, unique by name, in LocalAI's order.
        replicas: for each model how many are loaded; None where this release does not list them.
        schedules: unique by model; None where this release does not list them.
        dropped: what of each list that there is was not used.
        clock: LocalAI's.
    """

    nodes: tuple[FleetNode, ...]
    replicas: Mapping[str, int] | None
    schedules: tuple[Schedule, ...] | None
    dropped: Mapping[Listing, Dropped]
    clock: ClockReading

    def model(self, name: str, schedule: Schedule | None) -> Model:
        """Return a model with what is loaded of it."""
        return Model(name, None if self.replicas is None else self.replicas.get(name, 0), schedule)


@dataclass(frozen=True, slots=True)
class FleetView:
    """The newest good answer and what the exporter makes of it.

    Attributes:
        fleet: what LocalAI answered; None where it is not in distributed mode.
        received_at: monotonic time at which it was complete.
        nodes: those with series of their own.
        hidden: how many have none, for every reason.
        models: those with series of their own.
        models_hidden: how many have none.
    """

    fleet: Fleet | None
    received_at: float
    nodes: tuple[FleetNode, ...] = ()
    hidden: Mapping[Hidden, int] = field(default_factory=dict)
    models: tuple[Model, ...] = ()
    models_hidden: int = 0


@dataclass(frozen=True, slots=True)
class FleetOutcome:
    """Everything that is known of distributed mode after a poll; the store swaps it as a whole.

    Attributes:
        epoch: as an `Outcome` has it.
        failure: why the newest questions failed; None when they were answered and understood.
        view: the newest good answer, however old; None before the first.
        failures: how often they failed since the start, for every reason.
    """

    epoch: float
    failure: Failure | None
    view: FleetView | None
    failures: Mapping[Reason, int]
