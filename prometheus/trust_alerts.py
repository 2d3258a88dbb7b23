"""Alerts on whether LocalAI's verdicts can be believed: clocks, and views that disagree."""

from rulebook import INSTANCE, KIND, NODE, WINDOW, Alert, Severity
from watch_alerts import ANSWERS, CLUSTER

_THE_NODE = "{{ $labels.role }} {{ $labels.id }} on {{ $labels.host }}"
_SEEN = "localai_p2p_node_last_seen_timestamp_seconds"
_HEARTBEAT = "localai_p2p_node_heartbeat_timestamp_seconds"
_MOVED = f"max by ({NODE}) (max_over_time({_HEARTBEAT}[10m]))"
_SINCE_IT_MOVED = f"(timestamp({_HEARTBEAT}) - {_HEARTBEAT})"
# Of an instance without --federated the federated list is empty, and that says nothing.
_COUNTED = """\
{over}_over_time(localai_p2p_nodes_online[5m])
    unless max_over_time(localai_p2p_nodes{{role="federated"}}[5m]) == 0"""

CLOCKS = (
    Alert(
        name="NodeClockAhead",
        # The heartbeat's timestamp is looked for over 10 minutes: a restarted exporter shows none until it moves. One
        # that shows none for longer never saw it move: then what Prometheus has seen of last-seen decides, provided
        # that it knew the node 3 minutes ago.
        expr=f"""\
(
  min by ({NODE}) (min_over_time(localai_p2p_node_last_seen_age_seconds[{WINDOW}])) < -@ahead_seconds
)
or
(
  time() - max by ({NODE}) (max_over_time({_SEEN}[{WINDOW}]))
  and max by ({NODE}) (min_over_time(localai_p2p_node_online[{WINDOW}])) == 1
  and (
    time() - {_MOVED} > @silent_seconds
    or (
      max by ({NODE}) (max_over_time(localai_p2p_node_online[{WINDOW}] offset {WINDOW}))
      unless {_MOVED}
      unless max by ({NODE}) (changes({_SEEN}[{WINDOW}])) > 0
    )
  )
  and on (cluster) {ANSWERS}
)""",
        hold="5m",
        severity=Severity.WARNING,
        summary="A node's clock runs ahead: LocalAI would call it online though it were dead.",
        description=CLUSTER
        + _THE_NODE
        + " last stamped a heartbeat {{ $value | humanizeDuration }} ago, negative being in the future. "
        + "LocalAI calls it online whether or not it lives.",
        thresholds={"ahead_seconds": 5, "silent_seconds": 180},
    ),
    Alert(
        name="NodeClockBehind",
        # To one and the same instance: on the other side of a split network nothing moves. In two windows, 5 minutes
        # apart: one late heartbeat is no slow clock. Nor are many that get lost: of those that come, the youngest was
        # stamped by a right clock less than 20 seconds before the poll that brought it. A smaller lag cannot be told
        # from lost heartbeats, and is HostFlapping's.
        expr=f"""\
max by ({NODE}) (
  1 - avg_over_time(localai_p2p_node_online[10m]) > 0
  and min_over_time(localai_p2p_node_online[10m] offset 5m) == 0
  and max_over_time({_SINCE_IT_MOVED}[10m:30s]) < @steady_seconds
  and min_over_time((localai_p2p_node_last_seen_age_seconds - {_SINCE_IT_MOVED})[10m:30s]) > @late_seconds
)""",
        hold="10m",
        severity=Severity.WARNING,
        summary="A living node's clock lags, so that LocalAI calls it offline again and again.",
        description=CLUSTER
        + _THE_NODE
        + " was offline to LocalAI for {{ $value | humanizePercentage }} of 10 minutes, "
        + "while its heartbeats kept coming, each of them late by its stamp.",
        thresholds={"steady_seconds": 60, "late_seconds": 20},
    ),
    Alert(
        name="ClockOffset",
        expr=f"""\
min by ({INSTANCE}) (min_over_time(localai_p2p_server_clock_offset_seconds[{WINDOW}])) > @seconds
or max by ({INSTANCE}) (max_over_time(localai_p2p_server_clock_offset_seconds[{WINDOW}])) < -@seconds""",
        hold="10m",
        severity=Severity.WARNING,
        summary="LocalAI's clock and the exporter's disagree.",
        description=CLUSTER
        + 'LocalAI\'s clock is {{ $value | printf "%.1f" }} s ahead of that of the exporter at {{ $labels.instance }}, '
        + "negative being behind.",
        thresholds={"seconds": 5},
    ),
)

VIEWS = (
    Alert(
        name="ViewsDisagree",
        # Either a node is online to one instance and offline to another all the time, or their counts never meet.
        expr=f"""\
count by ({KIND}) (
  max by ({NODE}) (min_over_time(localai_p2p_node_online[5m])) == 1
  and min by ({NODE}) (max_over_time(localai_p2p_node_online[5m])) == 0
)
or
  max by ({KIND}) (
    {_COUNTED.format(over="min")}
  )
  - min by ({KIND}) (
    {_COUNTED.format(over="max")}
  )
  > 0""",
        hold="5m",
        severity=Severity.WARNING,
        summary="LocalAI instances of one cluster disagree on who is online.",
        description=CLUSTER
        + "the instances disagree on {{ $value }} {{ $labels.role }} nodes: the network may be split.",
    ),
)
