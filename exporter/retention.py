"""Which nodes have series of their own: LocalAI never forgets one, and Prometheus should not have to keep them all."""

from collections import Counter
from collections.abc import Mapping

from exporter.deadline import OnTime, unhurried, while_on_time
from exporter.fleet import Fleet, FleetNode, FleetView, Status
from exporter.model import Hidden, Kind, ShownNode, Snapshot, View
from exporter.tracker import Track

MODEL_LIMIT = 1_000
"""The most models with series of their own: those with a schedule first, then by name."""

_GIVEN_UP = (Status.OFFLINE, Status.UNHEALTHY)


def view(
    snapshot: Snapshot,
    tracks: Mapping[tuple[Kind, str], Track],
    now: float,
    *,
    retention: float,
    limit: int,
    on_time: OnTime = unhurried,
) -> View:
    """Choose the nodes that are shown, and count the others.

    Args:
        snapshot: what LocalAI answered.
        tracks: what is remembered of each of its nodes.
        now: monotonic time in seconds.
        retention: a node that was not seen for longer, in seconds on LocalAI's clock, is hidden. Never an online one,
            nor one whose heartbeat moved within that time; one never seen counts from when we first heard of it.
        limit: the most nodes that are shown, online first, then newest.
        on_time: called all the while; what it raises ends the work.
    """
    server_now = snapshot.clock.at(now)

    def retained(node_track: Track, last_seen: float | None) -> bool:
        if node_track.online:
            return True
        seen_ago = now - node_track.first_seen_at if last_seen is None else server_now - last_seen
        moved_ago = seen_ago if node_track.moved_at is None else now - node_track.moved_at
        return min(seen_ago, moved_ago) <= retention

    def rank(shown: ShownNode) -> tuple[bool, float]:
        return not shown.node.online, -(shown.node.last_seen or 0.0)

    hidden: Counter[tuple[Kind, Hidden]] = Counter({(kind, why): 0 for kind in snapshot.counts for why in Hidden})
    kept = []
    for node in while_on_time(snapshot.nodes, on_time):
        node_track = tracks[node.kind, node.id]
        if retained(node_track, node.last_seen):
            kept.append(ShownNode(node, node_track.moved_at))
        else:
            hidden[node.kind, Hidden.RETENTION] += 1
    if len(kept) > limit:
        kept.sort(key=rank)
        for shown in while_on_time(kept[limit:], on_time):
            hidden[shown.node.kind, Hidden.LIMIT] += 1
        del kept[limit:]
    return View(snapshot, now, tuple(kept), dict(hidden))


def fleet_view(fleet: Fleet, now: float, *, retention: float, limit: int, on_time: OnTime = unhurried) -> FleetView:
    """Choose the nodes and models of distributed mode that are shown, and count the others.

    Args:
        fleet: what LocalAI answered.
        now: monotonic time in seconds.
        retention: a node that LocalAI calls offline or unhealthy, and that it heard of longer ago, in seconds on its
            own clock, is hidden. Never another, of whose silence one should be told.
        limit: the most nodes that are shown, healthy first, then those that were heard of last.
        on_time: called all the while; what it raises ends the work.
    """
    server_now = fleet.clock.at(now)

    def rank(node: FleetNode) -> tuple[bool, float]:
        on_time()
        return node.status != Status.HEALTHY, -(node.last_heartbeat or 0.0)

    kept = [
        node
        for node in while_on_time(fleet.nodes, on_time)
        if node.status not in _GIVEN_UP or node.last_heartbeat is None or server_now - node.last_heartbeat <= retention
    ]
    hidden = {Hidden.RETENTION: len(fleet.nodes) - len(kept), Hidden.LIMIT: max(0, len(kept) - limit)}
    if len(kept) > limit:
        kept = sorted(kept, key=rank)[:limit]
    schedules = {schedule.model: schedule for schedule in fleet.schedules or ()}
    names = [*schedules, *sorted((fleet.replicas or {}).keys() - schedules.keys())]
    models = tuple(fleet.model(name, schedules.get(name)) for name in while_on_time(names[:MODEL_LIMIT], on_time))
    return FleetView(fleet, now, tuple(kept), hidden, models, len(names) - len(models))
