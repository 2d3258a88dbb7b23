"""The queries of the documentation, read by the grammar of Prometheus 3; the live scenes hold them to answers."""

import promql_parser as promql
import pytest
from support.cookbook import OF_DISTRIBUTED, OF_P2P, PAGE, queries, short
from support.promql import SERIES, labels, metric, nodes, parsed, selectors


def test_every_query_has_a_scene() -> None:
    assert len(OF_P2P) + len(OF_DISTRIBUTED) == PAGE.read_text("utf-8").count("```promql\n") > 20


@pytest.mark.parametrize("query", queries(), ids=short)
def test_a_query_reads_what_there_is(query: str) -> None:
    for selector in selectors(parsed(query)):
        known = SERIES[metric(selector)]
        assert {matcher.name for matcher in selector.matchers.matchers} <= known


@pytest.mark.parametrize("query", queries(), ids=short)
def test_a_query_groups_by_labels_that_are_there(query: str) -> None:
    for node in nodes(parsed(query)):
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            assert set(node.modifier.labels) <= labels(node.expr), node
        if isinstance(node, promql.BinaryExpr) and node.modifier and node.modifier.matching:
            for side in (node.lhs, node.rhs):
                assert set(node.modifier.matching.labels) <= labels(side), node


@pytest.mark.parametrize("query", queries(), ids=short)
def test_a_query_tells_clusters_apart(query: str) -> None:
    assert "cluster" in labels(parsed(query))
