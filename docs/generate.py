"""Writes the pages of this folder that say what the code says: `./run docs`."""

from collections.abc import Iterable
from pathlib import Path

from exporter import fleetmetrics, metrics, owncollector
from exporter.buckets import DURATION_BUCKETS
from exporter.cli import COMMANDS
from exporter.errors import REASONS, Reason
from exporter.families import Definition
from exporter.flags import FLAGS, GROUPS, Flag
from exporter.fleet import Listing, Status
from exporter.model import Change, Hidden
from exporter.retention import MODEL_LIMIT
from exporter.targets import KEYS

FOLDER = Path(__file__).parent

_METRICS_HEAD = """\
# Metrics

Generated from `exporter/metrics.py`, `exporter/fleetmetrics.py` and `exporter/owncollector.py` by `./run docs`. Besides
these there are `process_*` and `python_*` from prometheus_client, which `--web.disable-exporter-metrics` leaves out.

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
    p2p, distributed = _table(metrics.DEFINITIONS), _table(fleetmetrics.DEFINITIONS)
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


_CONFIGURATION_HEAD = """\
# Configuration

Generated from `exporter/flags.py`, `exporter/cli.py` and the keys of `exporter/targets.py` by `./run docs`.

Every flag has a variable: `P2P_EXPORTER_` and the flag in capitals, dots and dashes as underscores. The flag is taken
where both are given, and an empty variable counts as absent. A flag without a value is off by default: its variable
takes `true` or `false`, and `--no-` before its name turns it off. The variable of one that may be given several times
has commas between its values. A key is what stands for the flag in the file of `--config.file`
([Several LocalAIs](targets.md)), where such flags and their variables are refused.

Durations are written as Prometheus writes them: `15s`, `1m30s`. Sizes: `512KiB`, `32MiB`. No secret is a flag, as
whoever lists processes reads them.
"""

_CONFIGURATION_TAIL = """
## What is read again

The files of the API key, of the web configuration and of the targets are read again by themselves when they change;
everything else takes a restart. `SIGHUP` has the targets read again at once; without them it changes nothing, and a log
line says so. `SIGTERM` and `SIGINT` end the exporter.

## Paths

| path | |
|---|---|
| `/metrics` | the metrics, or what `--web.telemetry-path` says |
| `/` | the page of the cluster |
| `/api/v1/cluster`, `/api/v1/targets` | its [JSON](api.md) |
| `/-/healthy` | 200 while the process and its loop live |
| `/-/ready` | 200 once the first poll has ended |
| `/sd`, `/probe?target=NAME` | with `--config.file`: the list of the targets, and the metrics of one |
| `POST /-/reload` | with `--web.enable-lifecycle`: has the targets read again |

Neither of the health paths fails because LocalAI is down. `localai-p2p-exporter healthcheck` asks for the first, as the
image does for its own health, and says in one line what is wrong.
"""


def configuration_page() -> str:
    """Return docs/configuration.md."""
    groups = "".join(
        f"\n## {title}\n\n{_flags([flag for flag in FLAGS if flag.group == group])}" for group, title in GROUPS.items()
    )
    return f"{_CONFIGURATION_HEAD}{groups}{_commands()}{_CONFIGURATION_TAIL}"


def _flags(flags: Iterable[Flag]) -> str:
    keys = {flag.name: f"`{key}`" for key, flag in KEYS.items()}
    rows = (
        f"| `--{flag.name}` | {', '.join(f'`{name}`' for name in flag.variables)} | {keys.get(flag.name, '')} "
        f"| {_default(flag)} | {_meaning(flag)} |\n"
        for flag in flags
    )
    return f"| flag | variable | key | default | |\n|---|---|---|---|---|\n{''.join(rows)}"


def _default(flag: Flag) -> str:
    if not flag.metavar or flag.default in ("", "none"):
        return ""
    return flag.default if " " in flag.default else f"`{flag.default}`"


def _meaning(flag: Flag) -> str:
    choices = [f"One of {', '.join(f'`{choice}`' for choice in flag.choices)}."] if flag.choices else []
    return " ".join([flag.text, *choices, *(["May be given several times."] if flag.repeatable else [])])


def _commands() -> str:
    rows = "".join(f"| `{name}` | {command.text} |\n" for name, command in COMMANDS.items())
    options = "".join(
        f"| `{name}` | `--{option.name}{f' {option.metavar}' if option.metavar else ''}` | {option.text} |\n"
        for name, command in COMMANDS.items()
        for option in command.options
    )
    names = {flag.variable: flag.name for flag in FLAGS}
    defaults = "".join(
        f"| `{name}` | `--{names[variable]}` | `{default}` |\n"
        for name, command in COMMANDS.items()
        for variable, default in command.defaults.items()
    )
    return f"""
## Commands

| command | |
|---|---|
{rows}
`localai-p2p-exporter COMMAND --help` has the flags of each. These are of one command alone, and have no variable:

| command | flag | |
|---|---|---|
{options}
These flags have another default with one command:

| command | flag | default |
|---|---|---|
{defaults}"""


PAGES = {"configuration.md": configuration_page, "metrics.md": metrics_page}
"""Each generated page and who writes it; a test holds the files to it."""


if __name__ == "__main__":
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")
