"""What an operator looks at first of distributed mode: is it seen at all, does enough of it work, what has fired."""

from distributed_alerts import UP
from grafana_foundation_sdk.builders import stat
from look import BAD, GOOD, PLAIN, WARN, Frame, Group, fixed, numbers, told
from queries import MODEL, NAME, YOUNGEST_BEAT, alert, bound, inside, scoped
from tiles import DISTRIBUTED_ALERTS, answering, firing

_HEIGHT = 7
"""So that the names of half a dozen alerts can be read."""


def row() -> Group:
    """Return the row."""
    return Group("Overview", (_api(), _nodes(), _missing(), _requests(), _age(), _alerts()))


def _api() -> stat.Panel:
    frame = Frame(
        title="Distributed mode",
        about="Whether each exporter's newest questions on distributed mode were answered and understood, what is down "
        "first (at most 12). Red: nothing is known of what lies behind it; an exporter that is gone stays red for the "
        "length of the time range. A tile more, red, is there where LocalAI is not in that mode, though the exporter "
        "asks for it. Do: `localai-p2p-exporter doctor --collector.distributed --localai.url LOCALAI`; row Exporter "
        "shows why questions failed.",
        empty="no exporter asks",
        width=5,
        height=_HEIGHT,
        steps=((None, BAD), (1, GOOD)),
        alerts=("DistributedUnreachable", "DistributedTurnedOff", "ExporterDown"),
    )
    return answering(frame, "localai_distributed_up", "localai_distributed_enabled", "mode")


def _nodes() -> stat.Panel:
    frame = Frame(
        title="Nodes by status",
        about="Nodes of LocalAI's registry, agents included. Down: offline or unhealthy. Set aside: pending, "
        "registering, draining, or of a status that the exporter does not know. LocalAI keeps a node until somebody "
        "deletes it. Red: nodes that get no requests, and should. Do: row Nodes shows which, and since when; delete "
        "those that are gone for good on LocalAI's page of nodes.",
        empty="unknown",
        width=5,
        height=_HEIGHT,
        steps=((None, PLAIN), (1, GOOD)),
        alerts=("DistributedNoHealthyNodes", "DistributedNodeOffline", "DistributedNodePending"),
    )

    def of(matcher: str, more: str = "") -> str:
        return scoped(f"sum(max by (cluster, status) (localai_distributed_nodes{{status{matcher}}})){more}")

    return (
        numbers(
            frame,
            told(of('="healthy"'), "healthy"),
            told(of('=~"offline|unhealthy"', " > 0"), "down"),
            told(of('!~"healthy|offline|unhealthy"', " > 0"), "set aside"),
        )
        .override_by_name("down", [fixed(BAD)])
        .override_by_name("set aside", [fixed(WARN)])
    )


def _missing() -> stat.Panel:
    frame = Frame(
        title="Replicas missing",
        about="How many fewer replicas of models are loaded on healthy nodes than their schedules want at least. Red: "
        "some are missing, or are being loaded. Do: row Models shows of which model, and whether LocalAI finds room.",
        empty="nothing is scheduled",
        width=3,
        height=_HEIGHT,
        steps=((None, GOOD), (1, BAD)),
        alerts=("DistributedTooFewReplicas", "DistributedUnsatisfiable"),
    )
    missing = inside("sum", alert("DistributedTooFewReplicas", MODEL))
    known = scoped("0 * count(localai_distributed_model_replicas_min)", MODEL)
    return numbers(frame, told(f"{missing}\nor {known}", "missing"), named=False)


def _requests() -> stat.Panel:
    frame = Frame(
        title="Requests in flight",
        about="Requests that loaded models answer now, over all nodes. Do: row Models shows on which nodes, and "
        "whether they wait for the same one.",
        empty="unknown",
        width=3,
        height=_HEIGHT,
    )
    expr = "sum(max by (cluster, name) (localai_distributed_node_requests_in_flight))"
    return numbers(frame, told(scoped(expr, NAME), "requests"), named=False)


def _age() -> stat.Panel:
    frame = Frame(
        title="Oldest healthy heartbeat",
        about="Of the nodes that LocalAI calls healthy, how long ago it last heard of the one that it has not heard of "
        "for longest. A node beats every 10 s, and a poll may be 15 s old. Red: LocalAI should have called it offline "
        "long ago. Do: row Nodes, Age of heartbeats shows which; is that node alive?",
        empty="none healthy",
        width=4,
        height=_HEIGHT,
        unit="s",
        steps=((None, GOOD), (40, WARN), (bound("DistributedHeartbeatOld", "seconds"), BAD)),
        alerts=("DistributedHeartbeatOld",),
    )
    healthy = 'max by (cluster, name) (localai_distributed_node_status{status="healthy"}) == 1'
    return numbers(
        frame, told(scoped(f"max(\n  {YOUNGEST_BEAT}\n  and {healthy}\n)", NAME), "age"), named=False
    ).decimals(0)


def _alerts() -> stat.Panel:
    frame = Frame(
        title="Alerts firing",
        about="Alerts on distributed mode, and on the exporter itself, by name with how many there are: critical ones "
        "red, warnings orange. Needs `localai-distributed-alerts.yml` in Prometheus. Do: open the alert's section of "
        "the runbook.",
        empty="no rules loaded",
        width=4,
        height=_HEIGHT,
        steps=((None, GOOD),),
        alerts=("ExporterAbsent",),
    )
    return firing(frame, DISTRIBUTED_ALERTS, UP)
