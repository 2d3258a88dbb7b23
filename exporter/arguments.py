"""What stands on the command line and in the environment becomes settings; what is said of a LocalAI, a target."""

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from exporter.flags import API_KEY_VARIABLE, FLAGS, STALE_AFTER_INTERVALS, TARGET, VARIABLE_PREFIX, Flag, known_flags
from exporter.settings import Secret, Settings, Target, api_key
from exporter.usage import UsageError

_DEFAULTS = Target()


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
