"""Whether LocalAI's verdicts can be believed."""

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from look import (
    ASIDE,
    BAD,
    GOOD,
    NOTE,
    PLAIN,
    SHARED,
    WARN,
    Frame,
    Group,
    band,
    bars,
    counts,
    fixed,
    graph,
    graphed,
    listed,
    numbers,
    rows,
    spoken,
    told,
)
from queries import HOST, ROLE, alert, bound, inside, scoped
from rulebook import KIND, NODE
from variables import to_one_host

_OFFSET_SECONDS = bound("ClockOffset", "seconds")


def row() -> Group:
    """Return the row."""
    return Group("Trust", (_clocks(), _views(), _offset(), _ids(), _hidden()))


def _clocks() -> table.Panel:
    frame = Frame(
        title="Nodes whose clock is wrong",
        about="LocalAI compares the node's clock with its own; the exporter also notes when it saw the heartbeat move. "
        "Runs ahead: stamped in the future, or online to LocalAI though nothing moved for 3 minutes; dead, it would "
        "still be called online. Lags: heartbeats keep coming, and LocalAI has called it offline again and again for "
        "20 minutes. Do: set the clock of that host, and keep it by NTP.",
        empty="no node's clock is seen to be wrong",
        width=12,
        height=8,
        alerts=("NodeClockAhead", "NodeClockBehind"),
    )
    ahead = alert("NodeClockAhead", ROLE, HOST)
    # At each of five looks within the time for which the alert waits: a node that died late is not one that lags.
    lagging = f"({alert('NodeClockBehind', ROLE, HOST)})[10m:2m]"
    behind = f"{inside('count_over_time', lagging)} >= 5"
    expr = f"""\
label_replace({ahead}, "clock", "runs ahead", "", "")
or
label_replace({behind}, "clock", "lags", "", "")"""
    columns = {
        "host": ("Host", SHARED),
        "clock": ("Its clock", 110),
        "role": ("Role", 90),
        "cluster": ("Cluster", 100),
        "id": ("Node", SHARED),
    }
    return (
        rows(frame, columns, listed(expr))
        .override_by_name("Host", [to_one_host()])
        .override_by_name("Its clock", spoken({"runs ahead": ("runs ahead", WARN), "lags": ("lags", WARN)}))
    )


def _views() -> timeseries.Panel:
    frame = Frame(
        title="Nodes online, as each instance counts them",
        about="Lines of one role that stay apart are instances that disagree. Red: nodes that one instance has called "
        "online and another offline for 5 minutes; in a split network each side sees itself online and the other "
        "gone. Do: which instances see each other? Look at the network between them, and at LocalAI's log for its "
        "P2P; a restart of the smaller side joins it again.",
        empty="nothing known of any node",
        width=12,
        height=8,
        alerts=("ViewsDisagree",),
    )
    counted = "sum by (cluster, instance, role) (localai_p2p_nodes_online)"
    disputed = f"""\
count by (cluster) (
  max by ({NODE}) (min_over_time(localai_p2p_node_online[5m])) == 1
  and min by ({NODE}) (max_over_time(localai_p2p_node_online[5m])) == 0
)"""
    return (
        counts(
            frame,
            graphed(scoped(counted, ROLE), "{{cluster}} {{instance}} {{role}}"),
            graphed(scoped(disputed, ROLE, HOST), "{{cluster}} disputed"),
        )
        # Of a window of 5 minutes each: more points would cost more, and show no more.
        .interval("1m")
        .override_by_regexp("/worker$/", [fixed(NOTE)])
        .override_by_regexp("/federated$/", [fixed(ASIDE)])
        .override_by_regexp("/disputed$/", [fixed(BAD)])
    )


def _offset() -> timeseries.Panel:
    frame = Frame(
        title="Clock offset",
        about="LocalAI's clock minus the exporter's, to about a second. "
        f"Red: more than {_OFFSET_SECONDS:g} s either way, so that one of "
        "the two is wrong; if it is LocalAI's, its verdicts on nodes are too. Do: NTP on both machines.",
        empty="LocalAI told no time",
        width=8,
        height=8,
        unit="s",
        steps=((None, BAD), (-_OFFSET_SECONDS, GOOD), (_OFFSET_SECONDS, BAD)),
        alerts=("ClockOffset",),
    )
    expr = scoped("max by (cluster, instance) (localai_p2p_server_clock_offset_seconds)")
    return (
        band(graph(frame, graphed(expr, "{{cluster}} {{instance}}")))
        .decimals(1)
        .axis_soft_min(-2 * _OFFSET_SECONDS)
        .axis_soft_max(2 * _OFFSET_SECONDS)
    )


def _ids() -> bargauge.Panel:
    frame = Frame(
        title="Ids per host",
        about="How many ids LocalAI lists for a host and kind, living or not unseen for longer than the exporter's "
        "retention (24h), the nine with the most. Each start of a node is a new id: a high number is a node that "
        "restarts in a loop, or a host name that many machines share. Orange: worth a look. Do: read "
        "that host's log, and find what restarts it.",
        empty="nothing known of any node",
        width=10,
        height=8,
        steps=((None, NOTE), (10, WARN)),
        alerts=("DeadNodesPileUp", "DuplicateNodesOnHost"),
    )
    expr = f"topk(9, count by (cluster, role, backend, host) (max by ({NODE}) (localai_p2p_node_online)))"
    return bars(frame, told(scoped(expr, ROLE, HOST), "{{cluster}} {{host}} {{role}}"))


def _hidden() -> stat.Panel:
    frame = Frame(
        title="Not shown",
        about="Nodes and entries without series of their own. Retention: not seen for 24h, which is normal. Orange, "
        "limit: there are more nodes than `--node.limit`. Orange, invalid or duplicate: entries of LocalAI's answer "
        "that could not be used. Do: restart LocalAI, which then forgets its dead, or raise the limit; for entries "
        "look at `/api/p2p/workers` and `/api/p2p/federation` themselves.",
        empty="unknown",
        width=6,
        height=8,
        steps=((None, PLAIN), (1, WARN)),
        alerts=("SeriesHidden",),
    )

    def by_reason(metric: str) -> str:
        return scoped(f"sum by (reason) (max by ({KIND}, reason) ({metric}))", ROLE)

    return numbers(
        frame,
        told(by_reason("localai_p2p_nodes_hidden"), "{{reason}}"),
        told(by_reason("localai_p2p_entries_dropped"), "{{reason}}"),
    ).override_by_name("retention", [fixed(PLAIN)])
