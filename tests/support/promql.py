"""PromQL as a tree: what a query reads, and which labels are left of it."""

from collections.abc import Iterator

import promql_parser as promql

from exporter import collector, fleetcollector, owncollector

TARGET_LABELS = frozenset({"cluster", "job", "instance"})

_DEFINITIONS = (*collector.DEFINITIONS, *fleetcollector.DEFINITIONS, *owncollector.DEFINITIONS)
SERIES = {one.name: TARGET_LABELS | set(one.labels) for one in _DEFINITIONS}
"""The labels of each metric of ours, as Prometheus stores it."""

OF_ALERTS = TARGET_LABELS | {"alertname", "alertstate", "severity", "role", "backend", "host", "id", "name", "model"}
"""Those that some alert has."""

HISTOGRAM_ENDINGS = ("_bucket", "_sum", "_count")
RATE_INTERVAL_SECONDS = 187
"""Stands for `$__rate_interval`, and for nothing else."""


def parsed(expr: str) -> promql.Expr:
    """Parse a query of the dashboard; the variables inside its strings stay."""
    own = {"$__rate_interval": f"{RATE_INTERVAL_SECONDS}s", "$__range": "21600s"}
    for name, duration in own.items():
        expr = expr.replace(f"[{name}]", f"[{duration}]").replace(f"[{name}:", f"[{duration}:")
    return promql.parse(expr)


def nodes(tree: promql.Expr) -> Iterator[promql.Expr]:
    """Give every node, each before those inside it."""
    found: list[promql.Expr] = []
    promql.walk(tree, found.append)  # append returns None, which goes on
    return iter(found)


def selectors(tree: promql.Expr) -> list[promql.VectorSelector]:
    """Return every selector, those of ranges too."""
    return [node for node in nodes(tree) if isinstance(node, promql.VectorSelector)]


def metric(selector: promql.VectorSelector) -> str:
    """Return the documented name of what a selector reads."""
    name = selector.name or ""
    stems = [name.removesuffix(ending) for ending in HISTOGRAM_ENDINGS if name.endswith(ending)]
    return next((stem for stem in stems if stem in SERIES), name)


def labels(tree: promql.Expr) -> frozenset[str]:
    """Return the labels that a query's samples have for sure."""
    left: frozenset[str] = frozenset()
    match tree:
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            left = labels(tree.expr)
        case promql.MatrixSelector():
            left = labels(tree.vector_selector)
        case promql.VectorSelector():
            left = _stored(tree)
        case promql.AggregateExpr():
            left = _aggregated(tree)
        case promql.BinaryExpr():
            left = _combined(tree)
        case promql.Call():
            left = _returned(tree)
    return left


def _stored(selector: promql.VectorSelector) -> frozenset[str]:
    known = SERIES.get(metric(selector), OF_ALERTS if selector.name == "ALERTS" else TARGET_LABELS)
    return known | {"le"} if (selector.name or "").endswith("_bucket") else known


def _aggregated(tree: promql.AggregateExpr) -> frozenset[str]:
    inside = labels(tree.expr)
    if str(tree.op) in ("topk", "bottomk"):
        return inside
    if tree.modifier is None:
        return frozenset()
    named = frozenset(tree.modifier.labels)
    return inside & named if tree.modifier.type == promql.AggModifierType.By else inside - named


def _combined(tree: promql.BinaryExpr) -> frozenset[str]:
    left, right = labels(tree.lhs), labels(tree.rhs)
    if str(tree.op) == "or":
        return left & right
    if _is_number(tree.lhs):
        return right
    matching = tree.modifier.matching if tree.modifier else None
    if tree.modifier is None or matching is None:
        return left
    if tree.modifier.card == promql.VectorMatchCardinality.OneToOne:
        named = frozenset(matching.labels)
        return left & named if matching.type == promql.LabelModifierType.Include else left - named
    many = right if tree.modifier.card == promql.VectorMatchCardinality.OneToMany else left
    return many | frozenset(tree.modifier.group_labels or ())


def _returned(tree: promql.Call) -> frozenset[str]:
    vectors = [argument for argument in tree.args if not _is_number(argument)]
    inside = labels(vectors[0]) if vectors else frozenset()
    if tree.func.name in ("label_replace", "label_join"):
        return inside | {str(tree.args[1].val)}
    return inside - {"le"} if tree.func.name == "histogram_quantile" else inside


def _is_number(tree: promql.Expr) -> bool:
    if isinstance(tree, promql.Call):
        return tree.func.name in ("time", "scalar", "vector")
    return isinstance(tree, promql.NumberLiteral | promql.StringLiteral)
