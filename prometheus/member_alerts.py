"""Alerts on the members of a cluster: its workers and hosts."""

from records import EXPECTED, ROLE_ONLINE
from rulebook import KIND, NODE, WINDOW, Alert, Severity
from watch_alerts import ANSWERS, CLUSTER

_HOST = f"{KIND}, host"
_ALL_SHOWN = f"""\
unless on (cluster) (max by (cluster) (max_over_time(localai_p2p_nodes_hidden{{reason="limit"}}[{WINDOW}])) > 0)"""
"""Beyond the limit a host without series may be online."""

WORKERS = (
    Alert(
        name="NoWorkersOnline",
        expr=f"""\
max by (cluster) (max_over_time(localai_p2p_nodes_online{{role="worker"}}[{WINDOW}])) == 0
and (
  max by (cluster) (max_over_time(localai_p2p_nodes_online{{role="worker"}}[24h])) > 0
  or sum by (cluster) ({EXPECTED.name}{{role="worker"}}) > 0
)
and on (cluster) {ANSWERS}""",
        hold="3m",
        severity=Severity.CRITICAL,
        summary="No worker is online.",
        description=CLUSTER + "no worker is online, though some were within 24 hours, or are expected.",
    ),
    Alert(
        name="CapacityDropped",
        expr=f"""\
max_over_time({ROLE_ONLINE.name}{{role="worker"}}[{WINDOW}])
/ (quantile_over_time(0.5, {ROLE_ONLINE.name}{{role="worker"}}[1h]) > 0)
<= @share""",
        hold="5m",
        severity=Severity.WARNING,
        summary="The online workers have dropped to half or less.",
        description=CLUSTER
        + "{{ $value | humanizePercentage }} of the workers of the last hour (its median) are online.",
        thresholds={"share": 0.5},
    ),
    Alert(
        name="BelowExpected",
        expr=f"""\
{EXPECTED.name}
- on (cluster, role) max_over_time({ROLE_ONLINE.name}[{WINDOW}])
> @missing""",
        hold="5m",
        severity=Severity.WARNING,
        summary="Fewer nodes are online than expected.",
        description=CLUSTER + "{{ $value }} fewer {{ $labels.role }} nodes are online than expected.",
        thresholds={"missing": 0},
    ),
)

HOSTS = (
    Alert(
        name="ExpectedHostMissing",
        expr=f"""\
max by (cluster, host) (max_over_time(localai_p2p_host_expected[{WINDOW}]))
unless (max by (cluster, host) (max_over_time(localai_p2p_host_nodes_online[{WINDOW}])) > 0)
{_ALL_SHOWN}
and on (cluster) {ANSWERS}""",
        hold="5m",
        severity=Severity.WARNING,
        summary="An expected host has no online node.",
        description=CLUSTER + "the host {{ $labels.host }} is expected, and none of its nodes is online.",
    ),
    Alert(
        name="HostLost",
        expr=f"""\
max by ({_HOST}) (max_over_time(localai_p2p_host_nodes_online[1h])) > 0
unless (max by ({_HOST}) (max_over_time(localai_p2p_host_nodes_online[{WINDOW}])) > 0)
{_ALL_SHOWN}
and on (cluster) {ANSWERS}""",
        hold="3m",
        severity=Severity.WARNING,
        summary="A host has lost its nodes.",
        description=CLUSTER
        + "the host {{ $labels.host }} had {{ $value }} online {{ $labels.role }} nodes within the last hour, "
        + "and has none now.",
    ),
    Alert(
        name="HostFlapping",
        expr=f"max by ({_HOST}) (changes(localai_p2p_host_nodes_online[30m])) >= @changes",
        hold="0s",
        severity=Severity.WARNING,
        summary="A host's nodes come and go.",
        description=CLUSTER
        + "the online {{ $labels.role }} nodes of the host {{ $labels.host }} changed {{ $value }} times "
        + "in 30 minutes.",
        thresholds={"changes": 6},
    ),
)

DUPLICATES = (
    Alert(
        name="DuplicateNodesOnHost",
        # A restarted node's old entry stays online for 40 s: too short for the window.
        expr=f"sum by ({_HOST}) (max by ({NODE}) (min_over_time(localai_p2p_node_online[{WINDOW}]))) > @nodes",
        hold="30m",
        severity=Severity.INFO,
        summary="A host runs several nodes of a kind.",
        description=CLUSTER + "the host {{ $labels.host }} runs {{ $value }} {{ $labels.role }} nodes of one kind.",
        thresholds={"nodes": 1},
    ),
)
"""Off by default: a host is often meant to run several."""
