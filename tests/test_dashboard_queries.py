"""How a panel's query is made of what the rules say."""

import pytest
from generate import ALERTS
from queries import HOST, NAME, ROLE, alert, bound, inside, scoped

TARGET = 'cluster=~"$cluster", job=~"$job", instance=~"$instance"'


@pytest.mark.parametrize(
    ("expr", "narrowed"),
    [
        ("localai_p2p_up", f"localai_p2p_up{{{TARGET}}}"),
        ("max(localai_p2p_nodes_online[3m])", f'max(localai_p2p_nodes_online{{{TARGET}, role=~"$role"}}[3m])'),
        (
            "localai_p2p_node_online == 1",
            f'localai_p2p_node_online{{{TARGET}, role=~"$role", host=~"$host"}} == 1',
        ),
        ("localai_p2p_host_expected", f'localai_p2p_host_expected{{{TARGET}, host=~"$host"}}'),
        (
            'localai_p2p_nodes{role="worker"}',
            f'localai_p2p_nodes{{{TARGET}, role=~"$role", role="worker"}}',
        ),
        (
            "localai_p2p_exporter_poll_duration_seconds_bucket[5m]",
            f"localai_p2p_exporter_poll_duration_seconds_bucket{{{TARGET}}}[5m]",
        ),
        ("cluster:localai_p2p_up:max3m", "cluster:localai_p2p_up:max3m"),
        (
            'localai_distributed_node_status{status="healthy"}',
            f'localai_distributed_node_status{{{TARGET}, name=~"$name", status="healthy"}}',
        ),
        ("localai_distributed_nodes", f"localai_distributed_nodes{{{TARGET}}}"),
        ("sum by (localai_p2p_up_to) (up)", "sum by (localai_p2p_up_to) (up)"),
    ],
)
def test_a_selector_gets_the_matchers_that_fit_its_metric(expr: str, narrowed: str) -> None:
    assert scoped(expr, ROLE, HOST, NAME) == narrowed


@pytest.mark.parametrize(
    "name", ["NodeClockAhead", "NodeClockBehind", "AllNodesStaleAtOnce", "DistributedHeartbeatOld"]
)
def test_an_alert_needs_neither_the_rules_nor_its_thresholds(name: str) -> None:
    expr = alert(name)
    assert "cluster:" not in expr
    assert "@" not in expr
    assert expr.count(TARGET) == expr.count("localai_")


def test_a_threshold_is_the_alerts_own() -> None:
    (rule,) = (one for one in ALERTS if one.name == "ClockOffset")
    assert bound("ClockOffset", "seconds") == rule.thresholds["seconds"]


def test_an_aggregation_stands_around_every_line() -> None:
    assert inside("sum", "a\n+ b") == "sum (\n  a\n  + b\n)"
