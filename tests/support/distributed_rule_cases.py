"""The cases of the alerts on distributed mode, as those of `rule_cases`.

A node that falls silent is offline to LocalAI after 60 to 75 s, and gone from a window of 3 minutes 3 minutes later.
"""

from support.rules import Case, Text
from support.stories import Watch

_M = 60.0

FLEET = """
distributed on
node gpu-a
node gpu-b
node gpu-c cpu
plan llama-3 1 2
load llama-3 gpu-a
"""

_NODES = "DistributedNodeOffline DistributedNoHealthyNodes DistributedHeartbeatOld"
_API = "DistributedUnreachable DistributedPollsFailing DistributedTurnedOff"
_EVERYTHING = (
    f"{_NODES} {_API} DistributedSeriesHidden DistributedNodePending DistributedNodeDraining DistributedTooFewReplicas "
    "DistributedUnsatisfiable"
)


def fleet(script: str, **more: object) -> Watch:
    """An exporter that asks for the distributed mode of a LocalAI in which this happens."""
    return Watch(FLEET + script, distributed=True, **more)  # type: ignore[arg-type]


QUIET = (
    Case(
        "distributed: a fleet in order, a poll and two scrapes that fail, a restart of the exporter: nothing",
        75,
        (
            fleet(
                "",
                lost_polls=((10 * _M, 10 * _M + 10),),
                lost_questions=((15 * _M, 15 * _M + 10),),
                lost_scrapes=((20 * _M, 20.5 * _M),),
                restarts=((30 * _M, 32 * _M),),
            ),
        ),
        firing={(0, 75): ""},
        spares=_EVERYTHING,
    ),
    Case(
        "distributed: LocalAI is not in that mode, and every third poll fails: that alone",
        60,
        (
            Watch(
                "federated gateway-2",
                distributed=True,
                lost_polls=tuple((at * 45.0, at * 45.0 + 15) for at in range(20, 80)),
            ),
        ),
        firing={30: "", (42, 59): "PollsFailing"},
        spares=_EVERYTHING,
    ),
    Case(
        "distributed: LocalAI is not in that mode, and gone for half an hour: that alone",
        90,
        (Watch("federated gateway-2\nat 20m outage 30m", distributed=True),),
        firing={26: "", (28, 50): "APIUnreachable", 90: ""},
        passing="PollsFailing",
        spares=_EVERYTHING,
    ),
)

API = (
    Case(
        "distributed: what is asked of it fails for 20 minutes",
        60,
        (fleet("", lost_questions=((20 * _M, 40 * _M),)),),
        firing={26: "", (28, 39): "DistributedUnreachable", (46, 60): ""},
        passing="DistributedPollsFailing",
        spares=f"APIUnreachable PollsFailing DistributedTurnedOff {_NODES}",
        text=Text(
            30,
            "DistributedUnreachable",
            {"instance": "one:10040"},
            "the exporter at one:10040 has not understood distributed mode once in 5 minutes; "
            "what its nodes do is unknown.",
        ),
    ),
    Case(
        "distributed: what is asked of it fails for 4 minutes: nothing",
        60,
        (fleet("", lost_questions=((20 * _M, 24 * _M),)),),
        firing={(0, 60): ""},
        spares=_EVERYTHING,
    ),
    Case(
        "distributed: LocalAI is down for half an hour: that alone",
        90,
        (fleet("at 20m outage 30m"),),
        firing={26: "", (28, 50): "APIUnreachable", 90: ""},
        passing="PollsFailing DistributedPollsFailing",
        spares="DistributedUnreachable DistributedTurnedOff DistributedNoHealthyNodes DistributedNodeOffline",
    ),
    Case(
        "distributed: scraped once a minute, every fourth time what is asked of it fails",
        60,
        (fleet("", lost_questions=tuple((at * _M + 15, at * _M + 30) for at in range(15, 60))),),
        interval=60,
        firing={30: "", (42, 60): "DistributedPollsFailing"},
        spares="PollsFailing DistributedUnreachable",
        text=Text(
            55,
            "DistributedPollsFailing",
            {"instance": "one:10040"},
            "in 25% of the polls by the exporter at one:10040 the questions on distributed mode failed in 15 minutes.",
        ),
    ),
    Case(
        "distributed: LocalAI starts without that mode, and with it again half an hour later",
        75,
        (fleet("at 20m distributed off\nat 50m distributed on"),),
        firing={31: "", (35, 49): "DistributedTurnedOff", (54, 75): ""},
        spares=f"DistributedUnreachable DistributedPollsFailing {_NODES} DistributedTooFewReplicas",
        text=Text(
            40,
            "DistributedTurnedOff",
            {"instance": "one:10040"},
            "the LocalAI behind the exporter at one:10040 was in distributed mode within 24 hours, and is not now.",
        ),
    ),
    Case(
        "distributed: LocalAI is without that mode for 5 minutes: nothing",
        60,
        (fleet("at 20m distributed off\nat 25m distributed on"),),
        firing={(0, 60): ""},
        spares=_API,
    ),
    Case(
        "distributed: a node beyond the limit",
        40,
        (fleet("", limit=2),),
        firing={10: "", (18, 40): "DistributedSeriesHidden"},
        spares="SeriesHidden",
        text=Text(
            30,
            "DistributedSeriesHidden",
            {"instance": "one:10040"},
            "the exporter at one:10040 hides 1 nodes and models of distributed mode.",
        ),
    ),
)

NODES = (
    Case(
        "distributed: a node dies, and comes back 40 minutes later",
        75,
        (fleet("at 20m silence gpu-b\nat 60m node gpu-b"),),
        firing={25: "", (29, 59): "DistributedNodeOffline", (62, 75): ""},
        spares="DistributedNoHealthyNodes DistributedHeartbeatOld DistributedTooFewReplicas DistributedNodeDraining",
        text=Text(
            40,
            "DistributedNodeOffline",
            {"name": "gpu-b"},
            "LocalAI calls the node gpu-b offline or unhealthy, and gives it no requests.",
        ),
    ),
    Case(
        "distributed: a node is away for 4 minutes: nothing",
        60,
        (fleet("at 20m silence gpu-b\nat 24m node gpu-b"),),
        firing={(0, 60): ""},
        spares=_EVERYTHING,
    ),
    Case(
        "distributed: one of two exporters of a cluster sees a node die, and the other sees it live: nothing",
        60,
        (
            fleet("at 20m silence gpu-b"),
            fleet("", instance="two:10040"),
        ),
        firing={(0, 60): ""},
        spares="DistributedNodeOffline",
    ),
    Case(
        "distributed: two exporters see a node die, the clusters beside it are well",
        60,
        (
            fleet("at 20m silence gpu-b", cluster=""),
            fleet("at 20m silence gpu-b", cluster="", instance="two:10040", restarts=((40 * _M, 42 * _M),)),
            fleet("", cluster="office", instance="three:10040"),
        ),
        firing={25: "", (29, 60): "DistributedNodeOffline"},
        text=Text(
            50,
            "DistributedNodeOffline",
            {"name": "gpu-b"},
            "LocalAI calls the node gpu-b offline or unhealthy, and gives it no requests.",
            cluster="",
        ),
    ),
    Case(
        "distributed: LocalAI calls a node unhealthy, which it never calls offline then",
        20,
        series={
            "up": "1x20",
            **{
                f'localai_distributed_node_status{{name="gpu-a",status="{status}"}}': values
                for status, values in (
                    ("healthy", "1x4 0x15"),
                    ("unhealthy", "0x4 1 0 1x13"),
                    ("offline", "0x5 1 0x13"),
                )
            },
        },
        firing={9: "", (13, 20): "DistributedNodeOffline"},
    ),
    Case(
        "distributed: all nodes die",
        60,
        (fleet("at 20m silence gpu-a\nat 20m silence gpu-b\nat 20m silence gpu-c"),),
        firing={
            25: "",
            (29, 33): "DistributedNodeOffline DistributedNoHealthyNodes",
            (36, 60): "DistributedNodeOffline DistributedNoHealthyNodes DistributedTooFewReplicas",
        },
        spares="DistributedUnsatisfiable DistributedHeartbeatOld",
        text=Text(
            40,
            "DistributedNoHealthyNodes",
            {},
            "no node of distributed mode is healthy, though some were within 24 hours.",
        ),
    ),
    Case(
        "distributed: nodes that were never approved are none that were healthy",
        20,
        (Watch("distributed on\nnode gpu-a pending", distributed=True),),
        firing={(0, 20): ""},
        spares="DistributedNoHealthyNodes DistributedNodePending",
    ),
    Case(
        "distributed: LocalAI stops looking at heartbeats, and a node dies",
        60,
        (fleet("at 20m watch off\nat 20m silence gpu-a"),),
        firing={26: "", (29, 60): "DistributedHeartbeatOld"},
        spares="DistributedNodeOffline DistributedTooFewReplicas",
        text=Text(
            40,
            "DistributedHeartbeatOld",
            {"name": "gpu-a"},
            "LocalAI calls the node gpu-a healthy, and last heard of it 20m 8s ago: it does not look at heartbeats.",
        ),
    ),
    Case(
        "distributed: polls every 5 minutes, and one of them is lost: ages are as old as that, and say nothing",
        30,
        series={
            "up": "1x30",
            "localai_distributed_up": "1x10 0x5 1x15",
            'localai_distributed_node_status{name="gpu-a",status="healthy"}': "1x30",
            'localai_distributed_node_last_heartbeat_age_seconds{name="gpu-a"}': "5+60x4 5+60x9 5+60x4 5+60x4 5+60x4 5",
        },
        firing={(0, 30): ""},
        spares="DistributedHeartbeatOld",
    ),
    Case(
        "distributed: a node waits to be approved for 50 minutes",
        75,
        (fleet("node gpu-d pending\nat 50m approve gpu-d"),),
        firing={29: "", (34, 49): "DistributedNodePending", (52, 75): ""},
        spares="DistributedNodeOffline",
        text=Text(
            40,
            "DistributedNodePending",
            {"name": "gpu-d"},
            "the node gpu-d waits to be approved, and is given no requests until then.",
        ),
    ),
    Case(
        "distributed: a node waits to be approved for 25 minutes: nothing",
        60,
        (fleet("node gpu-d pending\nat 25m approve gpu-d"),),
        firing={(0, 60): ""},
        spares="DistributedNodePending",
    ),
    Case(
        "distributed: a node drains, and dies, which LocalAI does not notice",
        180,
        (fleet("at 10m drain gpu-c\nat 20m silence gpu-c"),),
        interval=60,
        firing={129: "", (135, 180): "DistributedNodeDraining"},
        spares="DistributedNodeOffline DistributedHeartbeatOld",
        text=Text(
            150,
            "DistributedNodeDraining",
            {"name": "gpu-c"},
            "the node gpu-c is draining: it is given no requests, and LocalAI would not notice its death.",
        ),
    ),
    Case(
        "distributed: a node drains for less than two hours: nothing",
        150,
        (fleet("at 10m drain gpu-c\nat 125m resume gpu-c"),),
        interval=60,
        firing={(0, 150): ""},
        spares="DistributedNodeDraining",
    ),
)

MODELS = (
    Case(
        "distributed: one replica more is wanted than is loaded, for 25 minutes",
        60,
        (fleet("at 20m plan llama-3 2 3\nat 45m load llama-3 gpu-b"),),
        firing={32: "", (35, 44): "DistributedTooFewReplicas", (46, 60): ""},
        spares="DistributedUnsatisfiable",
        text=Text(
            40,
            "DistributedTooFewReplicas",
            {"model": "llama-3"},
            "1 fewer replicas of the model llama-3 are loaded on healthy nodes than its schedule wants.",
        ),
    ),
    Case(
        "distributed: a replica is loaded on another node within 8 minutes: nothing",
        60,
        (fleet("at 20m drain gpu-a\nat 28m load llama-3 gpu-b\nat 30m resume gpu-a"),),
        firing={(0, 60): ""},
        spares="DistributedTooFewReplicas",
    ),
    Case(
        "distributed: there is no room for what is wanted, until less is",
        60,
        (fleet("at 20m plan llama-3 4\nat 21m no-room llama-3 3\nat 40m plan llama-3 1\nat 41m no-room llama-3 9"),),
        firing={
            25: "",
            (27, 32): "DistributedUnsatisfiable",
            (35, 39): "DistributedUnsatisfiable DistributedTooFewReplicas",
            (44, 60): "",
        },
        text=Text(
            30,
            "DistributedUnsatisfiable",
            {"model": "llama-3"},
            "LocalAI finds no healthy node with room for a replica of the model llama-3 that is wanted.",
        ),
    ),
    Case(
        "distributed: LocalAI finds no room twice in a row, and then does: nothing",
        60,
        (
            fleet(
                "at 20m plan llama-3 2\nat 21m no-room llama-3 2\nat 23m load llama-3 gpu-b\nat 23m no-room llama-3 0"
            ),
        ),
        firing={(0, 60): ""},
        spares="DistributedUnsatisfiable DistributedTooFewReplicas",
    ),
)

DISTRIBUTED = (*QUIET, *API, *NODES, *MODELS)
