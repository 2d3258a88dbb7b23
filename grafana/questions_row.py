"""The watching of distributed mode itself."""

from grafana_foundation_sdk.builders import stat, timeseries
from look import BAD, GOOD, WARN, Frame, Group
from queries import bound
from tiles import failing, understood


def row() -> Group:
    """Return the row."""
    return Group("Exporter", (_last_success(), _failures()), folded=True)


def _last_success() -> stat.Panel:
    frame = Frame(
        title="Last understood",
        about="How long ago each exporter last understood what it asks of distributed mode, also of exporters that "
        "went within the time range. Orange: four polls of the default interval, and what LocalAI said last is shown "
        "no more. Red: for 5 minutes. Do: the next panel has the reason; how the exporter itself is, the dashboard of "
        "P2P shows.",
        empty="never",
        width=12,
        height=8,
        unit="s",
        steps=((None, GOOD), (60, WARN), (300, BAD)),
        alerts=("DistributedUnreachable",),
    )
    return understood(frame, "localai_p2p_exporter_distributed_last_success_timestamp_seconds")


def _failures() -> timeseries.Panel:
    frame = Frame(
        title="Failed questions, by reason",
        about="The share of polls whose questions on distributed mode failed, and why; docs/metrics.md says what each "
        "reason means. Red: as many as an alert needs. Do: `auth` wants an admin's key, `http_status` a PostgreSQL "
        "that answers LocalAI, `timeout` more time than P2P leaves of `--poll.timeout`.",
        empty="no polls",
        width=12,
        height=8,
        unit="percentunit",
        steps=((None, GOOD), (bound("DistributedPollsFailing", "share"), BAD)),
        alerts=("DistributedPollsFailing",),
    )
    return failing(frame, "localai_p2p_exporter_distributed_failures_total")
