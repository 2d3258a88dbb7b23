"""What is marked on every graph."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery
from grafana_foundation_sdk.builders.prometheus import Dataquery
from look import ASIDE, BAD, NOTE, SOURCE
from queries import ROLE, scoped
from rulebook import KIND, PREFIX

# Two scrapes of a minute each are in it, and no event is between two steps.
_STEP = "60s"
_WINDOW = "2m"


def events() -> list[AnnotationQuery]:
    """Return the annotations."""
    changes = f"""\
sum by ({KIND}, change) (
  max by ({KIND}, change) (increase(localai_p2p_membership_changes_total[{_WINDOW}]))
) > 0"""
    alerts = f'ALERTS{{alertname=~"{PREFIX}.+", alertstate="firing", cluster=~"$cluster|"}}'
    # LocalAI does not say when it started. It forgets dead nodes then and at no other time, and its version may change.
    restarts = f"""\
sum by (cluster, instance) (increase(localai_p2p_membership_changes_total{{change="forgotten"}}[{_WINDOW}])) > 0
or count by (cluster, instance) (count_over_time(localai_p2p_server_info[{_WINDOW}])) > 1"""
    return [
        _event("Membership changes", scoped(changes, ROLE), NOTE)
        .title_format("{{role}} {{change}}")
        .tag_keys("cluster,backend,change"),
        _event("Firing alerts", alerts, BAD)
        .title_format("{{alertname}}")
        .tag_keys("severity,cluster,instance,role,host"),
        _event("LocalAI restarts (it forgot nodes, or has another version)", scoped(restarts), ASIDE)
        .title_format("LocalAI restarted")
        .text_format(
            "It forgot nodes that it listed, or tells another version. A restart that changes neither is not seen."
        )
        .tag_keys("cluster,instance"),
    ]


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
