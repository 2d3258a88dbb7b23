"""Each node by itself."""

from grafana_foundation_sdk.builders import table, timeseries
from look import (
    BAD,
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
)
from queries import EXPORTER, HOST, ONLINE_TO_SOMEBODY, ROLE, YOUNGEST_AGE, bound, scoped
from rulebook import NODE
from variables import to_one_host

from exporter.decode import ONLINE_WITHIN_SECONDS

_AHEAD_SECONDS = bound("NodeClockAhead", "ahead_seconds")


def row() -> Group:
    """Return the row."""
    return Group("Nodes", (_nodes(), _ages()))


def _nodes() -> table.Panel:
    frame = Frame(
        title="Nodes",
        about="Every node that has series, the offline ones first, those that were lost last on top. Last seen is the "
        "age of its newest heartbeat, negative where the node's clock runs ahead. Changes: how often it went on- or "
        "offline within an hour. Listed by: how many LocalAI instances know it. No LocalAI tells a node's version: the "
        "column has that of the instances that list it. Red: LocalAI calls the node offline; after a restart it is "
        "the old id, beside a new one of the same host. Do: click the host for its graphs alone.",
        empty="nothing known of any node",
        width=24,
        height=11,
        alerts=("HostLost", "HostFlapping"),
    )
    # Instances of several versions list the node: a row each would show it more than once.
    version = f"""\
group by ({NODE}, version) (
  localai_p2p_node_online * on ({EXPORTER}) group_left (version) localai_p2p_server_info
)"""
    several = f"count by ({NODE}) (\n  {version}\n) > 1"
    one = f"""\
(
  {version}
  unless on ({NODE}) {several}
)
or label_replace({several}, "version", "several", "", "")"""
    columns = {
        "host": ("Host", SHARED),
        "id": ("Node", SHARED),
        "role": ("Role", 90),
        "backend": ("Backend", 100),
        "Value #A": ("Status", 90),
        "Value #B": ("Last seen", 100),
        "Value #C": ("Changes in 1 h", 130),
        "Value #D": ("Listed by", 90),
        "version": ("LocalAI that lists it", 170),
        "cluster": ("Cluster", 110),
    }
    return (
        rows(
            frame,
            columns,
            listed(scoped(ONLINE_TO_SOMEBODY, ROLE, HOST)),
            listed(scoped(YOUNGEST_AGE, ROLE, HOST)),
            listed(scoped(f"max by ({NODE}) (changes(localai_p2p_node_online[1h]))", ROLE, HOST)),
            listed(scoped(f"count by ({NODE}) (localai_p2p_node_online)", ROLE, HOST)),
            listed(scoped(one, ROLE, HOST)),
        )
        .sort_by(sorted_by(("Status", False), ("Last seen", False)))
        .override_by_name("Host", [to_one_host()])
        .override_by_name("Status", spoken({"0": ("offline", BAD), "1": ("online", GOOD)}))
        .override_by_name(
            "Last seen",
            [Property("unit", "s"), Property("decimals", 0), *coloured(((None, WARN), (-_AHEAD_SECONDS, PLAIN)))],
        )
    )


def _ages() -> timeseries.Panel:
    frame = Frame(
        title="Age of heartbeats",
        about="The greatest age of each node's newest heartbeat about that time, on LocalAI's clock: up to 35 s is "
        "healthy, and at the dashed line LocalAI calls the node offline. After a minute it leaves the graph, and where "
        "its clock runs ahead it is not in it (see Trust). Red: the node is offline. Do: one line that climbs is a "
        "node that died; all at once are LocalAI's P2P or its network.",
        empty="no node was seen lately",
        width=24,
        height=9,
        unit="s",
        steps=((None, GOOD), (ONLINE_WITHIN_SECONDS, BAD)),
        alerts=("HostLost", "AllNodesStaleAtOnce"),
    )
    # The age itself is a sawtooth, which a point now and then would draw as noise.
    greatest = f"min by ({NODE}) (max_over_time(localai_p2p_node_last_seen_age_seconds[$__rate_interval]))"
    # What is far away would flatten the rest.
    expr = f"({greatest} >= -{_AHEAD_SECONDS:g}) < 60"
    return (
        crowded(limit(graph(frame, graphed(scoped(expr, ROLE, HOST), "{{id}}"))))
        .decimals(0)
        .axis_soft_min(0)
        .axis_soft_max(ONLINE_WITHIN_SECONDS)
    )
