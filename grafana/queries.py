"""PromQL for the panels: written as in the rules, then narrowed to what the dashboard's variables choose.

The rules need not be loaded: what they record is written out here from the same source.
"""

import re

import distributed_alerts
import records
from generate import ALERTS
from rulebook import KIND, NODE

from exporter import collector, fleetcollector
from exporter.fleet import Status

TARGET = ('cluster=~"$cluster"', 'job=~"$job"', 'instance=~"$instance"')
"""Which exporters; in every selector."""

ROLE = 'role=~"$role"'
HOST = 'host=~"$host"'
NAME = 'name=~"$name"'
MODEL = 'model=~"$model"'

EXPORTER = "cluster, job, instance"
"""Labels of one exporter as Prometheus scrapes it."""

# Prometheus's own series of a target, and the library's of the process.
_OF_THE_TARGET = ("scrape_duration_seconds", "process_resident_memory_bytes")
_DEFINED = (*collector.DEFINITIONS, *fleetcollector.DEFINITIONS)
_LABELS = {one.name: one.labels for one in _DEFINED} | dict.fromkeys(_OF_THE_TARGET, ())
# A histogram's series have its name and an ending; a recorded name has a colon before ours.
_SELECTOR = re.compile(
    rf"(?<![\w:])(?P<name>{'|'.join(_LABELS)})(?P<ending>_bucket|_sum|_count)?\b(?:{{(?P<own>[^}}]*)}})?"
)


_RULES = {one.name: one for one in ALERTS}
_RECORDS = (*records.RECORDS, *distributed_alerts.RECORDS)


def scoped(expr: str, *matchers: str) -> str:
    """Return `expr` with the matchers of the target in each selector, and those of `matchers` whose label it has."""

    def selector(match: re.Match[str]) -> str:
        labels = _LABELS[match["name"]]
        fitting = [one for one in matchers if one.partition("=")[0] in labels]
        own = [match["own"]] if match["own"] else []
        return f"{match['name']}{match['ending'] or ''}{{{', '.join([*TARGET, *fitting, *own])}}}"

    return _SELECTOR.sub(selector, expr)


def alert(name: str, *matchers: str) -> str:
    """Return an alert's expression, with what it reads of recording rules written out, scoped."""
    rule = _RULES[name]
    expr = rule.filled(rule.expr)
    for record in reversed(_RECORDS):
        expr = expr.replace(record.name, f"({record.expr})")
    return scoped(expr, *matchers)


def bound(name: str, threshold: str) -> float:
    """Return a threshold of an alert, so that a panel changes its colour where the alert fires."""
    return _RULES[name].thresholds[threshold]


def inside(aggregation: str, expr: str) -> str:
    """Return `aggregation` around an expression of several lines."""
    lines = "\n".join(f"  {line}" for line in expr.splitlines())
    return f"{aggregation} (\n{lines}\n)"


KNOWN = f"""\
(
  count by ({KIND}) (max by ({NODE}) (localai_p2p_node_online))
  + max by ({KIND}) (sum by ({KIND}, instance) (localai_p2p_nodes_hidden))
  > max by ({KIND}) (localai_p2p_nodes)
)
or max by ({KIND}) (localai_p2p_nodes)"""
"""Nodes of each kind that some LocalAI knows, those with series once each: at least the largest total."""

ONLINE_TO_SOMEBODY = f"max by ({NODE}) (localai_p2p_node_online)"
"""1 for each node that some LocalAI calls online, else 0."""

YOUNGEST_AGE = f"min by ({NODE}) (localai_p2p_node_last_seen_age_seconds)"
"""How old each node's newest heartbeat is, to the LocalAI that heard it last."""

AGE_WHEN_ASKED = f"""\
min by ({NODE}) (
  (
    localai_p2p_exporter_last_poll_success_timestamp_seconds + localai_p2p_server_clock_offset_seconds
    or localai_p2p_exporter_last_poll_success_timestamp_seconds
  )
  - on ({EXPORTER}) group_right ()
  localai_p2p_node_last_seen_timestamp_seconds
)"""
"""The same when LocalAI was asked: what its verdict goes by. At a scrape the age is up to a poll's interval greater."""

STATES = {
    Status.OFFLINE: 0,
    Status.UNHEALTHY: 1,
    Status.UNKNOWN: 2,
    Status.PENDING: 3,
    Status.REGISTERING: 4,
    Status.DRAINING: 5,
    Status.HEALTHY: 6,
}
"""The number that stands for each status of a node of distributed mode in `STATE`: the worse the smaller."""

STATE = "\nor ".join(
    f'{number} * (max by (cluster, name) (localai_distributed_node_status{{status="{status}"}}) == 1)'
    for status, number in sorted(STATES.items(), key=lambda one: -one[1])
)
"""One number for each node: while exporters have not all heard of a change it is the better one."""

YOUNGEST_BEAT = "min by (cluster, name) (localai_distributed_node_last_heartbeat_age_seconds)"
"""How long ago LocalAI heard of each node, to the exporter that knows the newest."""
