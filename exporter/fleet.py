"""LocalAI's distributed mode as frozen values: the nodes of its registry, and how models are spread over them.

It is another cluster than that of P2P, kept in a database that every frontend shows alike.
"""

from dataclasses import dataclass
from enum import StrEnum


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
        unsatisfied: how many times in a row LocalAI found no node with room for a replica that is wanted.
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
