"""Each node of distributed mode by itself."""

from grafana_foundation_sdk.builders import statetimeline, table, timeseries
from look import (
    BAD,
    FAINT,
    GOOD,
    PLAIN,
    SHARED,
    WARN,
    Frame,
    Group,
    Property,
    coloured,
    crowded,
    graph,
    graphed,
    limit,
    listed,
    rows,
    sorted_by,
    spoken,
    timeline,
    words,
)
from membership_row import PAGE
from queries import NAME, STATE, STATES, YOUNGEST_BEAT, bound, scoped
from variables import to_one_node

from exporter.fleet import Status
from exporter.fleetdoctor import SILENT_SECONDS

_COLOURS = {
    Status.HEALTHY: GOOD,
    Status.DRAINING: WARN,
    Status.PENDING: WARN,
    Status.REGISTERING: FAINT,
    Status.UNKNOWN: WARN,
    Status.UNHEALTHY: BAD,
    Status.OFFLINE: BAD,
}
_WORDS = {str(STATES[status]): (status.value, colour) for status, colour in _COLOURS.items()}


def row() -> Group:
    """Return the row."""
    return Group("Nodes", (_states(), _nodes(), _ages()))


def _states() -> statetimeline.Panel:
    frame = Frame(
        title="Status",
        about="What LocalAI called each node. Orange: it gets no requests because of somebody's decision, or waits for "
        "one. Red: offline or unhealthy. A gap is a time in which nothing was known. Do: many that turn red at once "
        "are the network, or LocalAI's database; one that comes and goes is its machine.",
        empty="nothing known of any node",
        width=24,
        height=9,
        alerts=("DistributedNodeOffline", "DistributedNodeDraining", "DistributedNodePending"),
    )
    return (
        timeline(frame, graphed(scoped(STATE, NAME), "{{cluster}} {{name}}")).mappings([words(_WORDS)]).per_page(PAGE)
    )


def _nodes() -> table.Panel:
    frame = Frame(
        title="Nodes",
        about="Every node that has series, the worst status first. Heard is how long ago LocalAI heard of it. What is "
        "free is as the node last said it; an empty cell is something that it does not say, and a node without a GPU "
        "has 0 B of VRAM. Red: LocalAI calls the node offline or unhealthy. Do: click the node for its graphs alone.",
        empty="nothing known of any node",
        width=24,
        height=11,
        alerts=("DistributedNodeOffline", "DistributedHeartbeatOld"),
    )

    def least(metric: str) -> str:
        return scoped(f"min by (cluster, name) (localai_distributed_node_{metric})", NAME)

    info = "group by (cluster, name, node_type, gpu_vendor) (localai_distributed_node_info)"
    columns = {
        "name": ("Node", SHARED),
        "Value #A": ("Status", 100),
        "Value #B": ("Heard", 80),
        "Value #C": ("Models", 80),
        "Value #D": ("Requests", 90),
        "Value #E": ("VRAM free", 110),
        "Value #F": ("VRAM", 110),
        "Value #G": ("RAM free", 110),
        "Value #H": ("Disk free", 110),
        "gpu_vendor": ("GPU", 90),
        "node_type": ("Type", 90),
        "cluster": ("Cluster", 110),
    }
    panel = rows(
        frame,
        columns,
        listed(scoped(STATE, NAME)),
        listed(scoped(YOUNGEST_BEAT, NAME)),
        listed(least("models_loaded")),
        listed(least("requests_in_flight")),
        listed(least("vram_available_bytes")),
        listed(least("vram_size_bytes")),
        listed(least("ram_available_bytes")),
        listed(least("disk_available_bytes")),
        listed(scoped(info, NAME)),
    )
    for title in ("VRAM free", "VRAM", "RAM free", "Disk free"):
        panel.override_by_name(title, [Property("unit", "bytes")])
    old = bound("DistributedHeartbeatOld", "seconds")
    return (
        panel.sort_by(sorted_by(("Status", False), ("Node", False)))
        .override_by_name("Node", [to_one_node()])
        .override_by_name("Status", spoken(_WORDS))
        .override_by_name(
            "Heard", [Property("unit", "s"), Property("decimals", 0), *coloured(((None, PLAIN), (old, WARN)))]
        )
    )


def _ages() -> timeseries.Panel:
    frame = Frame(
        title="Age of heartbeats",
        about="How long ago LocalAI had heard of each node, at most, about that time. A node beats every 10 s, and a "
        "poll may be 15 s old. At the dashed line LocalAI has called it offline; after 3 minutes it leaves the graph. "
        "Red: silent. Do: one line that climbs is a node that died, all at once are LocalAI, or the network before it.",
        empty="no node was heard of lately",
        width=24,
        height=8,
        unit="s",
        steps=((None, GOOD), (SILENT_SECONDS, BAD)),
        alerts=("DistributedNodeOffline", "DistributedHeartbeatOld"),
    )
    # The age itself is a sawtooth, which a point now and then would draw as noise.
    greatest = f"max_over_time(({YOUNGEST_BEAT})[$__rate_interval:15s]) < 180"
    return (
        crowded(limit(graph(frame, graphed(scoped(greatest, NAME), "{{cluster}} {{name}}"))))
        # Each point is made of several: more points would cost more, and show no more.
        .interval("1m")
        .axis_soft_min(0)
        .axis_soft_max(SILENT_SECONDS)
    )
