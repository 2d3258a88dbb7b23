"""The watching itself."""

from grafana_foundation_sdk.builders import stat, table, timeseries
from look import (
    BAD,
    GOOD,
    PLAIN,
    SHARED,
    WARN,
    Frame,
    Group,
    dashed,
    graph,
    graphed,
    listed,
    rows,
    sorted_by,
    spoken,
)
from queries import EXPORTER, bound, scoped
from tiles import NAMED, failing, understood

_FAILING_SHARE = bound("PollsFailing", "share")


def row() -> Group:
    """Return the row."""
    return Group(
        "Exporter", (_last_success(), _failures(), _durations(), _instances(), _scrapes(), _memory()), folded=True
    )


def _last_success() -> stat.Panel:
    frame = Frame(
        title="LocalAI last understood",
        about="How long ago each exporter last understood LocalAI, also of exporters that went within the time range. "
        "Orange: four polls of the default interval failed, and what LocalAI said last is shown no more. Red: for "
        "5 minutes. Do: the next panel has the reason; "
        "`localai-p2p-exporter doctor --localai.url LOCALAI` says what to do about it.",
        empty="never",
        width=8,
        height=8,
        unit="s",
        steps=((None, GOOD), (60, WARN), (300, BAD)),
        alerts=("APIUnreachable",),
    )
    return understood(frame, "localai_p2p_exporter_last_poll_success_timestamp_seconds")


def _failures() -> timeseries.Panel:
    frame = Frame(
        title="Failed polls, by reason",
        about="The share of polls that failed, and why; docs/metrics.md says what each reason means. Red: as many "
        "as an alert needs. Do: `auth` wants a key, `connect` and `timeout` a LocalAI that answers, `shape` and "
        "`not_json` another URL or a newer exporter.",
        empty="no polls",
        width=8,
        height=8,
        unit="percentunit",
        steps=((None, GOOD), (_FAILING_SHARE, BAD)),
        alerts=("PollsFailing", "APIKeyRejected"),
    )
    return failing(frame, "localai_p2p_exporter_poll_failures_total")


def _durations() -> timeseries.Panel:
    frame = Frame(
        title="Poll duration",
        about="How long a whole poll took: the mean, and what 95 of 100 polls stay below. Red: close to the "
        "deadline, 10 s by default, at which a poll fails. Do: ask LocalAI's `/api/p2p/workers` by curl; a LocalAI "
        "that is busy, or far away, is slow too.",
        empty="no polls",
        width=8,
        height=8,
        unit="s",
        steps=((None, GOOD), (5, WARN), (9, BAD)),
        alerts=("PollsFailing",),
    )
    metric = "localai_p2p_exporter_poll_duration_seconds"
    buckets = f"sum by (cluster, instance, le) (rate({metric}_bucket[$__rate_interval]))"
    mean = f"""\
sum by (cluster, instance) (rate({metric}_sum[$__rate_interval]))
/ sum by (cluster, instance) (rate({metric}_count[$__rate_interval]))"""
    return (
        graph(
            frame,
            graphed(scoped(f"histogram_quantile(0.95, {buckets})"), f"{NAMED} 95%"),
            graphed(scoped(mean), f"{NAMED} mean"),
        )
        .axis_soft_min(0)
        .override_by_regexp("/mean$/", [dashed()])
    )


def _instances() -> table.Panel:
    frame = Frame(
        title="Instances",
        about="What each exporter says of itself and of the LocalAI behind it; an empty cell is something that LocalAI "
        "does not say. Network is a fingerprint of the join token (`--collector.token`): two in one cluster are two "
        "networks. Red: P2P is off in LocalAI. Orange: LocalAI's certificate is not checked. "
        "Do: start LocalAI with `--p2p`; give the exporter the authority (`--localai.tls-ca-file`).",
        empty="no exporter",
        width=24,
        height=7,
        alerts=("P2PDisabled", "ViewsDisagree"),
    )

    def info(metric: str, *labels: str) -> str:
        return scoped(f"max by ({', '.join([EXPORTER, *labels])}) ({metric})")

    def version(metric: str, label: str) -> str:
        # Two metrics have a label of this name, each of another program.
        return scoped(f'max by ({EXPORTER}, {label}) (label_join({metric}, "{label}", "", "version"))')

    columns = {
        "instance": ("Instance", SHARED),
        "Value #A": ("P2P", 70),
        "localai": ("LocalAI", SHARED),
        "generation": ("API generation", 130),
        "source": ("Read from", 230),
        "fingerprint": ("Network", 170),
        "exporter": ("Exporter", 100),
        "Value #F": ("Certificate", 120),
        "job": ("Job", 130),
        "cluster": ("Cluster", 110),
    }
    return (
        rows(
            frame,
            columns,
            listed(info("localai_p2p_enabled")),
            listed(version("localai_p2p_server_info", "localai")),
            listed(info("localai_p2p_exporter_api_info", "generation", "source")),
            listed(info("localai_p2p_token_info", "fingerprint")),
            listed(version("localai_p2p_exporter_build_info", "exporter")),
            listed(info("localai_p2p_exporter_tls_insecure")),
        )
        .sort_by(sorted_by(("Instance", False)))
        .override_by_name("P2P", spoken({"0": ("off", BAD), "1": ("on", GOOD)}))
        .override_by_name("Certificate", spoken({"0": ("checked", PLAIN), "1": ("not checked", WARN)}))
    )


def _scrapes() -> timeseries.Panel:
    frame = Frame(
        title="Scrape duration",
        about="How long Prometheus waited for the exporter's page; LocalAI is not asked meanwhile. Red: close to the "
        "10 s after which Prometheus gives up by default, and the exporter counts as down. Do: look at the load of its "
        "machine, and at how many nodes have series.",
        empty="no scrape",
        width=12,
        height=7,
        unit="s",
        steps=((None, GOOD), (1, WARN), (9, BAD)),
        alerts=("ExporterDown",),
    )
    return graph(frame, graphed(_of_exporters("scrape_duration_seconds"), NAMED)).axis_soft_min(0)


def _memory() -> timeseries.Panel:
    frame = Frame(
        title="Memory",
        about="Resident memory of the exporter, or of node_exporter where that serves a file of `once`. It follows the "
        "number of nodes and does not grow without them. Orange: much for this program. Do: how many nodes does "
        "LocalAI list? Lower `--node.limit` or `--localai.max-response-bytes`.",
        empty="not exported (--web.disable-exporter-metrics)",
        width=12,
        height=7,
        unit="bytes",
        steps=((None, GOOD), (512 * 1024 * 1024, WARN)),
    )
    return graph(frame, graphed(_of_exporters("process_resident_memory_bytes"), NAMED)).axis_soft_min(0)


def _of_exporters(metric: str) -> str:
    """Return a metric that other programs have too, of the exporters alone."""
    return scoped(f"max by (cluster, instance) ({metric} and on ({EXPORTER}) localai_p2p_exporter_build_info)")
