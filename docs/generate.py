"""Writes the pages of this folder that say what the code says: `./run docs`."""

from pathlib import Path

from exporter.buckets import DURATION_BUCKETS
from exporter.errors import REASONS, Reason
from exporter.metrics import DEFINITIONS
from exporter.model import Change, Hidden

FOLDER = Path(__file__).parent

_METRICS_HEAD = """\
# Metrics

Generated from `exporter/metrics.py` by `./run docs`. Besides these there are `process_*` and `python_*` from
prometheus_client, which `--web.disable-exporter-metrics` leaves out.

| metric | type | labels | meaning |
|---|---|---|---|
"""


def metrics_page() -> str:
    """Return docs/metrics.md."""
    rows = (
        f"| `{one.name}` | {one.type} | {', '.join(f'`{label}`' for label in one.labels)} | {one.help} |"
        for one in DEFINITIONS
    )
    return f"{_METRICS_HEAD}{chr(10).join(rows)}\n{_labels()}"


def _labels() -> str:
    values = {
        "role": "`worker` or `federated`",
        "backend": "`llama_cpp` or `mlx` for workers, empty for federated nodes",
        "host": "the host name inside the node's id: the only identity that survives a restart of the node",
        "id": "the node's id, new at each start of the node",
        "change": ", ".join(f"`{change}`" for change in Change),
        "reason` of `localai_p2p_nodes_hidden": ", ".join(f"`{why}`" for why in Hidden),
        "reason` of `localai_p2p_entries_dropped": "`invalid`, `duplicate`",
        "reason` of `localai_p2p_exporter_poll_failures_total": ", ".join(f"`{reason}`" for reason in Reason),
        "generation": "`1`, `2`, `3`, or `1-2` where `/api/p2p` alone cannot tell",
        "source": "`workers+federation+stats` or `p2p`",
    }
    rows = "\n".join(f"| `{name}` | {text} |" for name, text in values.items())
    reasons = "\n".join(f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items())
    bounds = ", ".join(f"{bound:g}" for bound in DURATION_BUCKETS)
    return f"""
## Label values

| label | values |
|---|---|
{rows}

A label value longer than 128 characters is cut to its first 111, `~` and 16 hex digits of its SHA-256.

## Why a poll fails

| reason | meaning |
|---|---|
{reasons}

## When a series is there

- Before the first poll has ended there is no `localai_p2p_up`.
- After a failed poll `localai_p2p_up` is 0 at once. What LocalAI said last stays, and its ages go on growing, until it
  is `--poll.stale-after` old; then every series that LocalAI's answers gave is gone. Counters, expectations and
  `localai_p2p_exporter_*` stay.
- A kind of node that LocalAI's generation knows is exported from 0 on; one that it does not know has no series.
- A node that was never seen, or whose last-seen cannot be read, has no last-seen series.
- `localai_p2p_node_heartbeat_timestamp_seconds` is there from the first movement on that the exporter saw.
- The buckets of `localai_p2p_exporter_poll_duration_seconds` end at {bounds} seconds.
"""


PAGES = {"metrics.md": metrics_page}
"""Each generated page and who writes it; a test holds the files to it."""


if __name__ == "__main__":
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")
