"""Which labels are left of a query, and what it reads."""

import pytest
from support.promql import TARGET_LABELS, labels, metric, parsed, selectors

NODE = "cluster instance job role backend host id"


@pytest.mark.parametrize(
    ("expr", "left"),
    [
        ("localai_p2p_up", "cluster job instance"),
        ("localai_p2p_node_online", NODE),
        ("max_over_time(localai_p2p_node_online[5m])", NODE),
        ("max_over_time((localai_p2p_node_online > 0)[5m:1m])", NODE),
        ("-localai_p2p_node_online", NODE),
        ("0 * localai_p2p_node_online", NODE),
        ("time() - localai_p2p_node_online", NODE),
        ("localai_p2p_node_online == 1", NODE),
        ("topk(3, localai_p2p_node_online)", NODE),
        ("sum(localai_p2p_node_online)", ""),
        ("sum by (host, absent) (localai_p2p_node_online)", "host"),
        ("sum without (job, instance, id) (localai_p2p_node_online)", "cluster role backend host"),
        ("localai_p2p_node_online and on (cluster) localai_p2p_up", NODE),
        ("localai_p2p_node_online or localai_p2p_up", "cluster job instance"),
        ("localai_p2p_node_online * on (id) localai_p2p_node_online", "id"),
        ("localai_p2p_up * ignoring (job) localai_p2p_up", "cluster instance"),
        ("localai_p2p_up * on (instance) group_left (version) localai_p2p_server_info", "cluster job instance version"),
        ('label_replace(localai_p2p_up, "new", "x", "", "")', "cluster job instance new"),
        (
            "histogram_quantile(0.9, sum by (le, job) (rate(localai_p2p_exporter_poll_duration_seconds_bucket[5m])))",
            "job",
        ),
        ("time()", ""),
    ],
)
def test_labels_that_are_left(expr: str, left: str) -> None:
    assert labels(parsed(expr)) == set(left.split())


def test_what_is_not_ours_has_the_labels_of_its_target() -> None:
    assert labels(parsed("up")) == TARGET_LABELS
    assert labels(parsed("ALERTS")) > TARGET_LABELS


def test_selectors_are_found_wherever_they_are() -> None:
    tree = parsed('sum(rate(a_total[$__rate_interval])) / sum(b{x=~"$host"}) > max_over_time((c)[5m:1m])')
    assert [selector.name for selector in selectors(tree)] == ["a_total", "b", "c"]
    assert [matcher.value for matcher in selectors(tree)[1].matchers.matchers] == ["$host"]


def test_a_histogram_is_one_metric() -> None:
    (selector,) = selectors(parsed("localai_p2p_exporter_poll_duration_seconds_sum"))
    assert metric(selector) == "localai_p2p_exporter_poll_duration_seconds"
    (selector,) = selectors(parsed("other_sum"))
    assert metric(selector) == "other_sum"
