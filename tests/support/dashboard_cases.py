"""What Prometheus has stored, and what each query of the dashboard must make of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from records import UP

SCRAPE_SECONDS = 15
MINUTES = 60
AFTER_SECONDS = 5


def always(value: float) -> str:
    """Write a series that has this value all the time."""
    return f"{value}+0x{MINUTES * 60 // SCRAPE_SECONDS}"


def until(minute: int, value: float, then: str = "stale") -> str:
    """Write a series that has this value until a minute, and then another, or these, or ends."""
    rest = (MINUTES - minute) * 60 // SCRAPE_SECONDS
    return f"{value}+0x{minute * 60 // SCRAPE_SECONDS} {f'{then}+0x{rest}' if then.isdigit() else then}"


def series(name: str, labels: Mapping[str, str]) -> str:
    """Write a series."""
    pairs = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}"


def stored(name: str, /, instance: str = "a", cluster: str = "home", **labels: str) -> str:
    """Write a series of an exporter's target as Prometheus stores it."""
    target = {"job": "localai-p2p", "instance": instance} | ({"cluster": cluster} if cluster else {})
    return series(name, target | labels)


def firing(name: str, severity: str, state: str = "firing", /, **labels: str) -> str:
    """Write the series of an alert."""
    return series("ALERTS", {"alertname": name, "alertstate": state, "severity": severity, **labels})


def kind(name: str, instance: str = "a", cluster: str = "home", role: str = "worker", **labels: str) -> str:
    """Write a series of a kind of node."""
    backend = "llama_cpp" if role == "worker" else ""
    return stored(f"localai_p2p_{name}", instance, cluster, role=role, backend=backend, **labels)


def node(name: str, number: int, instance: str = "a", cluster: str = "home") -> str:
    """Write a series of a node."""
    return kind(f"node_{name}", instance, cluster, host=f"gpu-{number}", id=f"gpu-{number}-x")


@dataclass(frozen=True)
class Case:
    """What one query answers.

    Attributes:
        name: what holds.
        query: its place in the dashboard.
        series: what is stored, in promtool's notation.
        expected: the samples, by their labels.
        chosen: values of variables.
    """

    name: str
    query: str
    series: Mapping[str, str]
    expected: Mapping[str, float]
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NODE = 'backend="llama_cpp", cluster="home", host="gpu-{0}", id="gpu-{0}-x", role="worker"'
EVENT = "membership_changes_total"
ASKED_AT = "localai_p2p_exporter_last_poll_success_timestamp_seconds"
OFFSET = "localai_p2p_server_clock_offset_seconds"

SAME_VIEW = {kind("nodes_online", instance): always(2) for instance in "ab"} | {
    node("online", number, instance): always(1) for number in (1, 2) for instance in "ab"
}
SPLIT = {kind("nodes_online", instance): always(1) for instance in "ab"} | {
    node("online", 1, "a"): always(1),
    node("online", 2, "a"): always(0),
    node("online", 1, "b"): always(0),
    node("online", 2, "b"): always(1),
}
EXPECTED = {stored("localai_p2p_nodes_expected", instance, role="worker"): always(4) for instance in "ab"}
GONE = {kind("nodes_online"): until(30, 3, "0")}
FIRING = {
    firing("LocalAIP2PHostLost", "warning", cluster="home", host="gpu-1"): always(1),
    firing("LocalAIP2PHostLost", "warning", cluster="home", host="gpu-2"): always(1),
    firing("LocalAIP2PExporterAbsent", "critical", job="localai-p2p"): always(1),
    firing("LocalAIP2PExporterDown", "critical", cluster="lab"): always(1),
    firing("LocalAIP2PHostFlapping", "warning", "pending", cluster="home"): always(1),
    firing("DiskFull", "warning", cluster="home"): always(1),
}
RULES_LOADED = {f'{UP.name}{{cluster="home"}}': always(1)}
VERSIONS = {
    node("online", 1, "a"): always(1),
    node("online", 1, "b"): always(0),
    node("online", 2, "b"): always(1),
    stored("localai_p2p_server_info", "a", version="v4.9.0"): always(1),
}
CLOCKS = {
    node("last_seen_age_seconds", 1): always(-600),
    node("last_seen_age_seconds", 2): always(5),
    node("last_seen_age_seconds", 3): always(600),
    node("last_seen_timestamp_seconds", 1): always(9_600),
    node("last_seen_timestamp_seconds", 2): always(8_995),
    node("last_seen_timestamp_seconds", 3): always(8_400),
    stored(ASKED_AT): always(8_000),
    stored(OFFSET): always(1_000),
    node("online", 1): always(1),
    node("online", 2): always(1),
    node("online", 3): always(0),
}

CASES = (
    Case(
        "an exporter that is gone is down, one that cannot reach LocalAI too",
        "LocalAI API A",
        {
            stored("localai_p2p_up", "a"): always(1),
            stored("localai_p2p_up", "b"): until(30, 1),
            stored("localai_p2p_up", "c"): until(30, 1, "0"),
        },
        {
            '{cluster="home", instance="a"}': 1,
            '{cluster="home", instance="b"}': 0,
            '{cluster="home", instance="c"}': 0,
        },
    ),
    Case(
        "P2P that is off",
        "LocalAI API B",
        {stored("localai_p2p_enabled", "a"): always(0), stored("localai_p2p_enabled", "b"): always(1)},
        {'{cluster="home", instance="a"}': 0},
    ),
    Case(
        "a target without a cluster is there",
        "LocalAI API A",
        {stored("localai_p2p_up", cluster=""): always(1)},
        {'{instance="a"}': 1},
    ),
    Case(
        "one cluster is chosen",
        "LocalAI API A",
        {stored("localai_p2p_up", cluster=cluster): always(1) for cluster in ("home", "lab", "")},
        {'{cluster="lab", instance="a"}': 1},
        {"cluster": ("lab",)},
    ),
    Case("two exporters count a worker once", "Workers A", SAME_VIEW, {"{}": 2}),
    Case("of a split network both sides count", "Workers A", SPLIT, {"{}": 2}),
    Case("workers beyond the limit count", "Workers A", {**SAME_VIEW, kind("nodes_online", "b"): always(9)}, {"{}": 9}),
    Case("a federated node is no worker", "Workers A", {kind("nodes_online", role="federated"): always(3)}, {}),
    Case("without an expectation nothing is missing", "Workers B", SAME_VIEW, {}),
    Case("without an expectation there is none", "Workers C", SAME_VIEW, {}),
    Case("fewer than expected are missing", "Workers B", SAME_VIEW | EXPECTED, {"{}": 2}),
    Case("two exporters expect the same", "Workers C", SAME_VIEW | EXPECTED, {"{}": 4}),
    Case(
        "one cluster's surplus does not make up for another's loss",
        "Workers B",
        {
            **{kind("nodes_online", cluster=cluster): always(count) for cluster, count in (("home", 5), ("lab", 1))},
            **{
                stored("localai_p2p_nodes_expected", cluster=cluster, role="worker"): always(2)
                for cluster in ("home", "lab")
            },
        },
        {"{}": 1},
    ),
    Case("all of them gone are missing", "Workers B", GONE, {"{}": 3}),
    Case(
        "all of them gone are not missing where none is expected",
        "Workers B",
        GONE | {stored("localai_p2p_nodes_expected", role="worker"): always(0)},
        {},
    ),
    Case("where there never were any none is missing", "Workers B", {kind("nodes_online"): always(0)}, {}),
    Case("what is not known is not missing", "Workers B", {kind("nodes_online"): until(30, 3)} | EXPECTED, {}),
    Case(
        "an instance without federated nodes is none short",
        "Federated B",
        {kind("nodes_online", role="federated"): always(0)},
        {},
    ),
    Case(
        "totals count what has no series",
        "Known, but offline A",
        SAME_VIEW | {kind("nodes", instance): always(10) for instance in "ab"},
        {"{}": 8},
    ),
    Case(
        "what only one of two instances has hidden is known",
        "Known, but offline A",
        SPLIT
        | {node("online", 3, "b"): always(0)}
        | {
            kind("nodes", "a"): always(2),
            kind("nodes", "b"): always(3),
            kind("nodes_hidden", "a", reason="retention"): always(0),
            kind("nodes_hidden", "b", reason="retention"): always(4),
            kind("nodes_hidden", "b", reason="limit"): always(1),
        },
        {"{}": 6},
    ),
    Case(
        "both sides of a split network are known",
        "Known, but offline A",
        SPLIT | {kind("nodes", instance): always(2) for instance in "ab"},
        {"{}": 0},
    ),
    Case(
        "the one that heard it last knows the age, and the dead have none",
        "Oldest living heartbeat A",
        CLOCKS
        | {stored(ASKED_AT, "b"): always(8_010), stored(OFFSET, "b"): always(1_000)}
        | {node("last_seen_timestamp_seconds", 2, "b"): always(8_975), node("online", 2, "b"): always(1)},
        {"{}": 5},
    ),
    Case(
        "a LocalAI that tells no time has the exporter's",
        "Oldest living heartbeat A",
        {node("online", 1): always(1), node("last_seen_timestamp_seconds", 1): always(7_988)}
        | {stored(ASKED_AT): always(8_000)},
        {"{}": 12},
    ),
    Case("without rules nothing is said of alerts", "Alerts firing D", {}, {}),
    Case("nothing fires", "Alerts firing D", RULES_LOADED, {"{}": 0}),
    Case("something fires", "Alerts firing D", RULES_LOADED | FIRING, {}),
    Case("warnings by name", "Alerts firing B", FIRING, {'{alertname="LocalAIP2PHostLost"}': 2}),
    Case(
        "a missing exporter is every cluster's alert",
        "Alerts firing A",
        FIRING,
        {'{alertname="LocalAIP2PExporterAbsent"}': 1},
        {"cluster": ("home",)},
    ),
    Case(
        "an expected host that nobody knows",
        "Hosts B",
        {
            stored("localai_p2p_up"): always(1),
            stored("localai_p2p_host_expected", host="gpu-1"): always(1),
            stored("localai_p2p_host_expected", host="gpu-2"): always(1),
            kind("host_nodes_online", host="gpu-1"): always(0),
        },
        {'{cluster="home", host="gpu-2"}': 0},
    ),
    Case(
        "while LocalAI is down nothing is said of expected hosts",
        "Hosts B",
        {stored("localai_p2p_up"): always(0), stored("localai_p2p_host_expected", host="gpu-1"): always(1)},
        {},
    ),
    Case(
        "a host beyond the limit may be online",
        "Hosts B",
        {
            stored("localai_p2p_up"): always(1),
            stored("localai_p2p_host_expected", host="gpu-1"): always(1),
            kind("nodes_hidden", reason="limit"): always(1),
        },
        {},
    ),
    Case(
        "one version of LocalAI",
        "Nodes E",
        VERSIONS | {stored("localai_p2p_server_info", "b", version="v4.9.0"): always(1)},
        {f'{{{NODE.format(number)}, version="v4.9.0"}}': 1 for number in (1, 2)},
    ),
    Case(
        "instances of several versions list a node",
        "Nodes E",
        VERSIONS | {stored("localai_p2p_server_info", "b", version="v3.12.1"): always(1)},
        {f'{{{NODE.format(1)}, version="several"}}': 2, f'{{{NODE.format(2)}, version="v3.12.1"}}': 1},
    ),
    Case("the dead and the early do not flatten the ages", "Age of heartbeats A", CLOCKS, {f"{{{NODE.format(2)}}}": 5}),
    Case(
        "one host is chosen",
        "Nodes A",
        CLOCKS,
        {f"{{{NODE.format(3)}}}": 0},
        {"host": ("gpu-3",)},
    ),
    Case("two exporters list a node", "Nodes D", SPLIT, {f"{{{NODE.format(number)}}}": 2 for number in (1, 2)}),
    Case(
        "a clock that runs ahead",
        "Nodes whose clock is wrong A",
        CLOCKS,
        {f'{{{NODE.format(1)}, clock="runs ahead"}}': -600},
    ),
    Case(
        "a clock that lags",
        "Nodes whose clock is wrong A",
        {
            node("online", 1): " ".join(["1 1 0"] * 100),
            node("heartbeat_timestamp_seconds", 1): "0+15x300",
            node("last_seen_age_seconds", 1): "25x300",
        },
        {f'{{{NODE.format(1)}, clock="lags"}}': 5},
    ),
    Case(
        "a node that loses heartbeats is not one that lags",
        "Nodes whose clock is wrong A",
        {
            node("online", 1): " ".join(["1 1 0"] * 100),
            node("heartbeat_timestamp_seconds", 1): "0+15x300",
            node("last_seen_age_seconds", 1): " ".join(["25 40 5"] * 100),
        },
        {},
    ),
    Case(
        "a node that died is not one that lags",
        "Nodes whose clock is wrong A",
        {node("online", 1): until(50, 1, "0"), node("heartbeat_timestamp_seconds", 1): f"0+15x200 {always(3000)}"},
        {},
    ),
    Case(
        "nor one that died, and was forgotten at once",
        "Nodes whose clock is wrong A",
        {
            node("online", 1): until(50, 1, "0 0 stale"),
            node("heartbeat_timestamp_seconds", 1): "0+15x200 3000 3000 stale",
        },
        {},
    ),
    Case(
        "sides that disagree",
        "Nodes online, as each instance counts them B",
        SPLIT,
        {'{cluster="home"}': 2},
    ),
    Case("sides that agree", "Nodes online, as each instance counts them B", SAME_VIEW, {}),
    Case(
        "time goes on for an exporter that is gone",
        "LocalAI last understood A",
        {stored("localai_p2p_exporter_last_poll_success_timestamp_seconds"): until(30, 1800)},
        {'{cluster="home", instance="a"}': 1805},
    ),
    Case(
        "other targets' scrapes do not show",
        "Scrape duration A",
        {
            stored("scrape_duration_seconds"): always(0.25),
            'scrape_duration_seconds{job="node",instance="b"}': always(3),
            stored("localai_p2p_exporter_build_info", version="1", python="3"): always(1),
        },
        {'{cluster="home", instance="a"}': 0.25},
    ),
    Case(
        "only the reasons that there are",
        "Failed polls, by reason B",
        {
            stored("localai_p2p_exporter_polls_total"): "0+1x240",
            stored("localai_p2p_exporter_poll_failures_total", reason="auth"): "0+0.5x240",
            stored("localai_p2p_exporter_poll_failures_total", reason="dns"): always(0),
        },
        {'{reason="auth"}': 0.5},
    ),
    Case(
        "LocalAI has forgotten nodes",
        "LocalAI restarts (it forgot nodes, or has another version)",
        {kind(EVENT, change="forgotten"): until(59, 0, "4"), kind(EVENT, change="lost"): "0+1x240"},
        {'{cluster="home", instance="a"}': 4.190476190476191},  # 4, stretched to the edges of the window
    ),
    Case(
        "LocalAI has another version",
        "LocalAI restarts (it forgot nodes, or has another version)",
        {
            stored("localai_p2p_server_info", version="v4.8.0"): until(59, 1),
            stored("localai_p2p_server_info", version="v4.9.0"): "_x237 1x3",
        },
        {'{cluster="home", instance="a"}': 2},
    ),
)
