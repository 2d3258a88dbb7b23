"""Every flag, its variable, its default and its words: the one table that parsing, `--help` and the docs read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exporter.durations import parse_duration
from exporter.settings import ApiKeyFile, ListenAddress, base_url, proxy_url
from exporter.shard import Shard
from exporter.texts import count, host_name, one_of, page_path, readable_file, secret_file, size, switch

VARIABLE_PREFIX = "P2P_EXPORTER_"
API_KEY_VARIABLE = "LOCALAI_API_KEY"

STALE_AFTER_INTERVALS = 4


class Flag(NamedTuple):
    """One flag.

    Attributes:
        name: without the two dashes.
        parse: one value's text to its value; ValueError says what is wrong with it.
        default: as the documentation writes it; the value itself is `Settings`' and `Target`'s.
        text: one sentence for `--help` and the reference.
        metavar: what stands for the value in `--help`; empty for a switch, which takes none.
        repeatable: may be given more than once; its variable then takes a comma between two values.
        alias: another variable that is read when its own is not there.
        choices: its values, where they are few.
    """

    name: str
    parse: Callable[[str], Any]
    default: str
    text: str
    metavar: str = ""
    repeatable: bool = False
    alias: str = ""
    choices: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """Which of `GROUPS` it is in."""
        return self.name.partition(".")[0]

    @property
    def variable(self) -> str:
        """The environment variable of this flag."""
        return VARIABLE_PREFIX + self.name.replace(".", "_").replace("-", "_").upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """All that are read for it, the first one that holds something."""
        return (self.variable, self.alias) if self.alias else (self.variable,)


GROUPS = {
    "localai": "Where LocalAI is",
    "poll": "When it is asked",
    "collector": "What it is asked for besides",
    "node": "Which nodes have series of their own",
    "expect": "What should be there",
    "config": "Several LocalAIs, in a file",
    "web": "What is served, and where",
    "log": "What is logged",
}
"""What flags are for, by the parts of their names before the first dot."""

_LEVELS = ("debug", "info", "warn", "error")
_FORMATS = ("logfmt", "json")

FLAGS = (
    Flag(
        "config.file",
        Path,
        "",
        "YAML file that names the LocalAIs to watch, where they are several; read again when it changes.",
        "FILE",
    ),
    Flag(
        "config.shard",
        Shard.parse,
        "none",
        "Watch one share of that file's targets, as 0/3 is the first of three. The index may be a StatefulSet's pod.",
        "SHARD",
    ),
    Flag(
        "localai.url",
        base_url,
        "http://localhost:8080",
        "LocalAI's base URL; a path prefix is kept.",
        "URL",
        alias="LOCALAI_URL",
    ),
    Flag(
        "localai.api-key-file",
        lambda text: ApiKeyFile(Path(text)),
        "",
        f"File with LocalAI's API key, read again when it changes. Without it the variable {API_KEY_VARIABLE} is read.",
        "FILE",
    ),
    Flag(
        "localai.tls-ca-file",
        readable_file,
        "the system's",
        "Certificates that LocalAI's must descend from, in PEM; read again when they change.",
        "FILE",
    ),
    Flag(
        "localai.tls-cert-file",
        secret_file,
        "",
        "Client certificate for LocalAI, in PEM; read again when it changes.",
        "FILE",
    ),
    Flag(
        "localai.tls-key-file",
        secret_file,
        "",
        "Key of the client certificate, in PEM; read again when it changes.",
        "FILE",
    ),
    Flag("localai.tls-insecure", switch, "false", "Accept any certificate. Shown by a metric and a warning."),
    Flag(
        "localai.proxy-url",
        proxy_url,
        "none",
        "HTTP proxy before LocalAI that wants no credentials; the environment's proxies are never used.",
        "URL",
    ),
    Flag(
        "localai.max-response-bytes",
        size,
        "32MiB",
        "The largest answer that is read, with a node for each 256 bytes: 32MiB are 100,000 nodes of LocalAI's. A poll "
        "takes up to 10 times as much memory, with hostile nodes 20 times.",
        "SIZE",
    ),
    Flag(
        "poll.interval", parse_duration, "15s", "Time from the start of one poll to the start of the next.", "DURATION"
    ),
    Flag(
        "poll.timeout",
        parse_duration,
        "10s, or the interval where that is shorter",
        "Deadline of a whole poll.",
        "DURATION",
    ),
    Flag(
        "poll.stale-after",
        parse_duration,
        f"{STALE_AFTER_INTERVALS} intervals",
        "How long the last good answer is shown while polls fail.",
        "DURATION",
    ),
    Flag(
        "node.retention",
        parse_duration,
        "24h",
        "A node that was not seen for longer has no series of its own. LocalAI itself never forgets one.",
        "DURATION",
    ),
    Flag("node.limit", count, "5000", "The most nodes with series of their own: online first, then newest.", "N"),
    Flag("expect.workers", count, "none", "How many workers there should be online.", "N"),
    Flag(
        "expect.federated",
        count,
        "none",
        "How many federated nodes there should be online, LocalAI itself included.",
        "N",
    ),
    Flag(
        "expect.host",
        host_name,
        "none",
        "A host that should have an online node, exactly as the label host has it.",
        "NAME",
        True,
    ),
    Flag(
        "collector.token",
        switch,
        "false",
        "Ask for the join token to show whether P2P is on and a fingerprint of its network.",
    ),
    Flag(
        "collector.distributed",
        switch,
        "false",
        "Ask for the nodes and models of the distributed mode of LocalAI v4.1 and newer; it wants an admin's key.",
    ),
    Flag(
        "web.listen-address",
        ListenAddress.parse,
        ":10040",
        "Address to serve on; all of them share one limit of connections.",
        "ADDRESS",
        True,
    ),
    Flag("web.systemd-socket", switch, "false", "Serve on the sockets of systemd's .socket unit, on no address."),
    Flag(
        "web.health-address",
        ListenAddress.parse,
        "none",
        "Address that serves the health paths alone, always in plain HTTP and without credentials.",
        "ADDRESS",
    ),
    Flag("web.telemetry-path", page_path, "/metrics", "Path of the metrics.", "PATH"),
    Flag(
        "web.config.file",
        readable_file,
        "",
        "TLS, users and response headers of the server: a file in the format of Prometheus' exporter-toolkit.",
        "FILE",
    ),
    Flag(
        "web.enable-lifecycle",
        switch,
        "false",
        "Let POST /-/reload have the targets' file read again.",
    ),
    Flag("web.disable-exporter-metrics", switch, "false", "Leave out process_* and python_*."),
    Flag("log.level", one_of(*_LEVELS), "info", "The least severe lines to write.", "LEVEL", choices=_LEVELS),
    Flag("log.format", one_of(*_FORMATS), "logfmt", "How log lines are written.", "FORMAT", choices=_FORMATS),
)

TARGET = ("localai.", "poll.", "node.", "expect.", "collector.")
"""Beginnings of the flags that say which LocalAI is watched, and how: each is a key of a target in `--config.file`."""

LOOP_FREE = ("config.file", "localai.", "poll.timeout", "node.", "expect.", "collector.", "log.")
"""Beginnings of the flags that a single poll knows; the others speak of the loop, its server and its share."""


def known_flags(beginnings: Sequence[str]) -> list[Flag]:
    """Return the flags whose names begin so."""
    return [flag for flag in FLAGS if flag.name.startswith(tuple(beginnings))]
