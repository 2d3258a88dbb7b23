"""Every flag, its variable, its default and its words: the one table that parsing, `--help` and the docs read."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from exporter.durations import parse_duration
from exporter.errors import UsageError
from exporter.settings import ApiKeyFile, ListenAddress, Secret, Settings, Target, api_key, base_url, proxy_url
from exporter.shard import Shard
from exporter.texts import count, host_name, one_of, page_path, readable_file, secret_file, size, switch

VARIABLE_PREFIX = "P2P_EXPORTER_"
API_KEY_VARIABLE = "LOCALAI_API_KEY"

STALE_AFTER_INTERVALS = 4

_DEFAULTS = Target()


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
        "Certificates that LocalAI's must descend from, in PEM; read at the start alone.",
        "FILE",
    ),
    Flag(
        "localai.tls-cert-file",
        secret_file,
        "",
        "Client certificate for LocalAI, in PEM; read at the start alone.",
        "FILE",
    ),
    Flag(
        "localai.tls-key-file",
        secret_file,
        "",
        "Key of the client certificate, in PEM; read at the start alone.",
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


def add_flags(parser: argparse.ArgumentParser, beginnings: Sequence[str] = ("",)) -> None:
    """Add the flags whose names begin so to a parser, which collects their texts; `load_settings` reads them."""
    for flag in known_flags(beginnings):
        if flag.metavar:
            parser.add_argument(f"--{flag.name}", dest=flag.name, action="append")
            continue
        for name, value in ((flag.name, "true"), (f"no-{flag.name}", "false")):
            parser.add_argument(f"--{name}", dest=flag.name, action="append_const", const=value)


def _given(flag: Flag, flags: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the texts given for a flag and where they came from; the command line goes before the environment."""
    if flags.get(flag.name):
        return flags[flag.name], f"--{flag.name}"
    for variable in flag.variables:
        # An empty variable is how a compose file or a chart leaves one out.
        if environ.get(variable):
            text = environ[variable]
            return ([part.strip() for part in text.split(",")] if flag.repeatable else [text]), variable
    return [], ""


def _values(known: Sequence[Flag], flags: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for flag in known:
        texts, origin = _given(flag, flags, environ)
        if not texts:
            continue
        if len(texts) > 1 and not flag.repeatable and flag.metavar:
            raise UsageError(f"{origin} is given more than once: give it once")
        try:
            parsed = [flag.parse(text) for text in texts]
        except ValueError as error:
            raise UsageError(f"{origin}: {error}") from None
        values[flag.name] = tuple(parsed) if flag.repeatable else parsed[-1]
    return values


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str], beginnings: Sequence[str] = ("",)) -> Settings:
    """Read and check everything that was given.

    Args:
        flags: from each flag's name to the list of its texts, as `add_flags` has them collected.
        environ: the environment's variables.
        beginnings: of the names of the flags that matter; of the others the variables are not read either.

    Raises:
        UsageError: something cannot be used; the text names where it stands and what to write instead.
    """
    known = known_flags(beginnings)
    names = {flag.name for flag in known}
    values = _values(known, flags, environ)
    if "config.file" in values:
        _refuse_single(flags, environ)
    elif "config.file" in names:
        idle = [f"--{name}" for name in ("config.shard", "web.enable-lifecycle") if values.get(name)]
        if idle:
            raise UsageError(f"{idle[0]} has no effect without --config.file: give that too, or leave it out")
    if "poll.interval" not in names:  # a single poll may take as long as it is told to
        values["poll.interval"] = max(_DEFAULTS.poll_interval, values.get("poll.timeout", 0.0))
    key = None
    if "localai.api-key-file" in names and environ.get(API_KEY_VARIABLE) and "localai.api-key-file" not in values:
        key = api_key(environ[API_KEY_VARIABLE], API_KEY_VARIABLE)
    program = {
        "config_file": values.get("config.file"),
        "shard": values.get("config.shard"),
        "lifecycle": values.get("web.enable-lifecycle"),
        "listen_addresses": values.get("web.listen-address"),
        "systemd_socket": values.get("web.systemd-socket"),
        "health_address": values.get("web.health-address"),
        "telemetry_path": values.get("web.telemetry-path"),
        "exporter_metrics": not values.get("web.disable-exporter-metrics", False),
        "web_config_file": values.get("web.config.file"),
        "log_level": values.get("log.level"),
        "log_format": values.get("log.format"),
    }
    return Settings(target=make_target(values, key), **_present(program)).checked()


def _refuse_single(flags: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Raise UsageError where a flag or a variable speaks of one LocalAI, when a file names them."""
    origins = [_given(flag, flags, environ)[1] for flag in known_flags(TARGET)]
    said = [origin for origin in origins if origin] + [API_KEY_VARIABLE] * bool(environ.get(API_KEY_VARIABLE))
    if said:
        raise UsageError(
            f"--config.file names every target and what holds for it, so {', '.join(said)} would say it twice: leave "
            "that out, and write it into the file"
        )


def make_target(values: Mapping[str, Any], key: Secret | None = None) -> Target:
    """Put a target together, and check it.

    Args:
        values: from the name of each flag of `TARGET` that was given, however that was, to its value.
        key: the API key, where it is given by itself.

    Raises:
        UsageError: they do not fit together, or the file of the API key cannot be used; the text names flags.
    """
    key_file = values.get("localai.api-key-file")
    if key_file is not None:
        key_file.read()
    interval = values.get("poll.interval", _DEFAULTS.poll_interval)
    expected = {
        role: values[name]
        for role, name in (("worker", "expect.workers"), ("federated", "expect.federated"))
        if name in values
    }
    target = {
        "url": values.get("localai.url"),
        "api_key": key_file or key,
        "tls_ca_file": values.get("localai.tls-ca-file"),
        "tls_cert_file": values.get("localai.tls-cert-file"),
        "tls_key_file": values.get("localai.tls-key-file"),
        "tls_insecure": values.get("localai.tls-insecure"),
        "proxy_url": values.get("localai.proxy-url"),
        "max_response_bytes": values.get("localai.max-response-bytes"),
        "poll_interval": interval,
        "poll_timeout": values.get("poll.timeout", min(_DEFAULTS.poll_timeout, interval)),
        "stale_after": values.get("poll.stale-after", STALE_AFTER_INTERVALS * interval),
        "node_retention": values.get("node.retention"),
        "node_limit": values.get("node.limit"),
        "expected": MappingProxyType(expected),
        "expected_hosts": tuple(dict.fromkeys(values.get("expect.host", ()))),
        "collect_token": values.get("collector.token"),
        "collect_distributed": values.get("collector.distributed"),
    }
    return Target(**_present(target)).checked()


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that look like this program's and are not: mistyped, or set by Kubernetes for a Service."""
    known = {flag.variable for flag in FLAGS}
    return sorted(name for name in environ if name.startswith(VARIABLE_PREFIX) and name not in known)
