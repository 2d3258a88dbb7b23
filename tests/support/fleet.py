"""Elements of the lists of distributed mode, as LocalAI v4.8 and newer write them."""

from collections.abc import Mapping
from typing import Any

from exporter.fleet import Capacity, Dropped, Fleet, FleetNode, Listing, Schedule, Status
from exporter.model import ClockReading

NODES = "/api/nodes"
MODELS = "/api/nodes/models"
SCHEDULING = "/api/nodes/scheduling"

NOW = 1_800_000_000.0
CLOCK = ClockReading(NOW, 1_000.0, exact=True)


def registered(name: str, status: str = "healthy", **more: Any) -> dict[str, Any]:
    """An element of `/api/nodes`: a node with one GPU, heard of when the clock of `FakeClock` starts."""
    return {
        "id": f"id-of-{name}",
        "name": name,
        "node_type": "backend",
        "address": "10.0.0.1:50051",
        "status": status,
        "total_vram": 24_000,
        "available_vram": 20_000,
        "total_ram": 64_000,
        "available_ram": 48_000,
        "total_disk": 2_000_000,
        "available_disk": 0,
        "gpu_vendor": "nvidia",
        "last_heartbeat": "2027-01-15T08:00:00Z",
        "model_count": 2,
        "in_flight_count": 3,
        "labels": {"node.name": name},
    } | more


def loaded(node: str, model: str, index: int = 0, **more: Any) -> dict[str, Any]:
    """An element of `/api/nodes/models`."""
    return {
        "node_id": f"id-of-{node}",
        "model_name": model,
        "replica_index": index,
        "state": "loaded",
        "in_flight": 1,
    } | more


def wanted(model: str, least: int = 2, most: int = 3, ticks: int = 0, **more: Any) -> dict[str, Any]:
    """An element of `/api/nodes/scheduling`."""
    return {"model_name": model, "min_replicas": least, "max_replicas": most, "unsatisfiable_ticks": ticks} | more


def fleet_answers(nodes: list[Any], models: list[Any], scheduling: list[Any]) -> dict[str, Any]:
    """Distributed mode's answers by path."""
    return {NODES: nodes, MODELS: models, SCHEDULING: scheduling}


def fleet_node(
    name: str, status: Status = Status.HEALTHY, *, heartbeat: float | None = NOW, ram: Capacity | None = None
) -> FleetNode:
    """A node of which little is known."""
    return FleetNode(name, f"id-of-{name}", "backend", "", "", status, heartbeat, None, ram, None, 0, 0)


def fleet(
    *nodes: FleetNode,
    replicas: Mapping[str, int] | None = None,
    schedules: tuple[Schedule, ...] | None = None,
    clock: ClockReading = CLOCK,
) -> Fleet:
    """Distributed mode as one poll hears of it, with nothing dropped."""
    listed = {Listing.NODES: nodes, Listing.MODELS: replicas, Listing.SCHEDULING: schedules}
    dropped = {listing: Dropped() for listing, found in listed.items() if found is not None}
    return Fleet(nodes, replicas, schedules, dropped, clock)
