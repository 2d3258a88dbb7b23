"""Rules on LocalAI's distributed mode: its API, its nodes, its models. Where that mode is off no alert fires."""

from rulebook import FAMILY, INSTANCE, WINDOW, Alert, Record, Severity
from watch_alerts import CLUSTER

_NODE = "cluster, name"
_MODEL = "cluster, model"
_STATUS = "localai_distributed_node_status"
_DOWN = "offline|unhealthy"
_FAILURES = "localai_p2p_exporter_distributed_failures_total"

UP = Record(
    "cluster:localai_distributed_up:min3m",
    f"max by (cluster) (min_over_time(localai_distributed_up[{WINDOW}]))",
)
"""1 where to some exporter of the cluster every poll of late told of distributed mode: what it says is no older."""

RECORDS = (UP,)

API = (
    Alert(
        name="DistributedUnreachable",
        prefix=FAMILY,
        # Where P2P is not understood either it is LocalAI that is not, and another alert says so.
        expr=f"""\
max by ({INSTANCE}) (max_over_time(localai_distributed_up[5m])) == 0
and max by ({INSTANCE}) (max_over_time(localai_p2p_up[5m])) == 1""",
        hold="2m",
        severity=Severity.CRITICAL,
        summary="LocalAI answers, but for what is asked of its distributed mode.",
        description=CLUSTER
        + "the exporter at {{ $labels.instance }} has not understood distributed mode once in 5 minutes; "
        + "what its nodes do is unknown.",
    ),
    Alert(
        name="DistributedPollsFailing",
        prefix=FAMILY,
        # The second half: an outage that is over for 5 minutes is no news, though its share still stands.
        expr=f"""\
(
  sum by ({INSTANCE}) (increase({_FAILURES}[15m]))
  / sum by ({INSTANCE}) (increase(localai_p2p_exporter_polls_total[15m]))
  >= @share
)
and sum by ({INSTANCE}) (increase({_FAILURES}[5m])) > 0
and max by ({INSTANCE}) (max_over_time(localai_distributed_enabled[15m])) == 1""",
        hold="15m",
        severity=Severity.WARNING,
        summary="Much that is asked of LocalAI's distributed mode fails.",
        description=CLUSTER
        + "in {{ $value | humanizePercentage }} of the polls by the exporter at {{ $labels.instance }} "
        + "the questions on distributed mode failed in 15 minutes.",
        thresholds={"share": 0.2},
    ),
    Alert(
        name="DistributedTurnedOff",
        prefix=FAMILY,
        expr=f"""\
max by ({INSTANCE}) (max_over_time(localai_distributed_enabled[{WINDOW}])) == 0
and max by ({INSTANCE}) (max_over_time(localai_distributed_enabled[24h])) == 1""",
        hold="10m",
        severity=Severity.WARNING,
        summary="LocalAI is no longer in distributed mode.",
        description=CLUSTER
        + "the LocalAI behind the exporter at {{ $labels.instance }} was in distributed mode within 24 hours, "
        + "and is not now.",
    ),
    Alert(
        name="DistributedSeriesHidden",
        prefix=FAMILY,
        expr=f"""\
sum by ({INSTANCE}) (last_over_time(localai_distributed_nodes_hidden{{reason="limit"}}[{WINDOW}]))
+ sum by ({INSTANCE}) (last_over_time(localai_distributed_models_hidden[{WINDOW}]))
> @count""",
        hold="15m",
        severity=Severity.WARNING,
        summary="Nodes or models of distributed mode are beyond the exporter's limits and have no series.",
        description=CLUSTER
        + "the exporter at {{ $labels.instance }} hides {{ $value }} nodes and models of distributed mode.",
        thresholds={"count": 0},
    ),
)

NODES = (
    Alert(
        name="DistributedNoHealthyNodes",
        prefix=FAMILY,
        expr=f"""\
max by (cluster) (max_over_time(localai_distributed_nodes{{status="healthy"}}[{WINDOW}])) == 0
and max by (cluster) (max_over_time(localai_distributed_nodes{{status="healthy"}}[24h])) > 0""",
        hold="3m",
        severity=Severity.CRITICAL,
        summary="No node of distributed mode is healthy.",
        description=CLUSTER + "no node of distributed mode is healthy, though some were within 24 hours.",
    ),
    Alert(
        name="DistributedNodeOffline",
        prefix=FAMILY,
        # A node that LocalAI calls unhealthy because NATS did not reach it is not called offline later, however dead.
        expr=f"""\
max by ({_NODE}) (max_over_time({_STATUS}{{status=~"{_DOWN}"}}[{WINDOW}])) == 1
unless max by ({_NODE}) (max_over_time({_STATUS}{{status!~"{_DOWN}"}}[{WINDOW}])) == 1""",
        hold="3m",
        severity=Severity.WARNING,
        summary="A node of distributed mode is offline, or unhealthy.",
        description=CLUSTER
        + "LocalAI calls the node {{ $labels.name }} offline or unhealthy, and gives it no requests.",
    ),
    Alert(
        name="DistributedHeartbeatOld",
        prefix=FAMILY,
        # While the questions fail ages grow, and the last status stays.
        expr=f"""\
min by ({_NODE}) (last_over_time(localai_distributed_node_last_heartbeat_age_seconds[{WINDOW}])) > @seconds
and max by ({_NODE}) (min_over_time({_STATUS}{{status="healthy"}}[{WINDOW}])) == 1
and on (cluster) {UP.name} == 1""",
        hold="5m",
        severity=Severity.WARNING,
        summary="LocalAI calls a node healthy that it has not heard of for minutes.",
        description=CLUSTER
        + "LocalAI calls the node {{ $labels.name }} healthy, and last heard of it "
        + "{{ $value | humanizeDuration }} ago: it does not look at heartbeats.",
        thresholds={"seconds": 120},
    ),
    Alert(
        name="DistributedNodePending",
        prefix=FAMILY,
        expr=f'max by ({_NODE}) (min_over_time({_STATUS}{{status="pending"}}[{WINDOW}])) == 1',
        hold="30m",
        severity=Severity.WARNING,
        summary="A node of distributed mode waits to be approved.",
        description=CLUSTER + "the node {{ $labels.name }} waits to be approved, and is given no requests until then.",
    ),
    Alert(
        name="DistributedNodeDraining",
        prefix=FAMILY,
        expr=f'max by ({_NODE}) (min_over_time({_STATUS}{{status="draining"}}[{WINDOW}])) == 1',
        hold="2h",
        severity=Severity.WARNING,
        summary="A node of distributed mode has been draining for hours.",
        description=CLUSTER
        + "the node {{ $labels.name }} is draining: it is given no requests, and LocalAI would not notice its death.",
    ),
)

MODELS = (
    Alert(
        name="DistributedTooFewReplicas",
        prefix=FAMILY,
        expr=f"""\
min by ({_MODEL}) (min_over_time(localai_distributed_model_replicas_min[{WINDOW}]))
- max by ({_MODEL}) (max_over_time(localai_distributed_model_replicas_loaded[{WINDOW}]))
> @missing""",
        hold="10m",
        severity=Severity.WARNING,
        summary="Fewer replicas of a model are loaded than wanted.",
        description=CLUSTER
        + "{{ $value }} fewer replicas of the model {{ $labels.model }} are loaded on healthy nodes "
        + "than its schedule wants.",
        thresholds={"missing": 0},
    ),
    Alert(
        name="DistributedUnsatisfiable",
        prefix=FAMILY,
        # Each node that joins lets LocalAI count from 0 again, which takes it a minute and a half.
        expr=f"max by ({_MODEL}) (max_over_time(localai_distributed_model_unsatisfiable[{WINDOW}])) == 1",
        hold="5m",
        severity=Severity.WARNING,
        summary="LocalAI finds no node with room for a model.",
        description=CLUSTER
        + "LocalAI finds no healthy node with room for a replica of the model {{ $labels.model }} that is wanted.",
    ),
)
