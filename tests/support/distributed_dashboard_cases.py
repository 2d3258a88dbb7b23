"""What Prometheus has stored, and what each query of distributed mode's dashboard must make of it."""

from collections.abc import Mapping

from distributed_alerts import UP

from exporter.fleet import Status
from support.dashboard_cases import Case, always, firing, stored, until


def told(name: str, instance: str = "a", cluster: str = "home", /, **labels: str) -> str:
    """Write a series of distributed mode."""
    return stored(f"localai_distributed_{name}", instance, cluster, **labels)


def node(name: str, status: Status, instance: str = "a", cluster: str = "home") -> Mapping[str, str]:
    """Write the series of a node's status."""
    return {
        told("node_status", instance, cluster, name=name, status=one): always(float(one == status)) for one in Status
    }


def counted(instance: str = "a", cluster: str = "home", **counts: int) -> Mapping[str, str]:
    """Write how many nodes have which status."""
    return {told("nodes", instance, cluster, status=one): always(counts.get(one, 0)) for one in Status}


def model(name: str, loaded: int, least: int | None = None, instance: str = "a") -> Mapping[str, str]:
    """Write the series of a model."""
    series = {told("model_replicas_loaded", instance, model=name): always(loaded)}
    return series if least is None else series | {told("model_replicas_min", instance, model=name): always(least)}


SEEN_TWICE = {**counted("a", healthy=2, offline=1, pending=1), **counted("b", healthy=2, offline=1, pending=1)}
FIRING = {
    firing("LocalAIDistributedNodeOffline", "warning", cluster="home", name="gpu-1"): always(1),
    firing("LocalAIDistributedNodeOffline", "warning", cluster="home", name="gpu-2"): always(1),
    firing("LocalAIP2PExporterDown", "critical", cluster="home"): always(1),
    firing("LocalAIP2PHostLost", "warning", cluster="home", host="gpu-1"): always(1),
}
RULES_LOADED = {f'{UP.name}{{cluster="home"}}': always(1)}

CASES = (
    Case(
        "an exporter that is gone is down, one that does not understand too",
        "Distributed mode A",
        {told("up", "a"): always(1), told("up", "b"): until(30, 1), told("up", "c"): until(30, 1, "0")},
        {
            '{cluster="home", instance="a"}': 1,
            '{cluster="home", instance="b"}': 0,
            '{cluster="home", instance="c"}': 0,
        },
    ),
    Case(
        "a LocalAI that is not in that mode",
        "Distributed mode B",
        {told("enabled", "a"): always(0), told("enabled", "b"): always(1)},
        {'{cluster="home", instance="a"}': 0},
    ),
    Case("two exporters count a node once", "Nodes by status A", SEEN_TWICE, {"{}": 2}),
    Case("the offline and the unhealthy are down", "Nodes by status B", counted(offline=1, unhealthy=2), {"{}": 3}),
    Case("what is neither is set aside", "Nodes by status C", counted(healthy=9, pending=1, unknown=1), {"{}": 2}),
    Case("nobody is down", "Nodes by status B", counted(healthy=9), {}),
    Case("none healthy is a number", "Nodes by status A", counted(offline=1), {"{}": 0}),
    Case(
        "clusters add up",
        "Nodes by status A",
        {**counted(healthy=2), **counted(cluster="lab", healthy=3)},
        {"{}": 5},
    ),
    Case("one cluster is chosen", "Nodes by status A", SEEN_TWICE, {}, {"cluster": ("lab",)}),
    Case("without a schedule nothing is known to be missing", "Replicas missing A", model("x", 3), {}),
    Case("nothing is missing", "Replicas missing A", {**model("x", 3, 2), **model("y", 0, 0)}, {"{}": 0}),
    Case(
        "one model's surplus does not make up for another's lack",
        "Replicas missing A",
        {**model("x", 3, 1), **model("y", 1, 2), **model("z", 0, 2), **model("z", 0, 2, "b")},
        {"{}": 3},
    ),
    Case(
        "two exporters see the same requests",
        "Requests in flight A",
        {
            told("node_requests_in_flight", instance, name=name): always(count)
            for instance in "ab"
            for name, count in (("gpu-1", 2), ("gpu-2", 5))
        },
        {"{}": 7},
    ),
    Case(
        "the oldest of the healthy, to the one that heard it last",
        "Oldest healthy heartbeat A",
        {
            **node("gpu-1", Status.HEALTHY),
            **node("gpu-2", Status.OFFLINE),
            told("node_last_heartbeat_age_seconds", "a", name="gpu-1"): always(33),
            told("node_last_heartbeat_age_seconds", "b", name="gpu-1"): always(12),
            told("node_last_heartbeat_age_seconds", "a", name="gpu-2"): always(900),
        },
        {"{}": 12},
    ),
    Case("without rules nothing is said of alerts", "Alerts firing D", {}, {}),
    Case("nothing fires", "Alerts firing D", RULES_LOADED, {"{}": 0}),
    Case("something fires", "Alerts firing D", RULES_LOADED | FIRING, {}),
    Case(
        "those of P2P are on its own dashboard",
        "Alerts firing B",
        FIRING,
        {'{alertname="LocalAIDistributedNodeOffline"}': 2},
    ),
    Case(
        "an exporter that is down concerns both", "Alerts firing A", FIRING, {'{alertname="LocalAIP2PExporterDown"}': 1}
    ),
    *(
        Case(
            f"a node that is {status}",
            "Status A",
            node("gpu-1", status),
            {'{cluster="home", name="gpu-1"}': number},
        )
        for number, status in enumerate(
            (
                *(Status.OFFLINE, Status.UNHEALTHY, Status.UNKNOWN, Status.PENDING),
                *(Status.REGISTERING, Status.DRAINING, Status.HEALTHY),
            )
        )
    ),
    Case(
        "of two exporters one has not yet heard that the node is back",
        "Status A",
        {**node("gpu-1", Status.OFFLINE), **node("gpu-1", Status.HEALTHY, "b")},
        {'{cluster="home", name="gpu-1"}': 6},
    ),
    Case(
        "nodes of one name in two clusters, of which one is chosen",
        "Nodes A",
        {**node("gpu-1", Status.OFFLINE), **node("gpu-1", Status.HEALTHY, cluster="lab")},
        {'{cluster="lab", name="gpu-1"}': 6},
        {"cluster": ("lab",)},
    ),
    Case(
        "one node is chosen",
        "Nodes A",
        {**node("gpu-1", Status.OFFLINE), **node("gpu-2", Status.HEALTHY)},
        {'{cluster="home", name="gpu-2"}': 6},
        {"name": ("gpu-2",)},
    ),
    Case(
        "a node without a GPU has none to be free",
        "VRAM free A",
        {
            told("node_vram_size_bytes", name="gpu-1"): always(4096),
            told("node_vram_available_bytes", name="gpu-1"): always(1024),
            told("node_vram_size_bytes", name="cpu-1"): always(0),
            told("node_vram_available_bytes", name="cpu-1"): always(0),
        },
        {'{cluster="home", name="gpu-1"}': 0.25},
    ),
    Case(
        "a full disk is 0, and an unknown one is not there",
        "Disk free A",
        {
            told("node_disk_size_bytes", name="gpu-1"): always(4096),
            told("node_disk_available_bytes", name="gpu-1"): always(0),
            told("node_disk_size_bytes", name="gpu-2"): always(4096),
        },
        {'{cluster="home", name="gpu-1"}': 0},
    ),
    Case(
        "the dead leave the graph of ages",
        "Age of heartbeats A",
        {
            told("node_last_heartbeat_age_seconds", name="gpu-1"): always(12),
            told("node_last_heartbeat_age_seconds", name="gpu-2"): always(181),
        },
        {'{cluster="home", name="gpu-1"}': 12},
    ),
    Case(
        "a model that two exporters see, loaded and wanted",
        "Replicas loaded B",
        {**model("x", 1, 2), **model("x", 1, 2, "b"), **model("y", 1, 0), **model("z", 1)},
        {'{cluster="home", model="x"}': 2},
    ),
    Case(
        "what was not used, of all lists",
        "Not shown C",
        {
            told("entries_dropped", instance, list=one, reason="invalid"): always(count)
            for instance in "ab"
            for one, count in (("nodes", 1), ("models", 2))
        },
        {'{reason="invalid"}': 3},
    ),
    Case(
        "time goes on for an exporter that is gone",
        "Last understood A",
        {stored("localai_p2p_exporter_distributed_last_success_timestamp_seconds"): until(30, 1800)},
        {'{cluster="home", instance="a"}': 1805},
    ),
    Case(
        "only the reasons that there are",
        "Failed questions, by reason B",
        {
            stored("localai_p2p_exporter_polls_total"): "0+1x240",
            stored("localai_p2p_exporter_distributed_failures_total", reason="auth"): "0+0.5x240",
            stored("localai_p2p_exporter_distributed_failures_total", reason="dns"): always(0),
        },
        {'{reason="auth"}': 0.5},
    ),
    Case(
        "a node becomes another",
        "Changes of status",
        {
            told("node_status", name="gpu-1", status="healthy"): until(59, 1, "0"),
            told("node_status", name="gpu-1", status="offline"): until(59, 0, "1"),
            told("node_status", name="gpu-2", status="healthy"): always(1),
        },
        {'{cluster="home", name="gpu-1", status="offline"}': 1},
    ),
)
