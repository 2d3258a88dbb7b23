"""Who belongs to the cluster, and how that changed."""

from grafana_foundation_sdk.builders import common, statetimeline, timeseries
from grafana_foundation_sdk.models import common as option
from look import (
    ASIDE,
    BAD,
    FAINT,
    GOOD,
    NOTE,
    PLAIN,
    WARN,
    Frame,
    Group,
    Property,
    counts,
    dashed,
    fixed,
    graph,
    graphed,
    timeline,
    words,
)
from queries import HOST, ROLE, scoped
from records import EXPECTED, ONLINE
from rulebook import KIND

PAGE = 25
"""Lines of the timeline that fit without being squeezed."""


def row() -> Group:
    """Return the row."""
    return Group("Membership", (_online(), _changes(), _hosts()))


def _online() -> timeseries.Panel:
    frame = Frame(
        title="Nodes online",
        about="Online nodes of each kind, each once, however many exporters see it; dashed, how many there should be. "
        "A step down is a loss, a gap is a time in which nothing was known. "
        "Do: for a step down, look below for the host that went at that time.",
        empty="nothing known of any node",
        width=14,
        height=8,
        alerts=("NoWorkersOnline", "CapacityDropped", "BelowExpected"),
    )
    return (
        counts(
            frame,
            graphed(scoped(ONLINE.expr, ROLE), "{{cluster}} {{role}} {{backend}}"),
            graphed(scoped(EXPECTED.expr, ROLE), "{{cluster}} {{role}} expected"),
        )
        .fill_opacity(8)
        .override_by_regexp("/llama_cpp$/", [fixed(NOTE)])
        .override_by_regexp("/mlx$/", [fixed(ASIDE)])
        .override_by_regexp("/federated *$/", [fixed(FAINT)])
        .override_by_regexp(
            "/expected$/",
            [
                fixed(PLAIN),
                dashed(),
                Property("custom.lineWidth", 1),
                Property("custom.fillOpacity", 0),
            ],
        )
    )


def _changes() -> timeseries.Panel:
    frame = Frame(
        title="Joins and losses",
        about="Nodes that joined or returned, upwards; that were lost or forgotten, downwards. A new id joins at every "
        "start of a node; lost is one that LocalAI called offline; forgotten ones went with a restart of LocalAI. "
        "Many small bars are a node that flaps or restarts in a loop. Do: find it below, and read its log.",
        empty="no poll to compare yet",
        width=10,
        height=8,
        alerts=("HostFlapping", "HostLost"),
    )
    expr = (
        f"sum by (change) (max by ({KIND}, change) (increase(localai_p2p_membership_changes_total[$__rate_interval])))"
    )
    down = Property("custom.transform", option.GraphTransform.NEGATIVE_Y)
    return (
        graph(frame, graphed(scoped(expr, ROLE), "{{change}}"))
        .draw_style(option.GraphDrawStyle.BARS)
        .gradient_mode(option.GraphGradientMode.NONE)
        .fill_opacity(80)
        .stacking(common.StackingConfig().mode(option.StackingMode.NORMAL))
        # Bars that hardly overlap in what they count.
        .interval("2m")
        .decimals(0)
        .axis_centered_zero(True)
        .override_by_name("joined", [fixed(GOOD)])
        .override_by_name("returned", [fixed(NOTE)])
        .override_by_name("lost", [fixed(WARN), down])
        .override_by_name("forgotten", [fixed(PLAIN), down])
    )


def _hosts() -> statetimeline.Panel:
    frame = Frame(
        title="Hosts",
        about="How many nodes of each host were online, by kind: a host keeps its line when its nodes restart under "
        "new ids. Red: the host has nodes that LocalAI knows, or is expected, and none is online. A gap is a time in "
        "which nothing was known. Do: on that host, is LocalAI's worker running, and can it reach the others?",
        empty="nothing known of any host",
        width=24,
        height=11,
        steps=((None, BAD), (1, GOOD)),
        alerts=("HostLost", "ExpectedHostMissing", "HostFlapping"),
    )
    online = "max by (cluster, role, backend, host) (localai_p2p_host_nodes_online)"
    # Beyond the limit a host without series may be online.
    unknown = """\
0 * max by (cluster, host) (localai_p2p_host_expected)
unless on (cluster, host) localai_p2p_host_nodes_online
unless on (cluster) localai_p2p_nodes_hidden{reason="limit"} > 0
and on (cluster) localai_p2p_up == 1"""
    return (
        timeline(
            frame,
            graphed(scoped(online, ROLE, HOST), "{{cluster}} {{host}} {{role}} {{backend}}"),
            graphed(scoped(unknown, HOST), "{{cluster}} {{host}} expected"),
        )
        .mappings([words({"0": ("offline", BAD)})])
        .per_page(PAGE)
    )
