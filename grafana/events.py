"""What is marked on every graph."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery
from grafana_foundation_sdk.builders.prometheus import Dataquery
from look import ASIDE, BAD, NOTE, SOURCE
from queries import NAME, ROLE, scoped
from rulebook import KIND, PREFIX
from tiles import DISTRIBUTED_ALERTS, HERE

# Two scrapes of a minute each are in it, and no event is between two steps.
_STEP = "60s"
_WINDOW = "2m"


def events() -> list[AnnotationQuery]:
    """Return those of P2P's dashboard."""
    changes = f"""\
sum by ({KIND}, change) (
  max by ({KIND}, change) (increase(localai_p2p_membership_changes_total[{_WINDOW}]))
) > 0"""
    # LocalAI does not say when it started. It forgets dead nodes then and at no other time, and its version may change.
    restarts = f"""\
sum by (cluster, instance) (increase(localai_p2p_membership_changes_total{{change="forgotten"}}[{_WINDOW}])) > 0
or count by (cluster, instance) (count_over_time(localai_p2p_server_info[{_WINDOW}])) > 1"""
    return [
        _event("Membership changes", scoped(changes, ROLE), NOTE)
        .title_format("{{role}} {{change}}")
        .tag_keys("cluster,backend,change"),
        _alerts(f"{PREFIX}.+", "role,host"),
        _event("LocalAI restarts (it forgot nodes, or has another version)", scoped(restarts), ASIDE)
        .title_format("LocalAI restarted")
        .text_format(
            "It forgot nodes that it listed, or tells another version. A restart that changes neither is not seen."
        )
        .tag_keys("cluster,instance"),
    ]


def distributed_events() -> list[AnnotationQuery]:
    """Return those of distributed mode's dashboard."""
    becomes = f"""\
max by (cluster, name, status) (
  changes(localai_distributed_node_status[{_WINDOW}]) > 0
  and localai_distributed_node_status == 1
)"""
    return [
        _event("Changes of status", scoped(becomes, NAME), NOTE)
        .title_format("{{name}} is {{status}}")
        .tag_keys("cluster"),
        _alerts(DISTRIBUTED_ALERTS, "name,model"),
    ]


def _alerts(names: str, labels: str) -> AnnotationQuery:
    expr = f'ALERTS{{alertname=~"{names}", alertstate="firing", {HERE}}}'
    return (
        _event("Firing alerts", expr, BAD).title_format("{{alertname}}").tag_keys(f"severity,cluster,instance,{labels}")
    )


def _event(name: str, expr: str, color: str) -> AnnotationQuery:
    # A label that a series does not have shows as its name in a title, and not at all in the tags.
    # Where Grafana looks for the query, in the annotation or in its target, differs with its version.
    return (
        AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(True)
        .icon_color(color)
        .expr(expr)
        .step(_STEP)
        .target(Dataquery().expr(expr).range().interval(_STEP).ref_id("Anno"))
    )
