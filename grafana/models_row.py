"""What is loaded on the nodes of distributed mode, and what is wanted."""

from grafana_foundation_sdk.builders import stat, table, timeseries
from look import (
    BAD,
    GOOD,
    PLAIN,
    SHARED,
    WARN,
    Frame,
    Group,
    Property,
    counts,
    crowded,
    dashed,
    fixed,
    graphed,
    listed,
    numbers,
    rows,
    sorted_by,
    spoken,
    told,
    told_apart,
)
from queries import MODEL, NAME, scoped

_ALERTS = ("DistributedTooFewReplicas", "DistributedUnsatisfiable")


def row() -> Group:
    """Return the row."""
    return Group("Models", (_models(), _replicas(), _requests(), _hidden()))


def _models() -> table.Panel:
    frame = Frame(
        title="Models",
        about="Every model that is loaded or scheduled: how many replicas are loaded on healthy nodes, how many its "
        "schedule wants at least and at most, and whether LocalAI finds a node with room for one that is missing. An "
        "empty cell: no schedule, no limit, or one replica on every node that fits. Red: replicas are missing, and no "
        "node has room. Do: the runbook says what room is made of.",
        empty="no model is loaded or scheduled",
        width=14,
        height=8,
        alerts=_ALERTS,
    )

    def most(metric: str) -> str:
        return scoped(f"max by (cluster, model) (localai_distributed_model_{metric})", MODEL)

    columns = {
        "model": ("Model", SHARED),
        "Value #A": ("Loaded", 80),
        "Value #B": ("At least", 80),
        "Value #C": ("At most", 80),
        "Value #D": ("Room", 90),
        "Value #E": ("Tries in vain", 110),
        "cluster": ("Cluster", 110),
    }
    return (
        rows(
            frame,
            columns,
            listed(most("replicas_loaded")),
            listed(most("replicas_min")),
            listed(most("replicas_max")),
            listed(most("unsatisfiable")),
            listed(most("unsatisfiable_ticks")),
        )
        .sort_by(sorted_by(("Room", True), ("Model", False)))
        .override_by_name("Room", spoken({"0": ("enough", GOOD), "1": ("none", BAD)}))
    )


def _replicas() -> timeseries.Panel:
    frame = Frame(
        title="Replicas loaded",
        about="Loaded replicas of each model; dashed, how many its schedule wants at least. A gap is a time in which "
        "nothing was known. Do: for a step down, look at Status for the node that went at that time.",
        empty="no model is loaded or scheduled",
        width=10,
        height=8,
        alerts=_ALERTS,
    )
    loaded = "max by (cluster, model) (localai_distributed_model_replicas_loaded)"
    wanted = "max by (cluster, model) (localai_distributed_model_replicas_min) > 0"
    return told_apart(
        counts(
            frame,
            graphed(scoped(loaded, MODEL), "{{cluster}} {{model}}"),
            graphed(scoped(wanted, MODEL), "{{cluster}} {{model}} wanted"),
        )
    ).override_by_query("B", [fixed(PLAIN), dashed(), Property("custom.lineWidth", 1)])


def _requests() -> timeseries.Panel:
    frame = Frame(
        title="Requests by node",
        about="Requests that are being answered on each node. One line far above the others: LocalAI routes to a node "
        "that has what is asked for in its cache, or the others have no replica. Do: want more replicas of the model.",
        empty="nothing known of any node",
        width=16,
        height=8,
    )
    expr = "max by (cluster, name) (localai_distributed_node_requests_in_flight)"
    return told_apart(crowded(counts(frame, graphed(scoped(expr, NAME), "{{cluster}} {{name}}"))))


def _hidden() -> stat.Panel:
    frame = Frame(
        title="Not shown",
        about="Nodes, models and elements of lists without series of their own. Retention: down, and silent for 24h. "
        "Orange, limit: there are more nodes than `--node.limit`, or more than 1,000 models. Orange, invalid or "
        "duplicate: elements of LocalAI's answers that could not be used. Do: delete the nodes that are gone for good "
        "on LocalAI's page of nodes; for elements look at `/api/nodes` itself.",
        empty="unknown",
        width=8,
        height=8,
        steps=((None, PLAIN), (1, WARN)),
        alerts=("DistributedSeriesHidden",),
    )

    def by_reason(metric: str, by: str = "") -> str:
        return scoped(f"sum by (reason) (max by (cluster, reason{by}) ({metric}))")

    return numbers(
        frame,
        told(by_reason("localai_distributed_nodes_hidden"), "{{reason}}"),
        told(scoped("sum(max by (cluster) (localai_distributed_models_hidden))"), "models"),
        told(by_reason("localai_distributed_entries_dropped", ", list"), "{{reason}}"),
    ).override_by_name("retention", [fixed(PLAIN)])
