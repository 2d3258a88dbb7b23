"""What the operator asked for: values that do not change, checked before anything starts."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

from exporter.durations import format_duration
from exporter.files import named, read_file
from exporter.shard import Shard
from exporter.usage import UsageError

HEALTH_PATHS = HEALTHY_PATH, READY_PATH = "/-/healthy", "/-/ready"
"""What a probe asks, which has no credentials: these answers have a word for a body."""

CLUSTER_PATH = "/api/v1/cluster"
"""What is known of a LocalAI, in JSON."""

PROBE_PATH, DISCOVERY_PATH, RELOAD_PATH, TARGETS_PATH = "/probe", "/sd", "/-/reload", "/api/v1/targets"
"""What is served besides, where a file names the targets."""

_MAX_PORT = 65_535

MINIMUM_INTERVAL_SECONDS = 0.1
"""LocalAI logs every request: nobody gains from asking more often than this."""


class Secret:
    """A string that no log, traceback or page can show by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


def api_key(text: str, origin: str) -> Secret:
    """Check a LocalAI API key, read from `origin`; white space around it is not part of it.

    Raises:
        UsageError: it cannot be a key; the text names the origin and never the key.
    """
    key = text.strip()
    if not key:
        raise UsageError(f"{origin} is empty: put LocalAI's API key there, or leave it out where LocalAI needs none")
    if "," in key:
        raise UsageError(
            f"{origin} holds a comma: LocalAI reads a list of keys from a variable of that name; give the exporter one"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"{origin} holds a blank, a line break or another character that no HTTP header can carry")
    return Secret(key)


class ApiKeyFile(NamedTuple):
    """Where the key lies. It is read again when the file changes: Kubernetes rotates secrets in place."""

    path: Path

    def read(self) -> Secret:
        """Read and check the key.

        Raises:
            UsageError: the file cannot be read, or holds no key; the text never says what it holds.
        """
        place = f"--localai.api-key-file: {named(self.path)}"
        # Bytes that are no ASCII become characters that no key may have.
        return api_key(read_file(self.path, place).decode("ascii", "replace"), place)


def base_url(text: str) -> str:
    """Check LocalAI's URL and return it without the slash at its end; a path prefix is kept.

    Raises:
        ValueError: it is no usable URL; the message says how one is written, and never repeats the text, which may
            hold a password.
    """
    parts = _http_url(text, ("http", "https"), "LocalAI's key goes into --localai.api-key-file")
    if parts.query or parts.fragment:
        raise ValueError("a query or fragment has no place in the URL: give scheme, host, port and path prefix only")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def proxy_url(text: str) -> str:
    """Check a proxy's URL.

    Raises:
        ValueError: as for `base_url`; only proxies that are spoken to in plain HTTP are supported.
    """
    parts = _http_url(text, ("http",), "only proxies that want none are supported")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("a path, query or fragment has no place in a proxy's URL: give scheme, host and port only")
    return f"{parts.scheme}://{parts.netloc}"


def _http_url(text: str, schemes: tuple[str, ...], instead: str) -> SplitResult:
    example = f"write it as {schemes[0]}://host:port"
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"not a URL: {example}") from None
    # In the text itself: urlsplit drops tabs and line breaks, and would join what they part.
    if parts.scheme not in schemes or not host or re.search(r"[\x00-\x20\x7f-\x9f]", text.strip()):
        raise ValueError(f"not a URL with {' or '.join(schemes)}: {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"a user or password has no place in the URL: {instead}")
    if port == 0:
        raise ValueError("nothing can listen on port 0: give the port, or leave it out with its colon")
    if not _is_host(host):
        raise ValueError(
            "the host is neither a name nor an address: a name's parts between dots have 1 to 63 letters, digits, "
            "hyphens or underscores"
        )
    return parts


# Names and IPv4 addresses that the HTTP library and the resolver take for certain.
_PLAIN_HOST = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}")


def _is_host(host: str) -> bool:
    """Whether the HTTP library, which is stricter than `urlsplit`, and the resolver take it."""
    if _PLAIN_HOST.fullmatch(host):
        return True
    # Imported here, so that a start waits for it only where it is needed to tell.
    import requests  # noqa: PLC0415

    try:
        requests.Request("GET", f"http://{f'[{host}]' if ':' in host else host}").prepare()
        encoded = host.encode("idna").decode("ascii")
    except (requests.RequestException, UnicodeError):
        return False
    return ":" in host or re.fullmatch(r"[\w.-]+", encoded, re.ASCII) is not None


class ListenAddress(NamedTuple):
    """Where the HTTP server listens; an empty host is every interface."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """Read `:10040`, `127.0.0.1:10040` or `[::1]:10040`; port 0 is any free one.

        Raises:
            ValueError: it is none of these.
        """
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s]*)):(\d{1,5})", text, re.ASCII)
        if not match or int(match[3]) > _MAX_PORT:
            raise ValueError(f"{text!r} is no address: write it as :10040, 127.0.0.1:10040 or [::1]:10040")
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Target(NamedTuple):
    """One LocalAI, and how it is watched. Times are in seconds, sizes in bytes."""

    url: str = "http://localhost:8080"
    api_key: Secret | ApiKeyFile | None = None
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_insecure: bool = False
    proxy_url: str | None = None
    max_response_bytes: int = 32 * 2**20
    poll_interval: float = 15.0
    poll_timeout: float = 10.0
    stale_after: float = 60.0
    node_retention: float = 86_400.0
    node_limit: int = 5_000
    expected: Mapping[str, int] = MappingProxyType({})
    expected_hosts: tuple[str, ...] = ()
    collect_token: bool = False
    collect_distributed: bool = False

    @property
    def is_secure(self) -> bool:
        """Whether LocalAI is spoken to over TLS."""
        return self.url.startswith("https:")

    def checked(self) -> Self:
        """Return it, once it is known that its parts go together: each of them was checked when it was read.

        Raises:
            UsageError: the parts do not fit; the text names the flags.
        """
        if self.poll_interval < MINIMUM_INTERVAL_SECONDS:
            raise UsageError(f"--poll.interval must be at least {format_duration(MINIMUM_INTERVAL_SECONDS)}")
        if not 0 < self.poll_timeout <= self.poll_interval:
            raise UsageError(
                f"--poll.timeout {format_duration(self.poll_timeout)} must be above 0 and no longer than "
                f"--poll.interval {format_duration(self.poll_interval)}: a poll has to end before the next one starts"
            )
        longest = self.poll_interval + self.poll_timeout
        if self.stale_after < longest:
            raise UsageError(
                f"--poll.stale-after {format_duration(self.stale_after)} must be no shorter than --poll.interval and "
                f"--poll.timeout together, {format_duration(longest)}: series would vanish between two good polls"
            )
        if self.node_retention <= 0:
            raise UsageError("--node.retention must be above 0")
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise UsageError("--localai.tls-cert-file and --localai.tls-key-file go together: give both or neither")
        return self


class Settings(NamedTuple):
    """Everything that the program was told.

    Attributes:
        target: the one LocalAI; nobody asks it where there is a `config_file`.
        config_file: names the targets, where there is more than one.
        shard: which of them are this exporter's; None is all.
        lifecycle: whether a request may have that file read again.
    """

    target: Target = Target()
    config_file: Path | None = None
    shard: Shard | None = None
    lifecycle: bool = False
    listen_addresses: tuple[ListenAddress, ...] = (ListenAddress("", 10_040),)
    systemd_socket: bool = False
    health_address: ListenAddress | None = None
    telemetry_path: str = "/metrics"
    exporter_metrics: bool = True
    web_config_file: Path | None = None
    log_level: str = "info"
    log_format: str = "logfmt"

    def checked(self) -> Self:
        """Return it, once it is known that its parts go together: each of them was checked when it was read.

        Raises:
            UsageError: the parts do not fit; the text names the flags.
        """
        taken = (CLUSTER_PATH, *((PROBE_PATH, DISCOVERY_PATH, TARGETS_PATH) if self.config_file is not None else ()))
        if self.telemetry_path in taken:
            raise UsageError(f"--web.telemetry-path {self.telemetry_path}: that path has another page already")
        return self


def concerns(target: Target) -> list[str]:
    """Return what a careful operator would want to be told of these settings."""
    found = []
    hops = [urlsplit(url) for url in (target.url, target.proxy_url) if url]
    # Through a proxy TLS is a tunnel, and plain HTTP is not.
    is_plain = hops[0].scheme == "http"
    if target.api_key and is_plain and not all(_is_loopback(hop.hostname or "") for hop in hops):
        found.append("LocalAI's API key goes over the network in plain HTTP: whoever listens can read it")
    if target.tls_insecure:
        found.append("LocalAI's certificate is not checked: whoever stands between can read the API key")
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
