"""What is marked on every graph."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery
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
        .title_format("{{role}} {{backend}} {{change}}")
        .text_format("{{cluster}}")
        .tag_keys("change"),
        _event("Firing alerts", alerts, BAD)
        .title_format("{{alertname}}")
        .text_format("{{cluster}} {{host}} {{instance}}")
        .tag_keys("severity"),
        _event("LocalAI restarts (it forgot nodes, or has another version)", scoped(restarts), ASIDE)
        .title_format("LocalAI restarted")
        .text_format("{{cluster}} {{instance}}: it forgot nodes that it listed, or tells another version"),
    ]


def _event(name: str, expr: str, color: str) -> AnnotationQuery:
    return AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(color).expr(expr).step(_STEP)
