"""The file of `--web.config.file`, in the format of Prometheus' exporter-toolkit, as frozen values.

The format is docs/web-configuration.md of github.com/prometheus/exporter-toolkit. No error repeats a value: whoever
mistakes one key for another may have put a private key there.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from exporter.files import read_file
from exporter.settings import Secret
from exporter.strictyaml import Value, parse_document
from exporter.usage import UsageError

MOST_COST = 14
"""Of a bcrypt hash: a check takes about a second there, and each step doubles it."""

# In full, because a hash that bcrypt cannot read would fail at the first request: the last character of the salt
# carries two bits alone.
_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}", re.ASCII)
_LEAST_COST = 4

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}

_TLS_KEYS = (
    "cert",
    "cert_file",
    "cipher_suites",
    "client_allowed_sans",
    "client_auth_type",
    "client_ca",
    "client_ca_file",
    "curve_preferences",
    "key",
    "key_file",
    "max_version",
    "min_version",
    "prefer_server_cipher_suites",
)


class ClientAuth(StrEnum):
    """What is asked of a client, by the names of Go's crypto/tls."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


# Go's other two, and the toolkit's old name of the second.
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")


@dataclass(frozen=True, slots=True)
class PEM:
    """Certificates or a key, in a file or in the configuration itself.

    Attributes:
        place: where it was given, as an error's text begins.
        given: the text itself, or where it lies.
    """

    place: str
    given: Secret | Path = field(repr=False)

    def read(self) -> bytes:
        """Return its bytes.

        Raises:
            UsageError: the file cannot be read.
        """
        if isinstance(self.given, Secret):
            return self.given.reveal().encode()
        return read_file(self.given, self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSConfig:
    """How TLS is served.

    Attributes:
        cert: the server's certificate and its chain.
        key: its private key.
        client_auth: what is asked of a client.
        client_ca: whom a client's certificate must descend from.
        allowed_sans: one of these must be among the client's subject alternative names; empty is any.
        min_version: the oldest TLS.
        max_version: the newest.
        prefer_server_ciphers: whether the server's order of ciphers goes before the client's.
    """

    cert: PEM
    key: PEM
    client_auth: ClientAuth = ClientAuth.NONE
    client_ca: PEM | None = None
    allowed_sans: tuple[str, ...] = ()
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    prefer_server_ciphers: bool = True

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that this is made of."""
        return tuple(pem.given for pem in (self.cert, self.key, self.client_ca) if pem and isinstance(pem.given, Path))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """The whole file.

    Attributes:
        tls: None is plain HTTP.
        headers: what every response carries besides its own.
        users: from each user's name to the bcrypt hash of the password; empty is open to all.
    """

    tls: TLSConfig | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    users: Mapping[str, Secret] = field(default_factory=lambda: MappingProxyType({}))


def parse_config(content: bytes, path: Path) -> WebConfig:
    """Read the configuration that the file at `path` holds; paths in it count from its folder.

    Raises:
        UsageError: it cannot be used; the text has the line, and no value.
    """
    root = parse_document(content, f"--web.config.file: {path}")
    sections = root.entries(("basic_auth_users", "http_server_config", "rate_limit", "tls_server_config"))
    limit = sections.get("rate_limit")
    if limit is not None and not limit.is_null:
        raise limit.error("is not supported: leave it out; the server bounds its connections by itself")
    tls, http, users = (sections.get(name) for name in ("tls_server_config", "http_server_config", "basic_auth_users"))
    return WebConfig(
        tls=None if tls is None else _tls(tls, path.parent),
        headers=MappingProxyType({} if http is None else _headers(http)),
        users=MappingProxyType({} if users is None else _users(users)),
    )


def _tls(section: Value, folder: Path) -> TLSConfig:
    given = section.entries(_TLS_KEYS)
    for name in ("cipher_suites", "curve_preferences"):
        if name in given and given[name].items():
            raise given[name].error(
                "is not supported: its names are those of Go. Leave it out: OpenSSL's defaults are served, and "
                "min_version TLS13 leaves out every cipher of TLS 1.2"
            )
    cert, key, authority = (_pem(given, name, folder) for name in ("cert", "key", "client_ca"))
    if cert is None or key is None:
        name = "key" if cert else "cert"
        raise section.error(f"needs one of {name}_file and {name}; for plain HTTP leave the section out")
    oldest, newest = (_version(given.get(name)) for name in ("min_version", "max_version"))
    if oldest and newest and oldest > newest:
        raise given["min_version"].error("must not be above max_version")
    prefer = given.get("prefer_server_cipher_suites")
    return TLSConfig(
        cert=cert,
        key=key,
        client_auth=_client_auth(given, authority),
        client_ca=authority,
        allowed_sans=_allowed_sans(given),
        min_version=oldest or ssl.TLSVersion.TLSv1_2,
        max_version=newest or ssl.TLSVersion.TLSv1_3,
        prefer_server_ciphers=prefer is None or prefer.switch(),
    )


def _pem(given: Mapping[str, Value], name: str, folder: Path) -> PEM | None:
    found: PEM | None = None
    for key, is_file in ((f"{name}_file", True), (name, False)):
        value = given.get(key)
        text = value.text() if value else ""
        if value is None or not text:
            continue
        if found is not None:
            raise value.error(f"and {name}_file exclude each other: give one of them")
        found = PEM(value.place, folder / text if is_file else Secret(text))
    return found


def _version(value: Value | None) -> ssl.TLSVersion | None:
    if value is None:
        return None
    text = value.text()
    if text in ("TLS10", "TLS11"):  # RFC 8996
        raise value.error("is too old: TLS 1.0 and 1.1 must not be used any more. Write TLS12 or TLS13")
    if text not in _VERSIONS:
        raise value.error("must be TLS12 or TLS13")
    return _VERSIONS[text]


def _client_auth(given: Mapping[str, Value], authority: PEM | None) -> ClientAuth:
    value = given.get("client_auth_type")
    text = value.text() if value else ""
    if value is not None and text in _UNVERIFIED:
        raise value.error(
            "asks for a certificate that nobody verifies, which protects nothing: write RequireAndVerifyClientCert, "
            "and give client_ca_file"
        )
    if value is not None and text not in ("", *ClientAuth):
        raise value.error(f"must be one of {', '.join(ClientAuth)}")
    policy = ClientAuth(text or ClientAuth.NONE)
    if policy is ClientAuth.NONE:
        sans = given.get("client_allowed_sans")
        idle = authority or (None if sans is None or sans.is_null else sans)
        if idle is not None:
            raise UsageError(
                f"{idle.place} has no effect without client_auth_type: write RequireAndVerifyClientCert there"
            )
    elif value is not None and authority is None:
        raise value.error("needs client_ca_file: whom else should a client's certificate descend from?")
    return policy


def _allowed_sans(given: Mapping[str, Value]) -> tuple[str, ...]:
    value = given.get("client_allowed_sans")
    if value is None or value.is_null:
        return ()
    items = value.items()
    if not items:
        raise value.error("is empty: nobody could connect. Name somebody, or leave it out")
    for item in items:
        if not item.text():
            raise item.error("has an empty name")
    return tuple(item.text() for item in items)


def _headers(section: Value) -> dict[str, str]:
    given = section.entries(("headers", "http2"))
    if "http2" in given:
        given["http2"].switch()  # HTTP/1.1 is served either way, as a client of HTTP/2 accepts
    headers = {}
    for name, value in given["headers"].entries(_HEADERS).items() if "headers" in given else ():
        text = value.text().strip()
        allowed = _HEADERS[name]
        if text and allowed and text not in allowed:
            raise value.error(f"must be {' or '.join(allowed)}")
        if not text.isascii() or not text.isprintable():
            raise value.error("holds a line break or another character that no HTTP header can carry")
        if text:
            headers[name] = text
    return headers


def _users(section: Value) -> dict[str, Secret]:
    given = section.entries()
    if not given:
        raise section.error("is empty: name a user, or leave it out to let everybody in")
    for name, value in given.items():
        if ":" in name or not name.isprintable():  # RFC 7617, section 2
            raise value.error("a user's name holds a colon or a control character: nobody could log in")
        match = _HASH.fullmatch(value.text())
        if not match or int(match[1]) < _LEAST_COST:
            raise value.error("this is no bcrypt hash: make one with htpasswd -nBC 10 USER")
        if int(match[1]) > MOST_COST:
            raise value.error(f"the hash costs more than {MOST_COST}: one check would hold up the scrapes")
    return {name: Secret(value.text()) for name, value in given.items()}
