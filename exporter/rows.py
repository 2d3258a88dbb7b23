"""The lists of distributed mode become values: a bad element costs itself only, and what is no list costs the answer.

A figure or a time that cannot be used is unknown, and never costs its element; nor is it 0.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from exporter.deadline import while_on_time
from exporter.entries import figure_of, moment_of, text_of
from exporter.fleet import Capacity, Dropped, FleetNode, Schedule, Status
from exporter.labels import label
from exporter.strictjson import Budget, parse_list

UNLIMITED = Budget()

_LOADED = "loaded"
_STATUSES = {status.value: status for status in Status}

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")


def nodes(body: bytes, now: float, budget: Budget = UNLIMITED) -> tuple[tuple[FleetNode, ...], Dropped]:
    """Read `/api/nodes`.

    Args:
        body: the answer.
        now: LocalAI's Unix time in seconds.
        budget: what the reading may take.

    Raises:
        PollError: `NOT_JSON`, `SHAPE` or `TOO_LARGE`, and whatever the budget's `on_time` raises.
    """

    def read(element: Mapping[str, Any]) -> tuple[str, FleetNode]:
        node = _node(element, now)
        return node.name, node

    found, dropped = _rows(body, "/api/nodes", read, budget)
    return tuple(found.values()), dropped


def replicas(body: bytes, budget: Budget = UNLIMITED) -> tuple[Mapping[str, int], Dropped]:
    """Read from `/api/nodes/models` how many replicas of each model are loaded; the rest as for `nodes`."""
    found, dropped = _rows(body, "/api/nodes/models", _replica, budget)
    return Counter(model for (_, model, _), is_loaded in found.items() if is_loaded), dropped


def schedules(body: bytes, budget: Budget = UNLIMITED) -> tuple[tuple[Schedule, ...], Dropped]:
    """Read `/api/nodes/scheduling`; the rest as for `nodes`."""
    found, dropped = _rows(body, "/api/nodes/scheduling", _schedule, budget)
    return tuple(found.values()), dropped


def _rows(
    body: bytes, where: str, read: Callable[[Mapping[str, Any]], tuple[Key, Row]], budget: Budget
) -> tuple[dict[Key, Row], Dropped]:
    """Return the first element of each key, and how many others there are."""
    rows: dict[Key, Row] = {}
    invalid = duplicate = 0
    for element in while_on_time(parse_list(body, where, budget), budget.on_time):
        try:
            key, row = read(_object(element))
        except TypeError:
            invalid += 1
            continue
        if key in rows:
            duplicate += 1
        else:
            rows[key] = row
    return rows, Dropped(invalid, duplicate)


def _object(element: Any) -> Mapping[str, Any]:
    if not isinstance(element, dict):
        raise TypeError
    return element


def _named(element: Mapping[str, Any], key: str) -> str:
    text = text_of(element, key)
    if not text:
        raise TypeError
    return label(text)


def _node(element: Mapping[str, Any], now: float) -> FleetNode:
    name, status = _named(element, "name"), _named(element, "status")
    vram, ram, disk = (_capacity(element, what) for what in ("vram", "ram", "disk"))
    # No machine is without memory: where the size is 0, the node did not say it. Without a GPU it says 0 of VRAM.
    ram = ram if ram and ram.size else None
    return FleetNode(
        name=name,
        id=label(text_of(element, "id")),
        node_type=label(text_of(element, "node_type")),
        address=label(text_of(element, "address")),
        gpu_vendor=label(text_of(element, "gpu_vendor")),
        status=_STATUSES.get(status, Status.UNKNOWN),
        last_heartbeat=moment_of(element.get("last_heartbeat"), now),
        vram=vram if ram or (vram and vram.size) else None,
        ram=ram,
        disk=disk if disk and disk.size else None,
        models=figure_of(element, "model_count"),
        in_flight=figure_of(element, "in_flight_count"),
    )


def _capacity(element: Mapping[str, Any], what: str) -> Capacity | None:
    size = figure_of(element, f"total_{what}")
    return None if size is None else Capacity(size, figure_of(element, f"available_{what}"))


def _replica(element: Mapping[str, Any]) -> tuple[tuple[str, str, int], bool]:
    # Releases with one replica of a model on a node at most have no index.
    index = figure_of(element, "replica_index") if "replica_index" in element else 0
    if index is None:
        raise TypeError
    key = _named(element, "node_id"), _named(element, "model_name"), index
    return key, _named(element, "state") == _LOADED


def _schedule(element: Mapping[str, Any]) -> tuple[str, Schedule]:
    model = _named(element, "model_name")
    spread = element.get("spread_all", False)
    if not isinstance(spread, bool):
        raise TypeError
    return model, Schedule(
        model,
        least=None if spread else figure_of(element, "min_replicas"),
        most=None if spread else figure_of(element, "max_replicas") or None,
        unsatisfied=figure_of(element, "unsatisfiable_ticks"),
    )
