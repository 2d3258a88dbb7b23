"""Writes the pages of this folder that say what the code says: `./run docs`."""

from collections.abc import Iterable
from pathlib import Path

from exporter import collector, fleetcollector, owncollector
from exporter.errors import REASONS, Reason
from exporter.families import Definition
from exporter.fleet import Listing, Status
from exporter.model import DURATION_BUCKETS, Change, Hidden
from exporter.retention import MODEL_LIMIT

FOLDER = Path(__file__).parent

_METRICS_HEAD = """\
# Metrics

Generated from `exporter/collector.py`, `exporter/fleetcollector.py` and `exporter/owncollector.py` by `./run docs`.
Besides these there are `process_*` and `python_*` from prometheus_client, which `--web.disable-exporter-metrics` leaves
out.

"""

_DISTRIBUTED_HEAD = """
## Distributed mode

With `--collector.distributed` alone.

"""

_MANY_HEAD = """
## Several LocalAIs

With `--config.file` alone, on `/metrics`, beside `localai_p2p_exporter_build_info`, `process_*` and `python_*`. All of
the above is on each target's `/probe` then.

"""


def metrics_page() -> str:
    """Return docs/metrics.md."""
    p2p, distributed = _table(collector.DEFINITIONS), _table(fleetcollector.DEFINITIONS)
    own = _table(owncollector.DEFINITIONS)
    return f"{_METRICS_HEAD}{p2p}{_DISTRIBUTED_HEAD}{distributed}{_MANY_HEAD}{own}{_labels()}"


def _table(definitions: Iterable[Definition]) -> str:
    rows = (
        f"| `{one.name}` | {one.type} | {', '.join(f'`{label}`' for label in one.labels)} | {one.help} |\n"
        for one in definitions
    )
    return f"| metric | type | labels | meaning |\n|---|---|---|---|\n{''.join(rows)}"


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
        "reason` of `localai_p2p_exporter_distributed_failures_total": "the same",
        "reason` of `localai_distributed_nodes_hidden": ", ".join(f"`{why}`" for why in Hidden),
        "reason` of `localai_distributed_entries_dropped": "`invalid`, `duplicate`",
        "list": ", ".join(f"`{listing}`" for listing in Listing),
        "status": ", ".join(f"`{status}`" for status in Status),
        "name` of `localai_distributed_*": "the node's name, unique, and kept over its restarts",
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
  What is asked of distributed mode is not in them: P2P's part of a poll is published before.

Of distributed mode:

- `localai_distributed_up` is there from the end of the first poll on, and falls at once, as `localai_p2p_up` does; the
  last good answer stays as long. What one of the two could not read is no matter of the other.
- Where LocalAI is not in distributed mode `localai_distributed_enabled` is 0, and no node or model has a series. A 404
  says so only while the P2P API is understood: else a proxy may have sent it, and the questions failed. A
  release without `/api/nodes/models` has no `localai_distributed_model_replicas_loaded`.
- A figure or a time that LocalAI does not give, or that cannot be used, has no series. A size of 0 is unknown, but for
  the VRAM of a node that says how much RAM it has: that one has no GPU.
- An offline or unhealthy node that LocalAI has not heard of for longer than `--node.retention` has no series; one of
  another status always has. Of models {MODEL_LIMIT:,} have series, scheduled ones first.
"""


PAGES = {"metrics.md": metrics_page}
"""Each generated page and who writes it; a test holds the files to it."""


if __name__ == "__main__":
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")
