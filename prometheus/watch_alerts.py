"""Alerts on the watching itself: the exporter, and LocalAI's API."""

from records import UP
from rulebook import INSTANCE, WINDOW, Alert, Severity

_KNOWN = f"sum by ({INSTANCE}) (last_over_time(localai_p2p_nodes[{WINDOW}]))"
_ONLINE = f"sum by ({INSTANCE}) (last_over_time(localai_p2p_nodes_online[{WINDOW}]))"

CLUSTER = "{{ with $labels.cluster }}{{ . }}: {{ end }}"
"""How every description begins where targets have a label `cluster`."""

EXPORTER = (
    Alert(
        name="ExporterAbsent",
        expr=f'absent_over_time(up{{job="@job"}}[{WINDOW}])',
        hold="5m",
        severity=Severity.CRITICAL,
        summary="No exporter of LocalAI's P2P network is scraped.",
        description="Prometheus has no target of the job {{ $labels.job }}: nothing watches any cluster.",
    ),
    Alert(
        name="ExporterDown",
        expr=f'max by ({INSTANCE}) (max_over_time(up{{job="@job"}}[{WINDOW}])) == 0',
        hold="5m",
        severity=Severity.CRITICAL,
        summary="An exporter of LocalAI's P2P network cannot be scraped.",
        description=CLUSTER + "no scrape of the exporter at {{ $labels.instance }} succeeds.",
    ),
    Alert(
        name="PollsFailing",
        # The second half: an outage that is over for 5 minutes is no news, though its share still stands.
        expr=f"""\
(
  sum by ({INSTANCE}) (increase(localai_p2p_exporter_poll_failures_total[15m]))
  / sum by ({INSTANCE}) (increase(localai_p2p_exporter_polls_total[15m]))
  >= @share
)
and sum by ({INSTANCE}) (increase(localai_p2p_exporter_poll_failures_total[5m])) > 0""",
        hold="15m",
        severity=Severity.WARNING,
        summary="Many polls of LocalAI fail.",
        description=CLUSTER
        + "{{ $value | humanizePercentage }} of the polls by the exporter at {{ $labels.instance }} failed "
        + "in 15 minutes.",
        thresholds={"share": 0.2},
    ),
    Alert(
        name="SeriesHidden",
        expr=f"""\
sum by ({INSTANCE}) (last_over_time(localai_p2p_nodes_hidden{{reason="limit"}}[{WINDOW}])) > @nodes""",
        hold="15m",
        severity=Severity.WARNING,
        summary="Nodes are beyond the exporter's limit and have no series.",
        description=CLUSTER + "the exporter at {{ $labels.instance }} hides {{ $value }} nodes beyond --node.limit.",
        thresholds={"nodes": 0},
    ),
    Alert(
        name="TargetsRefused",
        expr=f"max by ({INSTANCE}) (max_over_time(localai_p2p_exporter_config_last_reload_successful[{WINDOW}])) == 0",
        hold="10m",
        severity=Severity.WARNING,
        summary="An exporter does not use its file of targets as it is now.",
        description=CLUSTER
        + "the exporter at {{ $labels.instance }} refuses the file of its targets, and goes on with the one before.",
    ),
)

API = (
    Alert(
        name="APIUnreachable",
        expr=f"max by ({INSTANCE}) (max_over_time(localai_p2p_up[5m])) == 0",
        hold="2m",
        severity=Severity.CRITICAL,
        summary="LocalAI's P2P API is not reached or not understood.",
        description=CLUSTER
        + "the exporter at {{ $labels.instance }} has not understood LocalAI once in 5 minutes; "
        + "what its nodes do is unknown.",
    ),
    Alert(
        name="APIKeyRejected",
        expr=f"""\
sum by ({INSTANCE}) (increase(localai_p2p_exporter_poll_failures_total{{reason="auth"}}[5m])) > 0
and max by ({INSTANCE}) (max_over_time(localai_p2p_up[{WINDOW}])) == 0""",
        hold="2m",
        severity=Severity.CRITICAL,
        summary="LocalAI rejects the exporter's API key.",
        description=CLUSTER
        + 'LocalAI refused {{ $value | printf "%.0f" }} polls of the exporter at {{ $labels.instance }} in 5 minutes '
        + "for their key, and has answered none since.",
    ),
    Alert(
        name="P2PDisabled",
        expr=f"max by ({INSTANCE}) (max_over_time(localai_p2p_enabled[{WINDOW}])) == 0",
        hold="10m",
        severity=Severity.WARNING,
        summary="P2P is off in LocalAI.",
        description=CLUSTER + "the LocalAI behind the exporter at {{ $labels.instance }} says that its P2P is off.",
    ),
    Alert(
        name="AllNodesStaleAtOnce",
        # Only an instance that runs with --federated lists itself. Of another one, dead workers alone say nothing of
        # LocalAI: that is NoWorkersOnline.
        expr=f"""\
{_KNOWN} > 0
and sum by ({INSTANCE}) (max_over_time(localai_p2p_nodes_online[{WINDOW}])) == 0
and sum by ({INSTANCE}) (max_over_time(localai_p2p_nodes{{role="federated"}}[{WINDOW}])) > 0
and max by ({INSTANCE}) (max_over_time(localai_p2p_up[{WINDOW}])) == 1""",
        hold="3m",
        severity=Severity.CRITICAL,
        summary="LocalAI calls every node offline, itself included.",
        description=CLUSTER
        + "the LocalAI behind the exporter at {{ $labels.instance }} answers, knows {{ $value }} nodes, "
        + "and calls none online, not even itself: its P2P stack has stopped.",
    ),
    Alert(
        name="DeadNodesPileUp",
        expr=f"""\
(
  {_KNOWN}
  - {_ONLINE}
  > @nodes
)
and {_KNOWN} > (1 + @times) * {_ONLINE}""",
        hold="1h",
        severity=Severity.INFO,
        summary="LocalAI remembers many dead nodes.",
        description=CLUSTER
        + "the LocalAI behind the exporter at {{ $labels.instance }} lists {{ $value }} offline nodes, "
        + "more than @times times the online ones.",
        thresholds={"nodes": 50, "times": 5},
    ),
)

ANSWERS = f"{UP.name} == 1"
"""Where LocalAI is not understood, an absent node says nothing."""
