"""Panels that both dashboards have, each of its own metrics."""

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import common as option
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from look import (
    BAD,
    GOOD,
    NOTE,
    WARN,
    Frame,
    Property,
    by_name,
    fixed,
    graph,
    graphed,
    limit,
    numbers,
    told,
    words,
)
from queries import EXPORTER, scoped
from rulebook import FAMILY, PREFIX, Record

NAMED = "{{cluster}} {{instance}}"
"""How an exporter is called."""

DISTRIBUTED_ALERTS = f"{FAMILY}Distributed.+|{PREFIX}Exporter.+"
"""A pattern for the alerts that concern distributed mode."""

HERE = 'cluster=~"$cluster|"'
"""An exporter that Prometheus does not scrape has no cluster, and is the alert of all of them."""


def answering(frame: Frame, up: str, enabled: str, mode: str) -> stat.Panel:
    """Return a tile for each exporter, red where LocalAI was not understood, and one where its mode is off.

    Args:
        frame: of the panel.
        up: the metric that is 1 where it was.
        enabled: the one that is 0 where the mode is off.
        mode: its name.
    """
    # What was there within the range and is not now counts as down.
    expr = f"""\
sort(bottomk(12, min by (cluster, instance) (
  max by ({EXPORTER}) ({up})
  or 0 * max by ({EXPORTER}) (max_over_time({up}[$__range]))
)))"""
    off = f"max by (cluster, instance) ({enabled}) == 0"
    return (
        by_name(numbers(frame, told(scoped(expr), NAMED), told(scoped(off), f"{NAMED} {mode}")))
        .mappings([words({"0": ("down", BAD), "1": ("up", GOOD)})])
        .override_by_query("B", [Property("mappings", [words({"0": ("off", BAD)})])])
        .color_mode(option.BigValueColorMode.BACKGROUND_SOLID)
    )


def firing(frame: Frame, names: str, record: Record) -> stat.Panel:
    """Return the alerts that fire, with how many there are of each.

    Args:
        frame: of the panel.
        names: a pattern for their names.
        record: a recording rule that is loaded with them: only there is it known that nothing fires.
    """
    alerts = f'alertname=~"{names}", alertstate="firing"'

    def of(severity: str) -> str:
        return f'count by (alertname) (ALERTS{{{alerts}, severity="{severity}", {HERE}}})'

    quiet = f"""\
0 * count(last_over_time({record.name}{{cluster=~"$cluster"}}[$__range]))
unless count(ALERTS{{{alerts}, {HERE}}})"""
    return (
        by_name(
            numbers(
                frame,
                told(of("critical"), "{{alertname}}"),
                told(of("warning"), "{{alertname}}"),
                told(of("info"), "{{alertname}}"),
                told(quiet, "firing"),
            )
        )
        .override_by_query("A", [fixed(BAD)])
        .override_by_query("B", [fixed(WARN)])
        .override_by_query("C", [fixed(NOTE)])
        .mappings([words({"0": ("none", GOOD)})])
        .with_transformation(
            DataTransformerConfig(
                "renameByRegex", options={"regex": f"{FAMILY}(?:P2P|Distributed)(.+)", "renamePattern": "$1"}
            )
        )
    )


def understood(frame: Frame, success: str) -> stat.Panel:
    """Return how long ago each exporter last understood LocalAI, by the metric that has that moment."""
    expr = scoped(f"time() - max by (cluster, instance) (max_over_time({success}[$__range]))")
    return numbers(frame, told(expr, NAMED)).decimals(0)


def failing(frame: Frame, failures: str) -> timeseries.Panel:
    """Return the share of polls that failed, and by which reasons, by the metric that counts them."""
    polls = "sum(rate(localai_p2p_exporter_polls_total[$__rate_interval]))"
    failed = f"rate({failures}[$__rate_interval])"
    return (
        limit(
            graph(
                frame,
                graphed(scoped(f"sum({failed}) / {polls}"), "all"),
                graphed(scoped(f"sum by (reason) ({failed}) / ignoring (reason) group_left {polls} > 0"), "{{reason}}"),
            )
        )
        .min(0)
        .axis_soft_max(1)
        .override_by_name("all", [Property("custom.fillOpacity", 20)])
    )
